//! Ollama's native chat: one JSON object per line.

use serde_json::{Value, json};

use super::completions::StreamEvents;
use super::reply::{PROMPT_TOKENS, Reply, ReplyPiece};

/// Encodes a streamed answer. A call is sent whole, with its arguments as an object.
pub(super) fn stream(reply: &Reply) -> StreamEvents {
    let part = |message| line(&part(reply, message));
    let mut content: Vec<Vec<u8>> = Vec::new();
    let mut before = None;
    for piece in &reply.pieces {
        if before == Some(piece) && message(piece).is_some() {
            // Encoded once, so that streams of a hundred thousand equal tokens start at once.
            content.extend_from_within(content.len() - 1..);
        } else {
            content.extend(message(piece).map(part));
        }
        before = Some(piece);
    }
    content.extend(calls(reply).map(|calls| part(json!({ "role": "assistant", "content": "", "tool_calls": calls }))));
    StreamEvents {
        content,
        closing: vec![line(&last(reply, json!({ "role": "assistant", "content": "" })))],
    }
}

/// Encodes an answer without streaming.
pub(super) fn whole(reply: &Reply) -> Value {
    let text = |wanted: fn(&ReplyPiece) -> Option<&str>| reply.joined(wanted);
    let mut message = json!({ "role": "assistant", "content": text(|piece| match piece {
        ReplyPiece::Text(text) => Some(text),
        _ => None,
    }) });
    let thoughts = text(|piece| match piece {
        ReplyPiece::Thought(text) => Some(text),
        _ => None,
    });
    if !thoughts.is_empty() {
        message["thinking"] = json!(thoughts);
    }
    if let Some(calls) = calls(reply) {
        message["tool_calls"] = calls;
    }
    last(reply, message)
}

/// Encodes one line.
pub(super) fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn message(piece: &ReplyPiece) -> Option<Value> {
    match piece {
        ReplyPiece::Text(text) => Some(json!({ "role": "assistant", "content": text })),
        ReplyPiece::Thought(text) => Some(json!({ "role": "assistant", "content": "", "thinking": text })),
        ReplyPiece::CallBegins { .. } | ReplyPiece::CallArguments { .. } | ReplyPiece::Cited(_) => None,
    }
}

fn calls(reply: &Reply) -> Option<Value> {
    let calls: Vec<_> = reply
        .calls()
        .into_iter()
        .enumerate()
        .map(|(index, (id, name, arguments))| {
            // A model may write invalid JSON, which Ollama would return as text.
            let arguments = serde_json::from_str(&arguments).unwrap_or(Value::Null);
            json!({ "id": id, "function": { "index": index, "name": name, "arguments": arguments } })
        })
        .collect();
    (!calls.is_empty()).then_some(Value::Array(calls))
}

fn part(reply: &Reply, message: Value) -> Value {
    json!({ "model": reply.model, "created_at": CREATED, "message": message, "done": false })
}

fn last(reply: &Reply, message: Value) -> Value {
    let mut last = json!({
        "model": reply.model, "created_at": CREATED, "message": message, "done": true,
        "total_duration": 4_800_000_000_u64, "load_duration": 20_000_000,
        "prompt_eval_count": PROMPT_TOKENS, "prompt_eval_duration": 60_000_000,
        "eval_count": reply.completion_tokens, "eval_duration": reply.completion_tokens * 20_000_000,
    });
    if let Some(reason) = &reply.finish {
        last["done_reason"] = json!(reason);
    }
    last
}

const CREATED: &str = "2026-10-09T08:53:20.000000000Z";
