//! Chat completions of the seven OpenAI-style dialects: streamed events and complete answers.
//!
//! The dialects differ in the fields of reasoning and usage and in further fields of a chunk. Ids and times are constants,
//! so that the same scenario and request always give the same bytes.

use serde_json::{Value, json};

use super::dialect::{Dialect, WireFormat};
use super::error_shapes;
use super::errors;
use super::reply::{CACHED_TOKENS, PROMPT_TOKENS, Reply, ReplyPiece};

/// The encoded events of a stream: the content, and the closing events with finish reason and usage.
pub(super) struct StreamEvents {
    pub(super) content: Vec<Vec<u8>>,
    pub(super) closing: Vec<Vec<u8>>,
}

/// Encodes a streamed answer.
pub(super) fn stream(dialect: Dialect, reply: &Reply, request: &Value) -> StreamEvents {
    let with_usage = request["stream_options"]["include_usage"] == true;
    let chunk = |delta: Value, finish: Value| chunk(dialect, reply, choice(dialect, delta, finish), with_usage);
    let mut first = chunk(first_delta(dialect), Value::Null);
    if dialect == Dialect::Groq {
        first["x_groq"] = json!({ "id": REQUEST_ID });
    }
    let mut content = vec![event(&first)];
    let (mut thoughts, mut before) = (0, None);
    for piece in &reply.pieces {
        if before == Some(piece) && matches!(piece, ReplyPiece::Text(_)) {
            // Encoded once, so that streams of a hundred thousand equal tokens start at once.
            content.extend_from_within(content.len() - 1..);
        } else if let Some(delta) = delta(dialect, piece, thoughts) {
            content.push(event(&chunk(delta, Value::Null)));
        }
        thoughts += usize::from(matches!(piece, ReplyPiece::Thought(_)));
        before = Some(piece);
    }
    if dialect == Dialect::Groq {
        content.extend(groq_calls(reply).map(|delta| event(&chunk(delta, Value::Null))));
    }
    let mut closing = vec![chunk(last_delta(dialect), json!(reply.finish))];
    let usage = usage(dialect, reply);
    match dialect {
        Dialect::Groq => closing[0]["x_groq"] = json!({ "id": REQUEST_ID, "usage": usage }),
        Dialect::DeepSeek if !with_usage => closing[0]["usage"] = usage.clone(),
        Dialect::Fireworks => closing[0]["usage"] = usage.clone(),
        _ => {}
    }
    if dialect == Dialect::OpenRouter || (with_usage && dialect != Dialect::Fireworks) {
        let mut last = self::chunk(dialect, reply, json!([]), with_usage);
        last["usage"] = usage;
        closing.push(last);
    }
    if dialect == Dialect::LlamaServer
        && let Some(last) = closing.last_mut()
    {
        last["timings"] = timings(reply);
    }
    let mut closing: Vec<_> = closing.iter().map(event).collect();
    closing.push(b"data: [DONE]\n\n".to_vec());
    StreamEvents { content, closing }
}

/// Encodes an error event after the first events of a stream.
pub(super) fn mid_stream_error(dialect: Dialect, reply: &Reply, status: u16, code_is_text: bool) -> Vec<u8> {
    event(&match dialect {
        Dialect::OpenRouter => {
            let mut error = errors::error_body(dialect, status)["error"].take();
            if code_is_text {
                error = json!({ "code": "server_error", "message": "Provider disconnected unexpectedly" });
            }
            let mut delta = choice(dialect, json!({ "content": "" }), json!("error"));
            delta[0]["native_finish_reason"] = json!("error");
            let mut chunk = chunk(dialect, reply, delta, false);
            chunk["error"] = error;
            chunk
        }
        Dialect::Groq => {
            let mut chunk = chunk(dialect, reply, json!([]), false);
            chunk["x_groq"] = json!({ "id": REQUEST_ID, "error": error_shapes::message(status) });
            chunk
        }
        _ => errors::error_body(dialect, status),
    })
}

