//! Parses one streamed event of any dialect into provider-independent deltas.
//!
//! Everything is optional and every place that a provider uses is looked at, since the shapes drift: `choices` may be
//! empty, usage may be in the last chunk, in a chunk of its own or under `x_groq`, reasoning has four names, a number may
//! be a string, and an error may come in the middle of an answer that began with status 200.

use serde_json::Value;

use super::failure::{Failure, Who};
use super::provider::ProviderKind;
use crate::error::Error;

/// A delta of a streamed answer. An event yields several; they are applied in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Reasoning(String),
    /// Content: text, or reasoning between tags.
    Content(String),
    /// A piece of a call.
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
    Counted(Counted),
    /// Who runs the model behind the provider.
    ServedBy(String),
    /// Why the model stopped, in the provider's word.
    Finished(String),
    /// Nothing comes after this.
    Over,
}

/// What a provider counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Counted {
    pub(super) prompt: Option<u32>,
    pub(super) cached: Option<u32>,
    pub(super) completion: Option<u32>,
    pub(super) reasoning: Option<u32>,
    /// US dollars, where the provider says so itself.
    pub(super) cost: Option<f64>,
}

/// Reads one event.
///
/// # Errors
/// What the provider reports instead of going on, or `Provider` for an event that is no JSON object.
pub(super) fn read(who: &Who<'_>, data: &str, said: &mut Vec<Said>) -> Result<(), Failure> {
    if data.trim() == "[DONE]" {
        said.push(Said::Over);
        return Ok(());
    }
    let value: Value = serde_json::from_str(data).unwrap_or_default();
    if !value.is_object() {
        return Err(Failure::transient(Error::provider(format!(
            "`{}` answered with something that is not an answer; check its address, or try again",
            who.provider
        ))));
    }
    failed(who, &value)?;
    if who.kind == ProviderKind::Ollama && value.get("choices").is_none() {
        native(&value, said);
    } else {
        compatible(&value, said);
    }
    Ok(())
}

fn failed(who: &Who<'_>, value: &Value) -> Result<(), Failure> {
    let groq = &value["x_groq"]["error"];
    let inner = &value["choices"][0]["error"];
    for error in [&value["error"], groq, inner] {
        if !error.is_null() && error != &Value::Bool(false) {
            return Err(Failure::in_stream(who, error));
        }
    }
    Ok(())
}

fn compatible(value: &Value, said: &mut Vec<Said>) {
    if let Some(served_by) = words(&value["provider"]) {
        said.push(Said::ServedBy(served_by.to_owned()));
    }
    let choice = &value["choices"][0];
    // Where a server answers whole although a stream was asked for, the same is under `message`.
    let delta = if choice["delta"].is_object() {
        &choice["delta"]
    } else {
        &choice["message"]
    };
    let thoughts = words(&delta["reasoning_content"]).or(words(&delta["reasoning"]));
    if let Some(thoughts) = thoughts.or_else(|| words(&delta["thinking"])) {
        said.push(Said::Reasoning(thoughts.to_owned()));
    } else if let Some(details) = delta["reasoning_details"].as_array() {
        let told = details
            .iter()
            .filter_map(|one| words(&one["text"]).or(words(&one["summary"])));
        said.extend(told.map(|text| Said::Reasoning(text.to_owned())));
    }
    match &delta["content"] {
        Value::String(text) if !text.is_empty() => said.push(Said::Content(text.clone())),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| words(&part["text"]));
            said.extend(texts.map(|text| Said::Content(text.to_owned())));
        }
        _ => {}
    }
    for (place, call) in list(&delta["tool_calls"]).iter().enumerate() {
        // A tool that the provider runs itself is none of the app's.
        if call["type"].as_str().is_none_or(|kind| kind == "function") {
            said.push(one_call(place, call));
        }
    }
    for annotation in list(&delta["annotations"]) {
        cite(&annotation["url_citation"], said);
    }
    for usage in [&value["usage"], &value["x_groq"]["usage"], &choice["usage"]] {
        if usage.is_object() {
            said.push(Said::Counted(counted(usage)));
            break;
        }
    }
    if let Some(word) = words(&choice["finish_reason"]) {
        said.push(Said::Finished(word.to_owned()));
    }
}

fn native(value: &Value, said: &mut Vec<Said>) {
    let message = &value["message"];
    if let Some(thoughts) = words(&message["thinking"]) {
        said.push(Said::Reasoning(thoughts.to_owned()));
    }
    if let Some(text) = words(&message["content"]) {
        said.push(Said::Content(text.to_owned()));
    }
    for (place, call) in list(&message["tool_calls"]).iter().enumerate() {
        said.push(one_call(place, call));
    }
    if value["done"].as_bool() == Some(true) {
        said.push(Said::Counted(Counted {
            prompt: count(&value["prompt_eval_count"]),
            completion: count(&value["eval_count"]),
            ..Counted::default()
        }));
        said.push(Said::Finished(
            words(&value["done_reason"]).unwrap_or("stop").to_owned(),
        ));
        said.push(Said::Over);
    }
}

fn one_call(place: usize, call: &Value) -> Said {
    let function = &call["function"];
    Said::Call {
        index: call["index"]
            .as_u64()
            .or(function["index"].as_u64())
            .unwrap_or(place as u64),
        id: words(&call["id"]).map(str::to_owned),
        name: words(&function["name"]).map(str::to_owned),
        arguments: match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            whole => whole.to_string(),
        },
    }
}

fn cite(citation: &Value, said: &mut Vec<Said>) {
    if let Some(url) = words(&citation["url"]) {
        said.push(Said::Citation {
            url: url.to_owned(),
            title: words(&citation["title"]).unwrap_or_default().to_owned(),
        });
    }
}

fn counted(usage: &Value) -> Counted {
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
    Counted {
        prompt: count(&usage["prompt_tokens"]),
        cached: cached.or_else(|| count(&usage["prompt_cache_hit_tokens"])),
        completion: count(&usage["completion_tokens"]),
        reasoning: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        cost: usage["cost"].as_f64().filter(|cost| cost.is_finite() && *cost >= 0.0),
    }
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn words(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
