//! Tapes: recorded exchanges with a real provider, which an app's own tests can replay.
//!
//! A tape is a text file with one JSON object per line: `{"request": {"method", "path", "body"}, "response": {"status",
//! "headers", "pieces": [{"ms", "text"}], "whole"}}`. A piece holds the bytes of one read: `ms` the milliseconds since the
//! previous piece or the request, `text` the bytes, or `base64` if they are not valid UTF-8.
//!
//! No secret is written. Of a request only method, path and body are kept; of a response no cookie and no header whose
//! name contains key, token or secret. Values of fields and query parameters with such names are replaced with
//! [`REMOVED`], and so is every other occurrence of these values. Prompts and answers are kept: they are the purpose of a
//! tape.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request and its response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request.
    pub request: TapeRequest,
    /// The response.
    pub response: TapeResponse,
}

/// A recorded request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapeRequest {
    /// `GET`, `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// The body; null if it is empty or not JSON.
    pub body: Value,
}

/// A recorded response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapeResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, without those of HTTP framing.
    pub headers: Vec<(String, String)>,
    /// The body in the received pieces.
    pub pieces: Vec<TapePiece>,
    /// Whether the body was received completely.
    pub whole: bool,
}

/// The bytes of one read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapePiece {
    /// Milliseconds since the previous piece.
    pub ms: u64,
    /// The bytes.
    #[serde(flatten)]
    pub bytes: TapeBytes,
}

/// Bytes as encoded in a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapeBytes {
    /// Valid UTF-8.
    Text(String),
    /// Base64, if they are not valid UTF-8, as after a split character.
    Base64(String),
}

/// Replacement of a secret.
pub const REMOVED: &str = "removed";

impl TapeBytes {
    pub(super) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// Decodes the bytes.
    ///
    /// # Errors
    /// `InvalidData` if it is not base64.
    pub fn decode(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).map_err(invalid),
        }
    }
}

impl Exchange {
    /// Removes secrets, including those found in `request_headers`, which are not recorded.
    pub(super) fn remove_secrets(mut self, request_headers: &[(String, String)]) -> io::Result<Self> {
        let mut secrets = Vec::new();
        for (name, value) in request_headers.iter().chain(&self.response.headers) {
            if is_secret_header(name) {
                // `Bearer SECRET`: the scheme is not secret.
                secrets.push(value.rsplit(' ').next().unwrap_or(value).to_owned());
            }
        }
        self.response.headers.retain(|(name, _)| !is_secret_header(name));
        collect_secrets(&self.request.body, &mut secrets);
        secrets.extend(query_secrets(&self.request.path));
        let mut body = Vec::new();
        for piece in &self.response.pieces {
            body.extend(piece.bytes.decode()?);
        }
        if let Ok(json) = serde_json::from_slice(&body) {
            collect_secrets(&json, &mut secrets);
        }
        self.request.path = redact(&self.request.path, &secrets);
        self.request.body = serde_json::from_str(&redact(&self.request.body.to_string(), &secrets))?;
        for (_, value) in &mut self.response.headers {
            *value = redact(value, &secrets);
        }
        // Lossy, because an aborted stream may end within a character.
        let text = String::from_utf8_lossy(&body);
        let cleaned = redact(&text, &secrets);
        if cleaned != text {
            let ms = self.response.pieces.first().map_or(0, |piece| piece.ms);
            let bytes = TapeBytes::Text(cleaned);
            self.response.pieces = vec![TapePiece { ms, bytes }];
        }
        Ok(self)
    }

    /// Writes the exchange as one line.
    ///
    /// # Errors
    /// The error of the write.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        // One write, so that a killed recorder leaves complete lines.
        to.write_all(&line)?;
        to.flush()
    }
}

/// Reads a tape.
///
/// # Errors
/// The error of the read; `InvalidData` with the line number if a line is not an exchange.
pub fn read(path: &Path) -> io::Result<Vec<Exchange>> {
    parse(&std::fs::read_to_string(path)?)
}

/// Parses the text of a tape.
///
/// # Errors
/// `InvalidData` with the line number, and without the line, if a line is not an exchange.
pub fn parse(text: &str) -> io::Result<Vec<Exchange>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            // serde's text may quote the line.
            let is_no_exchange = |_| {
                invalid(format!(
                    "line {} of the tape is not an exchange; record it again",
                    number + 1
                ))
            };
            serde_json::from_str(line).map_err(is_no_exchange)
        })
        .collect()
}

