//! Maps failures of one attempt to [`Error`]s, and decides whether a retry can help.
//!
//! Error messages of a provider are never repeated, because some quote the prompt (OpenRouter's moderation shows a
//! hundred characters of it). They are only searched for the phrases by which `meaning.rs` tells causes apart.

use std::time::Duration;

use serde_json::Value;
use url::Url;

pub(super) use super::meaning::RequestContext;
use super::meaning::{self, Meaning};
use crate::error::{Error, ErrorReason};
use crate::net::client::is_proxy_failure;
use crate::net::url::redact_url;

/// A failure of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AttemptError {
    /// Error returned if the request is not retried.
    pub(crate) error: Error,
    /// Whether a retry may succeed.
    pub(crate) transient: bool,
    /// The provider's `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// What it says about the provider.
    pub(crate) health: Health,
}

/// What an attempt says about the health of the provider, for the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It works: it answered, if only to reject this request.
    Good,
    /// It is likely to fail for other requests too.
    Bad,
    /// Nothing: the caller ended the request, or its account or address is at fault.
    Unknown,
}

impl From<AttemptError> for Error {
    fn from(failure: AttemptError) -> Self {
        failure.error
    }
}

impl AttemptError {
    /// Creates an error that a retry would meet again, and that says nothing about the provider.
    pub(crate) fn permanent(error: Error) -> Self {
        Self {
            error,
            transient: false,
            retry_after: None,
            health: Health::Unknown,
        }
    }

    /// Creates a transient error.
    pub(crate) fn transient(error: Error) -> Self {
        Self {
            error,
            transient: true,
            retry_after: None,
            health: Health::Bad,
        }
    }

    /// Creates an error from an HTTP error response.
    pub(super) fn from_response(
        context: &RequestContext<'_>,
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
    ) -> Self {
        let body = String::from_utf8_lossy(body);
        let body = body.trim_start_matches('\u{FEFF}').trim();
        match serde_json::from_str::<Value>(body) {
            Ok(value) => Self::classify(context, status, Some(status), &value, retry_after),
            Err(_) if is_web_page(body) && matches!(status, 400 | 403..=405 | 410 | 511) => web_page(context),
            Err(_) => {
                let text = Value::String(body.to_owned());
                Self::classify(context, status, Some(status), &text, retry_after)
            }
        }
    }

    /// Creates an error from an error object, or an event with one, within a stream that started with status 200.
    pub(super) fn from_stream_error(context: &RequestContext<'_>, value: &Value) -> Self {
        Self::classify(context, meaning::stated_status(value), None, value, None)
    }

    /// Creates an error from a text in place of an answer: a web page, or an error that is not JSON.
    pub(super) fn from_other_text(context: &RequestContext<'_>, text: &str) -> Self {
        if is_web_page(text) {
            return web_page(context);
        }
        let value = Value::String(text.to_owned());
        if meaning::is_recognized(&value) {
            return Self::from_stream_error(context, &value);
        }
        Self::transient(Error::provider(format!(
            "`{}` sent something that is not part of an answer; check its address, or try again",
            context.provider
        )))
    }

    /// Creates an error from a redirect, which is not followed: the credential is for the configured address only.
    pub(super) fn from_redirect(context: &RequestContext<'_>, from: &Url, chat: &str, location: Option<&str>) -> Self {
        let provider = context.provider;
        let target = location.and_then(|location| from.join(location).ok());
        let text = match target {
            Some(target) if is_sign_in(&target) => format!(
                "`{provider}` redirects to the sign-in page `{}`; sign in to this network or to that server, or check its \
                 address",
                redact_url(target.as_str())
            ),
            Some(target) => {
                let shown = redact_url(target.as_str());
                let base = shown.strip_suffix(chat).unwrap_or(&shown).trim_end_matches('/');
                format!("`{provider}` redirects to `{base}`; set that as its address")
            }
            None => format!("`{provider}` redirects without an address; check its address"),
        };
        Self::permanent(Error::provider(text).because(ErrorReason::Unreachable))
    }

