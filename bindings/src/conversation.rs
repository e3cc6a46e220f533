//! What is kept: `core/src/chat/conversation.rs`, `core/src/chat/preset.rs` and `core/src/nearside/conversations.rs`.

use std::sync::Arc;

use nearside::chat::{
    ChatRequest, Conversation, ConversationSettings, ConversationSummary, ExportFormat, MessageState, Part, Preset,
    PresetValues, Receipt, Role, SamplingUsed, SearchHit, SnippetPart, StopReason, StoredCitation, StoredMessage,
    Timings, Usage,
};
use nearside::route::{CostRow, Decision};

use crate::{ChatStream, Nearside, Result};

/// A named set of sampling values.
#[uniffi::remote(Enum)]
pub enum Preset {
    /// Low temperature: facts, code, translations.
    Precise,
    /// The default for general use.
    Balanced,
    /// High temperature: stories, ideas.
    Creative,
}

/// Sampling values of a preset for one model.
#[uniffi::remote(Record)]
pub struct PresetValues {
    pub preset: Preset,
    pub temperature: Option<f32>,
    /// Unset: the place's own.
    pub top_p: Option<f32>,
    /// Why these, for a person to read.
    pub reason: String,
}

/// Sampling values that the library used or sent.
#[uniffi::remote(Record)]
pub struct SamplingUsed {
    /// The preset, where one was asked for.
    pub preset: Option<Preset>,
    /// Unset: the place's own.
    pub temperature: Option<f32>,
    /// Unset: the place's own.
    pub top_p: Option<f32>,
    /// Why these, for a person to read.
    pub reason: String,
}

/// Defaults for the requests of a conversation. A field set in the request takes precedence.
#[uniffi::remote(Record)]
pub struct ConversationSettings {
    /// Instructions for the whole conversation.
    #[uniffi(default)]
    pub system: Option<String>,
    /// The model, as in a request.
    #[uniffi(default)]
    pub model: Option<String>,
    /// The provider, as in a request.
    #[uniffi(default)]
    pub provider: Option<String>,
    /// How freely it answers.
    #[uniffi(default)]
    pub preset: Option<Preset>,
}

/// A line in a list of conversations.
#[uniffi::remote(Record)]
pub struct ConversationSummary {
    /// Names it; never given to another.
    pub id: u64,
    /// The title the user gave it, or else the first words of the first message.
    pub title: String,
    /// Kept above the others.
    pub pinned: bool,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// Time of the last message, in milliseconds since 1970.
    pub updated_at_ms: u64,
    /// Number of messages in the selected branch.
    pub messages: u32,
    /// The beginning of the last message.
    pub preview: String,
    /// Its request defaults.
    pub settings: ConversationSettings,
}

/// A conversation, opened.
#[uniffi::remote(Record)]
pub struct Conversation {
    /// Its summary.
    pub summary: ConversationSummary,
    /// Messages of the selected branch, oldest first.
    pub messages: Vec<StoredMessage>,
}

/// A message as it is kept.
#[uniffi::remote(Record)]
pub struct StoredMessage {
    /// Names it; never given to another.
    pub id: u64,
    /// Who said it.
    pub role: Role,
    /// The words.
    pub text: String,
    /// Reasoning of the model.
    pub reasoning: String,
    /// Duration of the reasoning, in milliseconds.
    pub reasoning_ms: u64,
    /// Pictures, calls and their results.
    pub parts: Vec<Part>,
    /// Sources of the answer.
    pub citations: Vec<StoredCitation>,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether it is whole.
    pub state: MessageState,
    /// Target, cost and data policy. Only set once the answer ended, cancelled or not.
    pub receipt: Option<Receipt>,
    /// Its tokens.
    pub usage: Option<Usage>,
    /// Its speed.
    pub timings: Option<Timings>,
    /// Number of earlier messages omitted from the prompt because they exceeded the context.
    pub omitted_messages: u32,
    /// The ids of all versions of it, itself included, oldest first.
    pub versions: Vec<u64>,
}

