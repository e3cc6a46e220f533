//! The HTTP client of the hub: follows redirects itself, and sends the token to the hub's origin only.
//!
//! - Redirects are followed here, hop by hop, because a hub sends size and hash on a hop *before* the one with the
//!   body, and because of the token. A redirect never leaves `https`.
//! - Timeouts apply to connecting and to idle connections, not to the whole transfer, which may take hours.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use url::{Origin, Url};
use zeroize::Zeroizing;

use super::error::{self, HubError};
use crate::error::{Error, ErrorReason, Result};
use crate::model::reference::is_sha256;
use crate::net::client;
use crate::net::network::NetworkConfig;
use crate::net::tls::Trust;
use crate::net::url::is_loopback;

/// A client for one hub. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct HubClient {
    /// For the hub itself, with its pins.
    hub: reqwest::Client,
    /// For the storage that it redirects to.
    storage: reqwest::Client,
    origin: Origin,
    /// Host and port of the proxy, for error texts.
    proxy: Option<String>,
    /// The error of every request to another machine: the proxy's address is invalid.
    unusable: Option<Error>,
    /// Marked as sensitive, so that `Debug` does not print it.
    token: Option<HeaderValue>,
}

/// A request to the hub.
#[derive(Debug)]
pub(crate) struct HubRequest<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// Address for errors; never a presigned one, which contains a signature.
    pub(crate) shown: &'a Url,
    /// Value of the `Range` header: `bytes=0-99`.
    pub(crate) range: Option<&'a str>,
    pub(crate) follow: Follow,
}

/// A successful response, with the file headers collected along the redirects.
#[derive(Debug)]
pub(crate) struct HubResponse {
    /// Response of the last hop: 2xx, or 3xx with [`Follow::SameHost`].
    pub(crate) http: Response,
    /// URL of the last hop.
    pub(crate) url: Url,
    /// File headers, each from the first hop that sent it.
    pub(crate) file: FileHeaders,
}

/// The hub's headers about a file; its storage backend does not repeat them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FileHeaders {
    pub(crate) commit: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) size: Option<u64>,
}

/// Limit on following redirects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Follow {
    /// Follow all.
    All,
    /// Follow those to the same host, as for renamed repositories.
    SameHost,
}

impl<'a> HubRequest<'a> {
    /// Creates a request without a range that shows its own address in errors.
    pub(crate) fn new(method: Method, url: &'a Url, follow: Follow) -> Self {
        Self {
            method,
            url,
            shown: url,
            range: None,
            follow,
        }
    }
}

