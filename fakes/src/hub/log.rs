//! The hub's log, by which tests verify that no byte is sent twice and no token goes to the wrong host.

use serde::Serialize;

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// Serves repositories.
    Hub,
    /// Serves the bytes of files.
    Cdn,
}

/// A request and its response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedRequest {
    /// The host that received it.
    pub host: Host,
    /// `GET`, `HEAD`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// The `Range` header as received.
    pub range: Option<String>,
    /// Whether it carried a token.
    pub authorized: bool,
    /// The status of the response.
    pub status: u16,
    /// Bytes of the body that were written to the socket.
    pub sent: u64,
}
