//! Parses one streamed event of any dialect into provider-independent deltas.
//!
//! All fields are optional, and each is read from every location that a provider uses, because formats drift: `choices`
//! may be empty, usage may be in the last event, in an event of its own or under `x_groq`, reasoning has four names, a
//! number may be a string, and an error may follow after status 200.

use serde_json::Value;

use super::dialect::ProviderKind;
use super::error::{AttemptError, RequestContext};
use super::frames::Frame;
use super::json::{HalfJoiner, parse_lenient};
use super::provider::RemoteModel;

/// A delta of a streamed answer. An event yields several; they are applied in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Delta {
    Reasoning(String),
    /// Content: text, or reasoning between tags.
    Content(String),
    /// A fragment of a tool call.
    Call {
        /// The provider's index, else the position in its event.
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
    /// A server of one's own says that another host runs the model.
    Forwarded,
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
    /// Web searches.
    pub(super) searches: Option<u32>,
}

/// Parses the frames of one answer.
#[derive(Debug, Default)]
pub(super) struct EventParser {
    joiner: HalfJoiner,
}

impl EventParser {
    /// Parses one frame and appends its deltas.
    ///
    /// # Errors
    /// The error that the provider reports, or `Provider` for a frame that is none of an answer.
    pub(super) fn parse_frame(
        &mut self,
        context: &RequestContext<'_>,
        frame: &Frame,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), AttemptError> {
        match frame {
            Frame::Data(data) => self.parse_data(context, data.trim(), deltas),
            Frame::Error(text) => report_error(context, text.trim()),
            Frame::Other(text) => Err(AttemptError::from_other_text(context, text)),
        }
    }

    /// Ends the answer: appends a character of which only the first half arrived.
    pub(super) fn end(&mut self, deltas: &mut Vec<Delta>) {
        deltas.extend(self.joiner.end(CONTENT_CHANNEL).map(Delta::Content));
    }

    fn parse_data(
        &mut self,
        context: &RequestContext<'_>,
        data: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), AttemptError> {
        if data.trim_matches('"').eq_ignore_ascii_case("[DONE]") {
            deltas.push(Delta::Done);
            return Ok(());
        }
        let Some((value, is_marked)) = parse_lenient(data) else {
            return match is_keep_alive(data) {
                true => Ok(()),
                false => Err(AttemptError::from_other_text(context, data)),
            };
        };
        let before = deltas.len();
        let events = match &value {
            Value::Array(events) => events.as_slice(),
            event => std::slice::from_ref(event),
        };
        for event in events {
            parse_event(context, event, deltas)?;
        }
        for delta in &mut deltas[before..] {
            let (channel, text) = match delta {
                Delta::Reasoning(text) => (REASONING_CHANNEL, text),
                Delta::Content(text) => (CONTENT_CHANNEL, text),
                Delta::Call { index, arguments, .. } => (FIRST_CALL_CHANNEL.saturating_add(*index), arguments),
                _ => continue,
            };
            *text = self.joiner.join(channel, std::mem::take(text), is_marked);
        }
        Ok(())
    }
}

/// Parses one JSON value of a frame. A value without content, such as null, is a keep-alive.
fn parse_event(context: &RequestContext<'_>, value: &Value, deltas: &mut Vec<Delta>) -> Result<(), AttemptError> {
    match value {
        Value::Object(_) => {}
        Value::String(text) if !text.trim().is_empty() && !is_keep_alive(text) => {
            return Err(AttemptError::from_other_text(context, text));
        }
        _ => return Ok(()),
    }
    check_error(context, value)?;
    if is_forwarded(context, value) {
        deltas.push(Delta::Forwarded);
    }
    if context.kind == ProviderKind::Ollama && value.get("choices").is_none() {
        parse_ollama(value, deltas);
    } else {
        parse_openai(value, deltas);
    }
    Ok(())
}

/// Returns whether a self-hosted server says that another host runs the model: Ollama names the host, or the model by a name
/// that only such models have.
fn is_forwarded(context: &RequestContext<'_>, value: &Value) -> bool {
    let names_host = || {
        ["remote_host", "remote_model"]
            .into_iter()
            .any(|name| non_empty_str(&value[name]).is_some())
    };
    let names_model = || non_empty_str(&value["model"]).is_some_and(|id| RemoteModel::is_proxied_id(context.kind, id));
    !context.kind.is_hosted() && (names_host() || names_model())
}

/// Returns the error of an `error` event or line; an empty one is none.
fn report_error(context: &RequestContext<'_>, text: &str) -> Result<(), AttemptError> {
    let value = match parse_lenient(text) {
        Some((value, _)) => value,
        None => Value::String(text.to_owned()),
    };
    let nested = &value["error"];
    match [nested, &value].into_iter().find(|error| is_error(error)) {
        Some(_) => Err(AttemptError::from_stream_error(context, &value)),
        None => Ok(()),
    }
}

