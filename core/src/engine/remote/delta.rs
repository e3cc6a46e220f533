//! Parses one streamed event of any dialect into provider-independent deltas.
//!
//! All fields are optional, and each is read from every location that a provider uses, because formats drift: `choices`
//! may be empty, usage may be in the last event, in an event of its own or under `x_groq`, reasoning has four names, a
//! number may be a string, and an error may follow after status 200.

use serde_json::Value;

use super::dialect::ProviderKind;
use super::error::{AttemptError, RequestContext};
use crate::error::Error;

/// A delta of a streamed answer. An event yields several; they are applied in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Delta {
    Reasoning(String),
    /// Content: text, or reasoning between tags.
    Content(String),
    /// A fragment of a tool call.
    Call {
        index: u64,
        id: Option<String>,
        name: Option<String>,
        arguments: String,
    },
    Citation {
        url: String,
        title: String,
    },
    Usage(ReportedUsage),
    /// The upstream that runs the model.
    ServedBy(String),
    /// The provider's finish reason.
    Finished(String),
    /// The end of the stream.
    Done,
}

/// Usage as reported by a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct ReportedUsage {
    pub(super) prompt: Option<u32>,
    pub(super) cached: Option<u32>,
    pub(super) completion: Option<u32>,
    pub(super) reasoning: Option<u32>,
    /// Cost in US dollars, if the provider reports it.
    pub(super) cost: Option<f64>,
}

/// Parses one event and appends its deltas.
///
/// # Errors
/// The error that the provider reports, or `Provider` for an event that is not a JSON object.
pub(super) fn parse_event(
    context: &RequestContext<'_>,
    data: &str,
    deltas: &mut Vec<Delta>,
) -> Result<(), AttemptError> {
    if data.trim() == "[DONE]" {
        deltas.push(Delta::Done);
        return Ok(());
    }
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    if !value.is_object() {
        return Err(AttemptError::transient(Error::provider(format!(
            "`{}` sent an event that is not a JSON object; check its address, or try again",
            context.provider
        ))));
    }
    check_error(context, &value)?;
    if context.kind == ProviderKind::Ollama && value.get("choices").is_none() {
        parse_ollama(&value, deltas);
    } else {
        parse_openai(&value, deltas);
    }
    Ok(())
}

fn check_error(context: &RequestContext<'_>, value: &Value) -> Result<(), AttemptError> {
    let groq = &value["x_groq"]["error"];
    let inner = &value["choices"][0]["error"];
    for error in [&value["error"], groq, inner] {
        if !error.is_null() && error != &Value::Bool(false) {
            return Err(AttemptError::from_stream_error(context, error));
        }
    }
    Ok(())
}

fn parse_openai(value: &Value, deltas: &mut Vec<Delta>) {
    if let Some(served_by) = non_empty_str(&value["provider"]) {
        deltas.push(Delta::ServedBy(served_by.to_owned()));
    }
    let choice = &value["choices"][0];
    // A server that ignores `stream` sends the same fields under `message`.
    let delta = if choice["delta"].is_object() {
        &choice["delta"]
    } else {
        &choice["message"]
    };
    let reasoning = non_empty_str(&delta["reasoning_content"]).or(non_empty_str(&delta["reasoning"]));
    if let Some(reasoning) = reasoning.or_else(|| non_empty_str(&delta["thinking"])) {
        deltas.push(Delta::Reasoning(reasoning.to_owned()));
    } else if let Some(details) = delta["reasoning_details"].as_array() {
        let texts = details
            .iter()
            .filter_map(|one| non_empty_str(&one["text"]).or(non_empty_str(&one["summary"])));
        deltas.extend(texts.map(|text| Delta::Reasoning(text.to_owned())));
    }
    match &delta["content"] {
        Value::String(text) if !text.is_empty() => deltas.push(Delta::Content(text.clone())),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| non_empty_str(&part["text"]));
            deltas.extend(texts.map(|text| Delta::Content(text.to_owned())));
        }
        _ => {}
    }
    for (position, call) in as_list(&delta["tool_calls"]).iter().enumerate() {
        // Calls of tools that the provider runs itself are skipped.
        if call["type"].as_str().is_none_or(|kind| kind == "function") {
            deltas.push(parse_call(position, call));
        }
    }
    for annotation in as_list(&delta["annotations"]) {
        push_citation(&annotation["url_citation"], deltas);
    }
    for usage in [&value["usage"], &value["x_groq"]["usage"], &choice["usage"]] {
        if usage.is_object() {
            deltas.push(Delta::Usage(parse_usage(usage)));
            break;
        }
    }
    if let Some(reason) = non_empty_str(&choice["finish_reason"]) {
        deltas.push(Delta::Finished(reason.to_owned()));
    }
}

fn parse_ollama(value: &Value, deltas: &mut Vec<Delta>) {
    let message = &value["message"];
    if let Some(reasoning) = non_empty_str(&message["thinking"]) {
        deltas.push(Delta::Reasoning(reasoning.to_owned()));
    }
    if let Some(text) = non_empty_str(&message["content"]) {
        deltas.push(Delta::Content(text.to_owned()));
    }
    for (position, call) in as_list(&message["tool_calls"]).iter().enumerate() {
        deltas.push(parse_call(position, call));
    }
    if value["done"].as_bool() == Some(true) {
        deltas.push(Delta::Usage(ReportedUsage {
            prompt: parse_count(&value["prompt_eval_count"]),
            completion: parse_count(&value["eval_count"]),
            ..ReportedUsage::default()
        }));
        deltas.push(Delta::Finished(
            non_empty_str(&value["done_reason"]).unwrap_or("stop").to_owned(),
        ));
        deltas.push(Delta::Done);
    }
}

fn parse_call(position: usize, call: &Value) -> Delta {
    let function = &call["function"];
    Delta::Call {
        index: call["index"]
            .as_u64()
            .or(function["index"].as_u64())
            .unwrap_or(position as u64),
        id: non_empty_str(&call["id"]).map(str::to_owned),
        name: non_empty_str(&function["name"]).map(str::to_owned),
        arguments: match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            whole => whole.to_string(),
        },
    }
}

fn push_citation(citation: &Value, deltas: &mut Vec<Delta>) {
    if let Some(url) = non_empty_str(&citation["url"]) {
        deltas.push(Delta::Citation {
            url: url.to_owned(),
            title: non_empty_str(&citation["title"]).unwrap_or_default().to_owned(),
        });
    }
}

fn parse_usage(usage: &Value) -> ReportedUsage {
    let cached = parse_count(&usage["prompt_tokens_details"]["cached_tokens"]);
    ReportedUsage {
        prompt: parse_count(&usage["prompt_tokens"]),
        cached: cached.or_else(|| parse_count(&usage["prompt_cache_hit_tokens"])),
        completion: parse_count(&usage["completion_tokens"]),
        reasoning: parse_count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        cost: usage["cost"].as_f64().filter(|cost| cost.is_finite() && *cost >= 0.0),
    }
}

fn parse_count(value: &Value) -> Option<u32> {
    value.as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn non_empty_str(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn as_list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
