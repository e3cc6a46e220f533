//! Stored conversations: messages with their versions, and the end of each answer.
//!
//! A conversation is a tree. An edit and a regenerated answer add a version beside the old one and lose nothing; one
//! branch is selected. Reasoning is stored apart from text, and a receipt with its answer.
//!
//! Plain values only: [`crate::state::Archive`] stores them, and an app calls [`crate::Conversations`].

use serde::{Deserialize, Deserializer, Serialize};

use super::chunk::{StopReason, Timings, TokenUsage};
use super::message::{ChatMessage, ContentPart, MessageRole};
use super::receipt::Receipt;
use super::route::RouteTarget;
use super::sampling::SamplingPreset;
use super::tool_results::complete_tool_calls;
use crate::error::ErrorReason;

/// Defaults for the requests of a conversation. A field set in the request takes precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSettings {
    /// The system prompt.
    pub system: Option<String>,
    /// The model, as in a request.
    pub model: Option<String>,
    /// The provider, as in a request.
    pub provider: Option<String>,
    /// The sampling preset.
    pub preset: Option<SamplingPreset>,
}

/// An entry in a list of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationSummary {
    /// Its id, which is never reused.
    pub id: u64,
    /// The user's title, or else the first words of the first message.
    pub title: String,
    /// Whether it is listed above the others.
    pub pinned: bool,
    /// Time of creation, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Time of the last message, in milliseconds since 1970.
    pub updated_at_ms: u64,
    /// Number of messages in the selected branch.
    pub messages: u32,
    /// The start of the last message.
    pub preview: String,
    /// Its request defaults.
    pub settings: ConversationSettings,
}

/// A conversation with its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its summary.
    pub summary: ConversationSummary,
    /// Messages of the selected branch, oldest first.
    pub messages: Vec<StoredMessage>,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredMessage {
    /// Its id, which is never reused.
    pub id: u64,
    /// Its author.
    pub role: MessageRole,
    /// Its text.
    pub text: String,
    /// Reasoning of the model.
    pub reasoning: String,
    /// Duration of the reasoning, in milliseconds.
    pub reasoning_ms: u64,
    /// Images, tool calls and tool results.
    pub parts: Vec<ContentPart>,
    /// Sources of the answer.
    pub citations: Vec<StoredCitation>,
    /// Time of creation, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether it is complete.
    pub state: MessageState,
    /// Target, cost and data policy. Only set once the answer ended, cancelled or not.
    pub receipt: Option<Receipt>,
    /// Token counts of the answer.
    pub usage: Option<TokenUsage>,
    /// Timings of the answer.
    pub timings: Option<Timings>,
    /// Number of earlier messages omitted from the prompt because they exceeded the context.
    #[serde(rename = "left_out")]
    pub omitted_messages: u32,
    /// Ids of all its versions including itself, oldest first.
    pub versions: Vec<u64>,
}

/// A source of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredCitation {
    /// Its address.
    pub url: String,
    /// Its title; may be empty.
    pub title: String,
}

/// Whether a message is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageState {
    /// This process is generating it.
    Writing,
    /// Complete, or cancelled; see `stop`.
    Done {
        /// Why the answer ended.
        stop: StopReason,
    },
    /// The process ended during its generation.
    Interrupted,
    /// An error ended it.
    Failed {
        /// Text of the error, to show to the user.
        error: String,
        /// Its reason. Unset: stored by a version without reasons, or by a newer one with others.
        #[serde(default, deserialize_with = "read_reason", skip_serializing_if = "Option::is_none")]
        reason: Option<ErrorReason>,
    },
}

/// A turn of a conversation that is considered but not sent: see `Conversations::route` and `Conversations::cost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConversationTurn {
    /// The request's messages, after the last message.
    #[default]
    Next,
    /// The request's messages, in place of a user message.
    Edit {
        /// Id of the user message.
        message: u64,
    },
    /// Another version of an answer.
    Regenerate {
        /// Id of the answer.
        message: u64,
    },
    /// The rest of the last answer.
    Resume,
}

/// A conversation that matches a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The conversation.
    pub conversation: ConversationSummary,
    /// The newest matching message, which may belong to a branch that is not selected; unset if only the title matches.
    pub message: Option<u64>,
    /// The text around the match.
    pub snippet: Vec<SnippetPart>,
}

/// A part of a snippet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnippetPart {
    /// Its text.
    pub text: String,
    /// Whether it matches the query.
    pub matched: bool,
}

