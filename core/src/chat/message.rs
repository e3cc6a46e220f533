//! Messages: text, images, reasoning, tool calls and tool results, each with its author.

use bytes::Bytes;
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
        data: ImageBytes,
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

/// The bytes of an image. Clones share them, so that a request is copied without its images.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ImageBytes(Bytes);

impl From<Vec<u8>> for ImageBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<ImageBytes> for Vec<u8> {
    fn from(bytes: ImageBytes) -> Self {
        bytes.0.into()
    }
}

impl std::ops::Deref for ImageBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for ImageBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Shows the size only.
impl std::fmt::Debug for ImageBytes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ImageBytes({})", self.0.len())
    }
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
