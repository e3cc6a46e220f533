//! Common settings of every HTTP client of the library.
//!
//! - TLS by [`super::tls`], independent of the platform.
//! - Redirects are not followed by the client: a credential must not reach another host.
//! - Environment variables, proxies included, are ignored.

use std::time::Duration;

use reqwest::redirect;

use super::tls::{self, Trust};
use crate::error::{Error, Result};

/// Returns a builder with these settings; [`build`] makes the client.
///
/// # Errors
/// `InvalidRequest` for an invalid certificate or pin.
pub(crate) fn builder(trust: &Trust<'_>) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(trust)?)
        .user_agent(concat!("nearside/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT))
}

/// Builds the client. Opens no connection.
pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    let client = builder.build();
    client.map_err(|cause| Error::internal(format!("could not build the HTTP client: {cause}")))
}

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
