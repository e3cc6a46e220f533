//! Lists the models of a provider with their prices, context, capabilities and retirement.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use reqwest::header::LOCATION;
use serde_json::{Value, json};

use super::dialect::{self, ProviderKind};
use super::error::{AttemptError, RequestContext};
use super::http::{ProviderClient, is_own_server};
use super::model_entry::{has_entry, is_forwarded, parse_chat, parse_model};
use super::provider::{ModelCapabilities, ProviderSettings, RemoteModel, Secret};
use crate::error::{Error, Result};
use crate::net::retry::retry_after;

/// Fetches the model list of a provider. `today` (as `2026-11-22`) dates the prices.
///
/// # Errors
/// `Network`, `Unauthorized`, `Provider`.
pub async fn list_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    today: &str,
) -> Result<Vec<RemoteModel>> {
    let kind = settings.kind;
    let list = get_json(http, settings, secret, dialect::dialect_for(kind).models).await?;
    let entries = [&list["data"], &list["models"], &list]
        .into_iter()
        .find_map(Value::as_array);
    let Some(entries) = entries else {
        return Err(Error::provider(format!(
            "`{}` did not return a list of models; check its address",
            settings.name
        )));
    };
    let mut models: Vec<RemoteModel> = entries
        .iter()
        .filter_map(|entry| parse_model(kind, entry, today))
        .collect();
    match kind {
        ProviderKind::Ollama => describe_ollama_models(http, settings, secret, &mut models).await,
        ProviderKind::LlamaServer => describe_llama_server(http, settings, secret, &mut models).await,
        ProviderKind::Compatible if is_lm_studio(entries) => {
            describe_lm_studio(http, settings, secret, &mut models).await;
        }
        ProviderKind::Compatible if is_own_server(settings) => {
            mark_forwarded(http, settings, secret, &mut models).await;
        }
        _ => {}
    }
    models.sort_by(|one, other| one.id.cmp(&other.id));
    models.dedup_by(|one, other| one.id == other.id);
    Ok(models)
}

/// Fetches OpenRouter's table of upstreams with their countries: `{ data: [{ slug, datacenters, … }] }`.
///
/// # Errors
/// `Network`, `Provider`.
pub async fn openrouter_providers(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
) -> Result<Value> {
    get_json(http, settings, secret, "providers").await
}

async fn get_json(http: &ProviderClient, settings: &ProviderSettings, secret: &Secret, path: &str) -> Result<Value> {
    fetch_json(http, settings, secret, http.request(Method::GET, path, secret)?).await
}

/// Fetches a path of the server that is not below its base address.
async fn get_json_at(http: &ProviderClient, settings: &ProviderSettings, secret: &Secret, path: &str) -> Result<Value> {
    fetch_json(http, settings, secret, http.request_at_root(Method::GET, path, secret)?).await
}

async fn fetch_json(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    request: reqwest::RequestBuilder,
) -> Result<Value> {
    let name = &settings.name;
    let context = RequestContext {
        provider: name,
        kind: settings.kind,
        model: "",
        host: http.host(),
        has_key: !secret.is_empty(),
        is_constrained: false,
    };
    let sent = request.timeout(LIST_TIMEOUT).send().await;
    let response = sent.map_err(|cause| AttemptError::from_connection(&context, &cause).error)?;
    let (status, after) = (response.status(), retry_after(response.headers()));
    if status.is_redirection() {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let path = dialect::dialect_for(settings.kind).models;
        return Err(AttemptError::from_redirect(&context, &http.url(path), path, location).error);
    }
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|cause| AttemptError::from_connection(&context, &cause).error)?);
        if body.len() > MAX_LIST_BYTES {
            return Err(Error::provider(format!("the list of `{name}` is over 64 MB; rejected")));
        }
    }
    if !status.is_success() {
        return Err(AttemptError::from_response(&context, status.as_u16(), &body, after).error);
    }
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body);
    serde_json::from_slice(text)
        .map_err(|_| AttemptError::from_other_text(&context, &String::from_utf8_lossy(text)).error)
}

