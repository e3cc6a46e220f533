//! The content of a scenario's answer before a dialect encodes it: reasoning, text, calls and the finish reason.

use serde_json::Value;

use super::dialect::{Dialect, WireFormat};
use super::scenario::Scenario;

/// Token count of every prompt.
pub const PROMPT_TOKENS: u64 = 120;
/// Cached tokens of every prompt.
pub const CACHED_TOKENS: u64 = 40;

/// An answer, independent of the dialect.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// In stream order, one event each.
    pub(super) pieces: Vec<ReplyPiece>,
    /// The finish reason in the dialect's spelling; `None` if it is null.
    pub(super) finish: Option<String>,
    /// OpenRouter's upstream.
    pub(super) provider: Option<String>,
    /// The model that answered.
    pub(super) model: String,
    /// Generated tokens, including reasoning.
    pub(super) completion_tokens: u64,
    /// Reasoning tokens.
    pub(super) reasoning_tokens: u64,
    /// Fields that are missing from the usage.
    pub(super) unreported: Vec<String>,
}

/// A streamed piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplyPiece {
    Thought(String),
    Text(String),
    CallBegins {
        index: usize,
        id: String,
        name: String,
    },
    CallArguments {
        index: usize,
        part: String,
    },
    /// Address and title of each page.
    Cited(Vec<(String, String)>),
}

/// Where reasoning is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ThoughtPlacement {
    Field,
    Inline,
    Hidden,
}

impl Reply {
    /// Returns the content of this scenario, for a failure the content before it; may be empty.
    pub(super) fn of(dialect: Dialect, scenario: &Scenario, request: &Value) -> Self {
        let mut reply = Self {
            model: request["model"].as_str().unwrap_or(dialect.model()).to_owned(),
            ..Self::default()
        };
        let mut reason = "stop";
        match scenario {
            Scenario::Plain { text }
            | Scenario::Json { text }
            | Scenario::KeepAlives { text, .. }
            | Scenario::MidStreamError { text, .. }
            | Scenario::Truncated { text }
            | Scenario::Unfinished { text }
            | Scenario::HalfClosed { text }
            | Scenario::Reset { text }
            | Scenario::Quirk { text, .. }
            | Scenario::BrokenJson { text } => reply.push_text(text),
            Scenario::Reasoning { thoughts, text } => {
                reply.push_reasoning(thoughts, ThoughtPlacement::of(dialect, request));
                reply.push_text(text);
            }
            Scenario::InlineThink { thoughts, text } => {
                reply.push_reasoning(thoughts, ThoughtPlacement::Inline);
                reply.push_text(text);
            }
            Scenario::UnopenedThink { thoughts, text, .. } => {
                reply.pieces.push(ReplyPiece::Text(thoughts.clone()));
                reply.pieces.push(ReplyPiece::Text("</think>\n\n".to_owned()));
                reply.push_text(text);
            }
            Scenario::ToolCall {
                id,
                name,
                arguments,
                thoughts,
            } => {
                if !thoughts.is_empty() {
                    reply.push_reasoning(thoughts, ThoughtPlacement::of(dialect, request));
                }
                reply.push_calls(&[(id.clone(), name.clone(), arguments.clone())]);
                reason = "tool_calls";
            }
            Scenario::TwoToolCalls { calls } => {
                reply.push_calls(calls);
                reason = "tool_calls";
            }
            Scenario::WebSearch {
                text,
                citations,
                unreported,
            } => {
                reply.push_text(text);
                reply.unreported.clone_from(unreported);
                reply.pieces.push(ReplyPiece::Cited(citations.clone()));
            }
            Scenario::ServedBy { provider, model, text } => {
                reply.push_text(text);
                reply.provider = Some(provider.clone());
                if let Some(model) = model {
                    reply.model.clone_from(model);
                }
            }
            Scenario::Stall { text, provider } => {
                reply.push_text(text);
                reply.provider.clone_from(provider);
            }
            Scenario::FinishReason { text, reason: other } => {
                reply.push_text(text);
                reason = other;
            }
            Scenario::Many { tokens } | Scenario::Slow { tokens, .. } => {
                reply
                    .pieces
                    .extend((0..*tokens).map(|_| ReplyPiece::Text("tide ".to_owned())));
                reply.completion_tokens += u64::from(*tokens);
            }
            Scenario::NoContent => return reply,
            Scenario::Delayed { then, .. } => return Self::of(dialect, then, request),
            Scenario::Refused { .. }
            | Scenario::NeverFirstByte
            | Scenario::KeepAlivesForever { .. }
            | Scenario::WrongContentType
            | Scenario::Garbage => {}
        }
        // Ollama has no finish reason for tool calls.
        let tools_in_ollama = dialect == Dialect::Ollama && reason == "tool_calls";
        reply.finish = Some(if tools_in_ollama { "stop" } else { reason }.to_owned());
        reply
    }

