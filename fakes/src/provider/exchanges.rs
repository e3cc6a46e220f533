//! Exchanges that a test states instead of recording them, in OpenAI's wire format.

use serde_json::{Value, json};

use super::tape::{Exchange, TapeBytes, TapePiece, TapeRequest, TapeResponse};

impl Exchange {
    /// Returns an exchange for any body: with this response, in these pieces.
    #[must_use]
    pub fn of(
        method: &str,
        path: &str,
        status: u16,
        headers: Vec<(String, String)>,
        pieces: &[Vec<u8>],
        whole: bool,
    ) -> Self {
        Self {
            request: TapeRequest {
                method: method.to_owned(),
                path: path.to_owned(),
                body: Value::Null,
            },
            response: TapeResponse {
                status,
                headers,
                pieces: pieces.iter().map(|bytes| piece(bytes)).collect(),
                whole,
            },
        }
    }

    /// Binds the exchange to requests with this body. Text that is not JSON, and none, is any body.
    pub fn set_body(&mut self, body: &str) {
        self.request.body = serde_json::from_str(body).unwrap_or_default();
    }

    /// Returns a chat whose answer streams this text word by word, with one token per word. Not `whole`: the connection ends
    /// after the last word, without usage.
    #[must_use]
    pub fn chat(text: &str, model: &str, path: &str, whole: bool) -> Self {
        let event = |delta: Value, finish: Option<&str>, usage: Option<Value>| {
            let mut event = json!({
                "id": "recorded", "object": "chat.completion.chunk", "created": 0, "model": model,
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
            });
            if let Some(usage) = usage {
                event["usage"] = usage;
            }
            format!("data: {event}\n\n").into_bytes()
        };
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        let mut pieces: Vec<_> = words
            .iter()
            .map(|word| event(json!({ "content": word }), None, None))
            .collect();
        if whole {
            let tokens = words.len();
            let usage = json!({ "prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": tokens * 2 });
            pieces.push(event(json!({}), Some("stop"), Some(usage)));
            pieces.push(b"data: [DONE]\n\n".to_vec());
        }
        Self::of("POST", path, 200, content_type("text/event-stream"), &pieces, whole)
    }

    /// Returns a chat that fails with this HTTP status.
    #[must_use]
    pub fn refusal(status: u16, message: &str, path: &str) -> Self {
        let body = json!({ "error": { "message": message } }).to_string().into_bytes();
        Self::of("POST", path, status, content_type("application/json"), &[body], true)
    }

    /// Returns a model list.
    #[must_use]
    pub fn models(ids: &[String], path: &str) -> Self {
        let list: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "object": "model" })).collect();
        let body = json!({ "object": "list", "data": list }).to_string().into_bytes();
        Self::of("GET", path, 200, content_type("application/json"), &[body], true)
    }
}

fn piece(bytes: &[u8]) -> TapePiece {
    TapePiece {
        ms: 0,
        bytes: TapeBytes::new(bytes),
    }
}

fn content_type(value: &str) -> Vec<(String, String)> {
    vec![("content-type".to_owned(), value.to_owned())]
}
