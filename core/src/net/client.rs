//! Common settings of every HTTP client of the library.
//!
//! - TLS by [`super::tls`], independent of the platform.
//! - Redirects are not followed by the client: a credential must not reach another host.
//! - Environment variables are ignored; the proxy is that of the library's settings.

use std::time::Duration;

use reqwest::redirect;

use super::network::NetworkConfig;
use super::tls::{self, Trust};
use crate::error::{Error, Result};

/// Returns a builder with these settings; [`build`] makes the client.
///
/// # Errors
/// `InvalidRequest` for an invalid certificate, pin or proxy.
pub(crate) fn builder(trust: &Trust<'_>, network: &NetworkConfig) -> Result<reqwest::ClientBuilder> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(trust)?)
        .user_agent(concat!("nearside/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        // Without this the client would read the environment.
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT);
    Ok(match network.to_proxy()? {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    })
}

/// Builds the client. Opens no connection.
pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    let client = builder.build();
    client.map_err(|cause| Error::internal(format!("could not build the HTTP client: {cause}")))
}

/// Returns whether a request failed on its way through a proxy.
pub(crate) fn is_proxy_failure(cause: &reqwest::Error) -> bool {
    let mut inner = Some(cause as &dyn std::error::Error);
    while let Some(cause) = inner {
        // No part of the chain has a type of its own for this.
        let text = cause.to_string().to_ascii_lowercase();
        if ["proxy", "socks", "tunnel"].iter().any(|word| text.contains(word)) {
            return true;
        }
        inner = cause.source();
    }
    false
}

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
