//! Maps error responses of providers to [`Error`], and decides whether a retry can help.
//!
//! Error messages of a provider are never repeated, because some quote the prompt (OpenRouter's moderation shows a
//! hundred characters of it). Only the status and a machine-readable code are kept.

use std::time::Duration;

use serde_json::Value;

use super::dialect::ProviderKind;
use crate::error::{Error, ErrorKind};

/// A failure of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttemptError {
    /// Error returned if the request is not retried.
    pub(crate) error: Error,
    /// Whether a retry may succeed.
    pub(crate) transient: bool,
    /// The provider's `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl AttemptError {
    /// Creates a permanent error, which a retry would meet again.
    pub(crate) fn permanent(error: Error) -> Self {
        Self {
            error,
            transient: false,
            retry_after: None,
        }
    }

    /// Creates a transient error.
    pub(crate) fn transient(error: Error) -> Self {
        Self {
            error,
            transient: true,
            retry_after: None,
        }
    }

    /// Creates an error from an HTTP error response.
    pub(super) fn from_response(
        context: &RequestContext<'_>,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        // Most wrap it in `error`; Ollama puts a string there; some send a list with one element.
        let error = body.get("error").or_else(|| body.get(0)?.get("error")).unwrap_or(&body);
        Self::classify(context, status, error, retry_after)
    }

    /// Creates an error from an error object within a stream that started with status 200.
    pub(super) fn from_stream_error(context: &RequestContext<'_>, error: &Value) -> Self {
        let status = [&error["code"], &error["http_status"], &error["status_code"]]
            .into_iter()
            .find_map(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()))
            .and_then(|code| u16::try_from(code).ok());
        let status = status.unwrap_or_else(|| match error_code(error).as_deref() {
            Some("rate_limit_exceeded" | "rate_limit_error") => 429,
            Some("provider_overloaded" | "overloaded_error" | "unavailable_error") => 503,
            Some("timeout") => 504,
            _ => 502,
        });
        Self::classify(context, status, error, None)
    }

    fn classify(context: &RequestContext<'_>, status: u16, error: &Value, retry_after: Option<Duration>) -> Self {
        let code = error_code(error);
        let availability = &error["availability"];
        let about = match &code {
            Some(code) => format!("`{}` refused (status {status}, `{code}`)", context.provider),
            None => format!("`{}` refused (status {status})", context.provider),
        };
        let retry_after = retry_after.or_else(|| {
            let seconds = availability["retry_after"].as_f64()?;
            Duration::try_from_secs_f64(seconds).ok()
        });
        let (kind, remedy) = kind_and_remedy(context, status, code.as_deref().unwrap_or_default(), error);
        let remedy = match (kind, retry_after) {
            (ErrorKind::RateLimited, Some(after)) => {
                format!("too many requests; try again in {} s", after.as_secs().max(1))
            }
            _ => remedy,
        };
        let transient = matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 524 | 529);
        Self {
            error: Error::new(kind, format!("{about}: {remedy}")),
            transient: availability["retryable"].as_bool().unwrap_or(transient),
            retry_after,
        }
    }
}

/// The provider and model that error messages name.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) provider: &'a str,
    pub(super) kind: ProviderKind,
    pub(super) model: &'a str,
}

/// Returns error kind and remedy for a status and code, according to the providers' documentation.
fn kind_and_remedy(context: &RequestContext<'_>, status: u16, code: &str, error: &Value) -> (ErrorKind, String) {
    let RequestContext { provider, model, .. } = context;
    let own = |kind, text: &str| (kind, text.to_owned());
    match code {
        "context_length_exceeded"
        | "exceed_context_size_error"
        | "max_tokens_exceeded"
        | "token_limit_exceeded"
        | "string_too_long" => {
            return own(
                ErrorKind::InvalidRequest,
                "the conversation is longer than the model's context; send fewer messages",
            );
        }
        "privacy_restricted" => {
            return own(
                ErrorKind::Blocked,
                "no upstream offers this model under the policy's retention and training terms",
            );
        }
        "region_restricted" => return own(ErrorKind::Blocked, "this model is not offered in this region"),
        "model_deprecated" | "free_variant_ended" | "model_decommissioned" => {
            return (
                ErrorKind::Unsupported,
                format!("`{model}` is not offered any more; choose another"),
            );
        }
        "content_policy_violation" | "refusal" | "content_filter" => {
            return own(ErrorKind::Blocked, "its content filter rejected the request");
        }
        _ => {}
    }
    match status {
        401 => (
            ErrorKind::Unauthorized,
            format!("the key is wrong or expired; set a new one for `{provider}`"),
        ),
        402 => own(
            ErrorKind::Unauthorized,
            "the account has no credit left; add some at the provider",
        ),
        403 if error["metadata"]["reasons"].is_array() || error["metadata"]["patterns"].is_array() => {
            own(ErrorKind::Blocked, "its content filter rejected the request")
        }
        403 => own(ErrorKind::Unauthorized, "the key lacks the permission; use another key"),
        404 | 405 => (
            ErrorKind::Unsupported,
            format!("it has no model `{model}`, or its address is wrong; `providers models {provider}` lists them"),
        ),
        412 => own(
            ErrorKind::Unauthorized,
            "the account or the deployment is suspended; see the provider's own page",
        ),
        413 => own(
            ErrorKind::InvalidRequest,
            "the request is too large; send fewer or shorter messages",
        ),
        408 | 504 | 524 => own(ErrorKind::Provider, "it took too long; try again"),
        429 => own(ErrorKind::RateLimited, "too many requests; try again in a moment"),
        503 | 529 => own(ErrorKind::Busy, "it is overloaded; try again in a moment"),
        400..=499 => own(
            ErrorKind::InvalidRequest,
            "it does not accept this request; try another model or fewer options",
        ),
        _ => own(ErrorKind::Provider, "an internal error of the provider; try again"),
    }
}

