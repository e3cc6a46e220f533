//! What the hub was asked and what it sent: how tests know that no byte travelled twice and no token went astray.

use serde::Serialize;

/// Which of the two hosts was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Host {
    /// The one that knows repositories.
    Hub,
    /// The one that sends bytes.
    Cdn,
}

/// One answered request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Who was asked.
    pub host: Host,
    /// `GET`, `HEAD`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// The `Range` header, as it came.
    pub range: Option<String>,
    /// Whether a token was shown.
    pub authorized: bool,
    /// The status that was answered.
    pub status: u16,
    /// Bytes of the body that were written to the socket.
    pub sent: u64,
}
