//! Conversations: `core/src/chat/{conversation,sampling}.rs` and `core/src/nearside/conversations.rs`.

use std::sync::Arc;

use nearside::chat::{
    AppliedSampling, ChatRequest, ContentPart, Conversation, ConversationSettings, ConversationSummary,
    ConversationTurn, ExportFormat, MessageRole, MessageState, Receipt, SamplingPreset, SamplingPresetValues,
    SearchHit, SnippetPart, StopReason, StoredCitation, StoredMessage, Timings, TokenUsage,
};
use nearside::route::{CostRow, RouteDecision};

use crate::error::{ErrorReason, Result};
use crate::{ChatStream, Nearside};

/// A named set of sampling values.
#[uniffi::remote(Enum)]
pub enum SamplingPreset {
    /// Low temperature: facts, code, translations.
    Precise,
    /// The default for general use.
    Balanced,
    /// High temperature: stories, ideas.
    Creative,
}

/// Sampling values of a preset for one model.
#[uniffi::remote(Record)]
pub struct SamplingPresetValues {
    pub preset: SamplingPreset,
    /// Unset: the target's own default.
    pub temperature: Option<f32>,
    /// Unset: the target's own default.
    pub top_p: Option<f32>,
    /// The reason for these values, to show to the user.
    pub reason: String,
}

/// Sampling values that the library used or sent.
#[uniffi::remote(Record)]
pub struct AppliedSampling {
    /// The requested preset, if any.
    pub preset: Option<SamplingPreset>,
    /// Unset: the target's own default.
    pub temperature: Option<f32>,
    /// Unset: the target's own default.
    pub top_p: Option<f32>,
    /// The reason for these values, to show to the user.
    pub reason: String,
}

/// Defaults for the requests of a conversation. A field set in the request takes precedence.
#[uniffi::remote(Record)]
pub struct ConversationSettings {
    /// The system prompt.
    #[uniffi(default)]
    pub system: Option<String>,
    /// The model, as in a request.
    #[uniffi(default)]
    pub model: Option<String>,
    /// The provider, as in a request.
    #[uniffi(default)]
    pub provider: Option<String>,
    /// The sampling preset.
    #[uniffi(default)]
    pub preset: Option<SamplingPreset>,
}

/// An entry in a list of conversations.
#[uniffi::remote(Record)]
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
#[uniffi::remote(Record)]
pub struct Conversation {
    /// Its summary.
    pub summary: ConversationSummary,
    /// Messages of the selected branch, oldest first.
    pub messages: Vec<StoredMessage>,
}

/// A stored message.
#[uniffi::remote(Record)]
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
    pub omitted_messages: u32,
    /// Ids of all its versions including itself, oldest first.
    pub versions: Vec<u64>,
}

/// A source of an answer.
#[uniffi::remote(Record)]
pub struct StoredCitation {
    pub url: String,
    /// May be empty.
    pub title: String,
}

/// Whether a message is complete.
#[uniffi::remote(Enum)]
pub enum MessageState {
    /// This process is generating it.
    Writing,
    /// Complete, or cancelled; see `stop`.
    Done { stop: StopReason },
    /// The process ended during its generation.
    Interrupted,
    /// An error ended it; the text is to show to the user. The reason is unset for failures of earlier versions.
    Failed { error: String, reason: Option<ErrorReason> },
}

/// A turn of a conversation that is considered but not sent: see `Conversations.route` and `Conversations.cost`.
#[uniffi::remote(Enum)]
pub enum ConversationTurn {
    /// The request's messages, after the last message.
    Next,
    /// The request's messages, in place of a user message.
    Edit { message: u64 },
    /// Another version of an answer.
    Regenerate { message: u64 },
    /// The rest of the last answer.
    Resume,
}

/// A conversation that matches a search.
#[uniffi::remote(Record)]
pub struct SearchHit {
    /// The conversation.
    pub conversation: ConversationSummary,
    /// The newest matching message, which may belong to a branch that is not selected; unset if only the title matches.
    pub message: Option<u64>,
    /// The text around the match.
    pub snippet: Vec<SnippetPart>,
}

/// A part of a snippet.
#[uniffi::remote(Record)]
pub struct SnippetPart {
    pub text: String,
    /// Whether it matches the query.
    pub matched: bool,
}

/// Format of an exported conversation.
#[uniffi::remote(Enum)]
pub enum ExportFormat {
    /// Text for reading.
    Markdown,
    /// Data for programs.
    Json,
}

/// The conversations of the library's data directory, or temporary ones. The library stores answers while they stream: a kill of the process
/// loses at most a second, and the app stores nothing. Fields that a request leaves unset come from the conversation's
/// settings.
#[derive(uniffi::Object)]
pub struct Conversations(
    pub(crate) nearside::Conversations,
    /// Keeps the library alive for an app that holds only its conversations.
    #[expect(dead_code, reason = "held, not used")]
    pub(crate) Arc<Nearside>,
);

