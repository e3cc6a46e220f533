//! What an app asks: messages, which model, how to sample, and where to stop.
//!
//! Everything but `messages` has a default that a newcomer would want. A request is a plain value: it can be built
//! ahead, kept, compared and sent again, and it reads the same in Rust, Swift and Kotlin.

use serde::{Deserialize, Serialize};

use super::message::ChatMessage;
use super::route::RouteTarget;
use super::sampling::SamplingOptions;
use crate::error::{Error, Result};

/// One question to a model, with the conversation before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last one is what is to be answered.
    pub messages: Vec<ChatMessage>,
    /// The model that should answer: the id of an installed model, a reference such as a path, or, where `provider` is
    /// named, what that provider calls it. Nothing: the router chooses.
    pub model: Option<String>,
    /// The provider that should answer, by the name under which it was set up. It comes first if the rules allow it.
    pub provider: Option<String>,
    /// Whether the words may leave the device, and which place is tried first.
    pub mode: RoutingMode,
    /// How private the words are.
    pub sensitivity: Sensitivity,
    /// How the next token is picked. Unset fields take the model's own recommendation.
    pub sampling: SamplingOptions,
    /// Whether a model that can think before it answers should.
    pub reasoning: ReasoningMode,
    /// The form of the answer.
    pub output: OutputFormat,
    /// What the model may call. Its calls come back as [`crate::chat::Chunk::ToolCall`]; the app runs them and asks again.
    pub tools: Vec<ToolDefinition>,
    /// Where the answer ends at the latest.
    pub limits: RequestLimits,
    /// Lets the provider search the web, where it can. What is searched for is not covered by its retention terms.
    pub web_search: bool,
    /// The place that the person agreed to when they were asked; see [`crate::Nearside::route`].
    pub consent: Option<RouteTarget>,
    /// What this is for, in the app's own words, to tell spending apart. Unset: `chat`.
    pub purpose: Option<String>,
}

/// Whether the words may leave the device, and which place is tried first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingMode {
    /// Here or not at all: no socket is opened.
    OnlyOnDevice,
    /// Here if it can be done here, else elsewhere.
    #[default]
    PreferOnDevice,
    /// Elsewhere if the policy allows it, else here.
    PreferInCloud,
    /// Elsewhere or not at all.
    OnlyInCloud,
}

/// How private the words of a request are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// Nothing in it is private: it may go wherever the policy allows, unasked.
    Public,
    /// It goes elsewhere only where the policy allows and the person agreed.
    #[default]
    Personal,
    /// It never leaves the device.
    Sensitive,
}

/// The form of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Words.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JSON of this shape.
    JsonSchema {
        /// A JSON Schema, as JSON.
        schema: String,
    },
}

/// Whether a model that can think before it answers should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ReasoningMode {
    /// As the model is made.
    #[default]
    Auto,
    /// Answer at once, where the model's template has a switch for it.
    Off,
    /// Think first, where the model can.
    On,
    /// Think first, for about this many tokens, where the place can be told so.
    Budget {
        /// Tokens of reasoning.
        tokens: u32,
    },
    /// Think first, this hard, where the place can be told so.
    Effort {
        /// How hard.
        effort: ReasoningEffort,
    },
}

/// How hard a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// A lot.
    High,
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolDefinition {
    /// Its name, as the model will write it.
    pub name: String,
    /// What it does and when to use it, for the model to read.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON.
    pub parameters: String,
}

/// Where an answer ends at the latest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestLimits {
    /// Tokens generated at most, reasoning included. Unset: what the context still holds.
    pub max_tokens: Option<u32>,
    /// US dollars that this request may cost at most, below the policy's own caps.
    pub max_usd: Option<f64>,
    /// Milliseconds from the request to the end of the answer.
    pub deadline_ms: Option<u64>,
}

impl ChatRequest {
    /// A request with these messages and nothing else said.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// Refuses what no engine could answer, so that engines need not.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the field and its range.
    pub fn check(&self) -> Result<()> {
        let invalid = |text: String| Err(Error::invalid_request(text));
        if self.messages.is_empty() {
            return invalid("`messages` is empty; a chat needs at least one message".into());
        }
        let ranges = [
            ("temperature", self.sampling.temperature, 0.0, 5.0),
            ("top_p", self.sampling.top_p, f32::MIN_POSITIVE, 1.0),
            ("min_p", self.sampling.min_p, 0.0, 1.0),
            ("repeat_penalty", self.sampling.repeat_penalty, f32::MIN_POSITIVE, 10.0),
            ("frequency_penalty", self.sampling.frequency_penalty, -2.0, 2.0),
            ("presence_penalty", self.sampling.presence_penalty, -2.0, 2.0),
        ];
        for (name, value, low, high) in ranges {
            // Written so that NaN, which is in no range, fails too.
            if let Some(value) = value
                && !(low..=high).contains(&value)
            {
                return invalid(format!(
                    "`{name}` is {value}; it must be between {} and {high}",
                    if low > 0.0 {
                        "just over 0".to_owned()
                    } else {
                        low.to_string()
                    }
                ));
            }
        }
        if self.sampling.stop.iter().any(String::is_empty) {
            return invalid("`stop` holds an empty string, which would end every answer at once".into());
        }
        if self.limits.max_tokens == Some(0) {
            return invalid("`max_tokens` is 0; leave it out for no limit".into());
        }
        if let Some(usd) = self.limits.max_usd
            && !(0.0..f64::INFINITY).contains(&usd)
        {
            return invalid(format!("`max_usd` is {usd}; it must be 0 or more"));
        }
        if self.limits.deadline_ms == Some(0) {
            return invalid("`deadline_ms` is 0; leave it out for no deadline".into());
        }
        if let OutputFormat::JsonSchema { schema } = &self.output {
            json_object(schema).map_err(|why| Error::invalid_request(format!("the schema of `output` is {why}")))?;
        }
        for tool in &self.tools {
            if tool.name.is_empty() {
                return invalid("a tool has no name".into());
            }
            json_object(&tool.parameters)
                .map_err(|why| Error::invalid_request(format!("the parameters of tool `{}` are {why}", tool.name)))?;
        }
        Ok(())
    }
}

/// Refuses what is not a JSON object, in words that hold none of it.
fn json_object(text: &str) -> std::result::Result<(), String> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(cause) => Err(format!("not JSON: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (|r| r.sampling.temperature = Some(f32::NAN), "temperature"),
            (|r| r.sampling.temperature = Some(-0.1), "temperature"),
            (|r| r.sampling.top_p = Some(0.0), "top_p"),
            (|r| r.sampling.min_p = Some(1.5), "min_p"),
            (|r| r.sampling.stop = vec![String::new()], "stop"),
            (|r| r.limits.max_tokens = Some(0), "max_tokens"),
            (
                |r| {
                    r.tools = vec![ToolDefinition {
                        name: "t".into(),
                        description: String::new(),
                        parameters: "[]".into(),
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
