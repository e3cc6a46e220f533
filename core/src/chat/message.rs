//! Messages: text, images, reasoning, tool calls and tool results, each with its author.

use serde::{Deserialize, Serialize};

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Its author.
    pub role: MessageRole,
    /// Its content, in order.
    pub parts: Vec<ContentPart>,
}

/// Author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// System prompt.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool result.
    Tool,
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentPart {
    /// Text.
    Text {
        /// UTF-8.
        text: String,
    },
    /// An image, for models with vision.
    Image {
        /// `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
        media_type: String,
        /// The file's bytes; base64 in JSON.
        #[serde(with = "super::image_bytes")]
        data: Vec<u8>,
    },
    /// Reasoning of an earlier answer. Most templates drop it; some require it.
    Reasoning {
        /// UTF-8.
        text: String,
    },
    /// A call that the model made in an earlier answer.
    ToolCall {
        /// Id of the call; its result has the same.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments, as a JSON object.
        arguments: String,
    },
    /// Result of a tool call.
    ToolResult {
        /// The id of the call.
        id: String,
        /// The tool's name.
        name: String,
        /// The result, as JSON or text.
        content: String,
    },
}

impl ChatMessage {
    /// Creates a text message.
    pub fn text(role: MessageRole, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![ContentPart::Text { text: text.into() }],
        }
    }

    /// Creates a system prompt.
    pub fn system(text: impl Into<String>) -> Self {
        Self::text(MessageRole::System, text)
    }

    /// Creates a message of the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text(MessageRole::User, text)
    }

    /// Creates a message of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::text(MessageRole::Assistant, text)
    }
}
