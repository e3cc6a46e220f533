//! The engine on this device: one loaded model, one thread that owns it, one queue of jobs.
//!
//! ```text
//! answer(job) ──► queue ──► thread: load once ─► template ─► tokens ─► prefill ─► decode, sample ─► chunks
//!                                    (load.rs)   (prompt.rs)           (session.rs)        (reply.rs, text.rs)
//! ```
//!
//! No llama.cpp type leaves the thread. The model loads with the first job, as the [`LoadPlanner`] says, and stays loaded
//! until [`LocalEngine::close`]; an engine with an [`EngineLease`] is not closed to free memory. The KV cache keeps the last conversation, so that its next turn prefills only the new tokens.

mod answer;
pub mod bench;
mod error;
mod fitted;
mod lease;
mod load;
mod pattern;
mod prompt;
mod reply;
mod sampling;
mod schema;
mod schema_loops;
mod session;
mod settings;
mod stop;
mod text;
mod use_count;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

pub use lease::EngineLease;
pub use settings::{LoadOutcome, LoadPlanner, LocalSettings};

use super::{Engine, Job};
use crate::error::{Error, ErrorReason, Result};
use crate::stream::CancelToken;
use crate::sync::lock;
use bench::{BenchOptions, BenchReport};
use load::LazyModel;
use use_count::UseCount;

/// A model on this device.
#[derive(Debug)]
pub struct LocalEngine {
    queue: SyncSender<EngineCommand>,
    /// Cancel tokens of all queued and running jobs.
    active_jobs: Arc<Mutex<Vec<CancelToken>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    uses: UseCount,
}

/// A command for the worker thread.
enum EngineCommand {
    Answer(Box<Job>),
    Bench(BenchOptions, oneshot::Sender<Result<BenchReport>>),
    Quit,
}

impl LocalEngine {
    /// Starts the thread. The first job loads the model.
    ///
    /// # Errors
    /// `Busy` if the system starts no more threads.
    pub fn start(settings: LocalSettings, planner: Box<dyn LoadPlanner>) -> Result<Self> {
        let (queue, work) = sync_channel(MAX_QUEUED_JOBS);
        let active_jobs = Arc::new(Mutex::new(Vec::new()));
        let jobs = Arc::clone(&active_jobs);
        let thread = std::thread::Builder::new()
            .name("nearside-model".to_owned())
            .spawn(move || run_worker(LazyModel::new(settings, planner), &work, &jobs))
            .map_err(|cause| Error::thread_limit(&cause))?;
        Ok(Self {
            queue,
            active_jobs,
            thread: Mutex::new(Some(thread)),
            uses: UseCount::new(),
        })
    }

    /// Returns whether the engine is leased, or a job is queued or running.
    pub fn is_in_use(&self) -> bool {
        self.uses.is_leased() || !lock(&self.active_jobs).is_empty()
    }

    /// Returns when the engine was last used.
    pub fn last_used(&self) -> Instant {
        self.uses.last()
    }

    /// Measures speed and memory on the thread that answers use. Hold a lease meanwhile.
    ///
    /// # Errors
    /// Those of loading; `Busy` if the queue is full.
    pub async fn bench(&self, options: BenchOptions) -> Result<BenchReport> {
        let (reply, report) = oneshot::channel();
        self.queue
            .try_send(EngineCommand::Bench(options, reply))
            .map_err(|_| queue_full())?;
        report
            .await
            .map_err(|_| Error::internal("the benchmark ended without a result"))?
    }

    /// Cancels all jobs, frees the model and waits for its thread to end. Blocks for milliseconds.
    pub fn close(&self) {
        self.cancel_all();
        // Waits while the queue is full, but not for long: all jobs in it are cancelled.
        let _ = self.queue.send(EngineCommand::Quit);
        if let Some(thread) = lock(&self.thread).take() {
            // The thread catches its own panics, so the result carries no information.
            let _ = thread.join();
        }
    }

    fn cancel_all(&self) {
        for cancel in lock(&self.active_jobs).iter() {
            cancel.cancel();
        }
    }
}

impl Drop for LocalEngine {
    /// Cancels all jobs. The thread ends when the queue is closed; it is not joined.
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl Engine for LocalEngine {
    fn answer(&self, job: Job) {
        let cancel = job.sink.cancel().clone();
        lock(&self.active_jobs).push(cancel.clone());
        let (refused, error) = match self.queue.try_send(EngineCommand::Answer(Box::new(job))) {
            Ok(()) => return,
            Err(TrySendError::Full(work)) => (work, queue_full()),
            Err(TrySendError::Disconnected(work)) => {
                (work, Error::busy("the model was just unloaded; send the request again"))
            }
        };
        remove_job(&self.active_jobs, &cancel);
        if let EngineCommand::Answer(job) = refused {
            job.sink.finish(Err(error));
        }
    }
}

fn run_worker(mut model: LazyModel, work: &Receiver<EngineCommand>, active_jobs: &Mutex<Vec<CancelToken>>) {
    for work in work {
        match work {
            EngineCommand::Quit => break,
            EngineCommand::Answer(job) => {
                let cancel = job.sink.cancel().clone();
                let done = catch_unwind(AssertUnwindSafe(|| answer::run_job(&mut model, *job)));
                if done.is_err() {
                    // Do not reuse state after a panic; the dropped sink has already reported `Internal`.
                    model.unload();
                }
                remove_job(active_jobs, &cancel);
            }
            EngineCommand::Bench(options, reply) => {
                let report = catch_unwind(AssertUnwindSafe(|| {
                    bench::run_bench(&mut model, &options, &|| reply.is_closed())
                }));
                let report = report.unwrap_or_else(|_| {
                    model.unload();
                    Err(Error::internal(
                        "the benchmark panicked; this is a bug, please report it",
                    ))
                });
                // The caller may no longer wait; the report is then dropped.
                let _ = reply.send(report);
            }
        }
    }
}

fn remove_job(active_jobs: &Mutex<Vec<CancelToken>>, cancel: &CancelToken) {
    lock(active_jobs).retain(|other| !other.same_as(cancel));
}

fn queue_full() -> Error {
    Error::busy(format!(
        "{MAX_QUEUED_JOBS} requests already wait for this model; try again when one is done"
    ))
    .because(ErrorReason::Busy)
}

/// Maximum number of jobs that wait for one model.
const MAX_QUEUED_JOBS: usize = 16;
