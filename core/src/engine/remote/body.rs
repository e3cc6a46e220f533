//! Builds the request body in a provider's dialect. Features that the provider lacks are rejected here, before anything
//! is sent.
//!
//! Reasoning options and sampling parameters that the model or provider does not support are omitted. An output format,
//! tools and images are not: without them the answer would be a different one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::dialect::{self, Dialect, ReasoningHistory, ReasoningSwitch, SchemaSupport};
use super::provider::{ProviderKind, RemoteModel};
use super::upstreams::Upstreams;
use crate::chat::{ChatMessage, ChatRequest, ContentPart, MessageRole, OutputFormat, ReasoningEffort, ReasoningMode};
use crate::error::{Error, Result};

/// The body of a chat request.
///
/// # Errors
/// `Unsupported` for what this provider cannot do, `InvalidRequest` for parts that make no sense.
pub(super) fn build_body(
    kind: ProviderKind,
    provider: &str,
    request: &ChatRequest,
    model: &RemoteModel,
    upstreams: &Upstreams,
) -> Result<Value> {
    let dialect = dialect::dialect_for(kind);
    check_capabilities(dialect, provider, request, model)?;
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
    let mut body = if kind == ProviderKind::Ollama {
        put_ollama_options(body, dialect, request)
    } else {
        put_sampling(&mut body, dialect, kind, request, model);
        put_output_format(&mut body, &request.output);
        body
    };
    put_reasoning(&mut body, dialect.thinking, &request.reasoning, model);
    if kind == ProviderKind::OpenAi && model.id.starts_with("gpt-6") && !request.tools.is_empty() {
        // Over chat completions these call tools only where they do not think.
        body.insert("reasoning_effort".to_owned(), "none".into());
    }
    if kind == ProviderKind::OpenRouter {
        let wanted = !request.tools.is_empty() || request.output != OutputFormat::Text;
        let routing = upstreams.to_wire(wanted);
        if !routing.is_null() {
            body.insert("provider".to_owned(), routing);
        }
    }
    Ok(Value::Object(body))
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
        return cannot("keep to a JSON Schema");
    }
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    if parts.any(|part| matches!(part, ContentPart::Image { .. })) && can.is_some_and(|can| !can.images) {
        return cannot("see pictures");
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
    let (mut text, mut thoughts) = (String::new(), String::new());
    let (mut images, mut calls) = (Vec::new(), Vec::new());
    let mut results = 0;
    for part in &message.parts {
        match part {
            ContentPart::Text { text: words } => text.push_str(words),
            ContentPart::Reasoning { text: words } => thoughts.push_str(words),
            ContentPart::Image { media_type, data } => images.push((media_type, STANDARD.encode(data))),
            ContentPart::ToolCall { id, name, arguments } => calls.push(call_json(native, id, name, arguments)?),
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
            "a tool call stands in a message that is not the assistant's",
        ));
    }
    if results > 0 && text.is_empty() && images.is_empty() && calls.is_empty() {
        return Ok(());
    }
    let role = match message.role {
        MessageRole::System => "system",
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::Tool => "tool",
    };
    let mut value = json!({ "role": role, "content": text });
    if native && !images.is_empty() {
        value["images"] = images.into_iter().map(|(_, data)| data).collect();
    } else if !images.is_empty() {
        let mut parts = vec![json!({ "type": "text", "text": text })];
        parts.extend(images.into_iter().map(|(media_type, data)| {
            json!({ "type": "image_url", "image_url": { "url": format!("data:{media_type};base64,{data}") } })
        }));
        value["content"] = parts.into();
    }
    match dialect.history {
        ReasoningHistory::AlwaysWithCalls(name) if !calls.is_empty() => value[name] = thoughts.into(),
        ReasoningHistory::WithCalls(name) if !calls.is_empty() && !thoughts.is_empty() => value[name] = thoughts.into(),
        _ => {}
    }
    if !calls.is_empty() {
        value["tool_calls"] = calls.into();
    }
    wire.push(value);
    Ok(())
}

fn call_json(native: bool, id: &str, name: &str, arguments: &str) -> Result<Value> {
    let parsed: Value = serde_json::from_str(arguments)
        .map_err(|_| Error::invalid_request(format!("the arguments of tool call `{id}` are not JSON")))?;
    Ok(match native {
        true => json!({ "function": { "name": name, "arguments": parsed } }),
        false => json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } }),
    })
}

fn tool_json(tool: &crate::chat::ToolDefinition) -> Value {
    // Checked with the request: it is an object.
    let parameters: Value = serde_json::from_str(&tool.parameters).unwrap_or_default();
    let function = json!({ "name": tool.name, "description": tool.description, "parameters": parameters });
    json!({ "type": "function", "function": function })
}

