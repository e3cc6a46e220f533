//! Ollama's own chat: one JSON object a line.

use serde_json::{Value, json};

use super::completions::Events;
use super::reply::{PROMPT_TOKENS, Piece, Reply};

/// A streamed answer. A call comes whole, its arguments an object.
pub(super) fn stream(reply: &Reply) -> Events {
    let part = |message| line(&part(reply, message));
    let mut said: Vec<Vec<u8>> = Vec::new();
    let mut before = None;
    for piece in &reply.pieces {
        if before == Some(piece) && message(piece).is_some() {
            // Rendered once: streams of a hundred thousand equal tokens begin at once.
            said.extend_from_within(said.len() - 1..);
        } else {
            said.extend(message(piece).map(part));
        }
        before = Some(piece);
    }
    said.extend(calls(reply).map(|calls| part(json!({ "role": "assistant", "content": "", "tool_calls": calls }))));
    Events {
        said,
        end: vec![line(&last(reply, json!({ "role": "assistant", "content": "" })))],
    }
}

/// An answer that is not streamed.
pub(super) fn whole(reply: &Reply) -> Value {
    let text = |wanted: fn(&Piece) -> Option<&str>| reply.joined(wanted);
    let mut message = json!({ "role": "assistant", "content": text(|piece| match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    }) });
    let thoughts = text(|piece| match piece {
        Piece::Thought(text) => Some(text),
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

/// One line.
pub(super) fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn message(piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Text(text) => Some(json!({ "role": "assistant", "content": text })),
        Piece::Thought(text) => Some(json!({ "role": "assistant", "content": "", "thinking": text })),
        Piece::CallBegins { .. } | Piece::CallArguments { .. } | Piece::Cited(_) => None,
    }
}

fn calls(reply: &Reply) -> Option<Value> {
    let calls: Vec<_> = reply
        .calls()
        .into_iter()
        .enumerate()
        .map(|(index, (id, name, arguments))| {
            // What a model wrote need not be JSON; Ollama would then have given it as text.
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
