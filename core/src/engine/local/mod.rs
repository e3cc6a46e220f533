//! The engine on this device: one loaded model, one thread that owns it, one queue of jobs.
//!
//! ```text
//! answer(job) ──► queue ──► thread: load once ─► template ─► tokens ─► prefill ─► decode, sample ─► chunks
//!               (queue.rs)           (load.rs)   (prompt.rs)           (session.rs)        (reply.rs, text.rs)
//! ```
//!
//! No llama.cpp type leaves the thread. The model loads with the first job, as the [`LoadPlanner`] says, and stays loaded
//! until [`LocalEngine::close`]; an engine with an [`EngineLease`] is not closed to free memory. A load that an app asks for
//! ([`LocalEngine::load`]) is a job like an answer, so that both wait for one load, and each can be cancelled alone. The KV cache keeps the last
//! conversation, so that its next turn prefills only the new tokens.
//!
//! A job that waits, for another one or for the load, ends at once if it is cancelled or its deadline passes. The thread
//! never waits for a reader: an answer that is not read is kept ([`StreamSender::send_merged`]), at most 64 chunks of some
//! hundred bytes and the rest of its text in one, so under 100 kB for an answer of 8,000 tokens.
//!
//! [`StreamSender::send_merged`]: crate::stream::StreamSender::send_merged

mod adjustment;
mod answer;
pub mod bench;
mod conditions;
mod content_origin;
mod control_words;
mod engine_states;
mod enum_pattern;
mod error;
mod fitted;
mod governor;
mod lease;
mod life;
mod load;
mod load_job;
mod pattern;
mod prompt;
mod prompt_tokens;
mod queue;
mod recent_prompts;
mod reply;
mod reply_reader;
mod residency;
mod run_signal;
mod sampling;
mod saved_caches;
mod schema;
mod schema_keywords;
mod schema_loops;
mod session;
mod settings;
mod shared;
mod state_file;
mod state_files;
mod stop;
mod text;
mod use_count;
mod write_allowance;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use adjustment::{Adjustment, AdjustmentAction, AdjustmentCause};
pub use conditions::{RunConditions, ThreadShare};
pub use lease::EngineLease;
pub use load_job::{LoadEvent, LoadStream};
pub use residency::LoadedModel;
pub use settings::{LoadOutcome, LoadPlanner, LocalSettings};
pub use state_files::{ConversationIndex, StateFiles};

use super::{Engine, Job};
use crate::chat::StopReason;
use crate::error::{Error, Result};
use crate::stream::CancelToken;
use crate::sync::lock;
use bench::{BenchOptions, BenchReport};
use life::{end_load, end_loads};
use load::{LazyModel, LoadError};
use queue::{JobQueue, Work};
use shared::EngineShared;
use stop::StopConditions;

/// A model on this device.
#[derive(Debug)]
pub struct LocalEngine {
    queue: Arc<JobQueue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Runs the tasks that watch what waits.
    handle: Handle,
    id: String,
    path: PathBuf,
    shared: EngineShared,
}

