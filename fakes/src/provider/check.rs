//! Validates requests as the real providers do: the rules that clients violate in the field.

use serde_json::Value;

use super::dialect::Dialect;
use super::errors::{self, invalid_request};
use super::models::{LEAKY, TINY};

/// Returns the error response if the provider would reject this request. `known` returns whether a model exists.
pub(super) fn refuse(dialect: Dialect, request: &Value, known: impl Fn(&str) -> bool) -> Option<(u16, Value)> {
    let empty = Vec::new();
    let messages = request["messages"].as_array().unwrap_or(&empty);
    // Ollama responds to an empty conversation by loading the model.
    if messages.is_empty() && dialect != Dialect::Ollama {
        return Some(invalid_request(dialect, "`messages` is missing or empty"));
    }
    let model = request["model"].as_str().unwrap_or_default();
    // llama.cpp's server has one model and ignores the requested name.
    if dialect != Dialect::LlamaServer && !known(model) {
        return Some(errors::unknown_model(dialect, model));
    }
    let own_rule = match dialect {
        Dialect::OpenRouter => openrouter(request, model),
        Dialect::DeepSeek => deepseek(request, messages),
        Dialect::Groq => groq(request, messages),
        Dialect::OpenAi => openai(request, messages, model),
        Dialect::Ollama => ollama(request, model),
        _ => None,
    };
    // Groq and the servers that only fill in a template do not check it.
    let checks_results = matches!(
        dialect,
        Dialect::OpenAi | Dialect::DeepSeek | Dialect::OpenRouter | Dialect::Compatible
    );
    own_rule.or_else(|| missing_tool_result(dialect, messages).filter(|_| checks_results))
}

/// `provider` has a closed schema, and a data policy may exclude every upstream.
fn openrouter(request: &Value, model: &str) -> Option<(u16, Value)> {
    let provider = &request["provider"];
    if let Some(field) = provider
        .as_object()
        .and_then(|fields| fields.keys().find(|field| !ROUTING.contains(&field.as_str())))
    {
        let message = format!("provider: Unrecognized key: \"{field}\"");
        return Some(invalid_request(Dialect::OpenRouter, &message));
    }
    let reasoning = &request["reasoning"];
    if reasoning["effort"].is_string() && reasoning["max_tokens"].is_number() {
        let message = "Only one of \"reasoning.effort\" and \"reasoning.max_tokens\" can be specified";
        return Some(invalid_request(Dialect::OpenRouter, message));
    }
    if model != LEAKY {
        return None;
    }
    if provider["zdr"] == true {
        return Some(errors::privacy_restricted(model, "data_policy:zdr"));
    }
    (provider["data_collection"] == "deny").then(|| errors::privacy_restricted(model, "data_policy:training"))
}

/// In thinking mode, the default, a turn with tool calls must be sent back with its reasoning.
fn deepseek(request: &Value, messages: &[Value]) -> Option<(u16, Value)> {
    let thinks = request["thinking"]["type"] != "disabled";
    let lacks = |message: &&Value| calls_tools(message) && !message["reasoning_content"].is_string();
    if thinks && messages.iter().any(|message| lacks(&message)) {
        let message = "The `reasoning_content` in the thinking mode must be passed back to the API.";
        return Some(invalid_request(Dialect::DeepSeek, message));
    }
    stray_tool_result(Dialect::DeepSeek, messages)
}

fn groq(request: &Value, messages: &[Value]) -> Option<(u16, Value)> {
    let refused = |message: &str| Some(invalid_request(Dialect::Groq, message));
    if let Some(at) = messages
        .iter()
        .position(|message| message["role"] == "assistant" && message.get("reasoning_content").is_some())
    {
        return refused(&format!(
            "'messages.{at}' : for 'role:assistant' the following must be satisfied\
             [('messages.{at}' : property 'reasoning_content' is unsupported)]"
        ));
    }
    let format = request["reasoning_format"].as_str();
    if format.is_some() && request.get("include_reasoning").is_some() {
        return refused("cannot specify both 'reasoning_format' and 'include_reasoning'");
    }
    let strict = request["tools"].as_array().is_some_and(|tools| !tools.is_empty())
        || matches!(
            request["response_format"]["type"].as_str(),
            Some("json_object" | "json_schema")
        );
    if format == Some("raw") && strict {
        return refused("'reasoning_format' must be 'parsed' or 'hidden' with JSON mode or tools");
    }
    None
}

fn openai(request: &Value, messages: &[Value], model: &str) -> Option<(u16, Value)> {
    if model.starts_with("gpt-5") && request.get("max_tokens").is_some_and(|tokens| !tokens.is_null()) {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                       Use 'max_completion_tokens' instead.";
        return Some(invalid_request(Dialect::OpenAi, message));
    }
    stray_tool_result(Dialect::OpenAi, messages)
}

fn ollama(request: &Value, model: &str) -> Option<(u16, Value)> {
    if model.trim_end_matches(":latest") != TINY {
        return None;
    }
    let asks_to_think = request["think"] == true || request["think"].is_string();
    let tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if tools {
        let message = format!("registry.ollama.ai/library/{TINY}:latest does not support tools");
        return Some(invalid_request(Dialect::Ollama, &message));
    }
    asks_to_think.then(|| invalid_request(Dialect::Ollama, &format!("\"{model}\" does not support thinking")))
}

/// Rejects a tool result without a matching call in the preceding turn.
fn stray_tool_result(dialect: Dialect, messages: &[Value]) -> Option<(u16, Value)> {
    let mut called: Vec<&Value> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            if !called.contains(&&message["tool_call_id"]) {
                let message = "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'";
                return Some(invalid_request(dialect, message));
            }
        } else {
            let calls = message["tool_calls"].as_array();
            called = calls
                .map(|calls| calls.iter().map(|call| &call["id"]).collect())
                .unwrap_or_default();
        }
    }
    None
}

/// Rejects a tool call whose result does not follow at once.
fn missing_tool_result(dialect: Dialect, messages: &[Value]) -> Option<(u16, Value)> {
    for (at, message) in messages.iter().enumerate().filter(|(_, message)| calls_tools(message)) {
        let results = messages[at + 1..].iter().take_while(|next| next["role"] == "tool");
        let answered: Vec<&Value> = results.map(|result| &result["tool_call_id"]).collect();
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        let missing: Vec<&str> = calls
            .filter(|call| !answered.contains(&&call["id"]))
            .map(|call| call["id"].as_str().unwrap_or_default())
            .collect();
        if !missing.is_empty() {
            let message = format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
                 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
                missing.join(", ")
            );
            return Some(invalid_request(dialect, &message));
        }
    }
    None
}

fn calls_tools(message: &Value) -> bool {
    message["role"] == "assistant" && message["tool_calls"].as_array().is_some_and(|calls| !calls.is_empty())
}

const ROUTING: [&str; 13] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "require_parameters",
    "data_collection",
    "zdr",
    "enforce_distillable_text",
    "quantizations",
    "sort",
    "preferred_min_throughput",
    "preferred_max_latency",
    "max_price",
];
