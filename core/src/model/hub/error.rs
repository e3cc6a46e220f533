//! Maps error statuses and the hub's error headers to [`Error`]s with a remedy.
//!
//! The hub names its reason in `X-Error-Code` (`RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`) and
//! answers 401 to an anonymous question about anything that is private, gated or missing alike. For 429 it gives the
//! seconds to wait as `t=` in `RateLimit`, else in `Retry-After`. Bodies of refusals are never read or shown.

use reqwest::{Response, header::HeaderMap};
use url::{Origin, Url};

use crate::error::Error;
use crate::net::url::shown;

/// Why a request failed, and whether asking again may help.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Error returned if the request is not retried.
    pub(crate) error: Error,
    /// Whether a retry may succeed: a timeout, a dropped connection, a 5xx status.
    pub(crate) passing: bool,
    /// The status, where there was one.
    pub(crate) status: Option<u16>,
    /// Origin of the error response.
    pub(crate) by: Option<Origin>,
    /// Whether the hub sent an error code of its own, so that no fallback needs to be tried.
    pub(crate) named: bool,
}

impl Failure {
    /// A permanent failure.
    pub(crate) fn fatal(error: Error) -> Self {
        Self {
            error,
            passing: false,
            status: None,
            by: None,
            named: false,
        }
    }

    /// A transient failure.
    pub(crate) fn passing(error: Error) -> Self {
        Self {
            passing: true,
            ..Self::fatal(error)
        }
    }
}

/// The request did not get an answer, or the answer broke off.
pub(crate) fn unreachable(url: &Url, cause: reqwest::Error) -> Failure {
    let host = host(url);
    // The address may hold a signature, and reqwest puts it into its texts.
    let cause = cause.without_url();
    if cause.is_timeout() && !cause.is_connect() {
        return Failure::passing(Error::network(format!(
            "`{host}` fell silent; check the network and try again"
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
    Failure::passing(Error::network(format!(
        "{what} `{host}`: {}; check the network and try again",
        text.to_lowercase()
    )))
}

/// What a status other than success means: `about` was asked for, `url` answered.
pub(crate) fn refusal(about: &Url, url: &Url, response: &Response, with_token: bool) -> Failure {
    let status = response.status().as_u16();
    let code = header(response.headers(), "x-error-code");
    let (error, passing) = meaning(about, url, status, response.headers(), with_token);
    Failure {
        error,
        passing,
        status: Some(status),
        by: Some(url.origin()),
        named: code.is_some(),
    }
}

/// Host and port, as errors name a server.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the server");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn meaning(about: &Url, url: &Url, status: u16, headers: &HeaderMap, with_token: bool) -> (Error, bool) {
    let host = host(url);
    let what = subject(about);
    let code = header(headers, "x-error-code").unwrap_or_default();
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
            let wait = match seconds(headers) {
                Some(seconds) => format!("wait {seconds} seconds, then try again"),
                None => "wait a few minutes, then try again".to_owned(),
            };
            Error::rate_limited(format!("`{host}` got too many requests; {wait}"))
        }
        _ => Error::provider(format!("`{host}` answered {status} for `{what}`; try again later")),
    };
    (error, status == 408 || status >= 500)
}

/// The repository where the address shows one, else the address's path.
fn subject(url: &Url) -> String {
    let path = url.path().trim_matches('/');
    let path = path.strip_prefix("api/models/").unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [org, name, "resolve" | "tree" | "revision", ..] => format!("{org}/{name}"),
        _ => shown(path),
    }
}

/// `RateLimit: "resolvers";r=0;t=55`, else `Retry-After: 55`.
fn seconds(headers: &HeaderMap) -> Option<u64> {
    let limit = header(headers, "ratelimit").unwrap_or_default();
    let left = limit.split(';').find_map(|part| part.trim().strip_prefix("t="));
    left.or(header(headers, "retry-after"))?.trim().parse().ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
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
            let (error, passing) = meaning(&url, &url, *status, &headers, false);
            assert_eq!(error.kind(), *kind, "{status} {list:?}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
            assert_eq!(passing, *status == 503);
        }
    }
}