/// Encodes an answer without streaming.
pub(super) fn whole(dialect: Dialect, reply: &Reply) -> Value {
    let text = reply.joined(|piece| match piece {
        ReplyPiece::Text(text) => Some(text),
        _ => None,
    });
    let thoughts = reply.joined(|piece| match piece {
        ReplyPiece::Thought(text) => Some(text),
        _ => None,
    });
    let calls: Vec<_> = reply
        .calls()
        .into_iter()
        .enumerate()
        .map(|(index, (id, name, arguments))| {
            json!({ "index": index, "id": id, "type": "function",
                    "function": { "name": name, "arguments": arguments } })
        })
        .collect();
    let content = if text.is_empty() && !calls.is_empty() {
        Value::Null
    } else {
        json!(text)
    };
    let mut message = json!({ "role": "assistant", "content": content });
    if let Some(field) = dialect.reasoning_field()
        && !thoughts.is_empty()
    {
        message[field] = json!(thoughts);
        if dialect == Dialect::OpenRouter {
            message["reasoning_details"] = reasoning_details(&thoughts, 0);
        }
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    if let Some((field, cited)) = cited(dialect, reply.citations()) {
        message[field] = cited;
    }
    let mut choice = json!({ "index": 0, "message": message, "finish_reason": reply.finish, "logprobs": null });
    if dialect == Dialect::OpenRouter {
        choice["native_finish_reason"] = json!(reply.finish);
    }
    let mut answer = chunk(dialect, reply, json!([choice]), false);
    answer["object"] = json!("chat.completion");
    answer["usage"] = usage(dialect, reply);
    match dialect {
        Dialect::Groq => answer["x_groq"] = json!({ "id": REQUEST_ID }),
        Dialect::LlamaServer => answer["timings"] = timings(reply),
        _ => {}
    }
    answer
}

/// Returns the usage with all fields of the dialect.
pub(super) fn usage(dialect: Dialect, reply: &Reply) -> Value {
    let (completion, reasoning) = (reply.completion_tokens, reply.reasoning_tokens);
    let mut usage = json!({
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion,
        "total_tokens": PROMPT_TOKENS + completion,
        "prompt_tokens_details": { "cached_tokens": CACHED_TOKENS },
    });
    let details = json!({ "reasoning_tokens": reasoning });
    match dialect {
        Dialect::OpenRouter => {
            let cost = ((PROMPT_TOKENS - CACHED_TOKENS) as f64 * 0.7 + CACHED_TOKENS as f64 * 0.35) / 1e6;
            let generated = completion as f64 * 2.5 / 1e6;
            usage["cost"] = json!(cost + generated);
            usage["is_byok"] = json!(false);
            usage["cost_details"] = json!({
                "upstream_inference_cost": null,
                "upstream_inference_prompt_cost": cost,
                "upstream_inference_completions_cost": generated,
            });
            usage["prompt_tokens_details"] = json!({
                "cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0, "audio_tokens": 0,
            });
            usage["completion_tokens_details"] = details;
            if !reply.citations().is_empty() {
                usage["server_tool_use"] = json!({ "web_search_requests": 1 });
            }
        }
        Dialect::DeepSeek => {
            usage["prompt_cache_hit_tokens"] = json!(CACHED_TOKENS);
            usage["prompt_cache_miss_tokens"] = json!(PROMPT_TOKENS - CACHED_TOKENS);
            usage["completion_tokens_details"] = details;
        }
        Dialect::Groq => {
            for (name, seconds) in [("queue", 0.01), ("prompt", 0.02), ("completion", 0.3), ("total", 0.32)] {
                usage[format!("{name}_time")] = json!(seconds);
            }
            usage["completion_tokens_details"] = details;
        }
        Dialect::OpenAi => {
            usage["prompt_tokens_details"]["audio_tokens"] = json!(0);
            usage["completion_tokens_details"] = json!({
                "reasoning_tokens": reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            });
        }
        Dialect::Compatible => usage["prompt_tokens_details"] = Value::Null,
        _ => {}
    }
    if let Some(fields) = usage.as_object_mut() {
        fields.retain(|name, _| !reply.unreported.contains(name));
    }
    usage
}

fn event(data: &Value) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

fn chunk(dialect: Dialect, reply: &Reply, choices: Value, with_usage: bool) -> Value {
    let id = match dialect {
        Dialect::OpenRouter => "gen-1760000000-recorded",
        Dialect::DeepSeek | Dialect::Fireworks => "3f1d6c0e-recorded",
        _ => "chatcmpl-recorded",
    };
    let mut chunk = json!({
        "id": id, "object": "chat.completion.chunk", "created": 1_760_000_000, "model": reply.model, "choices": choices,
    });
    match dialect {
        Dialect::OpenRouter => chunk["provider"] = json!(reply.provider.as_deref().unwrap_or("DeepInfra")),
        Dialect::OpenAi => {
            chunk["service_tier"] = json!("default");
            chunk["system_fingerprint"] = Value::Null;
            if with_usage {
                chunk["usage"] = Value::Null;
            }
        }
        Dialect::DeepSeek | Dialect::Groq | Dialect::LlamaServer => chunk["system_fingerprint"] = json!("fp_recorded"),
        _ => {}
    }
    chunk
}

fn choice(dialect: Dialect, delta: Value, finish: Value) -> Value {
    let mut choice = json!({ "index": 0, "delta": delta, "finish_reason": finish, "logprobs": null });
    if dialect == Dialect::OpenRouter {
        choice["native_finish_reason"] = finish;
    }
    json!([choice])
}

fn first_delta(dialect: Dialect) -> Value {
    match dialect {
        Dialect::DeepSeek => json!({ "role": "assistant", "content": null, "reasoning_content": "" }),
        Dialect::LlamaServer => json!({ "role": "assistant", "content": null }),
        Dialect::OpenAi => json!({ "role": "assistant", "content": "", "refusal": null }),
        _ => json!({ "role": "assistant", "content": "" }),
    }
}

fn last_delta(dialect: Dialect) -> Value {
    match dialect {
        Dialect::OpenRouter => json!({ "role": "assistant", "content": "" }),
        Dialect::DeepSeek => json!({ "content": "", "reasoning_content": null }),
        _ => json!({}),
    }
}

/// Converts a piece to a delta; `None` if the dialect has no field for it or sends it in another event.
fn delta(dialect: Dialect, piece: &ReplyPiece, thoughts: usize) -> Option<Value> {
    Some(match piece {
        ReplyPiece::Text(text) => match dialect {
            Dialect::DeepSeek => json!({ "content": text, "reasoning_content": null }),
            Dialect::OpenRouter => json!({ "role": "assistant", "content": text }),
            _ => json!({ "content": text }),
        },
        ReplyPiece::Thought(text) => match dialect {
            Dialect::OpenRouter => json!({
                "role": "assistant", "content": "", "reasoning": text,
                "reasoning_details": reasoning_details(text, thoughts),
            }),
            Dialect::DeepSeek => json!({ "content": null, "reasoning_content": text }),
            _ => json!({ dialect.reasoning_field()?: text }),
        },
        ReplyPiece::CallBegins { .. } | ReplyPiece::CallArguments { .. } if dialect == Dialect::Groq => return None,
        ReplyPiece::CallBegins { index, id, name } => json!({ "tool_calls": [{
            "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": "" },
        }] }),
        ReplyPiece::CallArguments { index, part } => json!({ "tool_calls": [{
            "index": index, "function": { "arguments": part },
        }] }),
        ReplyPiece::Cited(pages) => {
            let (field, cited) = cited(dialect, pages)?;
            json!({ field: cited })
        }
    })
}

