//! Asks a self-hosted server which of its models it forwards to another host.
//!
//! Only Ollama's own list says so; its compatible list does not. Any self-hosted server may be an Ollama server behind its
//! compatible API, whatever its kind in the settings, so all are asked. Without an answer the caller must assume the worst.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dialect::ProviderKind;
use super::error::{AttemptError, RequestContext};
use super::http::ProviderClient;
use super::model_entry::is_forwarded;
use super::models::{ListResponse, fetch_body};
use super::provider::{ProviderSettings, RemoteModel, Secret};
use crate::error::Result;

/// Whether a model list says which of its models the server forwards to another host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarding {
    /// The server was not asked, or did not answer.
    #[default]
    NotAsked,
    /// The server cannot say so, because it is no Ollama server: it forwards none.
    Never,
    /// The forwarded models are marked in the list.
    Marked,
}

/// Returns the names of the models that the server forwards; `None` if it is no Ollama server.
///
/// # Errors
/// `Network`, `Unauthorized`, `Provider`: the server did not say.
pub(super) async fn fetch_forwarded(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
) -> Result<Option<Vec<String>>> {
    let context = RequestContext::of_list(http, settings, secret);
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

impl ListResponse {
    /// Returns whether the server says that it has no such endpoint. LM Studio says so with status 200.
    pub(super) fn denies_endpoint(&self) -> bool {
        match self.status {
            404 | 405 | 410 | 501 => true,
            200 | 400 => {
                let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
                let texts = [
                    &body["error"],
                    &body["error"]["message"],
                    &body["detail"],
                    &body["message"],
                ];
                let mut texts = texts.into_iter().filter_map(Value::as_str).map(str::to_lowercase);
                body.get("models").is_none() && texts.any(|text| NO_ENDPOINT.iter().any(|phrase| text.contains(phrase)))
            }
            _ => false,
        }
    }
}

/// Phrases of servers that have no such endpoint.
const NO_ENDPOINT: [&str; 5] = [
    "unexpected endpoint",
    "unknown endpoint",
    "no such endpoint",
    "invalid url",
    "not found",
];
/// Shorter than a decision waits for lists: the list itself is needed in time.
const TAGS_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_the_endpoint_says_so_in_several_ways() {
        for (status, body, denies) in [
            (404, "404 page not found", true),
            (405, "", true),
            (501, "<html>", true),
            (
                200,
                r#"{"error":"Unexpected endpoint or method. (GET /api/tags)"}"#,
                true,
            ),
            (400, r#"{"error":{"message":"Invalid URL (GET /api/tags)"}}"#, true),
            (200, r#"{"detail":"Not Found"}"#, true),
            (200, r#"{"models":[],"error":"not found"}"#, false),
            (200, r#"{"error":"rate limited"}"#, false),
            (200, "<html>Sign in. Not found?</html>", false),
            (401, r#"{"error":"not found"}"#, false),
            (403, "", false),
            (500, "", false),
            (502, "", false),
        ] {
            let response = ListResponse {
                status,
                body: body.into(),
                retry_after: None,
            };
            assert_eq!(response.denies_endpoint(), denies, "{status} {body}");
        }
    }
}
