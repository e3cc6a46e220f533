//! Maps error statuses and the hub's error headers to [`Error`]s with a remedy.
//!
//! The hub sends its reason in `X-Error-Code` (`RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`), and 401
//! for an anonymous request to anything private, gated or missing. With 429 it sends the seconds to wait as `t=` in
//! `RateLimit`, else in `Retry-After`. Bodies of error responses are never read or shown.

use std::time::Duration;

use reqwest::{Response, header::HeaderMap};
use url::{Origin, Url};

use crate::error::{Error, ErrorReason};
use crate::net::client::is_proxy_failure;
use crate::net::retry::retry_after;
use crate::net::url::redact_url;

/// Error of a hub request, and whether a retry may help.
#[derive(Debug)]
pub(crate) struct HubError {
    /// Error returned if the request is not retried.
    pub(crate) error: Error,
    /// Whether a retry may succeed: a timeout, a dropped connection, a 5xx status.
    pub(crate) transient: bool,
    /// HTTP status; `None` without a response.
    pub(crate) status: Option<u16>,
    /// Origin of the error response.
    pub(crate) origin: Option<Box<Origin>>,
    /// Whether the hub sent an error code of its own, so that no fallback needs to be tried.
    pub(crate) has_error_code: bool,
}

impl HubError {
    /// Creates a permanent error.
    pub(crate) fn permanent(error: Error) -> Self {
        Self {
            error,
            transient: false,
            status: None,
            origin: None,
            has_error_code: false,
        }
    }

    /// Creates a transient error.
    pub(crate) fn transient(error: Error) -> Self {
        Self {
            transient: true,
            ..Self::permanent(error)
        }
    }
}

/// Maps a request that could not be sent. `proxy` is host and port of the one that it went through.
pub(crate) fn request_error(url: &Url, proxy: Option<&str>, cause: reqwest::Error) -> HubError {
    match proxy {
        Some(proxy) if is_proxy_failure(&cause) => {
            let host = host_and_port(url);
            let text = format!(
                "could not reach `{host}` through the proxy `{proxy}`; check the proxy's address and the network, then try again"
            );
            HubError::transient(Error::of(ErrorReason::Unreachable, text))
        }
        _ => connection_error(url, cause),
    }
}

/// Maps a failed or interrupted connection.
pub(crate) fn connection_error(url: &Url, cause: reqwest::Error) -> HubError {
    let host = host_and_port(url);
    // The URL may contain a signature, and reqwest includes it in its texts.
    let cause = cause.without_url();
    if cause.is_timeout() && !cause.is_connect() {
        let text = format!("`{host}` stopped responding; check the network and try again");
        return HubError::transient(Error::of(ErrorReason::NoResponse, text));
    }
    let mut text = cause.to_string();
    let mut inner = std::error::Error::source(&cause);
    while let Some(cause) = inner {
        text = cause.to_string();
        inner = cause.source();
    }
    let (reason, what) = match cause.is_connect() {
        true => (ErrorReason::Unreachable, "could not reach"),
        false => (ErrorReason::Interrupted, "lost the connection to"),
    };
    let text = text.to_lowercase();
    HubError::transient(Error::of(
        reason,
        format!("{what} `{host}`: {text}; check the network and try again"),
    ))
}

/// Maps an error response: `about` was requested, `url` responded.
pub(crate) fn response_error(about: &Url, url: &Url, response: &Response, with_token: bool) -> HubError {
    let status = response.status().as_u16();
    let code = header_text(response.headers(), "x-error-code");
    let (error, transient) = map_status(about, url, status, response.headers(), with_token);
    HubError {
        error,
        transient,
        status: Some(status),
        origin: Some(Box::new(url.origin())),
        has_error_code: code.is_some(),
    }
}

/// Replaces the error of a request that another origin refused because it did not get the token.
pub(crate) fn token_withheld(about: &Url, url: &Url, failed: HubError) -> HubError {
    let (hub, other) = (host_and_port(about), host_and_port(url));
    HubError {
        error: Error::unauthorized(format!(
            "`{hub}` redirects to `{other}`, which was not sent the hub token; set `{other}` as the hub if it is meant for it"
        ))
        .because(ErrorReason::KeyRejected),
        ..failed
    }
}

