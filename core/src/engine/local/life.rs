//! The life of an engine's model as its handle sees it: loaded ahead, described, idle, and freed in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LocalEngine;
use super::load::LazyModel;
use super::load_job::{LoadEvent, LoadJob};
use super::queue::{JobQueue, Work};
use super::residency::LoadedModel;
use super::shared::EngineShared;
use super::stop::StopConditions;
use crate::chat::StopReason;
use crate::error::Error;
use crate::model::fit::no_template;
use crate::stream::StreamSender;

impl LocalEngine {
    /// Returns the model that is in memory, without waiting for the engine's thread.
    pub fn loaded(&self) -> Option<LoadedModel> {
        self.shared.describe(&self.queue)
    }

    /// Loads the model, and ends `sink` with it: at once if it is in memory, also while it answers. A cancel ends this load
    /// at once; the model is loaded nevertheless if another job waits for it.
    pub fn load(&self, sink: StreamSender<LoadEvent>) {
        let stop = StopConditions::cancel_only(sink.cancel());
        let Some(id) = self.submit(Work::Load(LoadJob::new(sink)), stop) else {
            return;
        };
        // The thread takes the loads out of the queue when the model is in memory. This one may have come later, and must not
        // wait for an answer that runs.
        let (Some(order), Some(model)) = (self.shared.residency.order(), self.loaded()) else {
            return;
        };
        if let Some(load) = self.queue.remove(id).and_then(|job| job.work.into_load()) {
            self.shared.uses.end_job(true);
            load.end(order.has_template.then_some(model).ok_or_else(|| no_template(&self.id)));
        }
    }

    /// Closes these engines, and waits for their threads at most this long in all.
    pub(crate) fn close_all(engines: &[Arc<Self>], timeout: Duration) {
        let begun = Instant::now();
        engines
            .iter()
            .for_each(|engine| engine.queue.close(StopReason::Cancelled));
        for engine in engines {
            if engine.queue.wait_for_end(timeout.saturating_sub(begun.elapsed())) {
                engine.close(StopReason::Cancelled, 0);
            }
        }
        nearside_llama::wait_for_templates(timeout.saturating_sub(begun.elapsed()));
    }

    /// Waits until the thread of a closed engine has ended, at most this long. Returns whether it has.
    pub(crate) fn wait_for_end(&self, timeout: Duration) -> bool {
        self.queue.wait_for_end(timeout)
    }

    /// Returns the bytes of the states that the engine has stored so far.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.shared.saved.stored_bytes()
    }

    /// Returns when the model will have been idle for `keep_alive`; `None` if it is in use or not in memory, and for a time
    /// without an end. A model that was loaded ahead, for an answer to come, is idle a minute later at the earliest.
    pub fn idle_until(&self, keep_alive: Duration) -> Option<Instant> {
        if self.is_in_use() || self.shared.residency.order().is_none() {
            return None;
        }
        let keep_alive = match self.shared.uses.is_loaded_ahead() {
            true => keep_alive.max(LOADED_AHEAD_TIME),
            false => keep_alive,
        };
        self.last_used().checked_add(keep_alive)
    }

    /// Waits for the end of a use, or of the engine. Only one task may wait. The future does not keep the engine.
    pub fn use_ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let uses = Arc::clone(&self.shared.uses);
        async move { uses.use_ended().await }
    }
}

impl EngineShared {
    /// Describes the model in memory and its use.
    pub(super) fn describe(&self, queue: &JobQueue) -> Option<LoadedModel> {
        let model = self.residency.describe(self.saved.bytes())?;
        let in_use = queue.has_users();
        let idle = if in_use {
            Duration::ZERO
        } else {
            self.uses.last().elapsed()
        };
        Some(LoadedModel {
            in_use,
            idle_ms: u64::try_from(idle.as_millis()).unwrap_or(u64::MAX),
            ..model
        })
    }
}

/// Ends the loads that wait: the model is in memory, and they need not wait for the answers before them.
pub(super) fn end_loads(model: &mut LazyModel, queue: &JobQueue, shared: &EngineShared) {
    // Also if the last one was cancelled in the last moment: the time of an idle model counts from here.
    shared.uses.end_job(true);
    let loads = queue.take_loads();
    // Before the loads are told: an answer that their caller sends at once begins without a load.
    if !queue.has_users() {
        model.forget_load_time();
    }
    for load in loads {
        end_load(load, model, queue, shared);
    }
}

/// Ends a load with the model in memory.
pub(super) fn end_load(load: LoadJob, model: &mut LazyModel, queue: &JobQueue, shared: &EngineShared) {
    let described = shared.describe(queue);
    let missing = || Error::internal("a model that was just loaded is not there; this is a bug, please report it");
    load.end(model.check_for_chat().and_then(|()| described.ok_or_else(missing)));
}

/// How long a model that was loaded ahead of its first answer stays, however short idle ones are kept.
const LOADED_AHEAD_TIME: Duration = Duration::from_secs(60);