#[uniffi::export]
impl Nearside {
    /// Returns the conversations in the library's data directory. Reads nothing: the first call of a method opens their file.
    pub fn conversations(self: Arc<Self>) -> Result<Arc<Conversations>> {
        let inner = self.0.conversations();
        Ok(Arc::new(Conversations(inner, self)))
    }

    /// Returns conversations that are in memory only, such as those of a private window: none yet, and gone with this object.
    pub fn temporary_conversations(self: Arc<Self>) -> Result<Arc<Conversations>> {
        let inner = self.0.temporary_conversations()?;
        Ok(Arc::new(Conversations(inner, self)))
    }
}

#[uniffi::export]
impl Conversations {
    /// Returns the conversations, pinned ones first, then by the time of the last message. `limit` unset: all.
    #[uniffi::method(default(limit = None, offset = 0))]
    pub async fn list(&self, limit: Option<u32>, offset: u32) -> Result<Vec<ConversationSummary>> {
        self.0.list(limit, offset).await
    }

    /// Creates a conversation.
    #[uniffi::method(default(settings))]
    pub async fn create(&self, settings: ConversationSettings) -> Result<ConversationSummary> {
        self.0.create(settings).await
    }

    /// Returns a conversation with its selected branch, including the content so far of an active answer.
    pub async fn open(&self, id: u64) -> Result<Conversation> {
        self.0.open(id).await
    }

    /// Sets the title. Unset: the first words of the first message.
    pub async fn rename(&self, id: u64, title: Option<String>) -> Result<()> {
        self.0.rename(id, title).await
    }

    /// Pins or unpins it.
    pub async fn set_pinned(&self, id: u64, pinned: bool) -> Result<()> {
        self.0.set_pinned(id, pinned).await
    }

    /// Sets its request defaults, from the next request on.
    pub async fn configure(&self, id: u64, settings: ConversationSettings) -> Result<()> {
        self.0.configure(id, settings).await
    }

    /// Marks it as deleted. `restore` undoes that until `purge`, or until the first start after an hour.
    pub async fn delete(&self, id: u64) -> Result<()> {
        self.0.delete(id).await
    }

    /// Restores a deleted conversation.
    pub async fn restore(&self, id: u64) -> Result<()> {
        self.0.restore(id).await
    }

    /// Erases deleted conversations permanently.
    pub async fn purge(&self) -> Result<()> {
        self.0.purge().await
    }

    /// Selects the branch through this version of a message.
    pub async fn choose(&self, id: u64, message: u64) -> Result<Conversation> {
        self.0.choose(id, message).await
    }

    /// Searches the full text for all words of the query, the last one as a prefix, in scripts without spaces for any part of
    /// a text. Title matches first, then the newest.
    #[uniffi::method(default(limit = 50))]
    pub async fn search(&self, query: String, limit: u32) -> Result<Vec<SearchHit>> {
        self.0.search(query, limit).await
    }

    /// Returns the selected branch as text.
    pub async fn export(&self, id: u64, format: ExportFormat) -> Result<String> {
        self.0.export(id, format).await
    }

    /// Returns the routing decision for this turn, without sending it. `messages` holds the new ones only. `turn` unset: the
    /// next message.
    #[uniffi::method(default(turn = None))]
    pub async fn route(&self, id: u64, request: ChatRequest, turn: Option<ConversationTurn>) -> Result<RouteDecision> {
        self.0.route(id, request, turn.unwrap_or_default()).await
    }

    /// Estimates the cost of this turn, as `Nearside.cost` does. `turn` unset: the next message.
    #[uniffi::method(default(turn = None))]
    pub async fn cost(&self, id: u64, request: ChatRequest, turn: Option<ConversationTurn>) -> Result<Vec<CostRow>> {
        self.0.cost(id, request, turn.unwrap_or_default()).await
    }

    /// Appends the request's messages and generates an answer. `messages` holds the new ones only.
    pub fn start_send(&self, id: u64, request: ChatRequest) -> Result<Arc<ChatStream>> {
        Ok(Arc::new(ChatStream(self.0.send(id, request))))
    }

    /// Replaces a user message by a new version and generates an answer. The old version is kept.
    pub fn start_edit(&self, id: u64, message: u64, request: ChatRequest) -> Result<Arc<ChatStream>> {
        Ok(Arc::new(ChatStream(self.0.edit(id, message, request))))
    }

    /// Generates another version of an answer.
    pub fn start_regenerate(&self, id: u64, message: u64, request: ChatRequest) -> Result<Arc<ChatStream>> {
        Ok(Arc::new(ChatStream(self.0.regenerate(id, message, request))))
    }

    /// Continues the last answer where it was interrupted. Only the new part is streamed.
    pub fn start_resume(&self, id: u64, request: ChatRequest) -> Result<Arc<ChatStream>> {
        Ok(Arc::new(ChatStream(self.0.resume(id, request))))
    }
}
