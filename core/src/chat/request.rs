//! What an app asks: messages, which model, how to sample, and where to stop.
//!
//! Everything but `messages` has a default that a newcomer would want. A request is a plain value: it can be built
//! ahead, kept, compared and sent again, and it reads the same in Rust, Swift and Kotlin.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// One question to a model, with the conversation before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The conversation, oldest first; the last one is what is to be answered.
    pub messages: Vec<Message>,
    /// The model that should answer: the id of an installed model, or a reference such as a path.
    /// Nothing: the library chooses among the installed ones.
    pub model: Option<String>,
    /// How the next token is picked. Unset fields take the model's own recommendation.
    pub sampling: Sampling,
    /// Whether a model that can think before it answers should.
    pub reasoning: Reasoning,
    /// What the model may call. Its calls come back as [`crate::chat::Chunk::ToolCall`]; the app runs them and asks again.
    pub tools: Vec<Tool>,
    /// Where the answer ends at the latest.
    pub limits: Limits,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said, in order.
    pub parts: Vec<Part>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions that hold for the whole conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's answer to a call.
    Tool,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// UTF-8.
        text: String,
    },
    /// What the model thought before an earlier answer. Most templates drop it; it is kept for those that want it.
    Reasoning {
        /// UTF-8.
        text: String,
    },
    /// A call that the model made in an earlier answer.
    ToolCall {
        /// Joins the call to its result.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments, as a JSON object.
        arguments: String,
    },
    /// What a tool answered.
    ToolResult {
        /// The id of the call that this answers.
        id: String,
        /// The tool's name.
        name: String,
        /// What it said; JSON or words.
        content: String,
    },
}

/// How the next token is picked. Unset: what the model's file recommends (`general.sampling.*`), else the field's usual.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 always takes the likeliest token (greedy, repeatable); about 0.7 is balanced, 1.0 creative. 0 to 5.
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probabilities reach this sum. Over 0, up to 1.
    pub top_p: Option<f32>,
    /// Only the k likeliest tokens; 0 means all.
    pub top_k: Option<u32>,
    /// Only tokens at least this likely, relative to the likeliest. 0 to 1.
    pub min_p: Option<f32>,
    /// Over 1 discourages tokens of the last 64. 1 is off.
    pub repeat_penalty: Option<f32>,
    /// Lowers a token by how often it appeared. -2 to 2, 0 is off.
    pub frequency_penalty: Option<f32>,
    /// Lowers a token that appeared at all. -2 to 2, 0 is off.
    pub presence_penalty: Option<f32>,
    /// The same seed, model, request and machine give the same answer.
    pub seed: Option<u32>,
    /// The answer ends before the first of these; they are not part of it.
    pub stop: Vec<String>,
}

/// Whether a model that can think before it answers should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// As the model is made.
    #[default]
    Auto,
    /// Answer at once, where the model's template has a switch for it.
    Off,
    /// Think first, where the model can.
    On,
}

/// Something the model may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name, as the model will write it.
    pub name: String,
    /// What it does and when to use it, for the model to read.
    pub description: String,
    /// The JSON Schema of its arguments, as JSON.
    pub parameters: String,
}

/// Where an answer ends at the latest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Tokens generated at most, reasoning included. Unset: what the context still holds.
    pub max_tokens: Option<u32>,
}

impl ChatRequest {
    /// A request with these messages and nothing else said.
    pub fn new(messages: Vec<Message>) -> Self {
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
        for tool in &self.tools {
            if tool.name.is_empty() {
                return invalid("a tool has no name".into());
            }
            match serde_json::from_str::<serde_json::Value>(&tool.parameters) {
                Ok(serde_json::Value::Object(_)) => {}
                Ok(_) => return invalid(format!("the parameters of tool `{}` are not a JSON object", tool.name)),
                Err(cause) => return invalid(format!("the parameters of tool `{}` are not JSON: {cause}", tool.name)),
            }
        }
        Ok(())
    }
}

impl Message {
    /// Words from somebody.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text { text: text.into() }],
        }
    }

    /// Instructions for the whole conversation.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(Role::System, text)
    }

    /// What the person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(Role::User, text)
    }

    /// What the model said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(Role::Assistant, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_question_passes() {
        assert!(ChatRequest::new(vec![Message::user("hello")]).check().is_ok());
    }

    #[test]
    fn what_no_engine_could_answer_is_refused_by_name() {
        let with = |change: fn(&mut ChatRequest)| {
            let mut request = ChatRequest::new(vec![Message::user("hello")]);
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
                    r.tools = vec![Tool {
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
