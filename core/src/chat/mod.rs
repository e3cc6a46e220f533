//! The words that travel: what an app asks ([`ChatRequest`]), what comes back ([`Chunk`]) and the pipe between them
//! ([`Stream`]), and what is kept of them ([`Conversation`]). These types cross to Swift and Kotlin as they are; nothing on the road rebuilds, renames or wraps them.

mod chunk;
mod conversation;
mod export;
mod message;
pub mod preset;
mod receipt;
mod request;
mod stream;

pub use chunk::{Chunk, StopReason, Timings, Usage};
pub use conversation::{
    Conversation, ConversationSettings, ConversationSummary, ExportFormat, MessageState, SearchHit, SnippetPart,
    StoredCitation, StoredMessage, first_words, history,
};
pub use export::export;
pub use message::{Message, Part, Role};
pub use preset::{Preset, PresetValues, SamplingUsed};
pub use receipt::{CostSource, DataPolicy, Expected, Receipt, Route, Skipped, Target};
pub use request::{ChatRequest, Effort, Limits, Mode, Output, Reasoning, Sampling, Sensitivity, Tool};
#[cfg(feature = "testing")]
pub use stream::live_streams;
pub use stream::{Cancel, ChatStream, Sink, Stream};
