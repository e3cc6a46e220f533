//! Requests ([`ChatRequest`]), answers ([`Chunk`], in a [`ChatStream`]) and stored conversations
//! ([`Conversation`]). These types are exported to Swift and Kotlin unchanged.

mod chunk;
mod conversation;
mod export;
mod message;
mod receipt;
mod request;
mod route;
mod sampling;

pub use chunk::{AnswerSummary, Chunk, StopReason, Timings, Usage};
pub use conversation::{
    Conversation, ConversationSettings, ConversationSummary, ExportFormat, MessageState, SearchHit, SnippetPart,
    StoredCitation, StoredMessage, first_words, history,
};
pub use export::export;
pub use message::{Message, Part, Role};
pub use receipt::{CostSource, DataPolicy, Receipt};
pub use request::{ChatRequest, Effort, Limits, Mode, Output, Reasoning, Sensitivity, Tool};
pub use route::{Expected, Route, RouteRule, Skipped, Target};
pub use sampling::{Preset, PresetValues, Recommended, Sampling, SamplingUsed};

/// The stream of an answer.
pub type ChatStream = crate::stream::Stream<Chunk>;
