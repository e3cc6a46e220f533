//! Builds the request body in a provider's dialect. Features that the provider lacks are rejected here, before anything
//! is sent.
//!
//! Reasoning options and sampling parameters that the model or provider does not support are omitted. An output format,
//! tools and images are not: without them the answer would be a different one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Connection;
use super::context::ollama_context;
use super::dialect::{
    self, Dialect, ProviderKind, ReasoningHistory, ReasoningSwitch, SchemaSupport, is_openai_reasoning_model,
};
use super::provider::RemoteModel;
use super::schema::is_strict;
use crate::chat::{ChatMessage, ChatRequest, ContentPart, MessageRole, OutputFormat, ReasoningEffort, ReasoningMode};
use crate::engine::call_arguments;
use crate::engine::openai::{effort_name, role_name, tool_json};
use crate::error::{Error, Result};

/// Builds the body of a chat request.
///
/// # Errors
/// `Unsupported` for features that the model or provider lacks, `InvalidRequest` for inconsistent parts.
pub(super) fn build_body(connection: &Connection, request: &ChatRequest) -> Result<Value> {
    let (kind, model) = (connection.settings.kind, &connection.model);
    let dialect = dialect::dialect_for(kind);
    check_capabilities(dialect, &connection.settings.name, request, model)?;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("model", model.id.as_str().into());
    put("messages", build_messages(kind, dialect, &request.messages)?.into());
    put("stream", true.into());
    let mut tools: Vec<Value> = request.tools.iter().map(tool_json).collect();
    if let Some(search) = dialect.web_search.filter(|_| request.web_search) {
        tools.push(match kind {
            ProviderKind::DeepSeek => json!({ "type": search, "name": search }),
            _ => json!({ "type": search }),
        });
    }
    if !tools.is_empty() {
        put("tools", tools.into());
    }
    if dialect.ask_usage {
        put("stream_options", json!({ "include_usage": true }));
    }
    let mut sampling = Map::new();
    put_sampling(&mut sampling, connection, request);
    if kind != ProviderKind::Ollama {
        body.append(&mut sampling);
    } else {
        if !model.proxied {
            let context = ollama_context(connection.needed_tokens, model, &connection.settings);
            sampling.insert("num_ctx".to_owned(), context.into());
        }
        if !sampling.is_empty() {
            body.insert("options".to_owned(), sampling.into());
        }
    }
    put_output_format(&mut body, kind, &request.output);
    put_reasoning(&mut body, dialect.thinking, &request.reasoning, model);
    if kind == ProviderKind::OpenAi && model.id.starts_with("gpt-6") && !request.tools.is_empty() {
        // With chat completions these models call tools only without reasoning.
        body.insert("reasoning_effort".to_owned(), "none".into());
    }
    if kind == ProviderKind::OpenRouter {
        let strict = !request.tools.is_empty() || request.output != OutputFormat::Text;
        let routing = connection.upstreams.to_wire(strict);
        if !routing.is_null() {
            body.insert("provider".to_owned(), routing);
        }
    }
    Ok(Value::Object(body))
}

/// Serializes a body into one buffer of about its size: a body with images is large, and growing would copy it.
pub(super) fn serialize(body: &Value) -> Result<Bytes> {
    let mut bytes = Vec::with_capacity(text_bytes(body) + 4_096);
    serde_json::to_writer(&mut bytes, body)
        .map_err(|cause| Error::internal(format!("a request has no JSON: {cause}; please report this")))?;
    Ok(bytes.into())
}

/// Returns the bytes of all texts in a value.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + 8 + text_bytes(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

fn check_capabilities(dialect: &Dialect, provider: &str, request: &ChatRequest, model: &RemoteModel) -> Result<()> {
    let cannot = |what: &str| {
        let id = &model.id;
        Err(Error::unsupported(format!(
            "`{id}` at `{provider}` cannot {what}; choose another model"
        )))
    };
    let can = model.abilities;
    if request.web_search && (dialect.web_search.is_none() || can.is_some_and(|can| !can.web_search)) {
        return cannot("search the web");
    }
    if !request.tools.is_empty() && can.is_some_and(|can| !can.tools) {
        return cannot("call tools");
    }
    let schema = matches!(request.output, OutputFormat::JsonSchema { .. });
    if schema && (dialect.schema == SchemaSupport::JsonOnly || can.is_some_and(|can| !can.json_schema)) {
        return cannot("follow a JSON Schema");
    }
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    if parts.any(|part| matches!(part, ContentPart::Image { .. })) && can.is_some_and(|can| !can.images) {
        return cannot("accept images");
    }
    Ok(())
}