impl HubClient {
    /// Creates a client that sends the token only to the origin of this URL.
    ///
    /// # Errors
    /// `InvalidRequest` for a token that no header can carry, and for an invalid certificate or pin.
    pub(crate) fn new(origin: &Url, token: Option<&str>, stall: Duration, network: &NetworkConfig) -> Result<Self> {
        let token = match token {
            None | Some("") => None,
            Some(token) => {
                // The client holds a copy until it is dropped; this one is wiped.
                let text = Zeroizing::new(format!("Bearer {token}"));
                let mut value = HeaderValue::from_str(&text).map_err(|_| {
                    Error::invalid_request("the hub token holds characters that no token has; copy it again")
                        .because(ErrorReason::KeyRejected)
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let mut headers = HeaderMap::new();
        // Compression would change lengths and offsets.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let root = network.hub_root_certificate.as_deref();
        // Models on this device are used also with a proxy that cannot be.
        let unusable = network.check_proxy().err();
        let usable = match unusable {
            Some(_) => network.direct(),
            None => network.clone(),
        };
        let build = |pins: &[String]| {
            let builder = client::builder(&Trust { root, pins }, &usable)?;
            client::build(builder.default_headers(headers.clone()).read_timeout(stall))
        };
        let storage = build(&[])?;
        let hub = match network.hub_pins.is_empty() {
            true => storage.clone(),
            false => build(&network.hub_pins)?,
        };
        let origin = origin.origin();
        Ok(Self {
            hub,
            storage,
            origin,
            proxy: network.proxy_host(),
            unusable,
            token,
        })
    }

    /// Sends a request and follows redirects. Returns a [`HubError`] for every status other than success.
    pub(crate) async fn send(&self, request: HubRequest<'_>) -> Result<HubResponse, HubError> {
        let HubRequest {
            method,
            url,
            shown,
            range,
            follow,
        } = request;
        let mut url = url.clone();
        let mut file = FileHeaders::default();
        for _ in 0..MAX_REDIRECTS {
            if let Some(error) = self.unusable.as_ref().filter(|_| !is_loopback(&url)) {
                return Err(HubError::permanent(error.clone()));
            }
            let trusted = url.origin() == self.origin;
            let client = if trusted { &self.hub } else { &self.storage };
            let mut request = client.request(method.clone(), url.clone());
            if let Some(token) = self.token.as_ref().filter(|_| trusted) {
                request = request.header(AUTHORIZATION, token);
            }
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            let sent = request.send().await;
            let proxy = self.proxy.as_deref().filter(|_| !is_loopback(&url));
            let http = sent.map_err(|cause| error::request_error(&url, proxy, cause))?;
            file.merge(http.headers());
            if !is_redirect(http.status()) {
                if http.status().is_success() {
                    return Ok(HubResponse { http, url, file });
                }
                let failed = error::response_error(shown, &url, &http, trusted && self.token.is_some());
                let withheld = !trusted && self.token.is_some() && shown.origin() == self.origin;
                return Err(match withheld && http.status() == StatusCode::UNAUTHORIZED {
                    true => error::token_withheld(shown, &url, failed),
                    false => failed,
                });
            }
            let next = redirect_target(&self.origin, &url, http.headers())?;
            if follow == Follow::SameHost && next.origin() != url.origin() {
                return Ok(HubResponse { http, url, file });
            }
            url = next;
        }
        Err(HubError::permanent(Error::provider(format!(
            "`{}` redirects without end",
            error::host_and_port(&url)
        ))))
    }
}

impl FileHeaders {
    fn merge(&mut self, headers: &HeaderMap) {
        let text = |name| error::header_text(headers, name);
        let commit = text("x-repo-commit").filter(|c| is_commit(c));
        let hash = text("x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        let size = text("x-linked-size").and_then(|size| size.parse().ok());
        self.commit = self.commit.take().or(commit.map(str::to_owned));
        self.sha256 = self.sha256.take().or(hash.filter(|h| is_sha256(h)).map(str::to_owned));
        self.size = self.size.or(size);
    }
}

/// Returns whether this is a full commit id, to which a revision can be pinned.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(hub: &Origin, from: &Url, headers: &HeaderMap) -> Result<Url, HubError> {
    let wrong = |what: &str| {
        let host = error::host_and_port(from);
        HubError::permanent(Error::provider(format!("`{host}` redirects {what}; refused")))
    };
    match error::header_text(headers, LOCATION.as_str()) {
        Some(location) => linked_url(hub, from, location, "redirects"),
        None => Err(wrong("to nowhere")),
    }
}

/// Returns the address that `from` links to. `what` tells in an error what the server does there.
///
/// # Errors
/// `Provider` if it is malformed, or leaves https: plain http is for this device only.
pub(crate) fn linked_url(hub: &Origin, from: &Url, link: &str, what: &str) -> Result<Url, HubError> {
    let wrong = |where_to: &str| {
        let host = error::host_and_port(from);
        HubError::permanent(Error::provider(format!("`{host}` {what} {where_to}; refused")))
    };
    let next = from.join(link).map_err(|_| wrong("at a malformed address"))?;
    match (from.scheme(), next.scheme()) {
        (_, "https") => Ok(next),
        // A hub in the user's own network may redirect within itself.
        ("http", "http") if is_loopback(&next) || next.origin() == *hub => Ok(next),
        _ => Err(wrong("at an address that is not https")),
    }
}

const MAX_REDIRECTS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_no_debug_output() {
        let origin = Url::parse("https://huggingface.co").expect("a sound address");
        let client = HubClient::new(
            &origin,
            Some("hf_canary"),
            Duration::from_secs(1),
            &NetworkConfig::default(),
        )
        .expect("a client");
        assert!(!format!("{client:?}").contains("canary"));
    }

    #[test]
    fn a_redirect_never_leaves_https_and_plain_http_never_leaves_the_machine() {
        let table = [
            ("https://hub/a", "https://cdn/b", Some("https://cdn/b")),
            ("https://hub/a/b", "/c?d=1", Some("https://hub/c?d=1")),
            ("https://hub/a", "http://cdn/b", None),
            ("https://hub/a", "http://127.0.0.1/b", None),
            (
                "http://127.0.0.1:1/a",
                "http://127.0.0.2:2/b",
                Some("http://127.0.0.2:2/b"),
            ),
            ("http://127.0.0.1:1/a", "http://cdn/b", None),
            ("https://hub/a", "file:///etc/passwd", None),
            ("http://192.168.1.5:1/a", "/b", Some("http://192.168.1.5:1/b")),
            ("http://192.168.1.5:1/a", "http://192.168.1.6:1/b", None),
        ];
        for (from, location, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            let from = Url::parse(from).expect(from);
            let got = redirect_target(&from.origin(), &from, &headers).ok();
            assert_eq!(got.as_ref().map(Url::as_str), expected, "{from} -> {location}");
        }
    }
}
