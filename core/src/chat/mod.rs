//! The words that travel: what an app asks ([`ChatRequest`]), what comes back ([`Chunk`]) and the pipe between them
//! ([`Stream`]). These types cross to Swift and Kotlin as they are; nothing on the road rebuilds, renames or wraps them.

mod chunk;
mod request;
mod stream;

pub use chunk::{Chunk, DataPolicy, Receipt, Route, Skipped, StopReason, Target, Timings, Usage};
pub use request::{ChatRequest, Limits, Message, Part, Reasoning, Role, Sampling, Tool};
pub use stream::{Cancel, ChatStream, Sink, Stream};
