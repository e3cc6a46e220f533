//! Frees the memory that a planned load needs: copies of conversations' caches first, then idle models, the least recently
//! used first.
//!
//! The plan has reserved the memory, so that this may take its time: a load that needs none of what is being freed does not
//! wait for it. Loads that need some take turns, so that no model is freed for memory that another load's turn frees.

use super::{EngineEntry, LoadState, LocalModels, MAX_STORED_BYTES};
use crate::error::Result;
use crate::model::fit::{LoadOrder, SAVED_SHARE};
use crate::sync::lock;

impl LocalModels {
    /// Begins a planned load once its memory is free while the other models stay, and frees it before.
    pub(super) fn free_for(&self, id: u64, order: LoadOrder) -> Result<()> {
        if self.begin_if_free(id, order)? {
            return Ok(());
        }
        let _turn = lock(&self.freeing);
        if self.begin_if_free(id, order)? {
            return Ok(());
        }
        let mut left = MAX_STORED_BYTES;
        for engine in self.engines_but(Some(id)) {
            super::closing::free_saved(&engine, &mut left);
        }
        loop {
            if self.begin_if_free(id, order)? {
                return Ok(());
            }
            if self.wait_for_closing() {
                continue;
            }
            let Some(entry) = self.take_oldest_idle(id) else {
                // The budget counted on all of them; what is missing now was taken by other programs meanwhile. Contexts do
                // not grow into what is planned.
                self.set_load(id, LoadState::Loading(order));
                return Ok(());
            };
            tracing::info!(model = entry.engine.model_id(), "an idle model is freed for another");
            super::closing::close_within(&entry.engine, &mut left);
        }
    }

    /// Counts the memory of a planned load as being taken if it is free while the other models stay, and returns whether it
    /// is.
    fn begin_if_free(&self, id: u64, order: LoadOrder) -> Result<bool> {
        let rest = {
            // No other load may find the same bytes free.
            let _one = lock(&self.planning);
            let free = self.view()?.budget_without_idle(id).bytes;
            let Some(rest) = free.checked_sub(order.required()) else {
                return Ok(false);
            };
            self.set_load(id, LoadState::Loading(order));
            rest
        };
        self.lower_saved_limits_but(id, rest);
        Ok(true)
    }

    /// Lowers what the copies of the other engines may take, where `rest` bytes are free: their plans counted on memory that is
    /// taken now.
    pub(super) fn lower_saved_limits_but(&self, id: u64, rest: u64) {
        for engine in self.engines_but(Some(id)) {
            engine.lower_saved_limit(engine.saved_bytes() + rest / SAVED_SHARE);
        }
    }

    fn take_oldest_idle(&self, id: u64) -> Option<EngineEntry> {
        let mut engines = lock(&self.engines);
        let idle = engines
            .iter()
            .filter(|entry| entry.id != id && matches!(entry.load, LoadState::Loaded(_)) && !entry.engine.is_in_use());
        let oldest = idle.min_by_key(|entry| entry.engine.last_used())?.id;
        self.take_from(&mut engines, |entry| entry.id == oldest).pop()
    }
}
