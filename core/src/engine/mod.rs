//! Who answers. An engine is handed a request whose place is already decided and puts chunks into a sink.
//!
//! # What every engine promises
//! - [`Engine::answer`] returns at once; the work happens on a thread or task of the engine's own.
//! - `Started` was sent before; the engine sends the rest in the order that [`crate::chat::Chunk`] promises, and ends
//!   with one `Done` or one error.
//! - Once the sink's flag is raised the answer ends with `Done { stop: Cancelled }`, soon, and nothing else is disturbed.
//! - An engine opens no store and reads no key: it was made with a ready path, or a ready address and credential.

pub mod local;
pub mod remote;
#[cfg(feature = "testing")]
pub mod scripted;

pub use local::bench::{BenchMemory, BenchModel, BenchOptions, BenchReport, Measured, Rates};
#[cfg(feature = "testing")]
pub use scripted::{Script, ScriptStep};

use std::time::Instant;

use crate::chat::{ChatRequest, Chunk, Route, Sink};

/// Something that answers.
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Takes the job and returns at once.
    fn answer(&self, job: Job);
}

/// One answer to be made.
#[derive(Debug)]
pub struct Job {
    /// What was asked; [`ChatRequest::check`] passed.
    pub request: ChatRequest,
    /// What `Started` said.
    pub route: Route,
    /// Where the chunks go.
    pub sink: Sink<Chunk>,
    /// When the app asked: the clock of `first_token_ms` starts here.
    pub asked: Instant,
}
