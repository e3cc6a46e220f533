//! The hub client: resolves a reference to an address, a size and a SHA-256 before any of the model is fetched.
//!
//! A revision is pinned to its commit first, so that the listing, the head and every range request refer to the same
//! file even if the repository changes. Where a mirror lacks this API, a `HEAD` request on the file returns the same
//! data.
//! The protocol is Hugging Face's: `GET /api/models/{repo}/revision/{rev}`, `GET /api/models/{repo}/tree/{rev}` with
//! large-file hashes and `Link` pages, `/{repo}/resolve/{rev}/{path}` with `X-Repo-Commit`, `X-Linked-Size` and
//! `X-Linked-ETag`, and a redirect to presigned storage that repeats none of them.

mod client;
mod error;
mod listing;
mod range;
mod resolve;

use std::time::Duration;

use url::Url;

use client::HubClient;
pub(crate) use error::HubError;
pub(crate) use listing::has_label;
pub(crate) use range::Ranges;

use super::reference::ModelRef;
use crate::error::{Error, Result};
use crate::net::network::NetworkConfig;
use crate::net::retry::RetryPolicy;
use crate::net::url::{is_loopback, is_private, redact_url};

/// A source of models: Hugging Face, or a mirror with the same API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub {
    base: Url,
    client: HubClient,
    limits: HubLimits,
}

/// Idle timeout and retries of a hub. Tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubLimits {
    /// Idle timeout of a connection. Default: 30 seconds.
    pub idle_timeout: Duration,
    /// Attempts without progress. Default: 6, the second one after 500 milliseconds. (Metadata requests: at most 3.)
    pub retry: RetryPolicy,
}

/// A resolved file of the hub.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// File name, as received from the network, so never part of a path on disk.
    pub name: String,
    /// Exact reference: with the selected file and the requested revision.
    pub source: ModelRef,
    /// Address of the bytes, pinned to `commit` if that is known. May contain a query of the caller's.
    pub url: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// 64 lower-case hex digits. Unset only for a plain address without a hash in its fragment or response.
    pub sha256: Option<String>,
    /// Commit of the repository.
    pub commit: Option<String>,
    /// `ETag` or `Last-Modified` of a plain address: without a hash it decides whether a partial file can be resumed.
    pub version: Option<String>,
}

impl Default for HubLimits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            retry: RetryPolicy {
                attempts: 6,
                initial_backoff: Duration::from_millis(500),
            },
        }
    }
}

impl Hub {
    /// Creates a client of the hub at this base address. The token is sent to its origin only.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the address is malformed, or plain `http` to another machine.
    pub fn new(base: &str, token: Option<&str>) -> Result<Self> {
        Self::with_limits(base, token, HubLimits::default())
    }

    /// Creates a client like [`Self::new`], with other limits.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_limits(base: &str, token: Option<&str>, limits: HubLimits) -> Result<Self> {
        Self::build(base, token, limits, &NetworkConfig::default())
    }

    /// Creates a client like [`Self::new`], with the proxy and the trust of these settings.
    ///
    /// # Errors
    /// As [`Self::new`], and for an invalid proxy, certificate or pin.
    pub fn in_network(base: &str, token: Option<&str>, network: &NetworkConfig) -> Result<Self> {
        Self::build(base, token, HubLimits::default(), network)
    }

    fn build(base: &str, token: Option<&str>, limits: HubLimits, network: &NetworkConfig) -> Result<Self> {
        let wrong = |what: &str| Error::invalid_request(format!("the hub's address `{}` {what}", redact_url(base)));
        let mut url = Url::parse(base).map_err(|_| wrong("is malformed; it looks like `https://huggingface.co`"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not hold a user name or password; give a hub token instead"));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) || (network.hub_allow_http && is_private(&url)) => {}
            "http" => return Err(wrong("is plain http to another device; use https")),
            _ => return Err(wrong("is not an https address")),
        }
        url.set_query(None);
        url.set_fragment(None);
        // `join` replaces what follows the last slash.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let client = HubClient::new(&url, token, limits.idle_timeout, network)?;
        Ok(Self {
            base: url,
            client,
            limits,
        })
    }

    /// Returns the retry policy of this hub's requests.
    pub(crate) fn retry_policy(&self) -> &RetryPolicy {
        &self.limits.retry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for base in [
            "https://huggingface.co",
            "http://127.0.0.1:9",
            "http://localhost:9/sub",
            "http://[::1]:9",
        ] {
            assert!(Hub::new(base, None).is_ok(), "{base}");
        }
        for base in [
            "http://huggingface.co",
            "ftp://host",
            "huggingface.co",
            "https://u:secret@host",
            "",
        ] {
            let error = Hub::new(base, None).expect_err(base);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{base}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn plain_http_in_a_private_network_is_for_an_app_that_says_so() {
        let allowed = NetworkConfig {
            hub_allow_http: true,
            ..NetworkConfig::default()
        };
        let usual = NetworkConfig::default();
        for (base, network, is_ok) in [
            ("http://192.168.1.5:8080", &allowed, true),
            ("http://hub.local", &allowed, true),
            ("http://192.168.1.5:8080", &usual, false),
            ("http://hub.example.org", &allowed, false),
        ] {
            assert_eq!(Hub::in_network(base, None, network).is_ok(), is_ok, "{base}");
        }
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_without_being_shown() {
        let error = Hub::new("https://host", Some("canary\n")).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}