/// Format of an exported conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// Text for reading: headings, reasoning as a quote, a line about the target of each answer.
    Markdown,
    /// Data for programs: the [`Conversation`] as JSON.
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

/// Builds the prompt history. Skips empty answers, completes tool calls that were not run, and merges consecutive user
/// messages, because many templates require alternating roles.
pub fn prompt_messages(messages: &[StoredMessage]) -> Vec<ChatMessage> {
    prompt_history(messages, &[])
}

/// Builds the prompt history as [`prompt_messages`], with messages that are not stored after it.
pub(crate) fn prompt_history(messages: &[StoredMessage], new: &[ChatMessage]) -> Vec<ChatMessage> {
    let stored = messages.iter().map(StoredMessage::to_message);
    let all = stored.chain(new.iter().cloned());
    let all = complete_tool_calls(all.filter(|message| !message.parts.is_empty()));
    let mut prompt: Vec<ChatMessage> = Vec::with_capacity(all.len());
    for mut message in all {
        match prompt.last_mut() {
            Some(last) if last.role == message.role && message.role == MessageRole::User => {
                // Without it, the last word of one message and the first of the next would be one.
                last.parts.push(ContentPart::Text { text: "\n\n".into() });
                last.parts.append(&mut message.parts);
            }
            _ => prompt.push(message),
        }
    }
    prompt
}

/// Returns the target of the tool loop that results among these parts continue: the one that made their calls.
pub(crate) fn tool_loop_target(messages: &[StoredMessage], last: &[ContentPart]) -> Option<RouteTarget> {
    let made_call = |message: &&StoredMessage, result: &str| {
        let mut parts = message.parts.iter();
        parts.any(|part| matches!(part, ContentPart::ToolCall { id, .. } if id == result))
    };
    last.iter().find_map(|part| {
        let ContentPart::ToolResult { id, .. } = part else {
            return None;
        };
        let answer = messages.iter().rev().find(|message| made_call(message, id))?;
        Some(answer.receipt.as_ref()?.target.clone())
    })
}

/// Returns the first words of a text, on one line, for a title or a preview.
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let space = usize::from(!line.is_empty());
        let available = max_chars.saturating_sub(line.chars().count() + space);
        if word.chars().count() > available {
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

/// Reads a stored reason; one that this version does not know is as good as none.
fn read_reason<'de, D: Deserializer<'de>>(stored: D) -> Result<Option<ErrorReason>, D::Error> {
    let id = Option::<String>::deserialize(stored)?;
    Ok(id.and_then(|id| ErrorReason::ALL.iter().copied().find(|reason| reason.id() == id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(role: MessageRole, text: &str) -> StoredMessage {
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
        let prompt = prompt_messages(&[
            stored(MessageRole::User, "one"),
            stored(MessageRole::Assistant, ""),
            stored(MessageRole::User, "two"),
            stored(MessageRole::Assistant, "yes"),
        ]);
        let turns: Vec<_> = prompt.iter().map(|turn| (turn.role, turn.parts.len())).collect();
        // Two messages of the user in a row become one, with a blank line between them.
        assert_eq!(turns, [(MessageRole::User, 3), (MessageRole::Assistant, 1)]);
    }

    #[test]
    fn a_failure_is_read_with_a_reason_without_one_and_with_one_of_a_later_version() {
        let failed = |reason| MessageState::Failed {
            error: "gone".to_owned(),
            reason,
        };
        for (json, reason) in [
            (r#"{"type":"failed","error":"gone"}"#, None),
            (
                r#"{"type":"failed","error":"gone","reason":"offline"}"#,
                Some(ErrorReason::Offline),
            ),
            (r#"{"type":"failed","error":"gone","reason":"solar_flare"}"#, None),
        ] {
            let state: MessageState = serde_json::from_str(json).expect(json);
            assert_eq!(state, failed(reason));
        }
        let json = serde_json::to_string(&failed(Some(ErrorReason::KeyMissing))).expect("json");
        assert_eq!(json, r#"{"type":"failed","error":"gone","reason":"key_missing"}"#);
    }

    #[test]
    fn a_title_is_the_first_words_whole() {
        assert_eq!(excerpt("  Why do\nthe tides  come?", 60), "Why do the tides come?");
        assert_eq!(excerpt("Why do the tides come?", 12), "Why do the…");
        assert_eq!(excerpt("прилив", 3), "при…");
        assert_eq!(excerpt("", 3), "");
    }
}