    /// Creates an error from a failed connection.
    pub(super) fn from_connection(context: &RequestContext<'_>, cause: &reqwest::Error) -> Self {
        let provider = context.provider;
        // The texts contain the address; the provider's name is enough.
        let mut texts = String::new();
        let mut inner = Some(cause as &dyn std::error::Error);
        while let Some(cause) = inner {
            texts += &cause.to_string().to_ascii_lowercase();
            inner = cause.source();
        }
        let error = if texts.contains("certificate") {
            let text = format!(
                "the certificate of `{provider}` is not trusted; check its address, or add the certificate of your own server"
            );
            return Self::permanent(Error::network(text));
        } else if let Some(proxy) = context.proxy.filter(|_| is_proxy_failure(cause)) {
            Error::network(format!(
                "`{provider}` cannot be reached through the proxy `{proxy}`; check the proxy's address and the network"
            ))
        } else if cause.is_connect() {
            Error::network(format!(
                "`{provider}` cannot be reached; check the network and its address, or try again"
            ))
        } else {
            Error::network(format!(
                "`{provider}` closed the connection without a response; check the network and its address, or try again"
            ))
        };
        Self::transient(error)
    }

    /// Maps an error of the provider. `shown`: the status to show, if it is not derived.
    fn classify(
        context: &RequestContext<'_>,
        status: u16,
        shown: Option<u16>,
        value: &Value,
        retry_after: Option<Duration>,
    ) -> Self {
        let retry_after = retry_after.or_else(|| meaning::stated_delay(value));
        let Meaning { kind, reason, remedy } = meaning::of_error(context, status, value, retry_after);
        let provider = context.provider;
        let about = match shown {
            Some(status) => format!("`{provider}` refused (status {status})"),
            None => format!("`{provider}` reported an error"),
        };
        let error = Error::new(kind, format!("{about}: {remedy}"))
            .because(reason)
            .with_retry_after(retry_after);
        let error = match meaning::terms_page(context, value).filter(|_| reason == ErrorReason::TermsNotAccepted) {
            Some(page) => error.with_help_url(page),
            None => error,
        };
        let can_pass = matches!(
            reason,
            ErrorReason::RateLimited | ErrorReason::Overloaded | ErrorReason::NoResponse | ErrorReason::ProviderFault
        );
        let by_status = matches!(status, 408 | 429 | 500 | 502..=504 | 520..=524 | 529);
        let transient = can_pass && meaning::stated_retryable(value).unwrap_or(by_status);
        let health = match reason {
            _ if transient => Health::Bad,
            ErrorReason::NoCredit | ErrorReason::KeyMissing | ErrorReason::KeyRejected | ErrorReason::KeyForbidden => {
                Health::Unknown
            }
            _ => Health::Good,
        };
        Self {
            error,
            transient,
            retry_after,
            health,
        }
    }
}

fn web_page(context: &RequestContext<'_>) -> AttemptError {
    let text = format!(
        "`{}` returned a web page instead of an answer; check its address, and whether this network wants a sign-in",
        context.provider
    );
    AttemptError::permanent(Error::provider(text).because(ErrorReason::Unreachable))
}

fn is_web_page(text: &str) -> bool {
    let start: String = text
        .trim_start_matches('\u{FEFF}')
        .trim_start()
        .chars()
        .take(200)
        .collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("<!doctype") || start.starts_with("<html") || (start.starts_with('<') && start.contains("<html"))
}

