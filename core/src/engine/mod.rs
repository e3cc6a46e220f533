//! Engines: run a request whose route is already chosen, and write chunks to a sink.
//!
//! # Contract
//! - [`Engine::answer`] returns immediately; the work runs on a thread or task of the engine.
//! - The caller has already sent `Started`. The engine sends the rest in the order defined by [`crate::chat::Chunk`],
//!   and ends with one `Done` or one error.
//! - After a cancel the answer ends soon with `Done { stop: Cancelled }`; other answers are not affected.
//! - An engine opens no store and reads no key: it is given a resolved path, or a resolved address and credential.
//! - An engine that shortens the history to its context ([`Job::kept_turns`]) sends `Started` again, before any other
//!   chunk, if it omits another number of messages than the route says.

pub mod local;
mod openai;
pub(crate) mod presets;
pub mod remote;
#[cfg(feature = "testing")]
pub mod scripted;
mod suffix;
mod think;

pub use local::bench::{BenchMeasured, BenchMemory, BenchModel, BenchOptions, BenchRates, BenchReport};
pub use local::{Adjustment, AdjustmentAction, AdjustmentCause, LoadEvent, LoadStream, LoadedModel};
#[cfg(feature = "testing")]
pub use scripted::{ReplyStep, ScriptedReply};
pub(crate) use think::split_shown;

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::chat::{ChatRequest, Chunk, Route};
use crate::stream::StreamSender;
use crate::sync::lock;

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
    /// The last turns of a conversation that must stay in the prompt; an engine with a tokenizer omits older ones that
    /// its context cannot hold. Unset: nothing may be omitted.
    pub kept_turns: Option<u32>,
    /// The conversation that the request is a turn of. Unset: the request is outside of one.
    pub conversation: Option<JobConversation>,
    /// The route that `Started` named.
    pub route: Route,
    /// Receives the chunks.
    pub sink: StreamSender<Chunk>,
    /// Time of the request; `first_token_ms` is measured from here.
    pub requested_at: Instant,
    /// Set by an engine whose provider may charge: the content has left, and what that costs.
    pub sent: SentMark,
    /// The beginning of the answer, if a broken-off one is resumed. If it has text, the request ends with that text and the
    /// prompt to go on, for engines that cannot continue it.
    pub begun: Option<BegunAnswer>,
}

/// The content of a broken-off answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BegunAnswer {
    /// Its reasoning, without an end if there is no text.
    pub reasoning: String,
    /// Its text.
    pub text: String,
}

/// The conversation of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobConversation {
    /// Its id, unique in this process.
    pub id: u64,
    /// Whether it is stored in a file, so that an engine may store its state. Else nothing of it is written.
    pub is_stored: bool,
}

/// Creates the id of a tool call whose model gives none: unique among all answers, also after a restart.
pub(crate) fn unique_call_id() -> String {
    // Each `RandomState` has a seed of its own from the system's random numbers.
    let random = || RandomState::new().hash_one(SystemTime::now());
    format!("call_{:016x}{:08x}", random(), random() as u32)
}

/// Returns whether the text is one complete JSON object.
pub(crate) fn is_json_object(text: &str) -> bool {
    text.trim_end().ends_with('}') && serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object())
}

/// Returns the arguments of a call in a history as JSON. A call that was stored without an end, as earlier versions did,
/// keeps its text in an object; one without arguments has an empty one.
pub(crate) fn call_arguments(stored: &str) -> Cow<'_, str> {
    if stored.trim().is_empty() {
        return "{}".into();
    }
    match serde_json::from_str::<IgnoredAny>(stored) {
        Ok(_) => stored.into(),
        Err(_) => json!({ "incomplete": stored }).to_string().into(),
    }
}

/// Whether the content of a request has left for a provider, which may charge it, and what that means. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SentMark(Arc<Sent>);

