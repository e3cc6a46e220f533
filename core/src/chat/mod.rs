//! Requests ([`ChatRequest`]), answers ([`Chunk`], in a [`ChatStream`]) and stored conversations
//! ([`Conversation`]). These types are exported to Swift and Kotlin unchanged.

mod chunk;
mod conversation;
mod export;
pub(crate) mod history;
mod image;
mod image_bytes;
mod message;
mod receipt;
mod request;
mod route;
mod sampling;
mod tool_results;

pub use chunk::{AnswerSummary, Chunk, StopReason, Timings, TokenUsage};
pub use conversation::{
    Conversation, ConversationSettings, ConversationSummary, ConversationTurn, ExportFormat, MessageState, SearchHit,
    SnippetPart, StoredCitation, StoredMessage, excerpt, prompt_messages,
};
pub(crate) use conversation::{prompt_history, tool_loop_target};
pub use export::export;
pub use image::{MAX_IMAGE_BYTES, image_media_type};
pub use message::{ChatMessage, ContentPart, ImageBytes, MessageRole};
pub(crate) use receipt::FORWARDED;
pub use receipt::{CacheMiss, CostSource, DataPolicy, Receipt};
pub(crate) use request::MIN_REPEAT_PENALTY;
pub use request::{
    ChatRequest, MAX_USD, OutputFormat, ReasoningEffort, ReasoningMode, RequestLimits, RoutingMode, Sensitivity,
    ToolDefinition, is_amount,
};
pub use route::{Route, RouteEstimate, RouteRule, RouteTarget, SkippedCount, SkippedTarget};
pub use sampling::{AppliedSampling, Recommended, SamplingOptions, SamplingPreset, SamplingPresetValues};

/// The stream of an answer.
pub type ChatStream = crate::stream::Stream<Chunk>;
