//! The jobs of one engine, answers, loads and measurements alike: those that wait, and the one that runs.
//!
//! A job stays in the queue while its model loads, so that a cancel or a deadline ends it at once, whatever the engine's
//! thread is doing, and a load goes on as long as one job wants it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::bench::{BenchOptions, BenchReport};
use super::error::measurement_cancelled;
use super::load_job::{LoadJob, unloaded_meanwhile};
use super::stop::StopConditions;
use crate::chat::{AnswerSummary, Chunk, StopReason};
use crate::engine::Job;
use crate::error::{Error, ErrorReason, Result};
use crate::sync::lock;

/// The jobs of one engine.
#[derive(Debug, Default)]
pub(super) struct JobQueue {
    state: Mutex<QueueState>,
    /// Notified by a new job, by a wake-up, and when the queue is closed.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<QueuedJob>,
    /// The conditions that stop the running job.
    running: Option<StopConditions>,
    is_closed: bool,
    /// Whether the engine's thread has to look at what it holds, also if no job waits.
    is_woken: bool,
    /// Whether the engine's thread has freed the model and ends.
    is_ended: bool,
    next_id: u64,
}

/// A job in the queue.
#[derive(Debug)]
pub(super) struct QueuedJob {
    id: u64,
    pub(super) work: Work,
    pub(super) stop: StopConditions,
    /// Dropped when the job leaves the queue.
    _waits: oneshot::Sender<()>,
}

/// Work of an engine's thread.
#[derive(Debug)]
pub(super) enum Work {
    Answer(Box<Job>),
    /// Ends with the load, whatever else waits.
    Load(LoadJob),
    Bench(BenchOptions, oneshot::Sender<Result<BenchReport>>),
}

/// A job that waits.
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) stop: StopConditions,
    /// Ends when the job leaves the queue.
    pub(super) left: oneshot::Receiver<()>,
}

impl JobQueue {
    /// Adds a job. Ends it with an error if the queue is full, and as unloaded if it is closed.
    pub(super) fn push(&self, work: Work, stop: StopConditions) -> Option<Waiting> {
        let mut state = lock(&self.state);
        if state.is_closed {
            drop(state);
            work.end_unloaded(StopReason::Cancelled, &stop);
            return None;
        }
        if state.waiting.len() >= MAX_QUEUED_JOBS {
            drop(state);
            work.end_failed(queue_full());
            return None;
        }
        let (waits, left) = oneshot::channel();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.push_back(QueuedJob {
            id,
            work,
            stop: stop.clone(),
            _waits: waits,
        });
        self.changed.notify_all();
        Some(Waiting { id, stop, left })
    }

