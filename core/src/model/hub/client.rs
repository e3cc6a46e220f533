//! The HTTP client of the hub: TLS that needs nothing of the platform, redirects by hand, and a token that stays home.
//!
//! - Redirects are followed here, hop by hop, because a hub says size and hash on a hop *before* the one with the body,
//!   and because the token may go to the hub's own origin only. A redirect never leaves `https`.
//! - Nothing is taken from the environment, so no proxy either.
//! - No limit on the whole transfer, which may take hours, but one on connecting and one on silence.

use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use url::{Origin, Url};

use super::error::{self, Failure};
use crate::error::{Error, Result};
use crate::model::reference::is_sha256;
use crate::net::client;
use crate::net::tls::Trust;
use crate::net::url::is_loopback;

/// A client for one hub. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    home: Origin,
    /// Marked sensitive, so that its `Debug` prints nothing of it.
    token: Option<HeaderValue>,
}

/// A request to the hub.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// Address shown in errors; never a presigned one, which contains a signature.
    pub(crate) about: &'a Url,
    /// As in the header: `bytes=0-99`.
    pub(crate) range: Option<&'a str>,
    pub(crate) follow: Follow,
}

/// A successful response, with the file headers collected along the redirects.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Response of the last hop: 2xx, or 3xx where the caller stays on one host.
    pub(crate) response: Response,
    /// URL of the last hop.
    pub(crate) url: Url,
    /// File headers, each from the first hop that sent it.
    pub(crate) linked: Linked,
}

/// The hub's headers about a file; its storage backend does not repeat them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Linked {
    pub(crate) commit: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) size: Option<u64>,
}

/// How far redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Follow {
    /// To the end.
    All,
    /// As long as they stay with the host that was asked: renamed repositories do.
    SameHost,
}

impl<'a> Ask<'a> {
    /// A question about the address that is asked.
    pub(crate) fn new(method: Method, url: &'a Url, follow: Follow) -> Self {
        Self {
            method,
            url,
            about: url,
            range: None,
            follow,
        }
    }
}

impl Client {
    /// A client whose token goes to `home`'s origin and nowhere else.
    pub(crate) fn new(home: &Url, token: Option<&str>, stall: Duration) -> Result<Self> {
        let token = match token {
            None | Some("") => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                    Error::invalid_request("the hub token holds characters that no token has; copy it again")
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let mut headers = HeaderMap::new();
        // A compressed body has other lengths and offsets than the file.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let builder = client::builder(&Trust::default())?;
        let http = client::build(builder.default_headers(headers).read_timeout(stall))?;
        let home = home.origin();
        Ok(Self { http, home, token })
    }

    /// Asks, follows redirects, and turns every answer but success into a [`Failure`].
    pub(crate) async fn send(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let Ask {
            method,
            url,
            about,
            range,
            follow,
        } = ask;
        let mut url = url.clone();
        let mut linked = Linked::default();
        for _ in 0..HOPS {
            let mut request = self.http.request(method.clone(), url.clone());
            let at_home = url.origin() == self.home;
            if let Some(token) = self.token.as_ref().filter(|_| at_home) {
                request = request.header(AUTHORIZATION, token);
            }
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            let response = request.send().await.map_err(|e| error::unreachable(&url, e))?;
            linked.learn(response.headers());
            if !is_redirect(response.status()) {
                return match response.status().is_success() {
                    true => Ok(Answer { response, url, linked }),
                    false => Err(error::refusal(about, &url, &response, self.token.is_some() && at_home)),
                };
            }
            let next = target(&url, response.headers())?;
            if follow == Follow::SameHost && next.origin() != url.origin() {
                return Ok(Answer { response, url, linked });
            }
            url = next;
        }
        Err(Failure::fatal(Error::provider(format!(
            "`{}` redirects without end",
            error::host(&url)
        ))))
    }
}

impl Linked {
    fn learn(&mut self, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let commit = text("x-repo-commit").filter(|c| is_commit(c));
        let hash = text("x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        let size = text("x-linked-size").and_then(|size| size.parse().ok());
        self.commit = self.commit.take().or(commit.map(str::to_owned));
        self.sha256 = self.sha256.take().or(hash.filter(|h| is_sha256(h)).map(str::to_owned));
        self.size = self.size.or(size);
    }
}

/// Whether this is a whole commit id: what a revision can be pinned to.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn target(from: &Url, headers: &HeaderMap) -> Result<Url, Failure> {
    let wrong = |what: &str| {
        let host = error::host(from);
        Failure::fatal(Error::provider(format!("`{host}` redirects {what}; refused")))
    };
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| from.join(location).ok());
    let next = next.ok_or_else(|| wrong("to nowhere"))?;
    match (from.scheme(), next.scheme()) {
        (_, "https") => Ok(next),
        ("http", "http") if is_loopback(&next) => Ok(next),
        _ => Err(wrong("to an address that is not https")),
    }
}

const HOPS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_no_debug_output() {
        let home = Url::parse("https://huggingface.co").expect("a sound address");
        let client = Client::new(&home, Some("hf_canary"), Duration::from_secs(1)).expect("a client");
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
        ];
        for (from, location, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static(location));
            let got = target(&Url::parse(from).expect(from), &headers).ok();
            assert_eq!(got.as_ref().map(Url::as_str), expected, "{from} -> {location}");
        }
    }
}