/// Formats host and port for error texts.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the server");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn map_status(about: &Url, url: &Url, status: u16, headers: &HeaderMap, with_token: bool) -> (Error, bool) {
    let host = host_and_port(url);
    let what = repo_or_path(about);
    let code = header_text(headers, "x-error-code").unwrap_or_default();
    let delay = requested_delay(headers);
    let (reason, text) = match (status, code) {
        (401, _) if with_token => (
            ErrorReason::KeyRejected,
            format!("`{host}` does not accept the hub token for `{what}`; check the token and the name"),
        ),
        (401, "GatedRepo") => (
            ErrorReason::KeyMissing,
            format!(
                "`{what}` is gated; accept its terms on its page at `{host}`, and give a hub token of that account"
            ),
        ),
        (401, _) => (
            ErrorReason::KeyMissing,
            format!(
                "`{what}` is private, gated or missing on `{host}`; check the name, or give a hub token that may read it"
            ),
        ),
        (403, "GatedRepo") => (
            ErrorReason::TermsNotAccepted,
            format!("`{what}` is gated; accept its terms on its page at `{host}`, then try again with your hub token"),
        ),
        (403, _) => (
            ErrorReason::KeyForbidden,
            format!("`{host}` refuses access to `{what}`; check the address and the rights of the hub token"),
        ),
        (404, "RepoNotFound") => (
            ErrorReason::UnknownModel,
            format!("there is no repository `{what}` on `{host}`; check the name"),
        ),
        (404, "RevisionNotFound") => (
            ErrorReason::UnknownModel,
            format!("`{what}` on `{host}` has no such revision; check what follows the @"),
        ),
        (404, "EntryNotFound") => (
            ErrorReason::UnknownModel,
            format!("`{what}` on `{host}` has no such file; check the file's name"),
        ),
        (404 | 410, _) => (
            ErrorReason::UnknownModel,
            format!("there is no `{what}` on `{host}`; check the address"),
        ),
        (429, _) => {
            let wait = match delay {
                Some(delay) => format!("wait {} seconds, then try again", delay.as_secs_f64().ceil()),
                None => "wait a few minutes, then try again".to_owned(),
            };
            (
                ErrorReason::RateLimited,
                format!("`{host}` got too many requests; {wait}"),
            )
        }
        _ => (
            match status {
                408 | 504 => ErrorReason::NoResponse,
                503 | 529 => ErrorReason::Overloaded,
                _ => ErrorReason::ProviderFault,
            },
            format!("`{host}` answered {status} for `{what}`; try again later"),
        ),
    };
    let error = match reason {
        // A fault of the hub, whatever the app does about it.
        ErrorReason::NoResponse | ErrorReason::Overloaded => Error::provider(text).because(reason),
        _ => Error::of(reason, text),
    };
    let error = error.with_retry_after(delay);
    let helps = matches!(reason, ErrorReason::KeyMissing | ErrorReason::TermsNotAccepted);
    let error = match model_page(about).filter(|_| helps) {
        Some(page) => error.with_help_url(page),
        None => error,
    };
    (error, status == 408 || status >= 500)
}

/// Returns the address of the page of the repository that an address of the hub names, on the same hub.
fn model_page(url: &Url) -> Option<String> {
    let parts: Vec<&str> = url.path_segments()?.collect();
    let api = parts.windows(2).position(|pair| pair == ["api", "models"]);
    let (base, name) = match api {
        Some(at) => (&parts[..at], parts.get(at + 2..at + 4)?),
        None => {
            let at = parts.iter().position(|part| *part == "resolve").filter(|at| *at >= 2)?;
            (&parts[..at - 2], &parts[at - 2..at])
        }
    };
    let path: Vec<&str> = base.iter().chain(name).copied().collect();
    let mut page = url.clone();
    page.set_query(None);
    page.set_fragment(None);
    page.set_path(&path.join("/"));
    Some(page.into())
}

/// Returns the repository if the URL contains one, else the path.
fn repo_or_path(url: &Url) -> String {
    let path = url.path().trim_matches('/');
    let path = path.strip_prefix("api/models/").unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [org, name, "resolve" | "tree" | "revision", ..] => format!("{org}/{name}"),
        _ => redact_url(path),
    }
}