/// Returns whether a redirect leads to a page for people.
fn is_sign_in(target: &Url) -> bool {
    let path = target.path().to_ascii_lowercase();
    [
        "login", "signin", "sign-in", "sign_in", "/auth", "portal", "sso", "captive",
    ]
    .iter()
    .any(|word| path.contains(word))
        || target
            .host_str()
            .is_some_and(|host| host.starts_with("login.") || host.contains("portal"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::dialect::ProviderKind;
    use super::*;
    use crate::error::ErrorKind::{self, *};
    use crate::error::ErrorReason as R;

    const CONTEXT: RequestContext<'static> = RequestContext {
        provider: "p",
        kind: ProviderKind::Compatible,
        model: "m",
        host: "api.example.org",
        proxy: None,
        has_key: true,
        is_constrained: true,
    };

    fn parse_response(status: u16, body: &str) -> AttemptError {
        AttemptError::from_response(&CONTEXT, status, body.as_bytes(), None)
    }

    #[test]
    fn an_error_response_gives_a_remedy_and_never_the_text_of_the_provider() {
        type Row = (u16, &'static str, ErrorKind, R, bool);
        let rows: &[Row] = &[
            (
                400,
                r#"{"error":{"code":400,"message":"zyx"}}"#,
                InvalidRequest,
                R::InvalidParameter,
                false,
            ),
            (
                401,
                r#"{"error":{"code":401,"message":"zyx"}}"#,
                Unauthorized,
                R::KeyRejected,
                false,
            ),
            (402, "zyx", Unauthorized, R::NoCredit, false),
            (
                403,
                r#"{"error":{"metadata":{"reasons":["zyx"],"flagged_input":"zyx"}}}"#,
                Blocked,
                R::ContentFiltered,
                false,
            ),
            (
                403,
                r#"{"error":{"code":"unsupported_country_region_territory"}}"#,
                Blocked,
                R::Unsupported,
                false,
            ),
            (
                403,
                r#"{"error":"zyx: access to it is gated"}"#,
                Unauthorized,
                R::TermsNotAccepted,
                false,
            ),
            (403, r#"{"message":"zyx"}"#, Unauthorized, R::KeyForbidden, false),
            (
                404,
                r#"{"error":"model zyx not found"}"#,
                Unsupported,
                R::UnknownModel,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"No endpoints found matching your data policy","code":404}}"#,
                Blocked,
                R::PolicyForbids,
                false,
            ),
            (
                404,
                r#"{"error":{"message":"No endpoints found that support tool use","code":404}}"#,
                Unsupported,
                R::Unsupported,
                false,
            ),
            (
                404,
                r#"{"error":{"http_status":404,"availability":{"code":"privacy_restricted","retryable":false}}}"#,
                Blocked,
                R::PolicyForbids,
                false,
            ),
            (429, "{}", RateLimited, R::RateLimited, true),
            (
                429,
                r#"{"error":{"code":"insufficient_quota","message":"zyx"}}"#,
                Unauthorized,
                R::NoCredit,
                false,
            ),
            (
                429,
                r#"{"error":{"message":"Insufficient balance, zyx"}}"#,
                Unauthorized,
                R::NoCredit,
                false,
            ),
            (
                429,
                r#"{"error":{"code":"rate_limit_exceeded","message":"exceeded your current quota zyx"}}"#,
                RateLimited,
                R::RateLimited,
                true,
            ),
            (503, "<html>zyx</html>", Busy, R::Overloaded, true),
            (
                403,
                "<!doctype html><title>zyx</title>",
                Provider,
                R::Unreachable,
                false,
            ),
            (529, "", Busy, R::Overloaded, true),
            (
                500,
                r#"[{"error":{"message":"zyx"}}]"#,
                Provider,
                R::ProviderFault,
                true,
            ),
            (
                500,
                r#"{"error":"model requires more system memory zyx"}"#,
                TooLarge,
                R::ModelTooLarge,
                false,
            ),
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error"}}"#,
                InvalidRequest,
                R::ContextExceeded,
                false,
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8192 zyx","code":400}"#,
                InvalidRequest,
                R::ContextExceeded,
                false,
            ),
            (
                400,
                r#"{"error":"registry/zyx does not support tools"}"#,
                Unsupported,
                R::Unsupported,
                false,
            ),
            (407, "", Network, R::Unreachable, false),
            (511, "zyx", Network, R::Unreachable, false),
        ];
        for (status, body, kind, reason, transient) in rows {
            let failure = parse_response(*status, body);
            let got = (failure.error.kind(), failure.error.reason(), failure.transient);
            assert_eq!(got, (*kind, *reason, *transient), "{status} {body} {}", failure.error);
            assert!(!failure.error.to_string().contains("zyx"), "{}", failure.error);
        }
    }

    #[test]
    fn no_credit_and_keys_say_nothing_about_the_provider_and_a_rejected_request_says_that_it_works() {
        for (status, body, health) in [
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, Health::Unknown),
            (402, "", Health::Unknown),
            (401, "", Health::Unknown),
            (400, "", Health::Good),
            (429, "", Health::Bad),
            (500, "", Health::Bad),
        ] {
            assert_eq!(parse_response(status, body).health, health, "{status} {body}");
        }
    }

    #[test]
    fn the_time_to_wait_and_the_page_of_terms_travel_with_the_error() {
        let after = Some(Duration::from_secs(7));
        let error = AttemptError::from_response(&CONTEXT, 429, b"{}", after).error;
        assert_eq!(error.retry_after_ms(), Some(7_000));
        let terms = |page: &str| {
            let body = json!({ "error": { "code": "model_terms_required", "message": format!("accept the terms at {page}.") } });
            parse_response(400, &body.to_string()).error
        };
        let page = "https://console.example.org/terms?model=m";
        assert_eq!(terms(page).help_url(), Some(page));
        assert_eq!(terms("https://example.com/phish").help_url(), None);
    }

    #[test]
    fn a_missing_key_is_told_from_a_wrong_one() {
        let context = RequestContext {
            has_key: false,
            ..CONTEXT
        };
        let error = AttemptError::from_response(&context, 401, b"", None).error;
        assert_eq!(error.reason(), R::KeyMissing);
    }

    #[test]
    fn a_redirect_names_its_address_without_a_query() {
        let from = Url::parse("https://h.example/v1/chat/completions").expect("an address");
        let redirect = |location| {
            AttemptError::from_redirect(&CONTEXT, &from, "chat/completions", location)
                .error
                .to_string()
        };
        let text = redirect(Some("https://new.example/api/chat/completions?token=canary"));
        assert!(
            text.contains("`https://new.example/api`") && !text.contains("canary"),
            "{text}"
        );
        assert!(redirect(Some("/v2/chat/completions")).contains("`https://h.example/v2`"));
        assert!(redirect(Some("https://portal.example/login?next=x")).contains("sign"));
        assert!(redirect(None).contains("without an address"));
    }

    #[test]
    fn an_error_in_a_stream_is_understood_with_a_code_that_is_a_number_a_word_or_missing() {
        for (error, reason, transient) in [
            (json!({"code": 429, "message": "zyx"}), R::RateLimited, true),
            (json!({"code": "429"}), R::RateLimited, true),
            (json!({"code": "server_error"}), R::ProviderFault, true),
            (json!({"type": "overloaded_error"}), R::Overloaded, true),
            (
                json!({"error": {"type": "exceed_context_size_error", "message": "zyx"}}),
                R::ContextExceeded,
                false,
            ),
            (json!({"error": "zyx", "error_type": "overloaded"}), R::Overloaded, true),
            (
                json!({"object": "error", "message": "prompt is too long: zyx"}),
                R::ContextExceeded,
                false,
            ),
            (json!({"code": "insufficient_quota"}), R::NoCredit, false),
            (json!("zyx"), R::ProviderFault, true),
        ] {
            let failure = AttemptError::from_stream_error(&CONTEXT, &error);
            assert_eq!(
                (failure.error.reason(), failure.transient),
                (reason, transient),
                "{error}"
            );
            assert!(!failure.error.to_string().contains("zyx"));
        }
    }
}