/// Adds to each Ollama model what only `/api/show` says, and which are in memory. A failure leaves it unset.
async fn describe_ollama_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    models: &mut [RemoteModel],
) {
    let show = |id: String| async move {
        let request = http.request(Method::POST, "api/show", secret).ok()?;
        fetch_json(http, settings, secret, request.json(&json!({ "model": id })))
            .await
            .ok()
    };
    let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
    let shown = stream::iter(ids).map(show).buffered(4).collect::<Vec<_>>();
    let (shown, running) = tokio::join!(shown, get_json(http, settings, secret, "api/ps"));
    let running = running.unwrap_or_default();
    for (model, shown) in models.iter_mut().zip(shown) {
        if let Some(shown) = shown {
            add_shown(model, &shown);
        }
        let is_model = |entry: &Value| {
            [&entry["model"], &entry["name"]]
                .into_iter()
                .any(|name| name == &model.id)
        };
        model.loaded = running["models"].as_array().is_some_and(|all| all.iter().any(is_model));
    }
}

/// Adds the facts of Ollama's `/api/show`.
fn add_shown(model: &mut RemoteModel, shown: &Value) {
    let info = &shown["model_info"];
    let length = info.as_object().and_then(|info| {
        let length = info.iter().find(|(key, _)| key.ends_with(".context_length"))?.1;
        u32::try_from(length.as_u64()?).ok()
    });
    model.context = length.or(model.context);
    model.parameters = info["general.parameter_count"].as_u64().or(model.parameters);
    model.proxied |= is_forwarded(shown);
    let capabilities = &shown["capabilities"];
    if capabilities.as_array().is_some_and(|list| !list.is_empty()) {
        model.chat = parse_chat(shown);
        model.abilities = Some(ModelCapabilities {
            tools: has_entry(capabilities, "tools"),
            images: has_entry(capabilities, "vision"),
            json_schema: true,
            reasoning: has_entry(capabilities, "thinking"),
            web_search: false,
        });
    }
}

/// Adds the context that llama-server runs with: its list has only the length that the model was trained for.
async fn describe_llama_server(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    models: &mut [RemoteModel],
) {
    let Ok(props) = get_json_at(http, settings, secret, "/props").await else {
        return;
    };
    let running = props["default_generation_settings"]["n_ctx"].as_u64();
    let running = running.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    if let ([model], Some(running)) = (models, running) {
        model.context = Some(model.context.map_or(running, |trained| trained.min(running)));
        model.loaded = true;
    }
}

/// Adds what only LM Studio's own list says: kinds of models, contexts, which are in memory.
async fn describe_lm_studio(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    models: &mut [RemoteModel],
) {
    let Ok(list) = get_json_at(http, settings, secret, "/api/v0/models").await else {
        return;
    };
    let entries = list["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    for entry in entries {
        let Some(described) = parse_model(settings.kind, entry, "") else {
            continue;
        };
        if let Some(model) = models.iter_mut().find(|model| model.id == described.id) {
            model.chat = described.chat.or(model.chat);
            model.context = described.context.or(model.context);
            model.loaded = described.loaded;
        }
    }
}

/// Marks the models that an Ollama server forwards: its compatible list does not say so, its own list does.
async fn mark_forwarded(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    models: &mut [RemoteModel],
) {
    let Ok(list) = get_json_at(http, settings, secret, "/api/tags").await else {
        return;
    };
    let forwarded: Vec<&str> = list["models"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| is_forwarded(entry))
        .filter_map(|entry| entry["model"].as_str().or(entry["name"].as_str()))
        .collect();
    for model in models {
        let is_same = |name: &&str| RemoteModel::is_named(ProviderKind::Ollama, name, &model.id);
        model.proxied |= forwarded.iter().any(is_same);
    }
}

/// Returns whether this is the list of LM Studio, which has no kinds of models in its compatible list.
fn is_lm_studio(entries: &[Value]) -> bool {
    entries.iter().any(|entry| entry["owned_by"] == "organization_owner")
}

/// Timeout of model lists and other small requests.
pub(super) const LIST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_LIST_BYTES: usize = 64 << 20;
