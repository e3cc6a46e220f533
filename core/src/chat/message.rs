//! A conversation: who said what, in words, pictures, calls and their results.

use serde::{Deserialize, Serialize};

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who said it.
    pub role: MessageRole,
    /// What was said, in order.
    pub parts: Vec<ContentPart>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
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
pub enum ContentPart {
    /// Words.
    Text {
        /// UTF-8.
        text: String,
    },
    /// A picture, for models that see.
    Image {
        /// `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
        media_type: String,
        /// The file's bytes.
        data: Vec<u8>,
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

impl ChatMessage {
    /// A text message.
    pub fn text(role: MessageRole, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![ContentPart::Text { text: text.into() }],
        }
    }

    /// Instructions for the whole conversation.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(MessageRole::System, text)
    }

    /// What the person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(MessageRole::User, text)
    }

    /// What the model said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(MessageRole::Assistant, text)
    }
}
