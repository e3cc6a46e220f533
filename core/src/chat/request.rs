//! Chat requests: messages, target, sampling and limits.
//!
//! Every field but `messages` has a default. A request is a plain value: it can be built ahead, stored, compared and
//! sent again, and it has the same fields in Rust, Swift and Kotlin.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::image::check_new_images;
use super::message::{ChatMessage, ContentPart, MessageRole};
use super::route::RouteTarget;
use super::sampling::SamplingOptions;
use crate::error::{Error, Result};

/// A request to a model, with the conversation so far. Every field but `messages` has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last message is the one to answer.
    pub messages: Vec<ChatMessage>,
    /// The model that should answer: the id of an installed model, a reference such as a path, or, with `provider`,
    /// that provider's model id. Unset: the router chooses.
    pub model: Option<String>,
    /// The provider that should answer, by its configured name.
    pub provider: Option<String>,
    /// Whether the content may leave the device, and which side is tried first.
    pub mode: RoutingMode,
    /// How private the content is.
    pub sensitivity: Sensitivity,
    /// Sampling parameters. Unset fields use the model's recommendation.
    pub sampling: SamplingOptions,
    /// Whether a model that supports reasoning should reason before it answers.
    pub reasoning: ReasoningMode,
    /// The format of the answer.
    pub output: OutputFormat,
    /// Tools that the model may call, by [`crate::chat::Chunk::ToolCall`]; the app runs them and sends another request.
    pub tools: Vec<ToolDefinition>,
    /// Limits of the answer.
    pub limits: RequestLimits,
    /// Lets the provider search the web, if it supports that. Its data policy does not cover the search queries.
    pub web_search: bool,
    /// Target that the user consented to: the `target` of [`crate::route::ConsentRequest`].
    pub consent: Option<RouteTarget>,
    /// The app's label for this request, to group spending by. Unset: `chat`.
    pub purpose: Option<String>,
}

/// Whether the content may leave the device, and which side is tried first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingMode {
    /// On the device only: opens no socket.
    OnlyOnDevice,
    /// On the device if possible, else remote.
    #[default]
    PreferOnDevice,
    /// Remote if the policy allows it, else on the device.
    PreferInCloud,
    /// Remote only.
    OnlyInCloud,
}

/// How private the content of a request is. A conversation keeps it with each message, and the strictest of the messages
/// that a request contains applies to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Not private: may be sent wherever the policy allows, without consent.
    Public,
    /// May be sent only where the policy allows and the user consented.
    #[default]
    Personal,
    /// Never leaves the device.
    Sensitive,
}

/// The format of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Free text.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JSON that matches a schema.
    JsonSchema {
        /// The JSON Schema, as JSON text.
        schema: String,
    },
}

/// Whether a model that supports reasoning should reason before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReasoningMode {
    /// The model's own default.
    #[default]
    Auto,
    /// No reasoning, where the template has a switch for it.
    Off,
    /// Reasoning, where the model supports it.
    On,
    /// Reasoning of about this many tokens, where the target supports a budget.
    Budget {
        /// Tokens of reasoning.
        tokens: u32,
    },
    /// Reasoning at this effort, where the target supports it.
    Effort {
        /// The effort.
        effort: ReasoningEffort,
    },
}

/// Reasoning effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Short reasoning.
    Low,
    /// Usual reasoning.
    Medium,
    /// Long reasoning.
    High,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// Its name, which the model uses in calls.
    pub name: String,
    /// Its purpose and when to use it, for the model.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON text.
    pub parameters: String,
}

/// Limits of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestLimits {
    /// Maximum generated tokens, including reasoning. Unset: the rest of the context.
    pub max_tokens: Option<u32>,
    /// Maximum tokens of prompt and answer together, for a model on this device. More than it was loaded with: its context grows,
    /// as far as training and the memory of the moment allow. Less: older turns are omitted sooner. Unset: as configured.
    pub context: Option<u32>,
    /// Maximum cost of this request in US dollars; the policy's caps apply as well.
    pub max_usd: Option<f64>,
    /// Maximum milliseconds from the request to the end of the answer.
    pub deadline_ms: Option<u64>,
}