fn check_error(context: &RequestContext<'_>, value: &Value) -> Result<(), AttemptError> {
    let choice = &value["choices"][0];
    if is_error(&value["error"]) {
        return Err(AttemptError::from_stream_error(context, value));
    }
    for error in [&value["x_groq"]["error"], &choice["error"], &value["errors"]] {
        if is_error(error) {
            return Err(AttemptError::from_stream_error(context, error));
        }
    }
    // Errors without a wrapper: `{"object":"error",…}`, `{"detail":…}`, `{"error_type":…}`.
    let is_answer = choice.is_object() || value["message"].is_object() || value["choices"].is_array();
    let has_text = |name: &str| non_empty_str(&value[name]).is_some();
    let is_bare = value["object"] == "error"
        || value["type"] == "error"
        || value["status"] == "error"
        || ["error_type", "error_code", "error_message", "detail", "message", "msg"]
            .into_iter()
            .any(has_text)
        || is_error(&value["detail"]);
    match is_bare && !is_answer {
        true => Err(AttemptError::from_stream_error(context, value)),
        false => Ok(()),
    }
}

/// Returns whether a field holds an error. Some servers send an empty one with every event.
fn is_error(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !matches!(
            text.trim().to_ascii_lowercase().as_str(),
            "" | "null" | "none" | "false"
        ),
        Value::Array(list) => list.iter().any(is_error),
        Value::Object(fields) => fields.values().any(is_error),
    }
}

/// Returns whether a text that is no JSON is a keep-alive, as some proxies send it.
fn is_keep_alive(text: &str) -> bool {
    let text = text.trim().trim_matches(['"', '[', ']', ':']).to_ascii_lowercase();
    matches!(
        text.as_str(),
        "" | "ping" | "pong" | "keep-alive" | "keepalive" | "keep_alive" | "heartbeat" | "processing"
    )
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
            let texts = parts
                .iter()
                .filter_map(|part| non_empty_str(&part["text"]).or(non_empty_str(&part["refusal"])));
            deltas.extend(texts.map(|text| Delta::Content(text.to_owned())));
        }
        // Completions without a chat have the text here.
        _ if delta.is_null() => {
            deltas.extend(non_empty_str(&choice["text"]).map(|text| Delta::Content(text.to_owned())))
        }
        _ => {}
    }
    // A refusal is the answer of the model, in a field of its own.
    if let Some(refusal) = non_empty_str(&delta["refusal"]) {
        deltas.push(Delta::Content(refusal.to_owned()));
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
        index: [&call["index"], &function["index"]]
            .into_iter()
            .find_map(|index| index.as_u64().or_else(|| index.as_str()?.parse().ok()))
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
    let searches = ["server_tool_use", "server_tool_use_details"]
        .iter()
        .find_map(|name| parse_count(&usage[*name]["web_search_requests"]));
    ReportedUsage {
        searches,
        prompt: parse_count(&usage["prompt_tokens"]),
        cached: cached.or_else(|| parse_count(&usage["prompt_cache_hit_tokens"])),
        completion: parse_count(&usage["completion_tokens"]),
        reasoning: parse_count(&usage["completion_tokens_details"]["reasoning_tokens"]),
        cost: usage["cost"].as_f64().filter(|cost| cost.is_finite() && *cost >= 0.0),
    }
}

fn parse_count(value: &Value) -> Option<u32> {
    let count = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    count.map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn non_empty_str(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn as_list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

const REASONING_CHANNEL: u64 = 0;
const CONTENT_CHANNEL: u64 = 1;
const FIRST_CALL_CHANNEL: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: RequestContext<'static> = RequestContext {
        provider: "p",
        kind: ProviderKind::Compatible,
        model: "m",
        host: "llm.example.org",
        proxy: None,
        has_key: true,
        is_constrained: false,
    };

    fn parse(data: &str) -> Result<Vec<Delta>, AttemptError> {
        let mut deltas = Vec::new();
        let frame = Frame::Data(data.to_owned());
        EventParser::default()
            .parse_frame(&CONTEXT, &frame, &mut deltas)
            .map(|()| deltas)
    }

    #[test]
    fn keep_alives_and_empty_errors_are_no_errors() {
        for data in [
            "null",
            "\"\"",
            "[]",
            "{}",
            "true",
            "ping",
            "\"ping\"",
            "{\"error\":null}",
        ] {
            assert_eq!(parse(data), Ok(vec![]), "{data}");
        }
        for error in [
            "\"\"",
            "{}",
            "false",
            "0",
            "[]",
            "\"none\"",
            "{\"code\":null,\"message\":\"\"}",
        ] {
            let data = format!(r#"{{"error":{error},"choices":[{{"delta":{{"content":"a"}}}}]}}"#);
            assert_eq!(parse(&data), Ok(vec![Delta::Content("a".into())]), "{data}");
        }
    }

    #[test]
    fn errors_are_recognized_in_every_shape() {
        for data in [
            r#"{"error":"x"}"#,
            r#"{"error":true}"#,
            r#"{"errors":[{"message":"x"}]}"#,
            r#"{"object":"error","message":"x"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            r#"{"error_type":"overloaded"}"#,
            r#"{"detail":"x"}"#,
            r#"{"detail":[{"loc":["body"]}]}"#,
            r#"{"message":"Unauthorized"}"#,
            r#"[{"error":{"code":400}}]"#,
            r#"{"choices":[{"error":{"code":502}}]}"#,
            "Internal Server Error",
            r#"{"id":"#,
        ] {
            assert!(parse(data).is_err(), "{data}");
        }
    }
}
