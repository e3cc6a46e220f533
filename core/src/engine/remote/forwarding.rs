//! Asks a self-hosted server which of its models it forwards to another host.
//!
//! Only Ollama's own list says so; its compatible list does not. Any self-hosted server may be an Ollama server behind its
//! compatible API, whatever its kind in the settings, so all are asked. Without an answer the caller must assume the worst.

use std::time::Duration;

use reqwest::Method;

use super::dialect::ProviderKind;
use super::error::AttemptError;
use super::http::ProviderClient;
use super::list_request::{fetch_body, list_context};
use super::model_entry::is_forwarded;
use super::provider::{ProviderSettings, RemoteModel, Secret};
use crate::error::Result;

/// Returns the names of the models that the server forwards; `None` if it is no Ollama server.
///
/// # Errors
/// `Network`, `Unauthorized`, `Provider`: the server did not say.
pub(super) async fn fetch_forwarded(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
) -> Result<Option<Vec<String>>> {
    let context = list_context(http, settings, secret);
    let request = http.request_beside_v1(Method::GET, "api/tags", secret)?;
    let response = fetch_body(&context, http, request.timeout(TAGS_TIMEOUT)).await?;
    if response.denies_endpoint() {
        return Ok(None);
    }
    let list = response.into_json(&context)?;
    let Some(entries) = list["models"].as_array() else {
        return Err(AttemptError::from_other_text(&context, &list.to_string()).error);
    };
    let forwarded = entries.iter().filter(|entry| is_forwarded(entry));
    let names: Vec<String> = forwarded
        .filter_map(|entry| entry["model"].as_str().or(entry["name"].as_str()))
        .map(str::to_owned)
        .collect();
    // llama-server has its one list at this address, too.
    let is_compatible_list = list.get("object").is_some();
    Ok((!names.is_empty() || !is_compatible_list).then_some(names))
}

/// Marks the models of a list that the server forwards.
pub(super) fn mark_forwarded(models: &mut [RemoteModel], forwarded: &[String]) {
    for model in models {
        let is_same = |name: &String| RemoteModel::is_named(ProviderKind::Ollama, name, &model.id);
        model.proxied |= forwarded.iter().any(is_same);
    }
}

/// Shorter than a decision waits for lists: the list itself is needed in time.
const TAGS_TIMEOUT: Duration = Duration::from_secs(5);
