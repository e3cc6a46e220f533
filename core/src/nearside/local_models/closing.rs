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

    /// Closes the engine of this id if it is idle for this long, and returns whether it is closed.
    fn close_idle_since(&self, id: u64, keep_alive: Duration) -> bool {
        let idle = |entry: &EngineEntry| {
            let until = entry.engine.idle_until(keep_alive);
            entry.id == id && until.is_some_and(|until| until <= Instant::now())
        };
        close(&self.take_where(idle));
        // Also if something else closes it: it may be idle for a while until its thread has ended.
        !lock(&self.engines).iter().any(|entry| entry.id == id)
    }

    /// Closes all engines, or that of one file, and waits for their threads. Their answers end as cancelled.
    pub(in crate::nearside) fn close_engines(&self, path: Option<&Path>) {
        close(&self.take_where(|entry| path.is_none_or(|path| entry.path == path)));
    }

    /// Closes all engines. Their answers end as [`StopReason::MemoryCritical`], and little of them is stored.
    pub(in crate::nearside) fn end_engines(&self) {
        let with_use = |entry: EngineEntry| (entry.engine.is_in_use(), entry);
        let ended: Vec<_> = self.take_where(|_| true).into_iter().map(with_use).collect();
        // All at once: closing one may take a while. Also those that were being closed before: they may be storing more.
        for (engine, _) in self.closing() {
            engine.begin_close(StopReason::MemoryCritical, LAST_MOMENT_BYTES);
        }
        for (was_in_use, entry) in ended {
            entry.engine.close(StopReason::MemoryCritical, LAST_MOMENT_BYTES);
            if was_in_use || entry.is_in_memory() {
                self.publish(&entry, AdjustmentAction::Ended, AdjustmentCause::MemoryCritical);
            }
        }
    }

    /// Closes the engine of a model that is being removed, and deletes its stored states.
    pub(in crate::nearside) fn close_removed(&self, model: &LocalModel) {
        self.take_where(|entry| entry.path == model.path);
        // Also those that were being closed before, and may be storing its states.
        let closing = self.closing().into_iter().map(|(engine, _)| engine);
        closing
            .filter(|engine| engine.path() == model.path)
            .for_each(|engine| engine.close(StopReason::Cancelled, 0));
        self.states.remove_model(&model.sha256);
    }

    /// Closes the engines that are not in use.
    pub(in crate::nearside) fn close_idle(&self, cause: AdjustmentCause) {
        let mut left = MAX_STORED_BYTES;
        for entry in self.take_where(|entry| !entry.engine.is_in_use()) {
            close_within(&entry.engine, &mut left);
            if entry.is_in_memory() {
                self.publish(&entry, AdjustmentAction::Unloaded, cause);
            }
        }
    }

    /// Closes every engine, and waits for their threads at most this long: for good, at the end of the library.
    pub(in crate::nearside) fn drop_engines(&self, timeout: Duration) {
        self.take_where(|_| true);
        let all: Vec<_> = self.closing().into_iter().map(|(engine, _)| engine).collect();
        LocalEngine::close_all(&all, timeout);
    }

    /// Frees the copies of conversations' caches of all engines, and stores their states; no model is unloaded.
    pub(in crate::nearside) fn free_all_saved(&self, cause: AdjustmentCause) {
        let engines = lock(&self.engines).clone();
        let mut left = MAX_STORED_BYTES;
        for entry in engines {
            let bytes = entry.engine.saved_bytes();
            free_saved(&entry.engine, &mut left);
            if bytes > 0 {
                self.publish(&entry, AdjustmentAction::CachesFreed { bytes }, cause);
            }
        }
    }

    /// Frees the copies, and deletes the stored states, of a conversation that was deleted.
    pub(in crate::nearside) fn forget_conversation(&self, conversation: u64) {
        let deletion = (conversation, Instant::now());
        // First: an engine that is started meanwhile gets it.
        lock(&self.deleted).extend([deletion]);
        let engines = self.engines_but(None);
        engines.iter().for_each(|engine| engine.forget([deletion]));
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
        self.take_from(&mut lock(&self.engines), which)
    }

    /// Takes entries out of the engines, whose lock the caller holds, and counts their memory as being freed until their
    /// threads have ended. Nothing else may take one out.
    pub(super) fn take_from(
        &self,
        engines: &mut Vec<EngineEntry>,
        which: impl Fn(&EngineEntry) -> bool,
    ) -> Vec<EngineEntry> {
        let taken: Vec<_> = engines.extract_if(.., |entry| which(entry)).collect();
        let held = |entry: &EngineEntry| entry.load.held().saturating_add(entry.engine.saved_bytes());
        let closing = taken.iter().map(|entry| (Arc::clone(&entry.engine), held(entry)));
        lock(&self.closing).extend(closing);
        taken
    }

    /// Returns the engines that are being closed, and the bytes that each holds until its thread has ended.
    pub(super) fn closing(&self) -> Vec<(Arc<LocalEngine>, u64)> {
        let mut closing = lock(&self.closing);
        closing.retain(|(engine, _)| !engine.wait_for_end(Duration::ZERO));
        closing.clone()
    }

    /// Waits until these bytes are free. Returns whether it waited for any, and they are. The threads of models in memory plan
    /// no load, so that the caller may hold the lock of freeing.
    pub(super) fn wait_for_closing(&self) -> bool {
        let mut holding = self.closing();
        holding.retain(|(_, held)| *held > 0);
        !holding.is_empty() && holding.iter().all(|(engine, _)| engine.wait_for_end(CLOSING_TIMEOUT))
    }
}

fn close(engines: &[EngineEntry]) {
    for entry in engines {
        entry.engine.close(StopReason::Cancelled, MAX_STORED_BYTES);
    }
}

/// Closes an engine that may store this many bytes, and takes off them what it stored.
pub(super) fn close_within(engine: &LocalEngine, left: &mut u64) {
    let before = engine.stored_bytes();
    engine.close(StopReason::Cancelled, *left);
    *left = left.saturating_sub(engine.stored_bytes() - before);
}

/// Frees the copies of an engine that may store this many bytes, and takes off them what it stored.
pub(super) fn free_saved(engine: &LocalEngine, left: &mut u64) {
    let before = engine.stored_bytes();
    engine.free_saved(*left);
    *left = left.saturating_sub(engine.stored_bytes() - before);
}

/// States that one engine stores when the app is about to be killed.
const LAST_MOMENT_BYTES: u64 = 16 << 20;
/// Longer than a model's states take to be stored.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(10);
