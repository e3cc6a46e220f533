//! Lists the models of a provider with their prices, context, capabilities and retirement.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::dialect::{self, ProviderKind};
use super::error::{AttemptError, RequestContext};
use super::http::ProviderClient;
use super::provider::{ModelCapabilities, ProviderSettings, RemoteModel, Secret, TokenPrice};
use crate::error::{Error, Result};

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
    if kind == ProviderKind::Ollama {
        let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
        let requests =
            stream::iter(ids).map(|id| async move { describe_ollama_model(http, settings, secret, &id).await });
        let details: Vec<_> = requests.buffered(4).collect().await;
        for (model, (abilities, context)) in models.iter_mut().zip(details) {
            model.abilities = abilities;
            model.context = context.or(model.context);
        }
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
    fetch_json(settings, http.request(Method::GET, path, secret)?).await
}

async fn fetch_json(settings: &ProviderSettings, request: reqwest::RequestBuilder) -> Result<Value> {
    let name = &settings.name;
    let unreachable = |_| Error::network(format!("`{name}` cannot be reached; check the network and its address"));
    let response = request.timeout(LIST_TIMEOUT).send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(unreachable)?);
        if body.len() > MAX_LIST_BYTES {
            return Err(Error::provider(format!("the list of `{name}` is over 64 MB; rejected")));
        }
    }
    if !status.is_success() {
        let context = RequestContext {
            provider: name,
            kind: settings.kind,
            model: "",
        };
        return Err(AttemptError::from_response(&context, status.as_u16(), &body, None).error);
    }
    serde_json::from_slice(&body)
        .map_err(|_| Error::provider(format!("`{name}` did not return JSON; check its address")))
}

fn parse_model(kind: ProviderKind, entry: &Value, today: &str) -> Option<RemoteModel> {
    let id = entry["id"]
        .as_str()
        .or(entry["model"].as_str())
        .or(entry["name"].as_str())?;
    // Groq also lists inactive models; some providers list models without chat.
    if entry["active"].as_bool() == Some(false) || entry["supports_chat"].as_bool() == Some(false) {
        return None;
    }
    let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let contexts = [
        &entry["context_length"],
        &entry["context_window"],
        &entry["max_model_len"],
        &entry["meta"]["n_ctx"],
        &entry["meta"]["n_ctx_train"],
        &entry["details"]["context_length"],
    ];
    let outputs = [
        &entry["top_provider"]["max_completion_tokens"],
        &entry["max_completion_tokens"],
    ];
    let name = entry["name"].as_str().filter(|name| !name.is_empty()).unwrap_or(id);
    Some(RemoteModel {
        id: id.to_owned(),
        name: name.to_owned(),
        context: contexts.into_iter().find_map(number),
        max_output: outputs.into_iter().find_map(number),
        abilities: parse_abilities(kind, entry),
        price: parse_price(kind, entry, today),
        retires: entry["expiration_date"]
            .as_str()
            .map(|date| date.chars().take(10).collect()),
        proxied: entry["remote_host"].as_str().is_some_and(|host| !host.is_empty()) || RemoteModel::is_proxied_id(id),
    })
}

impl RemoteModel {
    /// Returns whether the id says that a self-hosted server forwards the model to a third party: Ollama's cloud models
    /// are tagged `:cloud`, `:120b-cloud` and so on.
    pub fn is_proxied_id(id: &str) -> bool {
        let id = id.trim().to_ascii_lowercase();
        id.ends_with(":cloud") || id.ends_with("-cloud")
    }
}

fn parse_abilities(kind: ProviderKind, entry: &Value) -> Option<ModelCapabilities> {
    match kind {
        ProviderKind::OpenRouter => {
            let parameters = &entry["supported_parameters"];
            parameters.is_array().then(|| ModelCapabilities {
                tools: has_entry(parameters, "tools"),
                images: has_entry(&entry["architecture"]["input_modalities"], "image"),
                json_schema: has_entry(parameters, "structured_outputs"),
                reasoning: has_entry(parameters, "reasoning"),
                web_search: true,
            })
        }
        ProviderKind::Fireworks => entry["supports_tools"].as_bool().map(|tools| ModelCapabilities {
            tools,
            images: entry["supports_image_input"].as_bool() == Some(true),
            json_schema: true,
            reasoning: true,
            web_search: false,
        }),
        _ => None,
    }
}

fn has_entry(list: &Value, name: &str) -> bool {
    let mut entries = list.as_array().into_iter().flatten();
    entries.any(|entry| entry.as_str() == Some(name))
}

/// Parses OpenRouter's price: US dollars per token, as text.
fn parse_price(kind: ProviderKind, entry: &Value, today: &str) -> Option<TokenPrice> {
    if kind != ProviderKind::OpenRouter {
        return None;
    }
    let usd = |name: &str| {
        let value = &entry["pricing"][name];
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        // OpenRouter's own routers have -1: the price depends on the model that they select.
        (number.is_finite() && number >= 0.0).then_some(number)
    };
    Some(TokenPrice {
        usd_in: usd("prompt")? * 1e6,
        usd_out: usd("completion")? * 1e6,
        usd_cached: usd("input_cache_read").map(|usd| usd * 1e6),
        usd_request: usd("request").unwrap_or(0.0),
        as_of: today.to_owned(),
    })
}

/// Fetches capabilities and context of one Ollama model. A failure leaves them unset.
async fn describe_ollama_model(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    id: &str,
) -> (Option<ModelCapabilities>, Option<u32>) {
    let Ok(request) = http.request(Method::POST, "api/show", secret) else {
        return (None, None);
    };
    let Ok(shown) = fetch_json(settings, request.json(&json!({ "model": id }))).await else {
        return (None, None);
    };
    let context = shown["model_info"].as_object().and_then(|info| {
        let length = info.iter().find(|(key, _)| key.ends_with(".context_length"))?.1;
        u32::try_from(length.as_u64()?).ok()
    });
    let capabilities = &shown["capabilities"];
    let abilities = capabilities.is_array().then(|| ModelCapabilities {
        tools: has_entry(capabilities, "tools"),
        images: has_entry(capabilities, "vision"),
        json_schema: true,
        reasoning: has_entry(capabilities, "thinking"),
        web_search: false,
    });
    (abilities, context)
}

/// Timeout of model lists and other small requests.
pub(super) const LIST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_LIST_BYTES: usize = 64 << 20;