/// Returns the delay that the hub asks for, in `RateLimit: "resolvers";r=0;t=55`, else in `Retry-After`.
fn requested_delay(headers: &HeaderMap) -> Option<Duration> {
    let limit = header_text(headers, "ratelimit").unwrap_or_default();
    let left = limit.split(';').find_map(|part| part.trim().strip_prefix("t="));
    let left = left
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    left.or_else(|| retry_after(headers))
}

/// Returns a header's value; `None` if it is missing or not visible ASCII.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{self, InvalidRequest, Provider, RateLimited, Unauthorized};

    #[test]
    fn each_refusal_has_its_kind_and_its_remedy() {
        use ErrorReason as R;
        type Row = (u16, &'static [(&'static str, &'static str)], ErrorKind, R, &'static str);
        let table: &[Row] = &[
            (401, &[], Unauthorized, R::KeyMissing, "give a hub token"),
            (
                401,
                &[("x-error-code", "GatedRepo")],
                Unauthorized,
                R::KeyMissing,
                "accept its terms",
            ),
            (
                403,
                &[("x-error-code", "GatedRepo")],
                Unauthorized,
                R::TermsNotAccepted,
                "accept its terms",
            ),
            (403, &[], Unauthorized, R::KeyForbidden, "rights"),
            (
                404,
                &[("x-error-code", "RepoNotFound")],
                InvalidRequest,
                R::UnknownModel,
                "no repository `o/r`",
            ),
            (
                404,
                &[("x-error-code", "RevisionNotFound")],
                InvalidRequest,
                R::UnknownModel,
                "revision",
            ),
            (
                404,
                &[("x-error-code", "EntryNotFound")],
                InvalidRequest,
                R::UnknownModel,
                "no such file",
            ),
            (404, &[], InvalidRequest, R::UnknownModel, "check the address"),
            (
                429,
                &[("ratelimit", "\"resolvers\";r=0;t=55")],
                RateLimited,
                R::RateLimited,
                "wait 55 seconds",
            ),
            (
                429,
                &[("retry-after", "7")],
                RateLimited,
                R::RateLimited,
                "wait 7 seconds",
            ),
            (
                429,
                &[
                    ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"),
                    ("date", "Fri, 31 Dec 1999 23:59:19 GMT"),
                ],
                RateLimited,
                R::RateLimited,
                "wait 40 seconds",
            ),
            (429, &[], RateLimited, R::RateLimited, "a few minutes"),
            (500, &[], Provider, R::ProviderFault, "500"),
            (503, &[("retry-after", "7")], Provider, R::Overloaded, "503"),
            (504, &[], Provider, R::NoResponse, "504"),
        ];
        let url = Url::parse("https://hub/o/r/resolve/main/m.gguf?secret=1").expect("a sound address");
        for (status, list, kind, reason, words) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *list {
                headers.insert(*name, value.parse().expect("a header"));
            }
            let (error, transient) = map_status(&url, &url, *status, &headers, false);
            assert_eq!((error.kind(), error.reason()), (*kind, *reason), "{status} {list:?}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert_eq!(transient, *status >= 500);
            let page = matches!(reason, R::KeyMissing | R::TermsNotAccepted).then_some("https://hub/o/r");
            assert_eq!(error.help_url(), page, "{status} {list:?}");
            let delay = error.retry_after_ms().map(Duration::from_millis);
            assert_eq!(delay, requested_delay(&headers), "{status} {list:?}");
        }
        let refused = map_status(&url, &url, 401, &HeaderMap::new(), true).0;
        assert_eq!(refused.reason(), R::KeyRejected);
    }

    #[test]
    fn the_page_of_a_model_is_on_the_hub_that_was_asked() {
        for (address, page) in [
            (
                "https://hub/api/models/o/r/tree/main?recursive=true",
                Some("https://hub/o/r"),
            ),
            ("https://hub/o/r/resolve/main/m.gguf?key=1", Some("https://hub/o/r")),
            (
                "https://mirror:8443/hf/api/models/o/r/revision/v1",
                Some("https://mirror:8443/hf/o/r"),
            ),
            (
                "https://mirror/hf/o/r/resolve/main/m.gguf",
                Some("https://mirror/hf/o/r"),
            ),
            ("https://example.org/m.gguf", None),
        ] {
            let url = Url::parse(address).expect(address);
            assert_eq!(model_page(&url).as_deref(), page, "{address}");
        }
    }
}