    /// Waits for a job or a wake-up. Returns false once the queue is closed.
    pub(super) fn wait_for_job(&self) -> bool {
        let is_idle = |state: &mut QueueState| state.waiting.is_empty() && !state.is_woken && !state.is_closed;
        let state = self.changed.wait_while(lock(&self.state), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.is_woken = false;
        !state.is_closed
    }

    /// Has [`Self::wait_for_job`] return once, also if no job waits.
    pub(super) fn wake(&self) {
        lock(&self.state).is_woken = true;
        self.changed.notify_all();
    }

    /// Returns a value derived from the first job, and its id; `None` if no job waits.
    pub(super) fn peek<T>(&self, derive: impl FnOnce(&Work) -> T) -> Option<(u64, T)> {
        let state = lock(&self.state);
        state.waiting.front().map(|job| (job.id, derive(&job.work)))
    }

    /// Takes the first job, which counts as running until [`Self::end_running`].
    pub(super) fn start_next(&self) -> Option<QueuedJob> {
        let mut state = lock(&self.state);
        let job = state.waiting.pop_front()?;
        state.running = Some(job.stop.clone());
        Some(job)
    }

    /// Records that the running job has ended.
    pub(super) fn end_running(&self) {
        lock(&self.state).running = None;
    }

    /// Takes a job out of the queue; `None` if it left the queue before.
    pub(super) fn remove(&self, id: u64) -> Option<QueuedJob> {
        let mut state = lock(&self.state);
        let at = state.waiting.iter().position(|job| job.id == id)?;
        state.waiting.remove(at)
    }

    /// Returns whether a job waits.
    pub(super) fn has_waiting(&self) -> bool {
        !lock(&self.state).waiting.is_empty()
    }

    /// Returns whether an answer or a measurement waits or runs.
    pub(super) fn has_users(&self) -> bool {
        let state = lock(&self.state);
        let mut waiting = state.waiting.iter();
        state.running.is_some() || waiting.any(|job| !matches!(job.work, Work::Load(_)))
    }

    /// Tells the loads that wait how far the model's load has come.
    pub(super) fn report_load(&self, fraction: f64) {
        for job in &mut lock(&self.state).waiting {
            if let Work::Load(load) = &mut job.work {
                load.report(fraction);
            }
        }
    }

    /// Takes all loads that wait.
    pub(super) fn take_loads(&self) -> Vec<LoadJob> {
        let mut state = lock(&self.state);
        let is_load = |job: &QueuedJob| matches!(job.work, Work::Load(_));
        let waiting = std::mem::take(&mut state.waiting);
        let (loads, others): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(is_load);
        state.waiting = others;
        drop(state);
        loads.into_iter().filter_map(|job| job.work.into_load()).collect()
    }

    /// Returns whether a job waits or runs.
    pub(super) fn is_busy(&self) -> bool {
        let state = lock(&self.state);
        state.running.is_some() || !state.waiting.is_empty()
    }

    /// Ends the jobs that wait and the running one for this reason, and accepts no more.
    pub(super) fn close(&self, reason: StopReason) {
        let waiting = {
            let mut state = lock(&self.state);
            state.is_closed = true;
            if let Some(stop) = &state.running {
                stop.end(reason);
            }
            std::mem::take(&mut state.waiting)
        };
        self.changed.notify_all();
        for job in waiting {
            job.work.end_unloaded(reason, &job.stop);
        }
    }

    /// Records that the engine's thread has freed the model and ends.
    pub(super) fn end(&self) {
        lock(&self.state).is_ended = true;
        self.changed.notify_all();
    }

    /// Waits until the engine's thread ends, at most this long. Returns whether it does.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> bool {
        let state = lock(&self.state);
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !state.is_ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_ended
    }
}

impl Work {
    /// Returns the load; `None` for other work.
    pub(super) fn into_load(self) -> Option<LoadJob> {
        match self {
            Self::Load(load) => Some(load),
            Self::Answer(_) | Self::Bench(..) => None,
        }
    }

    /// Ends work whose model was unloaded: an answer as cancelled.
    fn end_unloaded(self, reason: StopReason, stop: &StopConditions) {
        match self {
            Self::Load(load) if !load.is_cancelled() => load.end(Err(unloaded_meanwhile())),
            work => {
                stop.end(reason);
                work.end_stopped(stop);
            }
        }
    }

    /// Ends work that did not begin, for the reason that stopped it.
    pub(super) fn end_stopped(self, stop: &StopConditions) {
        match (self, stop.cause()) {
            (work, Some(error)) => work.end_failed(error),
            (Self::Answer(job), None) => {
                let mut summary = AnswerSummary::cancelled_before_start(&job.route);
                summary.stop = stop.reason();
                job.sink.finish(Ok(Chunk::Done { summary }));
            }
            (Self::Load(load), None) => load.close(),
            (work @ Self::Bench(..), None) => work.end_failed(measurement_cancelled()),
        }
    }

    /// Ends work with an error.
    pub(super) fn end_failed(self, error: Error) {
        match self {
            Self::Answer(job) => job.sink.finish(Err(error)),
            Self::Load(load) => load.end(Err(error)),
            Self::Bench(_, reply) => {
                // The caller may no longer wait.
                let _ = reply.send(Err(error));
            }
        }
    }
}

fn queue_full() -> Error {
    Error::busy(format!(
        "{MAX_QUEUED_JOBS} requests already wait for this model; try again when one is done"
    ))
    .because(ErrorReason::Busy)
}