/// Returns a body without secrets, to compare it with recorded ones.
pub(super) fn comparable(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut secrets = Vec::new();
    collect_secrets(&body, &mut secrets);
    serde_json::from_str(&redact(&body.to_string(), &secrets)).unwrap_or_default()
}

/// Returns a path without secrets, to compare it with recorded ones.
pub(super) fn comparable_path(path: &str) -> String {
    redact(path, &query_secrets(path))
}

fn query_secrets(path: &str) -> Vec<String> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(name, _)| is_secret_field(name))
        .map(|(_, value)| value.to_owned())
        .collect()
}

fn collect_secrets(json: &Value, into: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(secret) if is_secret_field(name) => into.push(secret.clone()),
                    other => collect_secrets(other, into),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_secrets(value, into)),
        _ => {}
    }
}

fn redact(text: &str, secrets: &[String]) -> String {
    // Short values would match everywhere; a secret is longer.
    let secrets = secrets.iter().filter(|secret| secret.len() >= 6);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REMOVED))
}

fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Token counts are not secret.
    let counts = name.starts_with("x-ratelimit-");
    !counts
        && ["authorization", "cookie", "key", "token", "secret"]
            .iter()
            .any(|word| name.contains(word))
}

fn is_secret_field(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "password", "authorization"]
        .iter()
        .any(|word| name.ends_with(word))
        || name == "code_verifier"
}

fn invalid(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn exchange(body: Value, answer: &[&[u8]]) -> Exchange {
        Exchange {
            request: TapeRequest {
                method: "POST".to_owned(),
                path: "/v1/x?key=query-secret&n=1".to_owned(),
                body,
            },
            response: TapeResponse {
                status: 200,
                headers: vec![
                    ("set-cookie".to_owned(), "session=cookie-secret".to_owned()),
                    ("x-ratelimit-limit-tokens".to_owned(), "18000".to_owned()),
                ],
                pieces: answer
                    .iter()
                    .map(|bytes| TapePiece {
                        ms: 1,
                        bytes: TapeBytes::new(bytes),
                    })
                    .collect(),
                whole: true,
            },
        }
    }

    #[test]
    fn no_secret_is_left_wherever_it_occurs() {
        let headers = [("authorization".to_owned(), "Bearer header-secret".to_owned())];
        let body = json!({ "api_key": "field-secret", "max_tokens": 9, "messages": [{ "content": "header-secret?" }] });
        // The header's secret is split over two pieces, before half a character.
        let pieces: [&[u8]; 2] = [b"data: you said header-", b"secret \xE6\x9C"];
        let cleaned = exchange(body, &pieces).remove_secrets(&headers).expect("cleaned");
        let mut written = Vec::new();
        cleaned.write(&mut written).expect("written");
        let written = String::from_utf8(written).expect("text");
        assert!(!written.contains("secret"), "{written}");
        assert!(written.contains("18000") && written.contains("\"max_tokens\":9"));
    }

    #[test]
    fn a_key_in_a_response_is_removed() {
        let answer: [&[u8]; 1] = [br#"{"key":"sk-or-v1-handed-out","user_id":"u"}"#];
        let cleaned = exchange(Value::Null, &answer).remove_secrets(&[]).expect("cleaned");
        let body = cleaned.response.pieces[0].bytes.decode().expect("bytes");
        assert_eq!(body, br#"{"key":"removed","user_id":"u"}"#);
    }

    #[test]
    fn pieces_without_a_secret_stay_as_they_were_cut() {
        let text = "größe 🌊".as_bytes();
        let pieces: Vec<_> = text.chunks(1).collect();
        let cleaned = exchange(Value::Null, &pieces).remove_secrets(&[]).expect("cleaned");
        assert_eq!(cleaned.response.pieces.len(), text.len());
        let line = serde_json::to_string(&cleaned).expect("JSON");
        let read: Exchange = serde_json::from_str(&line).expect("an exchange");
        let bytes: Vec<u8> = read
            .response
            .pieces
            .iter()
            .flat_map(|piece| piece.bytes.decode().expect("bytes"))
            .collect();
        assert_eq!(bytes, text);
    }
}
