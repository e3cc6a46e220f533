//! Requests for lists and other small documents of a provider, read whole.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::LOCATION;
use serde_json::Value;

use super::dialect;
use super::error::{AttemptError, RequestContext};
use super::http::ProviderClient;
use super::provider::{ProviderSettings, Secret};
use crate::error::{Error, Result};
use crate::net::retry::retry_after;

/// Returns the context of errors of a request that is no chat.
pub(super) fn list_context<'a>(
    http: &'a ProviderClient,
    settings: &'a ProviderSettings,
    secret: &Secret,
) -> RequestContext<'a> {
    RequestContext {
        provider: &settings.name,
        kind: settings.kind,
        model: "",
        host: http.host(),
        proxy: http.proxy(),
        has_key: !secret.is_empty(),
        is_constrained: false,
    }
}

/// The whole response to a small request.
pub(super) struct ListResponse {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) retry_after: Option<Duration>,
}

/// Sends a small request and reads its whole response, of any status but a redirect.
pub(super) async fn fetch_body(
    context: &RequestContext<'_>,
    http: &ProviderClient,
    request: reqwest::RequestBuilder,
) -> Result<ListResponse, AttemptError> {
    let sent = request.send().await;
    let response = sent.map_err(|cause| AttemptError::from_connection(context, &cause))?;
    let (status, after) = (response.status(), retry_after(response.headers()));
    if status.is_redirection() {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let path = dialect::dialect_for(context.kind).models;
        return Err(AttemptError::from_redirect(context, &http.url(path), path, location));
    }
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        body.extend_from_slice(&piece.map_err(|cause| AttemptError::from_connection(context, &cause))?);
        if body.len() > MAX_LIST_BYTES {
            let name = context.provider;
            let text = format!("the list of `{name}` is over 64 MB; rejected");
            return Err(AttemptError::permanent(Error::provider(text)));
        }
    }
    Ok(ListResponse {
        status: status.as_u16(),
        body,
        retry_after: after,
    })
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

    /// Returns the JSON of a successful response; of another the provider's error.
    pub(super) fn into_json(self, context: &RequestContext<'_>) -> Result<Value, AttemptError> {
        if !(200..300).contains(&self.status) {
            return Err(AttemptError::from_response(
                context,
                self.status,
                &self.body,
                self.retry_after,
            ));
        }
        let text = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body);
        serde_json::from_slice(text).map_err(|_| AttemptError::from_other_text(context, &String::from_utf8_lossy(text)))
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
/// Timeout of model lists and other small requests.
pub(super) const LIST_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_LIST_BYTES: usize = 64 << 20;

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