impl LocalEngine {
    /// Starts the thread. The first job loads the model.
    ///
    /// # Errors
    /// `Busy` if the system starts no more threads.
    pub fn start(settings: LocalSettings, planner: Arc<dyn LoadPlanner>, handle: Handle) -> Result<Self> {
        let queue = Arc::new(JobQueue::default());
        let jobs = Arc::clone(&queue);
        let (id, path) = (settings.id.clone(), settings.path.clone());
        let shared = EngineShared::new(&settings);
        let model = LazyModel::new(settings, planner, shared.clone());
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("nearside-model".to_owned())
            .spawn(move || {
                let _end = EndOnDrop(&jobs);
                run_worker(model, &jobs, &own);
            })
            .map_err(|cause| Error::thread_limit(&cause))?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            handle,
            id,
            path,
            shared,
        })
    }

    /// Returns the id of the model, as in receipts.
    pub fn model_id(&self) -> &str {
        &self.id
    }

    /// Returns the path of the model's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether the engine is leased, or a job is queued or running.
    pub fn is_in_use(&self) -> bool {
        self.shared.uses.is_leased() || self.queue.is_busy()
    }

    /// Returns when the engine was last used.
    pub fn last_used(&self) -> Instant {
        self.shared.uses.last()
    }

    /// Returns the bytes that the copies of earlier conversations' caches take.
    pub fn saved_bytes(&self) -> u64 {
        self.shared.saved.bytes()
    }

    /// Frees the copies of earlier conversations' caches, and stores the states of those that are stored themselves, up to this
    /// many bytes; the next turns of the others are prefilled again. May wait for a copy that is being made.
    pub fn free_saved(&self, stored_bytes: u64) {
        self.shared.saved.store_copies(stored_bytes);
        self.shared.prompt_tokens.clear();
    }

    /// Frees the copies of conversations that were deleted at these moments. Nothing of them is copied or stored any more, and the
    /// cache that has one is overwritten, at the latest when the answer under way ends.
    pub fn forget(&self, deleted: impl IntoIterator<Item = (u64, Instant)>) {
        self.shared.prompt_tokens.clear();
        self.shared.saved.forget(deleted);
        self.queue.wake();
    }

    #[cfg(test)]
    pub(crate) fn has_forgotten(&self, conversation: u64) -> bool {
        self.shared.saved.has_forgotten(conversation)
    }

    /// Lowers the bytes that copies of earlier conversations' caches may take until the next load: other models need the memory.
    pub fn lower_saved_limit(&self, most: u64) {
        self.shared.saved.lower_limit(|_| most);
    }

    /// Halves the bytes that copies of earlier conversations' caches may take until the next load: memory was short with them.
    pub fn halve_saved_limit(&self) {
        self.shared.saved.lower_limit(|limit| limit / 2);
    }

    /// Has an answer under way ask for its run conditions again, because they changed.
    pub fn update_conditions(&self) {
        self.shared.signal.notify();
    }

    /// Has an answer under way reduce its context to what it needs, before its next step.
    pub fn reduce_memory(&self) {
        self.shared.signal.request_reduction();
    }

    /// Measures speed and memory on the thread that answers use. Hold a lease meanwhile. Dropping the future cancels the
    /// measurement, also while it waits or loads.
    ///
    /// # Errors
    /// Those of loading; `Busy` if the queue is full, or the engine was closed.
    pub async fn bench(&self, options: BenchOptions) -> Result<BenchReport> {
        let guard = CancelOnDrop(CancelToken::default());
        let (reply, report) = oneshot::channel();
        self.submit(Work::Bench(options, reply), StopConditions::cancel_only(&guard.0));
        report
            .await
            .map_err(|_| Error::internal("the benchmark ended without a result"))?
    }

    /// Ends the jobs that wait and the running one for this reason, stores the states of conversations that are stored, up to
    /// this many bytes, frees the model and waits for its thread to end. Blocks until the thread's current step ends:
    /// milliseconds, but up to a second while llama.cpp computes a model's needs or maps its file; and about half a second for
    /// each 100 MB that are stored.
    pub fn close(&self, reason: StopReason, stored_bytes: u64) {
        self.begin_close(reason, stored_bytes);
        if let Some(thread) = lock(&self.thread).take() {
            // The thread catches its own panics, so the result carries no information.
            let _ = thread.join();
        }
    }

    /// Begins to close, and does not wait. Of several calls, the one that allows the fewest bytes counts, also for a state that is
    /// being written.
    pub fn begin_close(&self, reason: StopReason, stored_bytes: u64) {
        self.shared.saved.lower_last_bytes(stored_bytes);
        self.queue.close(reason);
    }

    /// Queues work, and ends it at once if it is stopped while it waits. Returns its id if it was queued.
    fn submit(&self, work: Work, stop: StopConditions) -> Option<u64> {
        let mut waiting = self.queue.push(work, stop)?;
        let id = waiting.id;
        let queue = Arc::clone(&self.queue);
        self.handle.spawn(async move {
            tokio::select! {
                _ = &mut waiting.left => {}
                () = waiting.stop.raised() => {
                    if let Some(job) = queue.remove(waiting.id) {
                        job.work.end_stopped(&job.stop);
                    }
                }
            }
        });
        Some(id)
    }
}

