//! HTTP client of one provider: base address, credential, pooled connections.
//!
//! - HTTPS only, except on loopback addresses and where the app sets `allow_http`.
//! - Redirects are not followed, so a credential is never sent to another host.
//! - The proxy is that of the library's settings; environment variables are ignored.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use super::dialect::{self, ProviderKind};
use super::meaning::EXAMPLE_ADDRESS;
use super::provider::{ProviderSettings, Secret};
use crate::error::{Error, Result};
use crate::net::client;
use crate::net::network::NetworkConfig;
use crate::net::tls::Trust;
use crate::net::url::{is_in_local_network, is_loopback, is_private};
use crate::sync::lock;

/// A client for one provider. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct ProviderClient {
    client: reqwest::Client,
    /// Host and port of the proxy, for error texts.
    proxy: Option<String>,
    base: Url,
    /// `None`: the app does not want to see errors of the provider.
    last_error: Option<Arc<ErrorBody>>,
}

/// The body of an error. `Debug` hides it, because it may quote a prompt.
#[derive(Default)]
struct ErrorBody(Mutex<Option<String>>);

impl fmt::Debug for ErrorBody {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ErrorBody(…)")
    }
}

impl ProviderClient {
    /// Creates a client for this provider, without a proxy. Opens no connection.
    ///
    /// # Errors
    /// `InvalidRequest` for an invalid address, or an unencrypted one that is not allowed.
    pub fn new(settings: &ProviderSettings) -> Result<Self> {
        Self::in_network(settings, &NetworkConfig::default())
    }

    /// Creates a client for this provider with the proxy of these settings. Opens no connection.
    ///
    /// # Errors
    /// As [`Self::new`], and for an invalid proxy.
    pub fn in_network(settings: &ProviderSettings, network: &NetworkConfig) -> Result<Self> {
        let base = base_url(settings)?;
        // What stays in the user's own network must not pass a proxy outside of it.
        let direct = network.direct();
        let network = if is_private(&base) { &direct } else { network };
        let trust = Trust {
            root: settings.root_certificate.as_deref(),
            pins: &settings.pins,
        };
        let builder = client::builder(&trust, network)?
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true);
        let client = client::build(builder)?;
        Ok(Self {
            client,
            proxy: network.proxy_host(),
            base,
            last_error: network.keep_error_bodies.then(Arc::default),
        })
    }

    /// Returns the body of the provider's last error, if the settings keep it.
    pub fn last_error_body(&self) -> Option<String> {
        lock(&self.last_error.as_ref()?.0).clone()
    }

    /// Keeps the body of an error, if the app wants to see it.
    pub(super) fn keep_error_body(&self, body: &[u8]) {
        if let Some(last) = &self.last_error {
            *lock(&last.0) = Some(String::from_utf8_lossy(body).into_owned());
        }
    }

    /// Returns host and port of the proxy; `None` if requests use none.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Returns the host of the base address.
    pub(super) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Returns the address of this path.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }

    /// Creates a request to this path with the credential.
    pub(super) fn request(
        &self,
        method: reqwest::Method,
        path: &str,
        secret: &Secret,
    ) -> Result<reqwest::RequestBuilder> {
        self.authorize(self.client.request(method, self.url(path)), secret)
    }

    /// Creates a request to this absolute path of the server with the credential.
    pub(super) fn request_at_root(
        &self,
        method: reqwest::Method,
        path: &str,
        secret: &Secret,
    ) -> Result<reqwest::RequestBuilder> {
        let mut url = self.base.clone();
        url.set_path(path);
        self.authorize(self.client.request(method, url), secret)
    }

    /// Creates a request to this path beside the compatible API, whose base address ends in `/v1`.
    pub(super) fn request_beside_v1(
        &self,
        method: reqwest::Method,
        path: &str,
        secret: &Secret,
    ) -> Result<reqwest::RequestBuilder> {
        let base = self.base.path().trim_end_matches('/');
        let path = format!("{}/{path}", base.strip_suffix("/v1").unwrap_or(base));
        self.request_at_root(method, &path, secret)
    }

    fn authorize(&self, request: reqwest::RequestBuilder, secret: &Secret) -> Result<reqwest::RequestBuilder> {
        Ok(if secret.is_empty() {
            request
        } else {
            request.header(AUTHORIZATION, bearer_header(secret)?)
        })
    }
}

/// Returns the base address of the provider: that of the settings, else the default of its kind. Ollama's own API is beside
/// its compatible one: the path of an API at the end of its address is left out.
///
/// # Errors
/// `InvalidRequest`, with the remedy.
pub fn base_url(settings: &ProviderSettings) -> Result<Url> {
    let name = &settings.name;
    let invalid = |what: &str| Err(Error::invalid_request(format!("provider `{name}`: {what}")));
    let default = dialect::dialect_for(settings.kind).base;
    let text = settings.base_url.as_deref().unwrap_or(default);
    if text.is_empty() {
        return invalid(&format!("it needs an address, such as `{EXAMPLE_ADDRESS}`"));
    }
    let mut url = match Url::parse(text) {
        Ok(url) if url.has_host() => url,
        _ => return invalid(&format!("its address is malformed; it looks like `{EXAMPLE_ADDRESS}`")),
    };
    if settings.kind == ProviderKind::Ollama {
        let path = url.path().trim_end_matches('/');
        let api = ["/v1", "/api"].into_iter().find_map(|api| path.strip_suffix(api));
        if let Some(root) = api.map(str::to_owned) {
            url.set_path(&root);
        }
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return invalid("its address contains a password or a query; set the credential separately");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) || settings.allow_http => Ok(url),
        "http" => invalid("its address is not encrypted; use `https`, or allow `http` for a network of your own"),
        _ => invalid("its address is neither `https` nor `http`"),
    }
}

