//! Tapes: exchanges with a real provider, written down so that an app's own tests can play them again.
//!
//! A tape is a text file with one JSON object a line: `{"request": {"method", "path", "body"}, "response": {"status",
//! "headers", "pieces": [{"ms", "text"}], "whole"}}`. A piece is what one read gave, `ms` the milliseconds since the piece
//! before (the first: since the request), `text` its bytes, or `base64` where they are not UTF-8 by themselves.
//!
//! No secret reaches the file. Of a request only its method, path and body are kept; of a response no cookie and no header
//! whose name speaks of a key or token. Fields and query values with such names become [`REMOVED`], and so does every
//! other place that holds a value which was found under such a name. What people wrote and what models said stays: it is
//! what a tape is for.

use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub request: Asked,
    /// What came back.
    pub response: Answered,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// `GET`, `POST`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// The body; null where there is none or it is not JSON.
    pub body: Value,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case; without those of HTTP's framing.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub pieces: Vec<Piece>,
    /// Whether the body ended as HTTP wants it.
    pub whole: bool,
}

/// Bytes that came at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Milliseconds since the piece before.
    pub ms: u64,
    /// The bytes.
    #[serde(flatten)]
    pub bytes: Bytes,
}

/// Bytes as a tape writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bytes {
    /// As text.
    Text(String),
    /// In base64, where a character was cut or there is none.
    Base64(String),
}

/// What stands in a secret's place.
pub const REMOVED: &str = "removed";

impl Bytes {
    pub(super) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }

    /// The bytes themselves.
    ///
    /// # Errors
    /// `InvalidData` for what is not base64.
    pub fn decode(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).map_err(invalid),
        }
    }
}

impl Exchange {
    /// The same without secrets. `request_headers` are looked through for them and are not kept.
    pub(super) fn cleaned(mut self, request_headers: &[(String, String)]) -> io::Result<Self> {
        let mut secrets = Vec::new();
        for (name, value) in request_headers.iter().chain(&self.response.headers) {
            if is_secret_header(name) {
                // `Bearer SECRET`: the word before it is none.
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
        self.request.path = without(&self.request.path, &secrets);
        self.request.body = serde_json::from_str(&without(&self.request.body.to_string(), &secrets))?;
        for (_, value) in &mut self.response.headers {
            *value = without(value, &secrets);
        }
        // A stream that broke off may end in half a character: better a mark in its place than a secret left.
        let text = String::from_utf8_lossy(&body);
        let cleaned = without(&text, &secrets);
        if cleaned != text {
            let ms = self.response.pieces.first().map_or(0, |piece| piece.ms);
            let bytes = Bytes::Text(cleaned);
            self.response.pieces = vec![Piece { ms, bytes }];
        }
        Ok(self)
    }

    /// Writes it as one line.
    ///
    /// # Errors
    /// What writing fails with.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        // At once, so that a recorder that is killed leaves whole lines.
        to.write_all(&line)?;
        to.flush()
    }
}

/// Reads a tape.
///
/// # Errors
/// What reading fails with; `InvalidData` for a line that is not an exchange, with its number.
pub fn read(path: &Path) -> io::Result<Vec<Exchange>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line).map_err(|error| invalid(format!("line {} of the tape: {error}", number + 1)))
        })
        .collect()
}

/// A body as a tape has it, so that a question can be compared with those on it.
pub(super) fn comparable(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut secrets = Vec::new();
    collect_secrets(&body, &mut secrets);
    serde_json::from_str(&without(&body.to_string(), &secrets)).unwrap_or_default()
}

/// A path as a tape has it.
pub(super) fn comparable_path(path: &str) -> String {
    without(path, &query_secrets(path))
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

fn without(text: &str, secrets: &[String]) -> String {
    // Short ones would be found everywhere; a secret is not that short.
    let secrets = secrets.iter().filter(|secret| secret.len() >= 6);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REMOVED))
}

fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Counts of tokens are no tokens.
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
            request: Asked {
                method: "POST".to_owned(),
                path: "/v1/x?key=query-secret&n=1".to_owned(),
                body,
            },
            response: Answered {
                status: 200,
                headers: vec![
                    ("set-cookie".to_owned(), "session=cookie-secret".to_owned()),
                    ("x-ratelimit-limit-tokens".to_owned(), "18000".to_owned()),
                ],
                pieces: answer
                    .iter()
                    .map(|bytes| Piece {
                        ms: 1,
                        bytes: Bytes::new(bytes),
                    })
                    .collect(),
                whole: true,
            },
        }
    }

    #[test]
    fn nothing_that_was_called_a_secret_is_left_wherever_it_turns_up() {
        let headers = [("authorization".to_owned(), "Bearer header-secret".to_owned())];
        let body = json!({ "api_key": "field-secret", "max_tokens": 9, "messages": [{ "content": "header-secret?" }] });
        // The header's secret comes back in two pieces, before half a character.
        let pieces: [&[u8]; 2] = [b"data: you said header-", b"secret \xE6\x9C"];
        let cleaned = exchange(body, &pieces).cleaned(&headers).expect("cleaned");
        let mut written = Vec::new();
        cleaned.write(&mut written).expect("written");
        let written = String::from_utf8(written).expect("text");
        assert!(!written.contains("secret"), "{written}");
        assert!(written.contains("18000") && written.contains("\"max_tokens\":9"));
    }

    #[test]
    fn a_key_that_an_answer_hands_out_is_removed() {
        let answer: [&[u8]; 1] = [br#"{"key":"sk-or-v1-handed-out","user_id":"u"}"#];
        let cleaned = exchange(Value::Null, &answer).cleaned(&[]).expect("cleaned");
        let body = cleaned.response.pieces[0].bytes.decode().expect("bytes");
        assert_eq!(body, br#"{"key":"removed","user_id":"u"}"#);
    }

    #[test]
    fn pieces_without_a_secret_stay_as_they_were_cut() {
        let text = "größe 🌊".as_bytes();
        let pieces: Vec<_> = text.chunks(1).collect();
        let cleaned = exchange(Value::Null, &pieces).cleaned(&[]).expect("cleaned");
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
