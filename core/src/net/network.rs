//! Network settings of the library object: the proxy of all requests, and the trust in a hub of the user's own.
//!
//! - The environment is not read: an app passes its settings, the command line those of its variables.
//! - A request to this device, or to a provider in a private network, never goes through the proxy.
//! - A proxy's address may contain a password, so `Debug` and error texts show it without.

use std::fmt;

use url::Url;

use super::url::redact_url;
use crate::error::{Error, ErrorReason, Result};

/// Network settings. The default: no proxy, and the usual roots.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Proxy of all requests, to the hub and to providers: `http://host:3128`, `https://…`, `socks5://…` or `socks5h://…`,
    /// which also resolves names. May contain a user name and password. Unset: none.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas: names (with their subdomains), addresses, networks
    /// such as `192.168.0.0/16`, or `*`.
    pub no_proxy: Option<String>,
    /// Certificates in PEM, trusted for the hub in addition to the usual roots. Each is a root, or the hub's own
    /// certificate, which may be self-signed.
    pub hub_root_certificate: Option<String>,
    /// SHA-256 digests of public keys, in base64: the hub's certificate must have one. Empty: any trusted certificate.
    /// Not applied to the storage that a hub redirects to.
    pub hub_pins: Vec<String>,
    /// Allows plain `http` to a hub in the user's own network: at a private or link-local address, or a name in `.local`.
    pub hub_allow_http: bool,
    /// Keeps the body of each provider's last error in memory, for the developer of an app: it says what the provider
    /// objects to, and may quote the prompt. It is in no error, log or file.
    pub keep_error_bodies: bool,
}

impl NetworkConfig {
    /// Checks the proxy's address. The library opens with an invalid one, because work on this device needs no proxy; each
    /// request that would use it fails with this error.
    ///
    /// # Errors
    /// `InvalidRequest` if it is not the address of a proxy. The text has no user name and no password.
    pub fn check_proxy(&self) -> Result<()> {
        self.proxy_url().map(drop)
    }

    /// Returns these settings without the proxy.
    pub(crate) fn direct(&self) -> Self {
        Self {
            proxy: None,
            ..self.clone()
        }
    }

    /// Returns host and port of the proxy, for error texts; `None` without a valid one.
    pub(crate) fn proxy_host(&self) -> Option<String> {
        let url = self.proxy_url().ok()??;
        let host = url.host_str()?;
        Some(match url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// Returns the address of the proxy; `None` if there is none.
    fn proxy_url(&self) -> Result<Option<Url>> {
        let Some(address) = self
            .proxy
            .as_deref()
            .map(str::trim)
            .filter(|address| !address.is_empty())
        else {
            return Ok(None);
        };
        let invalid = || {
            let shown = redact_proxy(address);
            Error::invalid_request(format!(
                "the proxy's address `{shown}` is not usable; it looks like `http://host:3128` or `socks5://host:1080`"
            ))
            .because(ErrorReason::InvalidParameter)
        };
        // Variables often hold `host:port` alone.
        let address = match address.contains("://") {
            true => address.to_owned(),
            false => format!("http://{address}"),
        };
        let url = Url::parse(&address).map_err(|_| invalid())?;
        if !url.has_host() || !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(invalid());
        }
        Ok(Some(url))
    }

    /// Returns the proxy for the HTTP client.
    ///
    /// # Errors
    /// As [`Self::check_proxy`].
    pub(crate) fn to_proxy(&self) -> Result<Option<reqwest::Proxy>> {
        let Some(url) = self.proxy_url()? else {
            return Ok(None);
        };
        let invalid = |_| Error::invalid_request("the proxy's address is not usable; check it");
        let without = match self.no_proxy.as_deref() {
            Some(hosts) => format!("{NEVER_PROXIED},{hosts}"),
            None => NEVER_PROXIED.to_owned(),
        };
        let proxy = reqwest::Proxy::all(url.as_str()).map_err(invalid)?;
        Ok(Some(proxy.no_proxy(reqwest::NoProxy::from_string(&without))))
    }
}

impl fmt::Debug for NetworkConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("NetworkConfig")
            .field("proxy", &self.proxy.as_deref().map(redact_proxy))
            .field("no_proxy", &self.no_proxy)
            .field("hub_root_certificate", &self.hub_root_certificate.as_ref().map(|_| "…"))
            .field("hub_pins", &self.hub_pins)
            .field("hub_allow_http", &self.hub_allow_http)
            .field("keep_error_bodies", &self.keep_error_bodies)
            .finish()
    }
}

/// Redacts the address of a proxy, which may have no scheme, so that its user name looks like one.
fn redact_proxy(address: &str) -> String {
    let shown = redact_url(address);
    match shown.rsplit_once('@') {
        Some((_, host)) => host.to_owned(),
        None => shown,
    }
}

const NEVER_PROXIED: &str = "localhost,127.0.0.0/8,::1";

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(address: &str) -> NetworkConfig {
        NetworkConfig {
            proxy: Some(address.to_owned()),
            ..NetworkConfig::default()
        }
    }

    #[test]
    fn a_proxy_is_an_http_or_socks_address_and_anything_else_is_refused_without_its_password() {
        for address in [
            "http://proxy.example:3128",
            "https://user:canary@proxy.example",
            "socks5://127.0.0.1:1080",
            "socks5h://127.0.0.1:1080",
            "proxy.example:8080",
            "  ",
        ] {
            assert!(proxied(address).to_proxy().is_ok(), "{address}");
        }
        for address in [
            "ftp://user:canary@proxy.example",
            "http://",
            "socks4://user:canary@h",
            ":::",
            "user:canary@proxy.example:no-port",
            "http://user:canary@proxy.example:no-port/p@th",
        ] {
            let error = proxied(address).to_proxy().expect_err(address);
            assert_eq!(proxied(address).check_proxy().expect_err(address), error);
            assert_eq!(error.reason(), ErrorReason::InvalidParameter);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_password_of_a_proxy_is_in_no_debug_output() {
        for address in [
            "http://user:canary@proxy.example:3128",
            "user:canary@proxy.example:3128",
        ] {
            let config = proxied(address);
            assert!(!format!("{config:?}").contains("canary"), "{config:?}");
            assert_eq!(config.proxy_host().as_deref(), Some("proxy.example:3128"));
        }
        assert_eq!(proxied("socks5://h").proxy_host().as_deref(), Some("h"));
    }
}
