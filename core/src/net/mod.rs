//! Network code shared by the hub and the providers: TLS, the HTTP client's settings, the proxy, retries and
//! URL helpers.

pub(crate) mod client;
pub(crate) mod network;
pub(crate) mod retry;
pub(crate) mod tls;
pub(crate) mod url;
