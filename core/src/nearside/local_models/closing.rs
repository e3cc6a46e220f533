//! How models leave memory: closed by the app, when idle, after a warning, or at the end; and what is stored of them before.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{EngineEntry, LocalModels, MAX_STORED_BYTES};
use crate::chat::StopReason;
use crate::engine::local::{Adjustment, AdjustmentAction, AdjustmentCause, LocalEngine};
use crate::nearside::keep_alive::close_when_idle;
use crate::nearside::local_model::LocalModel;
use crate::sync::lock;

impl LocalModels {
    /// Lets this engine be closed whenever its model was idle for long enough.
    pub(super) fn close_later(self: &Arc<Self>, id: u64, engine: &Arc<LocalEngine>) {
        let (models, keep_alive) = (Arc::downgrade(self), self.keep_alive);
        let close = move || match models.upgrade() {
            Some(models) => models.close_idle_since(id, keep_alive),
            None => true,
        };
        self.handle
            .spawn(close_when_idle(Arc::downgrade(engine), keep_alive, close));
    }

    /// Closes the engine of this id if it is idle for this long, and returns whether it did. No load is planned meanwhile,
    /// so that none misses the memory that this frees.
    fn close_idle_since(&self, id: u64, keep_alive: Duration) -> bool {
        let _no_plan = lock(&self.planning);
        let idle = |entry: &EngineEntry| {
            let until = entry.engine.idle_until(keep_alive);
            entry.id == id && until.is_some_and(|until| until <= Instant::now())
        };
        let closing = self.take_where(idle);
        close(&closing);
        !closing.is_empty()
    }

    /// Closes all engines, or that of one file, and waits for their threads. Their answers end as cancelled.
    pub(in crate::nearside) fn close_engines(&self, path: Option<&Path>) {
        close(&self.take_where(|entry| path.is_none_or(|path| entry.path == path)));
    }

    /// Closes all engines. Their answers end as [`StopReason::MemoryCritical`], and little of them is stored.
    pub(in crate::nearside) fn end_engines(&self) {
        for entry in self.take_where(|_| true) {
            entry.engine.close(StopReason::MemoryCritical, LAST_MOMENT_BYTES);
            self.publish(&entry, AdjustmentAction::Ended, AdjustmentCause::MemoryCritical);
        }
    }

    /// Closes the engine of a model that is being removed, and deletes its stored states.
    pub(in crate::nearside) fn close_removed(&self, model: &LocalModel) {
        for entry in self.take_where(|entry| entry.path == model.path) {
            entry.engine.close(StopReason::Cancelled, 0);
        }
        self.states.remove_model(&model.sha256);
    }

    /// Closes the engines that are not in use.
    pub(in crate::nearside) fn close_idle(&self, cause: AdjustmentCause) {
        for entry in self.take_where(|entry| !entry.engine.is_in_use()) {
            entry.engine.close(StopReason::Cancelled, MAX_STORED_BYTES);
            self.publish(&entry, AdjustmentAction::Unloaded, cause);
        }
    }

    /// Closes every engine, and waits for their threads at most this long: for good, at the end of the library.
    pub(in crate::nearside) fn drop_engines(&self, timeout: Duration) {
        let closing = std::mem::take(&mut *lock(&self.engines));
        let engines = closing.into_iter().map(|entry| entry.engine);
        LocalEngine::close_all(&engines.collect::<Vec<_>>(), timeout);
    }

    /// Frees the copies of conversations' caches of all engines, and stores their states; no model is unloaded.
    pub(in crate::nearside) fn free_all_saved(&self, cause: AdjustmentCause) {
        let engines = lock(&self.engines).clone();
        for entry in engines {
            let bytes = entry.engine.saved_bytes();
            entry.engine.free_saved(MAX_STORED_BYTES);
            if bytes > 0 {
                self.publish(&entry, AdjustmentAction::CachesFreed { bytes }, cause);
            }
        }
    }

    /// Frees the copies of conversations' caches of all engines but one, and stores their states.
    pub(super) fn free_saved_but(&self, id: u64) {
        let engines = self.engines_but(Some(id));
        engines.iter().for_each(|engine| engine.free_saved(MAX_STORED_BYTES));
    }

    /// Frees the copies, and deletes the stored states, of a conversation that was deleted.
    pub(in crate::nearside) fn forget_conversation(&self, conversation: u64) {
        let engines = self.engines_but(None);
        engines.iter().for_each(|engine| engine.forget(conversation));
        self.states.remove_conversation(conversation);
    }

    /// Deletes the stored states of conversations that are gone.
    pub(in crate::nearside) fn remove_gone_states(&self) {
        self.states.remove_gone();
    }

    /// Has all engines ask for their run conditions again.
    pub(in crate::nearside) fn update_conditions(&self) {
        let engines = self.engines_but(None);
        engines.iter().for_each(|engine| engine.update_conditions());
    }

    /// Has the answers under way reduce their contexts.
    pub(in crate::nearside) fn reduce_memory(&self) {
        let engines = self.engines_but(None);
        let in_use = engines.iter().filter(|engine| engine.is_in_use());
        in_use.for_each(|engine| engine.reduce_memory());
    }

    /// Lets all engines make fewer copies of conversations' caches from now on: the system warned of what they take.
    pub(in crate::nearside) fn halve_saved_limits(&self) {
        let engines = self.engines_but(None);
        engines.iter().for_each(|engine| engine.halve_saved_limit());
    }

    fn publish(&self, entry: &EngineEntry, action: AdjustmentAction, cause: AdjustmentCause) {
        let model = entry.engine.model_id().to_owned();
        self.app.publish(&Adjustment { model, action, cause });
    }

    fn take_where(&self, which: impl Fn(&EngineEntry) -> bool) -> Vec<EngineEntry> {
        lock(&self.engines).extract_if(.., |entry| which(entry)).collect()
    }
}

fn close(engines: &[EngineEntry]) {
    for entry in engines {
        entry.engine.close(StopReason::Cancelled, MAX_STORED_BYTES);
    }
}

/// States that one engine stores when the app is about to be killed.
const LAST_MOMENT_BYTES: u64 = 16 << 20;