impl RequestLimits {
    /// Returns when a request that was made at this time must be answered; `None` without a deadline, or for one beyond the
    /// range of the clock.
    pub(crate) fn deadline(&self, requested_at: Instant) -> Option<Instant> {
        requested_at.checked_add(Duration::from_millis(self.deadline_ms?))
    }
}

impl ChatRequest {
    /// Creates a request with these messages and the defaults.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// Copies the request with other messages, without a copy of its own.
    pub(crate) fn with_messages(&self, messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            model: self.model.clone(),
            provider: self.provider.clone(),
            mode: self.mode,
            sensitivity: self.sensitivity,
            sampling: self.sampling.clone(),
            reasoning: self.reasoning,
            output: self.output.clone(),
            tools: self.tools.clone(),
            limits: self.limits.clone(),
            web_search: self.web_search,
            consent: self.consent.clone(),
            purpose: self.purpose.clone(),
        }
    }

    /// Rejects requests that no engine can answer, so that engines need not check.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field and its range.
    pub fn check(&self) -> Result<()> {
        let invalid = |text: String| Err(Error::invalid_request(text));
        if self.messages.is_empty() {
            return invalid("the request has no messages; a chat needs at least one".into());
        }
        if self.messages.last().is_some_and(is_empty_prompt) {
            return invalid("the prompt is empty; write a text, or add an image".into());
        }
        check_new_images(&self.messages)?;
        let ranges = [
            ("temperature", self.sampling.temperature, 0.0, 5.0),
            ("top-p value", self.sampling.top_p, f32::MIN_POSITIVE, 1.0),
            ("min-p value", self.sampling.min_p, 0.0, 1.0),
            ("repeat penalty", self.sampling.repeat_penalty, MIN_REPEAT_PENALTY, 10.0),
            ("frequency penalty", self.sampling.frequency_penalty, -2.0, 2.0),
            ("presence penalty", self.sampling.presence_penalty, -2.0, 2.0),
        ];
        for (name, value, low, high) in ranges {
            // NaN is in no range and is rejected too.
            if let Some(value) = value
                && !(low..=high).contains(&value)
            {
                return invalid(format!(
                    "the {name} is {value}; it must be between {} and {high}",
                    if low == f32::MIN_POSITIVE {
                        "just over 0".to_owned()
                    } else {
                        low.to_string()
                    }
                ));
            }
        }
        if self.sampling.stop.iter().any(String::is_empty) {
            return invalid(
                "one of the texts that end the answer is empty, which would end it at once; leave it out".into(),
            );
        }
        if self.limits.max_tokens == Some(0) {
            return invalid("the limit of tokens is 0; leave it out for no limit".into());
        }
        if self.limits.context == Some(0) {
            return invalid("the request has a context of 0 tokens; leave it out for that of the model".into());
        }
        if let Some(usd) = self.limits.max_usd
            && !is_amount(usd)
        {
            return invalid(format!("the cost limit is {usd}; it must be between 0 and {MAX_USD}"));
        }
        if self.limits.deadline_ms == Some(0) {
            return invalid("the deadline is 0; leave it out for no deadline".into());
        }
        if let OutputFormat::JsonSchema { schema } = &self.output {
            json_object(schema).map_err(|why| Error::invalid_request(format!("the schema of the answer is {why}")))?;
        }
        let mut names = BTreeSet::new();
        for tool in &self.tools {
            if !is_tool_name(&tool.name) {
                let name = tool.name.escape_debug();
                return invalid(format!(
                    "`{name}` is no name of a tool; use 1 to {MAX_TOOL_NAME_CHARS} letters of a to z, digits, `_` and `-`"
                ));
            }
            if !names.insert(&tool.name) {
                return invalid(format!(
                    "there are two tools of the name `{}`; rename one of them",
                    tool.name
                ));
            }
            json_object(&tool.parameters)
                .map_err(|why| Error::invalid_request(format!("the parameters of tool `{}` are {why}", tool.name)))?;
        }
        Ok(())
    }
}

