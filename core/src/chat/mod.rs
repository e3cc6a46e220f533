//! Requests ([`ChatRequest`]), answers ([`Chunk`]), the stream that carries them ([`Stream`]) and stored conversations
//! ([`Conversation`]). These types are exported to Swift and Kotlin unchanged.

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