    /// Joins all pieces of one kind.
    pub(super) fn joined(&self, part: impl Fn(&ReplyPiece) -> Option<&str>) -> String {
        self.pieces.iter().filter_map(part).collect()
    }

    /// Returns id, name and arguments of every call.
    pub(super) fn calls(&self) -> Vec<(String, String, String)> {
        let mut calls: Vec<(String, String, String)> = Vec::new();
        for piece in &self.pieces {
            match piece {
                ReplyPiece::CallBegins { id, name, .. } => calls.push((id.clone(), name.clone(), String::new())),
                ReplyPiece::CallArguments { index, part } => calls[*index].2.push_str(part),
                _ => {}
            }
        }
        calls
    }

    /// Returns address and title of every cited page.
    pub(super) fn citations(&self) -> &[(String, String)] {
        self.pieces
            .iter()
            .find_map(|piece| match piece {
                ReplyPiece::Cited(pages) => Some(pages.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    fn push_text(&mut self, text: &str) {
        let tokens = split_tokens(text);
        self.completion_tokens += tokens.len() as u64;
        self.pieces.extend(tokens.into_iter().map(ReplyPiece::Text));
    }

    fn push_reasoning(&mut self, thoughts: &str, placement: ThoughtPlacement) {
        let tokens = split_tokens(thoughts);
        self.completion_tokens += tokens.len() as u64;
        self.reasoning_tokens += tokens.len() as u64;
        match placement {
            ThoughtPlacement::Field => self.pieces.extend(tokens.into_iter().map(ReplyPiece::Thought)),
            ThoughtPlacement::Inline => {
                // The tags are split, as by tokenizers that have no token for them.
                let text = |text: &str| ReplyPiece::Text(text.to_owned());
                self.pieces.extend(["<th", "ink>", "\n"].map(text));
                self.pieces.extend(tokens.into_iter().map(ReplyPiece::Text));
                self.pieces.extend(["\n</", "think", ">\n\n"].map(text));
            }
            ThoughtPlacement::Hidden => {}
        }
    }

    fn push_calls(&mut self, calls: &[(String, String, String)]) {
        let mut parts: Vec<_> = calls.iter().map(|(_, _, arguments)| split_tokens(arguments)).collect();
        self.completion_tokens += parts.iter().map(|parts| parts.len() as u64).sum::<u64>();
        for (index, (id, name, _)) in calls.iter().enumerate() {
            let (id, name) = (id.clone(), name.clone());
            self.pieces.push(ReplyPiece::CallBegins { index, id, name });
        }
        while parts.iter().any(|parts| !parts.is_empty()) {
            for (index, parts) in parts.iter_mut().enumerate().filter(|(_, parts)| !parts.is_empty()) {
                let part = parts.remove(0);
                self.pieces.push(ReplyPiece::CallArguments { index, part });
            }
        }
    }
}

impl ThoughtPlacement {
    fn of(dialect: Dialect, request: &Value) -> Self {
        match dialect {
            Dialect::OpenAi => Self::Hidden,
            Dialect::OpenRouter if request["reasoning"]["exclude"] == true => Self::Hidden,
            Dialect::Groq if request["reasoning_format"] == "hidden" || request["include_reasoning"] == false => {
                Self::Hidden
            }
            Dialect::Groq if request["reasoning_format"] == "raw" => Self::Inline,
            Dialect::LlamaServer if request["reasoning_format"] == "none" => Self::Inline,
            _ => Self::Field,
        }
    }
}

/// Splits text after each space and after at most eight characters, about like tokens.
fn split_tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    for character in text.chars() {
        token.push(character);
        if character == ' ' || token.chars().count() == 8 {
            tokens.push(std::mem::take(&mut token));
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}