/// Maximum number of jobs that wait for one model: more than an app asks at once, unless it asks in a loop.
const MAX_QUEUED_JOBS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ChatMessage, ChatRequest, ChatStream, Route, RouteRule, RouteTarget};
    use crate::engine::SentMark;
    use crate::stream::{CancelToken, Stream};
    use std::time::Instant;

    fn answer(deadline_ms: Option<u64>) -> (ChatStream, Work, StopConditions) {
        let (stream, sink) = Stream::new();
        let mut request = ChatRequest::new(vec![ChatMessage::user("hello")]);
        request.limits.deadline_ms = deadline_ms;
        let requested_at = Instant::now();
        let stop = StopConditions::new(&request, sink.cancel(), requested_at);
        let job = Job {
            request,
            kept_turns: None,
            conversation: None,
            route: Route::to(
                RouteTarget::Local { model: "m".into() },
                RouteRule::RequestedTarget,
                "named",
            ),
            sink,
            requested_at,
            sent: SentMark::default(),
            begun: None,
        };
        (stream, Work::Answer(Box::new(job)), stop)
    }

    async fn stop_reason(stream: &ChatStream) -> Result<StopReason> {
        let last = stream.next_batch().await?.pop();
        let Some(Chunk::Done { summary }) = last else {
            panic!("{last:?}")
        };
        Ok(summary.stop)
    }

    #[tokio::test]
    async fn jobs_are_taken_in_order_and_one_that_is_removed_is_not_taken() {
        let queue = JobQueue::default();
        let ids = [1, 2, 3].map(|_| {
            let (stream, work, stop) = answer(None);
            (stream, queue.push(work, stop).expect("space").id)
        });
        assert!(queue.wait_for_job() && queue.is_busy());
        queue.remove(ids[0].1).expect("it waits");
        assert!(queue.remove(ids[0].1).is_none());
        assert_eq!(queue.peek(|_| ()).map(|(id, ())| id), Some(ids[1].1));
        assert_eq!(queue.start_next().map(|job| job.id), Some(ids[1].1));
        assert!(queue.remove(ids[1].1).is_none(), "it runs");
        assert_eq!(queue.start_next().map(|job| job.id), Some(ids[2].1));
        assert!(queue.is_busy() && !queue.has_waiting());
        queue.end_running();
        assert!(!queue.is_busy());
    }

    #[tokio::test]
    async fn closing_ends_what_waits_and_stops_what_runs() {
        let queue = JobQueue::default();
        let (_running, work, stop) = answer(None);
        queue.push(work, stop.clone());
        queue.start_next().expect("a job");
        let (waiting, work, other) = answer(None);
        let mut left = queue.push(work, other).expect("space").left;
        let (reply, mut report) = oneshot::channel();
        let measured = StopConditions::cancel_only(&CancelToken::default());
        queue.push(Work::Bench(BenchOptions::default(), reply), measured);
        queue.close(StopReason::MemoryCritical);
        assert!(stop.is_raised());
        assert_eq!(stop.reason(), StopReason::MemoryCritical);
        assert_eq!(stop_reason(&waiting).await, Ok(StopReason::MemoryCritical));
        assert!(left.try_recv().is_err(), "it left the queue");
        let error = report.try_recv().expect("a reply").expect_err("unloaded");
        assert_eq!(error.reason(), ErrorReason::Busy);
        assert!(!queue.wait_for_job());
        // An engine that was leased before it was closed: the app unloaded the model.
        let (late, work, stop) = answer(None);
        assert!(queue.push(work, stop).is_none());
        assert_eq!(stop_reason(&late).await, Ok(StopReason::Cancelled));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_one_more_job_and_no_other() {
        let queue = JobQueue::default();
        let waiting: Vec<_> = (0..MAX_QUEUED_JOBS)
            .map(|_| {
                let (stream, work, stop) = answer(None);
                (stream, queue.push(work, stop).expect("space"))
            })
            .collect();
        let (one_more, work, stop) = answer(None);
        assert!(queue.push(work, stop).is_none());
        let refused = stop_reason(&one_more).await.expect_err("full");
        assert_eq!(refused.reason(), ErrorReason::Busy);
        queue.close(StopReason::Cancelled);
        for (stream, _) in waiting {
            assert_eq!(stop_reason(&stream).await, Ok(StopReason::Cancelled));
        }
    }

    #[tokio::test]
    async fn a_deadline_that_passed_in_the_queue_is_the_error_of_the_job() {
        let queue = JobQueue::default();
        let (stream, work, stop) = answer(Some(1));
        let waiting = queue.push(work, stop).expect("space");
        waiting.stop.raised().await;
        let job = queue.remove(waiting.id).expect("it waits");
        job.work.end_stopped(&job.stop);
        let error = stop_reason(&stream).await.expect_err("late");
        assert_eq!(error.reason(), ErrorReason::DeadlineExceeded);
    }
}