fn put_sampling(
    body: &mut Map<String, Value>,
    dialect: &Dialect,
    kind: ProviderKind,
    request: &ChatRequest,
    model: &RemoteModel,
) {
    let wish = &request.sampling;
    // OpenAI's thinking models answer 400 to a temperature.
    let fixed = kind == ProviderKind::OpenAi && is_openai_reasoning_model(&model.id);
    let number = |value: Option<f32>| value.filter(|_| !fixed).map(json_f32);
    let [top_k, min_p, repeat] = dialect.extra_sampling.unwrap_or_default();
    let wishes = [
        ("temperature", number(wish.temperature)),
        ("top_p", number(wish.top_p)),
        ("frequency_penalty", number(wish.frequency_penalty)),
        ("presence_penalty", number(wish.presence_penalty)),
        ("seed", wish.seed.map(Value::from)),
        (dialect.max_tokens, request.limits.max_tokens.map(Value::from)),
        ("stop", (!wish.stop.is_empty()).then(|| json!(wish.stop))),
        (top_k, wish.top_k.map(Value::from)),
        (min_p, number(wish.min_p)),
        (repeat, number(wish.repeat_penalty)),
    ];
    for (name, value) in wishes {
        if let Some(value) = value.filter(|_| !name.is_empty()) {
            body.insert(name.to_owned(), value);
        }
    }
}

/// Serializes an `f32` in its shortest decimal form: 0.7, not 0.699999988079071.
fn json_f32(value: f32) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn put_output_format(body: &mut Map<String, Value>, output: &OutputFormat) {
    let format = match output {
        OutputFormat::Text => return,
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::JsonSchema { schema } => {
            // Checked with the request: it is an object.
            let schema: Value = serde_json::from_str(schema).unwrap_or_default();
            json!({ "type": "json_schema", "json_schema": { "name": "answer", "strict": true, "schema": schema } })
        }
    };
    body.insert("response_format".to_owned(), format);
}

fn put_ollama_options(mut body: Map<String, Value>, dialect: &Dialect, request: &ChatRequest) -> Map<String, Value> {
    let wish = &request.sampling;
    let mut options = Map::new();
    let wishes = [
        ("temperature", wish.temperature.map(json_f32)),
        ("top_p", wish.top_p.map(json_f32)),
        ("frequency_penalty", wish.frequency_penalty.map(json_f32)),
        ("presence_penalty", wish.presence_penalty.map(json_f32)),
        ("seed", wish.seed.map(Value::from)),
        ("num_predict", request.limits.max_tokens.map(Value::from)),
        ("stop", (!wish.stop.is_empty()).then(|| json!(wish.stop))),
        ("top_k", wish.top_k.map(Value::from)),
        ("min_p", wish.min_p.map(json_f32)),
        ("repeat_penalty", wish.repeat_penalty.map(json_f32)),
    ];
    debug_assert!(dialect.extra_sampling.is_some());
    options.extend(
        wishes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    if !options.is_empty() {
        body.insert("options".to_owned(), options.into());
    }
    match &request.output {
        OutputFormat::Text => {}
        OutputFormat::Json => {
            body.insert("format".to_owned(), "json".into());
        }
        OutputFormat::JsonSchema { schema } => {
            body.insert("format".to_owned(), serde_json::from_str(schema).unwrap_or_default());
        }
    }
    body
}

fn put_reasoning(body: &mut Map<String, Value>, thinking: ReasoningSwitch, wish: &ReasoningMode, model: &RemoteModel) {
    let mut put = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    let word = match wish {
        ReasoningMode::Auto => None,
        ReasoningMode::Off => Some("none"),
        ReasoningMode::On => Some("medium"),
        ReasoningMode::Effort { effort } => Some(effort_word(*effort)),
        ReasoningMode::Budget { tokens } => Some(effort_word(effort_for_budget(*tokens))),
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
                // These cannot stop thinking; the least they can do is a little.
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
            match wish {
                ReasoningMode::On => json!({ "enabled": true }),
                ReasoningMode::Budget { tokens } => json!({ "max_tokens": tokens }),
                _ => json!({ "effort": word }),
            },
        ),
        (ReasoningSwitch::DeepSeek, Some("none")) => put("thinking", json!({ "type": "disabled" })),
        (ReasoningSwitch::DeepSeek, Some(word)) => {
            put("thinking", json!({ "type": "enabled" }));
            if *wish != ReasoningMode::On {
                put("reasoning_effort", word.into());
            }
        }
        (ReasoningSwitch::Fireworks, Some(word)) => match wish {
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
        // A model that cannot think answers 400: only one that is known to may be wire to.
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
            if matches!(wish, ReasoningMode::Effort { .. } | ReasoningMode::Budget { .. }) {
                put("reasoning_effort", word.into());
            }
        }
    }
}

/// OpenAI's families of thinking models.
fn is_openai_reasoning_model(id: &str) -> bool {
    let numbered = id.strip_prefix('o').and_then(|rest| rest.chars().next());
    id.starts_with("gpt-5") || id.starts_with("gpt-6") || numbered.is_some_and(|c| c.is_ascii_digit())
}

fn effort_word(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    }
}

/// The effort that comes nearest to a budget, for those who know no budgets.
fn effort_for_budget(tokens: u32) -> ReasoningEffort {
    match tokens {
        0..2_048 => ReasoningEffort::Low,
        2_048..8_192 => ReasoningEffort::Medium,
        _ => ReasoningEffort::High,
    }
}