/// Returns whether this is a message of the user without any content.
fn is_empty_prompt(message: &ChatMessage) -> bool {
    let is_empty = |part: &ContentPart| matches!(part, ContentPart::Text { text } if text.trim().is_empty());
    message.role == MessageRole::User && message.parts.iter().all(is_empty)
}

/// Returns whether all providers accept a tool of this name, in either case: OpenAI's rule, which is the strictest.
fn is_tool_name(name: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=MAX_TOOL_NAME_CHARS).contains(&name.len()) && name.chars().all(is_valid)
}

/// Rejects text that is not a JSON object. The error contains none of the text.
fn json_object(text: &str) -> std::result::Result<(), String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(cause) => Err(format!("not JSON: {cause}")),
    }
}

/// Returns whether this is an amount of US dollars that a cap or a price may have: from 0 to [`MAX_USD`].
pub fn is_amount(usd: f64) -> bool {
    // NaN is in no range.
    (0.0..=MAX_USD).contains(&usd)
}

/// Maximum length of the name of a tool.
const MAX_TOOL_NAME_CHARS: usize = 64;

/// Maximum US dollars of a cap, a price or an answer; a higher amount is a mistake.
pub const MAX_USD: f64 = 1e6;

/// The least repeat penalty: llama.cpp divides by it.
pub(crate) const MIN_REPEAT_PENALTY: f32 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> ToolDefinition {
        ToolDefinition {
            name: name.into(),
            description: String::new(),
            parameters: "{}".into(),
        }
    }

    #[test]
    fn a_plain_question_passes() {
        assert!(ChatRequest::new(vec![ChatMessage::user("hello")]).check().is_ok());
    }

    #[test]
    fn what_no_engine_could_answer_is_refused_by_name() {
        let with = |change: fn(&mut ChatRequest)| {
            let mut request = ChatRequest::new(vec![ChatMessage::user("hello")]);
            change(&mut request);
            request.check().map_err(|error| error.to_string())
        };
        for (change, named) in [
            ((|r| r.messages.clear()) as fn(&mut ChatRequest), "messages"),
            (|r| r.messages = vec![ChatMessage::user(" \n")], "prompt is empty"),
            (|r| r.messages[0].parts.clear(), "prompt is empty"),
            (|r| r.tools = vec![tool("")], "no name of a tool"),
            (|r| r.tools = vec![tool("two words")], "`two words`"),
            (|r| r.tools = vec![tool("погода")], "no name of a tool"),
            (
                |r| r.tools = vec![tool("a"), tool("b"), tool("a")],
                "two tools of the name `a`",
            ),
            (|r| r.limits.max_usd = Some(1e308), "1000000"),
            (|r| r.sampling.temperature = Some(f32::NAN), "temperature"),
            (|r| r.sampling.temperature = Some(-0.1), "temperature"),
            (|r| r.sampling.top_p = Some(0.0), "top-p"),
            (|r| r.sampling.min_p = Some(1.5), "min-p"),
            (|r| r.sampling.repeat_penalty = Some(0.001), "between 0.01 and 10"),
            (|r| r.sampling.stop = vec![String::new()], "end the answer"),
            (|r| r.limits.max_tokens = Some(0), "limit of tokens"),
            (|r| r.limits.context = Some(0), "context of 0 tokens"),
            (
                |r| {
                    r.tools = vec![ToolDefinition {
                        parameters: "[]".into(),
                        ..tool("t")
                    }]
                },
                "`t`",
            ),
        ] {
            let text = with(change).expect_err(named);
            assert!(text.contains(named), "{text}");
        }
    }
}
