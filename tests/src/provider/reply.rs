//! What a scene says, before any dialect puts it into its own shapes: thoughts, words and calls in order, and the end.

use serde_json::Value;

use super::dialect::Dialect;
use super::scene::Scene;

/// Tokens that every prompt counts as.
pub const PROMPT_TOKENS: u64 = 120;
/// Those of them that the provider still had.
pub const CACHED_TOKENS: u64 = 40;

/// An answer as it is meant.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// In the order in which they are streamed, one event each.
    pub(super) pieces: Vec<Piece>,
    /// Why it ended, in the dialect's word. Nothing: the provider leaves that blank.
    pub(super) finish: Option<String>,
    /// Who answered in OpenRouter's stead.
    pub(super) provider: Option<String>,
    /// What answered.
    pub(super) model: String,
    /// Tokens counted as generated, thoughts included.
    pub(super) completion_tokens: u64,
    /// Tokens counted as thoughts.
    pub(super) reasoning_tokens: u64,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
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

/// Where the request wants thoughts to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Field,
    Inline,
    Hidden,
}

impl Reply {
    /// What this scene says, or says before it fails; nothing said where it has no words.
    pub(super) fn of(dialect: Dialect, scene: &Scene, request: &Value) -> Self {
        let mut reply = Self {
            model: request["model"].as_str().unwrap_or(dialect.model()).to_owned(),
            ..Self::default()
        };
        let mut reason = "stop";
        match scene {
            Scene::Plain { text }
            | Scene::Json { text }
            | Scene::KeepAlives { text, .. }
            | Scene::MidStreamError { text, .. }
            | Scene::Stall { text }
            | Scene::Truncated { text }
            | Scene::Unfinished { text }
            | Scene::HalfClosed { text }
            | Scene::Reset { text }
            | Scene::BrokenJson { text } => reply.say(text),
            Scene::Reasoning { thoughts, text } => {
                reply.think(thoughts, Thoughts::of(dialect, request));
                reply.say(text);
            }
            Scene::InlineThink { thoughts, text } => {
                reply.think(thoughts, Thoughts::Inline);
                reply.say(text);
            }
            Scene::ToolCall {
                id,
                name,
                arguments,
                thoughts,
            } => {
                if !thoughts.is_empty() {
                    reply.think(thoughts, Thoughts::of(dialect, request));
                }
                reply.call(&[(id.clone(), name.clone(), arguments.clone())]);
                reason = "tool_calls";
            }
            Scene::TwoToolCalls { calls } => {
                reply.call(calls);
                reason = "tool_calls";
            }
            Scene::WebSearch { text, citations } => {
                reply.say(text);
                reply.pieces.push(Piece::Cited(citations.clone()));
            }
            Scene::ServedBy { provider, model, text } => {
                reply.say(text);
                reply.provider = Some(provider.clone());
                if let Some(model) = model {
                    reply.model.clone_from(model);
                }
            }
            Scene::FinishReason { text, reason: other } => {
                reply.say(text);
                reason = other;
            }
            Scene::Many { tokens } | Scene::Slow { tokens, .. } => {
                reply
                    .pieces
                    .extend((0..*tokens).map(|_| Piece::Text("tide ".to_owned())));
                reply.completion_tokens += u64::from(*tokens);
            }
            Scene::NoContent => return reply,
            Scene::Delayed { then, .. } => return Self::of(dialect, then, request),
            Scene::Refused { .. }
            | Scene::NeverFirstByte
            | Scene::KeepAlivesForever { .. }
            | Scene::WrongContentType
            | Scene::Garbage => {}
        }
        // Ollama has no word for a turn that waits for tools.
        let tools_in_ollama = dialect == Dialect::Ollama && reason == "tool_calls";
        reply.finish = Some(if tools_in_ollama { "stop" } else { reason }.to_owned());
        reply
    }

    /// All of one kind, put together.
    pub(super) fn joined(&self, part: impl Fn(&Piece) -> Option<&str>) -> String {
        self.pieces.iter().filter_map(part).collect()
    }

    /// Id, name and arguments of every call.
    pub(super) fn calls(&self) -> Vec<(String, String, String)> {
        let mut calls: Vec<(String, String, String)> = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::CallBegins { id, name, .. } => calls.push((id.clone(), name.clone(), String::new())),
                Piece::CallArguments { index, part } => calls[*index].2.push_str(part),
                _ => {}
            }
        }
        calls
    }

    /// Address and title of every page cited.
    pub(super) fn citations(&self) -> &[(String, String)] {
        self.pieces
            .iter()
            .find_map(|piece| match piece {
                Piece::Cited(pages) => Some(pages.as_slice()),
                _ => None,
            })
            .unwrap_or_default()
    }

    fn say(&mut self, text: &str) {
        let tokens = tokens(text);
        self.completion_tokens += tokens.len() as u64;
        self.pieces.extend(tokens.into_iter().map(Piece::Text));
    }

    fn think(&mut self, thoughts: &str, place: Thoughts) {
        let tokens = tokens(thoughts);
        self.completion_tokens += tokens.len() as u64;
        self.reasoning_tokens += tokens.len() as u64;
        match place {
            Thoughts::Field => self.pieces.extend(tokens.into_iter().map(Piece::Thought)),
            Thoughts::Inline => {
                // The tags come in pieces of their own, as tokenizers without a token for them cut them.
                let text = |text: &str| Piece::Text(text.to_owned());
                self.pieces.extend(["<th", "ink>", "\n"].map(text));
                self.pieces.extend(tokens.into_iter().map(Piece::Text));
                self.pieces.extend(["\n</", "think", ">\n\n"].map(text));
            }
            Thoughts::Hidden => {}
        }
    }

    fn call(&mut self, calls: &[(String, String, String)]) {
        let mut parts: Vec<_> = calls.iter().map(|(_, _, arguments)| tokens(arguments)).collect();
        self.completion_tokens += parts.iter().map(|parts| parts.len() as u64).sum::<u64>();
        for (index, (id, name, _)) in calls.iter().enumerate() {
            let (id, name) = (id.clone(), name.clone());
            self.pieces.push(Piece::CallBegins { index, id, name });
        }
        while parts.iter().any(|parts| !parts.is_empty()) {
            for (index, parts) in parts.iter_mut().enumerate().filter(|(_, parts)| !parts.is_empty()) {
                let part = parts.remove(0);
                self.pieces.push(Piece::CallArguments { index, part });
            }
        }
    }
}

impl Thoughts {
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

/// Pieces of at most eight characters, cut behind spaces where there are any: about what tokens are.
fn tokens(text: &str) -> Vec<String> {
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