#[derive(Debug, Default)]
struct Sent {
    content: AtomicBool,
    billed_in_full: AtomicBool,
    prompt_counted: AtomicBool,
    forwarded: AtomicBool,
    shown_reasoning: AtomicBool,
    learned: AtomicBool,
    unanswered: Mutex<Unanswered>,
    searches: Mutex<Option<SearchCount>>,
}

/// Earlier attempts of a request that got no answer, and may be charged nevertheless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// Their number.
    pub attempts: u32,
    /// Their time.
    pub elapsed: Duration,
}

/// The number of web searches of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchCount {
    /// The provider counted them.
    Reported(u32),
    /// The answer cites pages that a likely number of searches found.
    Likely(u32),
}

impl SentMark {
    /// Returns whether it is set: the content of the current attempt has left.
    pub fn is_set(&self) -> bool {
        self.0.content.load(Ordering::SeqCst)
    }

    /// Returns whether who got the content, in any attempt, bills a whole answer for one that breaks off.
    pub fn is_billed_in_full(&self) -> bool {
        let is_sent = self.is_set() || self.unanswered().attempts > 0;
        is_sent && self.0.billed_in_full.load(Ordering::SeqCst)
    }

    /// Returns the earlier attempts that may be charged.
    pub fn unanswered(&self) -> Unanswered {
        *lock(&self.0.unanswered)
    }

    /// Returns the number of web searches. Unset: nothing says it.
    pub fn searches(&self) -> Option<SearchCount> {
        *lock(&self.0.searches)
    }

    /// Returns whether the model itself counted the tokens of the prompt; else the usage has an estimate.
    pub fn is_prompt_counted(&self) -> bool {
        self.0.prompt_counted.load(Ordering::SeqCst)
    }

    /// Returns whether a server of one's own said that it forwards the model to another host: before it got the content, or
    /// with the answer.
    pub fn is_forwarded(&self) -> bool {
        self.0.forwarded.load(Ordering::SeqCst)
    }

    /// Returns whether reasoning was shown as text at the beginning of the answer.
    pub fn has_shown_reasoning(&self) -> bool {
        self.0.shown_reasoning.load(Ordering::SeqCst)
    }

    /// Returns whether the answer taught something of its model that is worth storing.
    pub fn has_learned(&self) -> bool {
        self.0.learned.load(Ordering::SeqCst)
    }

    /// Sets or clears it.
    pub(crate) fn set(&self, sent: bool) {
        self.0.content.store(sent, Ordering::SeqCst);
    }

    /// Ends an attempt that took this long, before another one: it counts as unanswered if its content has left.
    pub(crate) fn end_attempt(&self, elapsed: Duration) {
        if self.0.content.swap(false, Ordering::SeqCst) {
            let mut unanswered = lock(&self.0.unanswered);
            unanswered.attempts += 1;
            unanswered.elapsed += elapsed;
        }
    }

    /// Notes the number of web searches.
    pub(crate) fn note_searches(&self, searches: Option<SearchCount>) {
        *lock(&self.0.searches) = searches;
    }

    /// Notes that who got the content bills a whole answer for one that breaks off.
    pub(crate) fn note_billed_in_full(&self) {
        self.0.billed_in_full.store(true, Ordering::SeqCst);
    }

    /// Notes that a server of one's own said that it forwards the model.
    pub(crate) fn note_forwarded(&self) {
        self.0.forwarded.store(true, Ordering::SeqCst);
    }

    /// Notes that reasoning was shown as text at the beginning of the answer.
    pub(crate) fn note_shown_reasoning(&self) {
        self.0.shown_reasoning.store(true, Ordering::SeqCst);
    }

    /// Notes that the answer taught something of its model that is worth storing.
    pub(crate) fn note_learned(&self) {
        self.0.learned.store(true, Ordering::SeqCst);
    }

    /// Notes that the model itself counted the tokens of the prompt.
    pub(crate) fn note_prompt_counted(&self) {
        self.0.prompt_counted.store(true, Ordering::SeqCst);
    }
}