/// Returns one delta for each complete call, as Groq sends them.
fn groq_calls(reply: &Reply) -> impl Iterator<Item = Value> {
    reply
        .calls()
        .into_iter()
        .enumerate()
        .map(|(index, (id, name, arguments))| {
            json!({ "tool_calls": [{
            "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments },
        }] })
        })
}

fn reasoning_details(text: &str, index: usize) -> Value {
    // The first piece identifies the block; later ones may omit `id`.
    let id = if index == 0 {
        json!("reasoning-text-0")
    } else {
        Value::Null
    };
    json!([{ "type": "reasoning.text", "text": text, "id": id, "format": "unknown", "index": 0 }])
}

/// Returns the dialect's field and value for citations; `None` if it has no web search.
fn cited(dialect: Dialect, pages: &[(String, String)]) -> Option<(&'static str, Value)> {
    if pages.is_empty() {
        return None;
    }
    let list = |page: fn(&(String, String)) -> Value| Value::Array(pages.iter().map(page).collect());
    match dialect {
        Dialect::OpenRouter | Dialect::OpenAi | Dialect::Compatible => Some((
            "annotations",
            list(|(url, title)| {
                json!({ "type": "url_citation", "url_citation": {
                    "url": url, "title": title, "start_index": 0, "end_index": 4 } })
            }),
        )),
        Dialect::Groq => Some((
            "executed_tools",
            json!([{ "index": 0, "type": "search", "arguments": "{}", "search_results": { "results":
                list(|(url, title)| json!({ "url": url, "title": title, "content": "", "score": 0.9 })) } }]),
        )),
        _ => None,
    }
}

fn timings(reply: &Reply) -> Value {
    json!({
        "cache_n": CACHED_TOKENS, "prompt_n": PROMPT_TOKENS - CACHED_TOKENS,
        "prompt_ms": 40.0, "prompt_per_token_ms": 0.5, "prompt_per_second": 2000.0,
        "predicted_n": reply.completion_tokens, "predicted_ms": reply.completion_tokens as f64 * 20.0,
        "predicted_per_token_ms": 20.0, "predicted_per_second": 50.0,
    })
}

const REQUEST_ID: &str = "req_recorded";
