//! The engine on this device: one loaded model, one thread that owns it, one queue of jobs.
//!
//! ```text
//! answer(job) ──► queue ──► thread: load once ─► template ─► tokens ─► prefill ─► decode, sample ─► chunks
//!                                    (load.rs)   (prompt.rs)           (session.rs)        (reply.rs, text.rs)
//! ```
//!
//! No llama.cpp type leaves the thread. The model loads with the first job and stays loaded until [`LocalEngine::close`];
//! the KV cache keeps the last conversation, so that its next turn prefills only what is new.

mod answer;
pub mod bench;
mod load;
mod prompt;
mod reply;
mod sampling;
mod session;
mod text;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{Engine, Job};
use crate::error::{Error, Result};
use crate::model::CacheType;
use crate::stream::Cancel;
use bench::{BenchOptions, BenchReport};
use load::Loaded;

/// What a model is loaded with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LocalSettings {
    /// The model's file; whole and checked.
    pub path: PathBuf,
    /// What receipts call it.
    pub id: String,
    /// Tokens of context. Unset: 4,096, or what the model was trained with if that is less.
    pub context: Option<u32>,
    /// How the KV cache is stored. Unset: f16.
    pub cache_type: Option<CacheType>,
    /// Threads that compute. Unset: the performance cores that this process may use.
    pub threads: Option<u32>,
}

/// A model on this device.
#[derive(Debug)]
pub struct LocalEngine {
    queue: SyncSender<Work>,
    /// Cancel tokens of all queued and running jobs.
    open: Arc<Mutex<Vec<Cancel>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A command for the worker thread.
enum Work {
    Answer(Box<Job>),
    Bench(BenchOptions, oneshot::Sender<Result<BenchReport>>),
    Quit,
}

impl LocalEngine {
    /// Starts the thread. The model is loaded by the first job.
    ///
    /// # Errors
    /// `Internal` if the system gives no thread.
    pub fn start(settings: LocalSettings) -> Result<Self> {
        let (queue, work) = sync_channel(WAITING_JOBS);
        let open = Arc::new(Mutex::new(Vec::new()));
        let jobs = Arc::clone(&open);
        let thread = std::thread::Builder::new()
            .name("nearside-model".to_owned())
            .spawn(move || run(&settings, &work, &jobs))
            .map_err(|cause| Error::internal(format!("could not start the model's thread: {cause}")))?;
        Ok(Self {
            queue,
            open,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whether a job waits or runs.
    pub fn is_busy(&self) -> bool {
        !lock(&self.open).is_empty()
    }

    /// Measures speed and memory on the thread that answers use.
    ///
    /// # Errors
    /// Those of loading; `Busy` if too many jobs wait.
    pub async fn bench(&self, options: BenchOptions) -> Result<BenchReport> {
        let (reply, report) = oneshot::channel();
        self.queue
            .try_send(Work::Bench(options, reply))
            .map_err(|_| too_many())?;
        report
            .await
            .map_err(|_| Error::internal("the measurement ended without a result"))?
    }

    /// Cancels what waits and runs, frees the model and waits for its thread to end. Blocks for milliseconds.
    pub fn close(&self) {
        self.cancel_all();
        // Waits if the queue is full, but not for long: everything in it is cancelled.
        let _ = self.queue.send(Work::Quit);
        if let Some(thread) = lock(&self.thread).take() {
            // The thread catches its own panics; there is nothing left to learn from how it ended.
            let _ = thread.join();
        }
    }

    fn cancel_all(&self) {
        for cancel in lock(&self.open).iter() {
            cancel.raise();
        }
    }
}

impl Drop for LocalEngine {
    /// The thread ends when the queue is closed; it is not joined.
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl Engine for LocalEngine {
    fn answer(&self, job: Job) {
        let cancel = job.sink.cancel().clone();
        lock(&self.open).push(cancel.clone());
        let (refused, error) = match self.queue.try_send(Work::Answer(Box::new(job))) {
            Ok(()) => return,
            Err(TrySendError::Full(work)) => (work, too_many()),
            Err(TrySendError::Disconnected(work)) => (work, Error::busy("the model was just unloaded; ask again")),
        };
        forget(&self.open, &cancel);
        if let Work::Answer(job) = refused {
            job.sink.finish(Err(error));
        }
    }
}

fn run(settings: &LocalSettings, work: &Receiver<Work>, open: &Mutex<Vec<Cancel>>) {
    let mut loaded: Option<Loaded> = None;
    for work in work {
        match work {
            Work::Quit => break,
            Work::Answer(job) => {
                let cancel = job.sink.cancel().clone();
                let done = catch_unwind(AssertUnwindSafe(|| answer::answer(settings, &mut loaded, *job)));
                if done.is_err() {
                    // Do not reuse state after a panic; the dropped sink has already reported `Internal`.
                    loaded = None;
                }
                forget(open, &cancel);
            }
            Work::Bench(options, reply) => {
                let report = catch_unwind(AssertUnwindSafe(|| {
                    bench::bench(settings, &mut loaded, &options, &|| reply.is_closed())
                }));
                let report = report.unwrap_or_else(|_| {
                    loaded = None;
                    Err(Error::internal(
                        "the measurement panicked; this is a bug, please report it",
                    ))
                });
                // The asker may have left; the figures are then of no use.
                let _ = reply.send(report);
            }
        }
    }
}

fn forget(open: &Mutex<Vec<Cancel>>, cancel: &Cancel) {
    lock(open).retain(|other| !other.same_as(cancel));
}

/// Poisoning is ignored: every statement leaves the list consistent.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many() -> Error {
    Error::busy(format!(
        "{WAITING_JOBS} requests wait for this model already; try again when one is done"
    ))
}

/// Jobs that may wait for one model.
const WAITING_JOBS: usize = 16;
