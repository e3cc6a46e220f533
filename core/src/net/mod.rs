//! Network code shared by the hub and the providers: TLS, the HTTP client's settings, retries and URL redaction.

pub(crate) mod client;
pub(crate) mod retry;
pub(crate) mod tls;
pub(crate) mod url;