/// A page that an answer rests on.
#[uniffi::remote(Record)]
pub struct StoredCitation {
    pub url: String,
    /// May be empty.
    pub title: String,
}

/// Whether a message is whole.
#[uniffi::remote(Enum)]
pub enum MessageState {
    /// It is being written now, by this process.
    Writing,
    /// Complete, or cancelled; see `stop`.
    Done { stop: StopReason },
    /// The process ended while it was being written.
    Interrupted,
    /// An error ended it; the text is for a person to read.
    Failed { error: String },
}

/// A conversation in which something was found.
#[uniffi::remote(Record)]
pub struct SearchHit {
    /// Where.
    pub conversation: ConversationSummary,
    /// The newest message that matches, which may belong to a branch that is not shown; unset where only the title does.
    pub message: Option<u64>,
    /// The words around the match.
    pub snippet: Vec<SnippetPart>,
}

/// A piece of a snippet.
#[uniffi::remote(Record)]
pub struct SnippetPart {
    pub text: String,
    /// Whether it is what was looked for.
    pub matched: bool,
}

/// How a conversation is written out.
#[uniffi::remote(Enum)]
pub enum ExportFormat {
    /// For people.
    Markdown,
    /// For programs.
    Json,
}

/// The conversations of the library's directory. The library writes answers down while they stream: a kill loses at most
/// a second, and the app stores nothing. Where a request leaves model, provider or preset open, the conversation's
/// settings fill it in.
#[derive(uniffi::Object)]
pub struct Conversations(
    pub(crate) nearside::Conversations,
    /// They live as long as the library does: an app may hold nothing but them.
    #[expect(dead_code, reason = "held, not used")]
    pub(crate) Arc<Nearside>,
);

#[uniffi::export]
impl Conversations {
    /// Pinned ones first, then by when something was last said. `limit` unset: all.
    #[uniffi::method(default(limit = None, offset = 0))]
    pub async fn list(&self, limit: Option<u32>, offset: u32) -> Result<Vec<ConversationSummary>> {
        self.0.list(limit, offset).await
    }

    /// Begins a conversation.
    #[uniffi::method(default(settings))]
    pub async fn create(&self, settings: ConversationSettings) -> Result<ConversationSummary> {
        self.0.create(settings).await
    }

    /// Opens a conversation: the selected branch, including the content so far of an active answer.
    pub async fn open(&self, id: u64) -> Result<Conversation> {
        self.0.open(id).await
    }

    /// Sets the title. Unset: the first words of the first message again.
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

    /// Brings a deleted one back.
    pub async fn restore(&self, id: u64) -> Result<()> {
        self.0.restore(id).await
    }

    /// Erases what was deleted, for good.
    pub async fn purge(&self) -> Result<()> {
        self.0.purge().await
    }

    /// Selects the branch through this version of a message.
    pub async fn choose(&self, id: u64, message: u64) -> Result<Conversation> {
        self.0.choose(id, message).await
    }

    /// Full-text search for all words of the query, the last one as a prefix. Title matches first, then the newest.
    #[uniffi::method(default(limit = 50))]
    pub async fn search(&self, query: String, limit: u32) -> Result<Vec<SearchHit>> {
        self.0.search(query, limit).await
    }

    /// Exports the selected branch.
    pub async fn export(&self, id: u64, format: ExportFormat) -> Result<String> {
        self.0.export(id, format).await
    }

    /// Returns the routing decision for this as the next message, without sending it. `messages` holds the new ones
    /// only.
    pub async fn route(&self, id: u64, request: ChatRequest) -> Result<Decision> {
        self.0.route(id, request).await
    }

    /// Estimates the cost of this as the next message on every target, cheapest first.
    pub async fn cost(&self, id: u64, request: ChatRequest) -> Result<Vec<CostRow>> {
        self.0.cost(id, request).await
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
