//! A conversation as it is kept: what was said, in which versions, by whom, and how each answer ended.
//!
//! A conversation is a tree. Editing a question and asking for another answer add a version beside the old one and
//! lose nothing; what is shown is one branch. Reasoning is kept apart from text, a receipt with its answer.
//!
//! Plain values only: who keeps them is [`crate::state::Archive`], what an app calls is [`crate::Conversations`].

use serde::{Deserialize, Serialize};

use super::chunk::{StopReason, Timings, TokenUsage};
use super::message::{ChatMessage, ContentPart, MessageRole};
use super::receipt::Receipt;
use super::sampling::SamplingPreset;

/// Defaults for the requests of a conversation. A field set in the request takes precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSettings {
    /// Instructions for the whole conversation.
    pub system: Option<String>,
    /// The model, as in a request.
    pub model: Option<String>,
    /// The provider, as in a request.
    pub provider: Option<String>,
    /// How freely it answers.
    pub preset: Option<SamplingPreset>,
}

/// A line in a list of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSummary {
    /// Names it; never given to another.
    pub id: u64,
    /// The title the user gave it, or else the first words of the first message.
    pub title: String,
    /// Kept above the others.
    pub pinned: bool,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// When something was last said; milliseconds since 1970.
    pub updated_at_ms: u64,
    /// Messages of the branch that is shown.
    pub messages: u32,
    /// The beginning of the last message.
    pub preview: String,
    /// What it is asked with.
    pub settings: ConversationSettings,
}

/// A conversation, opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its line in the list.
    pub summary: ConversationSummary,
    /// The branch that is shown, oldest first.
    pub messages: Vec<StoredMessage>,
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// Names it; never given to another.
    pub id: u64,
    /// Who said it.
    pub role: MessageRole,
    /// The words.
    pub text: String,
    /// What the model thought first.
    pub reasoning: String,
    /// How long it thought.
    pub reasoning_ms: u64,
    /// Pictures, calls and their results.
    pub parts: Vec<ContentPart>,
    /// Pages that it rests on.
    pub citations: Vec<StoredCitation>,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether it is whole.
    pub state: MessageState,
    /// Where it ran, what it cost, who saw it. Only of an answer that came to an end.
    pub receipt: Option<Receipt>,
    /// Its tokens.
    pub usage: Option<TokenUsage>,
    /// Its speed.
    pub timings: Option<Timings>,
    /// Number of earlier messages omitted from the prompt because they exceeded the context.
    pub omitted_messages: u32,
    /// The ids of all versions of it, itself included, oldest first.
    pub versions: Vec<u64>,
}

/// A page that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCitation {
    /// Its address.
    pub url: String,
    /// Its title; may be empty.
    pub title: String,
}

/// Whether a message is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageState {
    /// It is being written now, by this process.
    Writing,
    /// It came to its end, which may have been a cancel.
    Done {
        /// How.
        stop: StopReason,
    },
    /// The app ended in the middle of it.
    Interrupted,
    /// An error ended it.
    Failed {
        /// The error, for a person to read.
        error: String,
    },
}

/// A conversation in which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// Where.
    pub conversation: ConversationSummary,
    /// The newest message that matches, which may belong to a branch that is not shown; unset where only the title does.
    pub message: Option<u64>,
    /// The words around the match.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnippetPart {
    /// The words.
    pub text: String,
    /// Whether they are what was looked for.
    pub matched: bool,
}

/// How a conversation is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// For people: headings, reasoning in a quote, a line on where each answer ran.
    Markdown,
    /// For programs: the [`Conversation`] as it is, in JSON.
    Json,
}

impl StoredMessage {
    /// Converts to a prompt message. Omits reasoning unless it led to a tool call; some providers require it there.
    pub fn to_message(&self) -> ChatMessage {
        let mut parts = Vec::with_capacity(1 + self.parts.len());
        let calls = self
            .parts
            .iter()
            .any(|part| matches!(part, ContentPart::ToolCall { .. }));
        if calls && !self.reasoning.is_empty() {
            parts.push(ContentPart::Reasoning {
                text: self.reasoning.clone(),
            });
        }
        if !self.text.is_empty() {
            parts.push(ContentPart::Text {
                text: self.text.clone(),
            });
        }
        parts.extend(self.parts.iter().cloned());
        ChatMessage { role: self.role, parts }
    }
}

/// Builds the prompt history. Skips empty answers and merges consecutive user messages, because many templates require
/// alternating roles.
pub fn prompt_messages(messages: &[StoredMessage]) -> Vec<ChatMessage> {
    let mut told: Vec<ChatMessage> = Vec::with_capacity(messages.len());
    for message in messages {
        let mut message = message.to_message();
        if message.parts.is_empty() {
            continue;
        }
        match told.last_mut() {
            Some(last) if last.role == message.role && message.role == MessageRole::User => {
                last.parts.append(&mut message.parts);
            }
            _ => told.push(message),
        }
    }
    told
}

/// The first words of a text, on one line, for a title or a preview.
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let space = usize::from(!line.is_empty());
        let room = max_chars.saturating_sub(line.chars().count() + space);
        if word.chars().count() > room {
            if line.is_empty() {
                line.extend(word.chars().take(max_chars));
            }
            line.push('…');
            break;
        }
        if space == 1 {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: MessageRole, text: &str) -> StoredMessage {
        StoredMessage {
            id: 1,
            role,
            text: text.to_owned(),
            reasoning: "hm".to_owned(),
            reasoning_ms: 0,
            parts: vec![],
            citations: vec![],
            created_at_ms: 0,
            state: MessageState::Done { stop: StopReason::End },
            receipt: None,
            usage: None,
            timings: None,
            omitted_messages: 0,
            versions: vec![1],
        }
    }

    #[test]
    fn a_model_is_told_turns_without_reasoning_and_without_answers_that_never_began() {
        let told = prompt_messages(&[
            said(MessageRole::User, "one"),
            said(MessageRole::Assistant, ""),
            said(MessageRole::User, "two"),
            said(MessageRole::Assistant, "yes"),
        ]);
        let words: Vec<_> = told.iter().map(|message| (message.role, message.parts.len())).collect();
        assert_eq!(words, [(MessageRole::User, 2), (MessageRole::Assistant, 1)]);
    }

    #[test]
    fn a_title_is_the_first_words_whole() {
        assert_eq!(excerpt("  Why do\nthe tides  come?", 60), "Why do the tides come?");
        assert_eq!(excerpt("Why do the tides come?", 12), "Why do the…");
        assert_eq!(excerpt("прилив", 3), "при…");
        assert_eq!(excerpt("", 3), "");
    }
}