fn build_messages(kind: ProviderKind, dialect: &Dialect, messages: &[ChatMessage]) -> Result<Vec<Value>> {
    let mut wire = Vec::with_capacity(messages.len());
    for message in messages {
        push_message(kind, dialect, message, &mut wire)?;
    }
    Ok(wire)
}

fn push_message(kind: ProviderKind, dialect: &Dialect, message: &ChatMessage, wire: &mut Vec<Value>) -> Result<()> {
    let native = kind == ProviderKind::Ollama;
    let (mut text, mut reasoning) = (String::new(), String::new());
    let (mut images, mut calls) = (Vec::new(), Vec::new());
    let mut results = 0;
    for part in &message.parts {
        match part {
            ContentPart::Text { text: piece } => text.push_str(piece),
            ContentPart::Reasoning { text: piece } => reasoning.push_str(piece),
            ContentPart::Image { media_type, data } => images.push((media_type, data)),
            ContentPart::ToolCall { id, name, arguments } => calls.push(call_json(native, id, name, arguments)),
            ContentPart::ToolResult { id, name, content } => {
                results += 1;
                wire.push(match native {
                    true => json!({ "role": "tool", "tool_name": name, "tool_call_id": id, "content": content }),
                    false => json!({ "role": "tool", "tool_call_id": id, "content": content }),
                });
            }
        }
    }
    if !calls.is_empty() && message.role != MessageRole::Assistant {
        return Err(Error::invalid_request(
            "a tool call is in a message that is not the assistant's",
        ));
    }
    if results > 0 && text.is_empty() && images.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let mut value = json!({ "role": role_name(message.role), "content": text });
    if native && !images.is_empty() {
        value["images"] = images.into_iter().map(|(_, data)| STANDARD.encode(data)).collect();
    } else if !images.is_empty() {
        let mut parts = vec![json!({ "type": "text", "text": text })];
        parts.extend(images.into_iter().map(|(media_type, data)| {
            let mut url = format!("data:{media_type};base64,");
            url.reserve_exact(data.len().div_ceil(3) * 4);
            STANDARD.encode_string(data, &mut url);
            // Moved: `json!` would copy it.
            let mut part = json!({ "type": "image_url", "image_url": {} });
            part["image_url"]["url"] = Value::String(url);
            part
        }));
        value["content"] = parts.into();
    }
    match dialect.history {
        ReasoningHistory::AlwaysWithCalls(name) if !calls.is_empty() => value[name] = reasoning.into(),
        ReasoningHistory::WithCalls(name) if !calls.is_empty() && !reasoning.is_empty() => {
            value[name] = reasoning.into()
        }
        _ => {}
    }
    if !calls.is_empty() {
        value["tool_calls"] = calls.into();
    }
    wire.push(value);
    Ok(())
}

fn call_json(native: bool, id: &str, name: &str, arguments: &str) -> Value {
    let arguments = call_arguments(arguments);
    match native {
        true => {
            let parsed: Value = serde_json::from_str(&arguments).unwrap_or_default();
            json!({ "function": { "name": name, "arguments": parsed } })
        }
        false => json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }),
    }
}

/// Adds the sampling fields and the token limit under their names in the dialect.
fn put_sampling(body: &mut Map<String, Value>, connection: &Connection, request: &ChatRequest) {
    let kind = connection.settings.kind;
    let dialect = dialect::dialect_for(kind);
    let wanted = &request.sampling;
    // OpenAI's reasoning models reject a temperature with status 400.
    let fixed = kind == ProviderKind::OpenAi && is_openai_reasoning_model(&connection.model.id);
    let number = |value: Option<f32>| value.filter(|_| !fixed).map(json_f32);
    let [top_k, min_p, repeat] = dialect.extra_sampling.unwrap_or_default();
    let fields = [
        ("temperature", number(wanted.temperature)),
        ("top_p", number(wanted.top_p)),
        ("frequency_penalty", number(wanted.frequency_penalty)),
        ("presence_penalty", number(wanted.presence_penalty)),
        ("seed", wanted.seed.map(Value::from)),
        (dialect.max_tokens, request.limits.max_tokens.map(Value::from)),
        ("stop", (!wanted.stop.is_empty()).then(|| json!(wanted.stop))),
        (top_k, wanted.top_k.map(Value::from)),
        (min_p, number(wanted.min_p)),
        (repeat, number(wanted.repeat_penalty)),
    ];
    for (name, value) in fields {
        if let Some(value) = value.filter(|_| !name.is_empty()) {
            body.insert(name.to_owned(), value);
        }
    }
}

