//! Maps error statuses and the hub's error headers to [`Error`]s with a remedy.
//!
//! The hub sends its reason in `X-Error-Code` (`RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`), and 401
//! for an anonymous request to anything private, gated or missing. With 429 it sends the seconds to wait as `t=` in
//! `RateLimit`, else in `Retry-After`. Bodies of error responses are never read or shown.

use reqwest::{Response, header::HeaderMap};
use url::{Origin, Url};

use crate::error::Error;
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
    pub(crate) origin: Option<Origin>,
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

/// Maps a failed or interrupted connection.
pub(crate) fn connection_error(url: &Url, cause: reqwest::Error) -> HubError {
    let host = host_and_port(url);
    // The URL may contain a signature, and reqwest includes it in its texts.
    let cause = cause.without_url();
    if cause.is_timeout() && !cause.is_connect() {
        return HubError::transient(Error::network(format!(
            "`{host}` stopped responding; check the network and try again"
        )));
    }
    let mut text = cause.to_string();
    let mut inner = std::error::Error::source(&cause);
    while let Some(cause) = inner {
        text = cause.to_string();
        inner = cause.source();
    }
    let what = if cause.is_connect() {
        "could not reach"
    } else {
        "lost the connection to"
    };
    HubError::transient(Error::network(format!(
        "{what} `{host}`: {}; check the network and try again",
        text.to_lowercase()
    )))
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
        origin: Some(url.origin()),
        has_error_code: code.is_some(),
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
    let error = match (status, code) {
        (401, _) if with_token => Error::unauthorized(format!(
            "`{host}` does not accept the hub token for `{what}`; check the token and the name"
        )),
        (401, _) => Error::unauthorized(format!(
            "`{what}` is private, gated or missing on `{host}`; check the name, or give a hub token that may read it"
        )),
        (403, "GatedRepo") => Error::unauthorized(format!(
            "`{what}` is gated; accept its terms on its page at `{host}`, then try again with your hub token"
        )),
        (403, _) => Error::unauthorized(format!(
            "`{host}` refuses access to `{what}`; check the address and the rights of the hub token"
        )),
        (404, "RepoNotFound") => {
            Error::invalid_request(format!("there is no repository `{what}` on `{host}`; check the name"))
        }
        (404, "RevisionNotFound") => Error::invalid_request(format!(
            "`{what}` on `{host}` has no such revision; check what follows the `@`"
        )),
        (404, "EntryNotFound") => {
            Error::invalid_request(format!("`{what}` on `{host}` has no such file; check the file's name"))
        }
        (404 | 410, _) => Error::invalid_request(format!("there is no `{what}` on `{host}`; check the address")),
        (429, _) => {
            let wait = match retry_after_seconds(headers) {
                Some(seconds) => format!("wait {seconds} seconds, then try again"),
                None => "wait a few minutes, then try again".to_owned(),
            };
            Error::rate_limited(format!("`{host}` got too many requests; {wait}"))
        }
        _ => Error::provider(format!("`{host}` answered {status} for `{what}`; try again later")),
    };
    (error, status == 408 || status >= 500)
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

/// Parses `RateLimit: "resolvers";r=0;t=55`, else `Retry-After: 55`.
fn retry_after_seconds(headers: &HeaderMap) -> Option<u64> {
    let limit = header_text(headers, "ratelimit").unwrap_or_default();
    let left = limit.split(';').find_map(|part| part.trim().strip_prefix("t="));
    left.or(header_text(headers, "retry-after"))?.trim().parse().ok()
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
        type Row = (u16, &'static [(&'static str, &'static str)], ErrorKind, &'static str);
        let table: &[Row] = &[
            (401, &[], Unauthorized, "give a hub token"),
            (403, &[("x-error-code", "GatedRepo")], Unauthorized, "accept its terms"),
            (403, &[], Unauthorized, "rights"),
            (
                404,
                &[("x-error-code", "RepoNotFound")],
                InvalidRequest,
                "no repository `o/r`",
            ),
            (404, &[("x-error-code", "RevisionNotFound")], InvalidRequest, "revision"),
            (
                404,
                &[("x-error-code", "EntryNotFound")],
                InvalidRequest,
                "no such file",
            ),
            (404, &[], InvalidRequest, "check the address"),
            (
                429,
                &[("ratelimit", "\"resolvers\";r=0;t=55")],
                RateLimited,
                "wait 55 seconds",
            ),
            (429, &[("retry-after", "7")], RateLimited, "wait 7 seconds"),
            (429, &[], RateLimited, "a few minutes"),
            (503, &[], Provider, "503"),
        ];
        let url = Url::parse("https://hub/o/r/resolve/main/m.gguf?secret=1").expect("a sound address");
        for (status, list, kind, words) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *list {
                headers.insert(*name, value.parse().expect("a header"));
            }
            let (error, transient) = map_status(&url, &url, *status, &headers, false);
            assert_eq!(error.kind(), *kind, "{status} {list:?}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(transient, *status == 503);
        }
    }
}
