//! Engines: run a request whose route is already chosen, and write chunks to a sink.
//!
//! # Contract
//! - [`Engine::answer`] returns immediately; the work runs on a thread or task of the engine.
//! - The caller has already sent `Started`. The engine sends the rest in the order defined by [`crate::chat::Chunk`],
//!   and ends with one `Done` or one error.
//! - After a cancel the answer ends soon with `Done { stop: Cancelled }`; other answers are not affected.
//! - An engine opens no store and reads no key: it is given a resolved path, or a resolved address and credential.

pub mod local;
mod openai;
pub(crate) mod presets;
pub mod remote;
#[cfg(feature = "testing")]
pub mod scripted;
mod suffix;

pub use local::bench::{BenchMeasured, BenchMemory, BenchModel, BenchOptions, BenchRates, BenchReport};
#[cfg(feature = "testing")]
pub use scripted::{ReplyStep, ScriptedReply};

use std::time::Instant;

use crate::chat::{ChatRequest, Chunk, Route};
use crate::stream::StreamSender;

/// Runs chat requests on one model.
pub trait Engine: Send + Sync + std::fmt::Debug {
    /// Starts the job and returns immediately.
    fn answer(&self, job: Job);
}

/// A request for one answer.
#[derive(Debug)]
pub struct Job {
    /// The request; [`ChatRequest::check`] passed.
    pub request: ChatRequest,
    /// The route that `Started` named.
    pub route: Route,
    /// Receives the chunks.
    pub sink: StreamSender<Chunk>,
    /// Time of the request; `first_token_ms` is measured from here.
    pub requested_at: Instant,
}