/// Serializes an `f32` in its shortest decimal form: 0.7, not 0.699999988079071.
fn json_f32(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn put_output_format(body: &mut Map<String, Value>, kind: ProviderKind, output: &OutputFormat) {
    let is_ollama = kind == ProviderKind::Ollama;
    let format = match output {
        OutputFormat::Text => return,
        OutputFormat::Json if is_ollama => "json".into(),
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema { schema } => {
            // `ChatRequest::check` ensures that it is an object.
            let schema: Value = serde_json::from_str(schema).unwrap_or_default();
            match is_ollama {
                true => schema,
                false => {
                    let strict = is_strict(&schema);
                    json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": strict, "schema": schema } })
                }
            }
        }
    };
    body.insert(if is_ollama { "format" } else { "response_format" }.to_owned(), format);
}

fn put_reasoning(
    body: &mut Map<String, Value>,
    thinking: ReasoningSwitch,
    wanted: &ReasoningMode,
    model: &RemoteModel,
) {
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    let word = match wanted {
        ReasoningMode::Auto => None,
        ReasoningMode::Off => Some("none"),
        ReasoningMode::On => Some("medium"),
        ReasoningMode::Effort { effort } => Some(effort_name(*effort)),
        ReasoningMode::Budget { tokens } => Some(effort_name(effort_for_budget(*tokens))),
    };
    let cannot = model.abilities.is_some_and(|can| !can.reasoning);
    match (thinking, word) {
        (ReasoningSwitch::Groq, word) => {
            let id = model.id.to_ascii_lowercase();
            if id.contains("qwen3") || id.contains("qwen-3") || id.contains("deepseek-r1") {
                put("reasoning_format", "parsed".into());
                match word {
                    Some("none") => put("reasoning_effort", "none".into()),
                    Some(_) => put("reasoning_effort", "default".into()),
                    None => {}
                }
            } else if id.contains("gpt-oss") {
                // Reasoning cannot be switched off for these; `low` is the minimum.
                match word {
                    Some("none") => put("reasoning_effort", "low".into()),
                    Some(word) => put("reasoning_effort", word.into()),
                    None => {}
                }
            }
        }
        (_, None) => {}
        (_, Some(_)) if cannot => {}
        (ReasoningSwitch::OpenRouter, Some(word)) => put(
            "reasoning",
            match wanted {
                ReasoningMode::On => json!({ "enabled": true }),
                ReasoningMode::Budget { tokens } => json!({ "max_tokens": tokens }),
                _ => json!({ "effort": word }),
            },
        ),
        (ReasoningSwitch::DeepSeek, Some("none")) => put("thinking", json!({ "type": "disabled" })),
        (ReasoningSwitch::DeepSeek, Some(word)) => {
            put("thinking", json!({ "type": "enabled" }));
            if *wanted != ReasoningMode::On {
                put("reasoning_effort", word.into());
            }
        }
        (ReasoningSwitch::Fireworks, Some(word)) => match wanted {
            ReasoningMode::Budget { tokens } => put("reasoning_effort", (*tokens).into()),
            _ => put("reasoning_effort", word.into()),
        },
        (ReasoningSwitch::OpenAi, Some(word)) => {
            if is_openai_reasoning_model(&model.id) {
                let least = if model.id.starts_with('o') { "low" } else { "minimal" };
                put("reasoning_effort", if word == "none" { least } else { word }.into());
            }
        }
        (ReasoningSwitch::Ollama, Some("none")) => put("think", false.into()),
        // Other models reject it with status 400, so it is sent only if reasoning is a known capability.
        (ReasoningSwitch::Ollama, Some(word)) => {
            if model.abilities.is_some_and(|can| can.reasoning) {
                put(
                    "think",
                    if model.id.contains("gpt-oss") {
                        word.into()
                    } else {
                        true.into()
                    },
                );
            }
        }
        (ReasoningSwitch::Template, Some(word)) => {
            put("chat_template_kwargs", json!({ "enable_thinking": word != "none" }));
            if matches!(wanted, ReasoningMode::Effort { .. } | ReasoningMode::Budget { .. }) {
                put("reasoning_effort", word.into());
            }
        }
    }
}

/// Returns the effort closest to a token budget, for providers without budgets.
fn effort_for_budget(tokens: u32) -> ReasoningEffort {
    match tokens {
        0..2_048 => ReasoningEffort::Low,
        2_048..8_192 => ReasoningEffort::Medium,
        _ => ReasoningEffort::High,
    }
}