/// Returns the machine-readable code of an error: short, of lower-case letters, digits and separators only.
fn error_code(error: &Value) -> Option<String> {
    let places = [
        &error["availability"]["code"],
        &error["metadata"]["error_type"],
        &error["error_type"],
        &error["code"],
        &error["type"],
    ];
    places.into_iter().find_map(|place| {
        let code = place.as_str()?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
        let named = code.len() <= 48 && code.chars().all(plain) && code.chars().any(|c| c.is_ascii_lowercase());
        named.then(|| code.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: RequestContext<'static> = RequestContext {
        provider: "p",
        kind: ProviderKind::OpenRouter,
        model: "m",
    };

    fn parse_response(status: u16, body: &str) -> AttemptError {
        AttemptError::from_response(&CONTEXT, status, body.as_bytes(), None)
    }

    #[test]
    fn an_error_response_gives_a_remedy_and_never_the_text_of_the_provider() {
        for (status, body, kind, transient) in [
            (
                400,
                r#"{"error":{"code":400,"message":"zyx"}}"#,
                ErrorKind::InvalidRequest,
                false,
            ),
            (
                401,
                r#"{"error":{"code":401,"message":"zyx"}}"#,
                ErrorKind::Unauthorized,
                false,
            ),
            (402, "zyx", ErrorKind::Unauthorized, false),
            (
                403,
                r#"{"error":{"metadata":{"reasons":["zyx"],"flagged_input":"zyx"}}}"#,
                ErrorKind::Blocked,
                false,
            ),
            (404, r#"{"error":"model zyx not found"}"#, ErrorKind::Unsupported, false),
            (429, "{}", ErrorKind::RateLimited, true),
            (503, "<html>zyx</html>", ErrorKind::Busy, true),
            (529, "", ErrorKind::Busy, true),
            (500, r#"[{"error":{"message":"zyx"}}]"#, ErrorKind::Provider, true),
            (
                404,
                r#"{"error":{"http_status":404,"availability":{"code":"privacy_restricted","retryable":false}}}"#,
                ErrorKind::Blocked,
                false,
            ),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
                ErrorKind::InvalidRequest,
                false,
            ),
        ] {
            let failure = parse_response(status, body);
            assert_eq!(
                (failure.error.kind(), failure.transient),
                (kind, transient),
                "{status} {body}"
            );
            assert!(!failure.error.to_string().contains("zyx"), "{}", failure.error);
        }
    }

    #[test]
    fn an_error_in_a_stream_is_understood_with_a_code_that_is_a_number_a_word_or_missing() {
        for (error, kind) in [
            (
                serde_json::json!({"code": 429, "message": "zyx"}),
                ErrorKind::RateLimited,
            ),
            (serde_json::json!({"code": "429"}), ErrorKind::RateLimited),
            (serde_json::json!({"code": "server_error"}), ErrorKind::Provider),
            (serde_json::json!({"type": "overloaded_error"}), ErrorKind::Busy),
            (serde_json::json!("zyx"), ErrorKind::Provider),
        ] {
            let failure = AttemptError::from_stream_error(&CONTEXT, &error);
            assert_eq!((failure.error.kind(), failure.transient), (kind, true), "{error}");
            assert!(!failure.error.to_string().contains("zyx"));
        }
    }
}