impl Drop for LocalEngine {
    /// Cancels all jobs. The thread ends by itself; it is not joined, and stores nothing.
    fn drop(&mut self) {
        self.queue.close(StopReason::Cancelled);
        self.shared.uses.close();
    }
}

impl Engine for LocalEngine {
    fn answer(&self, job: Job) {
        let stop = StopConditions::new(&job.request, job.sink.cancel(), job.requested_at);
        self.submit(Work::Answer(Box::new(job)), stop);
    }
}

/// Cancels a measurement whose caller no longer waits.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Tells the queue that the thread ends, also after a panic.
struct EndOnDrop<'a>(&'a JobQueue);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn run_worker(mut model: LazyModel, queue: &JobQueue, shared: &EngineShared) {
    while queue.wait_for_job() {
        model.wipe_forgotten();
        if model.is_loaded() {
            run_next(&mut model, queue, shared);
        } else {
            load_for_first(&mut model, queue, shared);
        }
        // A conversation may be deleted while it is answered.
        model.wipe_forgotten();
    }
    if catch_unwind(AssertUnwindSafe(|| model.store_states())).is_err() {
        tracing::warn!("the states of conversations are not stored");
    }
}

/// Loads the model that the first job needs. The jobs wait in the queue meanwhile; the load ends early if none is left.
fn load_for_first(model: &mut LazyModel, queue: &JobQueue, shared: &EngineShared) {
    let first = queue.peek(|work| match work {
        Work::Answer(job) => (Some(job.request.clone()), true),
        Work::Load(_) => (None, true),
        Work::Bench(..) => (None, false),
    });
    let Some((id, (request, for_chat))) = first else { return };
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        if let Some(request) = &request {
            answer::check_request(request)?;
        }
        model.load(for_chat, &|fraction| {
            queue.report_load(fraction);
            queue.has_waiting()
        })
    }));
    let loaded = loaded.unwrap_or_else(|_| {
        model.unload();
        Err(Error::internal("loading the model panicked; this is a bug, please report it").into())
    });
    match loaded {
        Ok(()) => end_loads(model, queue, shared),
        // A job that was cancelled meanwhile has ended already, and the next one loads anew.
        Err(LoadError::Failed(error)) => {
            if let Some(job) = queue.remove(id) {
                job.work.end_failed(error);
            }
        }
        Err(LoadError::Unwanted) => {}
    }
}

fn run_next(model: &mut LazyModel, queue: &JobQueue, shared: &EngineShared) {
    let Some(job) = queue.start_next() else { return };
    let stop = job.stop.clone();
    let mut finished = None;
    match job.work {
        Work::Answer(job) => {
            finished = catch_unwind(AssertUnwindSafe(|| answer::run_job(model, *job, &stop))).ok();
            if finished.is_none() {
                // Do not reuse state after a panic; the dropped sink has already reported `Internal`.
                model.unload();
            }
        }
        // It came after the load.
        Work::Load(load) => {
            queue.end_running();
            shared.uses.end_job(true);
            return end_load(load, model, queue, shared);
        }
        Work::Bench(options, reply) => {
            let report = catch_unwind(AssertUnwindSafe(|| bench::run_bench(model, &options, &stop)));
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
    model.pause_threads();
    queue.end_running();
    shared.uses.end_job(false);
    // Only now: an app that has the whole answer may rely on an idle model.
    if let Some((sink, last)) = finished {
        sink.finish(last);
    }
}