/// Returns the origin of the provider's address, such as `https://llm.example.org` or `http://192.168.1.9:8080`: scheme,
/// host, and port unless it is the usual one. A credential belongs to the origin that it was set for. Two settings of one
/// origin name the same server, whatever their kind and path.
///
/// # Errors
/// As [`base_url`].
pub fn origin(settings: &ProviderSettings) -> Result<String> {
    Ok(base_url(settings)?.origin().ascii_serialization())
}

/// Returns whether the provider is the user's own server: of a self-hosted kind, and either stated to be one or, if
/// nothing is stated, on this machine or in a private network.
pub fn is_own_server(settings: &ProviderSettings) -> bool {
    let by_address = || base_url(settings).is_ok_and(|url| is_private(&url));
    !settings.kind.is_hosted() && settings.own_server.unwrap_or_else(by_address)
}

/// Returns whether the provider is reached through the internet: all but the user's own servers on this machine or in a
/// private network, by their address.
pub fn needs_internet(settings: &ProviderSettings) -> bool {
    !is_own_server(settings) || base_url(settings).is_ok_and(|url| !is_private(&url))
}

/// Returns whether the server is another device in the local network, as far as its address tells.
#[must_use]
pub fn needs_local_network(settings: &ProviderSettings) -> bool {
    base_url(settings).is_ok_and(|url| is_in_local_network(&url))
}

fn bearer_header(secret: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Bearer {}", secret.expose())))
        .map_err(|_| Error::unauthorized("the key contains invalid characters; copy it again"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Longer than a user reads an answer, so that the next request finds the connection open.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(kind: ProviderKind, base_url: Option<&str>, allow_http: bool) -> ProviderSettings {
        ProviderSettings {
            base_url: base_url.map(str::to_owned),
            allow_http,
            ..ProviderSettings::new("p", kind)
        }
    }

    #[test]
    fn the_origin_is_scheme_host_and_port_whatever_the_kind_and_the_path() {
        let origin_of = |kind, base| origin(&settings(kind, base, true)).expect("an origin");
        let groq = "https://api.groq.com";
        assert_eq!(origin_of(ProviderKind::Groq, None), groq);
        for same in ["https://api.groq.com/openai/v1", "https://API.groq.com:443/other/"] {
            assert_eq!(origin_of(ProviderKind::Compatible, Some(same)), groq, "{same}");
        }
        for other in [
            "http://api.groq.com/openai/v1",
            "https://api.groq.com:8443/openai/v1",
            "https://api.groq.com.example.org/openai/v1",
            "https://groq.com/openai/v1",
        ] {
            assert_ne!(origin_of(ProviderKind::Groq, Some(other)), groq, "{other}");
        }
        let own = origin_of(ProviderKind::Ollama, Some("http://[::1]:11434/"));
        assert_eq!(own, "http://[::1]:11434");
    }

    #[test]
    fn only_this_machine_and_what_the_app_names_may_be_asked_without_encryption() {
        let compatible = ProviderKind::Compatible;
        for (base, allow_http, allowed) in [
            (Some("https://llm.example.org/v1"), false, true),
            (Some("http://127.0.0.1:8080/v1"), false, true),
            (Some("http://[::1]:8080"), false, true),
            (Some("http://192.168.1.5:11434"), false, false),
            (Some("http://192.168.1.5:11434"), true, true),
            (Some("ftp://x/"), true, false),
            (Some("https://user:word@x/"), false, false),
            (Some("nonsense"), false, false),
            (None, false, false),
        ] {
            let url = base_url(&settings(compatible, base, allow_http));
            assert_eq!(url.is_ok(), allowed, "{base:?} {url:?}");
        }
        for kind in ProviderKind::ALL.into_iter().filter(|kind| *kind != compatible) {
            assert!(base_url(&settings(kind, None, false)).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn the_address_of_an_ollama_server_ends_before_its_apis() {
        for (base, expected) in [
            ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/"),
            ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/"),
            ("http://127.0.0.1:11434/api", "http://127.0.0.1:11434/"),
            ("https://h/ollama/v1", "https://h/ollama"),
            ("https://h/myapi", "https://h/myapi"),
            ("https://h/v1/x", "https://h/v1/x"),
        ] {
            let url = base_url(&settings(ProviderKind::Ollama, Some(base), false)).expect("an address");
            assert_eq!(url.as_str(), expected, "{base}");
        }
        let compatible = base_url(&settings(ProviderKind::Compatible, Some("https://h/v1"), false));
        assert_eq!(compatible.expect("an address").as_str(), "https://h/v1");
    }

    #[test]
    fn a_path_is_joined_behind_the_base() {
        for base in ["https://h/v1", "https://h/v1/"] {
            let http = ProviderClient::new(&settings(ProviderKind::Compatible, Some(base), false)).expect("a client");
            assert_eq!(http.url("chat/completions").as_str(), "https://h/v1/chat/completions");
        }
    }

    #[test]
    fn a_pin_that_is_no_digest_is_refused_before_anything_is_sent() {
        let pinned = ProviderSettings {
            pins: vec!["sha256/short".into()],
            ..settings(ProviderKind::OpenAi, None, false)
        };
        assert!(ProviderClient::new(&pinned).is_err());
    }

    #[test]
    fn only_self_hosted_servers_are_not_hosted() {
        let own = ProviderKind::ALL.into_iter().filter(|kind| !kind.is_hosted());
        let expected = [
            ProviderKind::Ollama,
            ProviderKind::LlamaServer,
            ProviderKind::Compatible,
        ];
        assert!(own.eq(expected));
    }
}
