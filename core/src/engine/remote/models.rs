//! Lists the models of a provider with their prices, context, capabilities and retirement.

use reqwest::Method;
use serde_json::Value;

use super::dialect::{self, ProviderKind};
use super::forwarding::{StatedHosts, fetch_forwarded, mark_forwarded, must_state_forwarding, show_models};
use super::http::ProviderClient;
use super::list_request::{LIST_TIMEOUT, fetch_body, list_context};
use super::model_entry::{has_entry, is_forwarded, parse_chat, parse_model};
use super::provider::{Forwarding, ListedModels, ModelCapabilities, ProviderSettings, RemoteModel, Secret};
use crate::error::{Error, Result};

/// What a fetch of a model list brought.
#[derive(Debug, Clone)]
pub struct FetchedModels {
    /// The list. Unset: the fetch failed.
    pub listed: Option<ListedModels>,
    /// Ids of the models that an Ollama server runs itself, as it said of each alone.
    pub own: Vec<String>,
    /// Why the list, or a part of it, is missing.
    pub error: Option<Error>,
}

/// Fetches the model list of a provider, and of a self-hosted one also which of its models it forwards. `today` (as
/// `2026-11-22`) dates the prices.
pub async fn fetch_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    today: &str,
) -> FetchedModels {
    let hosts = async {
        match settings.kind {
            // Its list says so itself.
            ProviderKind::Ollama => Ok(Some(StatedHosts::default())),
            _ if !must_state_forwarding(settings) => Ok(None),
            _ => fetch_forwarded(http, settings, secret).await,
        }
    };
    let (list, hosts) = tokio::join!(read_list(http, settings, secret, today), hosts);
    let (list, mut error) = match list {
        Ok(list) => (list, None),
        // A server that has neither list is used with the model of its settings.
        Err(failure) if failure.denies_endpoint && !settings.kind.is_hosted() && matches!(hosts, Ok(None)) => {
            (ModelEntries::default(), Some(failure.error))
        }
        Err(failure) => {
            return FetchedModels {
                listed: None,
                own: vec![],
                error: Some(failure.error),
            };
        }
    };
    let ModelEntries { mut models, mut own } = list;
    let forwarding = match hosts {
        Ok(Some(hosts)) => {
            mark_forwarded(&mut models, &hosts.forwarded);
            own.extend(hosts.own);
            Forwarding::Marked
        }
        Ok(None) => Forwarding::Never,
        Err(unknown) => {
            error = Some(unknown);
            Forwarding::NotAsked
        }
    };
    FetchedModels {
        listed: Some(ListedModels {
            models,
            forwarding,
            unopened: vec![],
        }),
        own,
        error,
    }
}

/// Fetches the model list of a provider alone. `today` (as `2026-11-22`) dates the prices.
///
/// # Errors
/// `Network`, `Unauthorized`, `Provider`.
pub async fn list_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    today: &str,
) -> Result<Vec<RemoteModel>> {
    let list = read_list(http, settings, secret, today).await;
    list.map(|list| list.models).map_err(|failure| failure.error)
}

/// The models of a list.
#[derive(Debug, Default)]
struct ModelEntries {
    models: Vec<RemoteModel>,
    /// As [`FetchedModels::own`].
    own: Vec<String>,
}

/// Why there is no list.
struct ListFailure {
    error: Error,
    /// The server says that it has no list.
    denies_endpoint: bool,
}

impl From<Error> for ListFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            denies_endpoint: false,
        }
    }
}

async fn read_list(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    today: &str,
) -> Result<ModelEntries, ListFailure> {
    let kind = settings.kind;
    let context = list_context(http, settings, secret);
    let request = http.request(Method::GET, dialect::dialect_for(kind).models, secret)?;
    let response = fetch_body(&context, http, request.timeout(LIST_TIMEOUT))
        .await
        .map_err(Error::from)?;
    let denies_endpoint = response.denies_endpoint();
    let list = response.into_json(&context).map_err(|failure| ListFailure {
        error: failure.error,
        denies_endpoint,
    })?;
    let entries = [&list["data"], &list["models"], &list]
        .into_iter()
        .find_map(Value::as_array);
    let Some(entries) = entries else {
        let error = Error::provider(format!(
            "`{}` did not return a list of models; check its address",
            settings.name
        ));
        return Err(ListFailure { error, denies_endpoint });
    };
    let mut models: Vec<RemoteModel> = entries
        .iter()
        .filter_map(|entry| parse_model(kind, entry, today))
        .collect();
    let mut own = vec![];
    match kind {
        ProviderKind::Ollama => own = describe_ollama_models(http, settings, secret, &mut models).await,
        ProviderKind::LlamaServer => describe_llama_server(http, settings, secret, &mut models).await,
        ProviderKind::Compatible if is_lm_studio(entries) => {
            describe_lm_studio(http, settings, secret, &mut models).await;
        }
        _ => {}
    }
    models.sort_by(|one, other| one.id.cmp(&other.id));
    models.dedup_by(|one, other| one.id == other.id);
    Ok(ModelEntries { models, own })
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
    let context = list_context(http, settings, secret);
    let response = fetch_body(&context, http, request.timeout(LIST_TIMEOUT)).await?;
    Ok(response.into_json(&context)?)
}

/// Adds to each Ollama model what only `/api/show` says, and which are in memory. A failure leaves it unset. Returns the ids
/// of those that the server says to run itself.
async fn describe_ollama_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    models: &mut [RemoteModel],
) -> Vec<String> {
    let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
    let shown = show_models(http, settings, secret, ids);
    let (shown, running) = tokio::join!(shown, get_json(http, settings, secret, "api/ps"));
    let running = running.unwrap_or_default();
    let mut own = vec![];
    for (model, shown) in models.iter_mut().zip(shown) {
        if let Some(shown) = shown {
            add_shown(model, &shown);
            own.extend((!model.proxied).then(|| model.id.clone()));
        }
        let is_model = |entry: &Value| {
            [&entry["model"], &entry["name"]]
                .into_iter()
                .any(|name| name == &model.id)
        };
        model.loaded = running["models"].as_array().is_some_and(|all| all.iter().any(is_model));
    }
    own
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

/// Returns whether this is the list of LM Studio, which has no kinds of models in its compatible list.
fn is_lm_studio(entries: &[Value]) -> bool {
    entries.iter().any(|entry| entry["owned_by"] == "organization_owner")
}
