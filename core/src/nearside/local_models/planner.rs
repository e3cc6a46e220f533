//! What one engine asks the library: how to load its model, and how it may compute now.

use std::sync::Weak;

use super::{LoadState, LocalModels, MemoryView};
use crate::engine::local::{Adjustment, AdjustmentAction, AdjustmentCause, LoadOutcome, LoadPlanner, RunConditions};
use crate::error::{Error, Result};
use crate::model::fit::LoadOrder;
use crate::nearside::local_model::LocalModel;
use crate::sync::lock;

/// Plans the loads of one engine.
#[derive(Debug)]
pub(super) struct EnginePlanner {
    pub(super) models: Weak<LocalModels>,
    pub(super) id: u64,
    pub(super) model: LocalModel,
}

impl LoadPlanner for EnginePlanner {
    fn plan_load(&self, for_chat: bool) -> Result<LoadOrder> {
        let models = self.models.upgrade();
        let models = models.ok_or_else(|| Error::busy("the library was closed; open it again"))?;
        models.plan_load(self.id, &self.model, for_chat)
    }

    fn load_ended(&self, outcome: LoadOutcome) {
        let Some(models) = self.models.upgrade() else { return };
        let mut engines = lock(&models.engines);
        let Some(entry) = engines.iter_mut().find(|entry| entry.id == self.id) else {
            return;
        };
        entry.growing = 0;
        entry.load = match (outcome, &entry.load) {
            (LoadOutcome::Loaded, LoadState::Loading(order)) => LoadState::Loaded(*order),
            (LoadOutcome::Failed(error), _) => LoadState::Failed(error),
            _ => LoadState::Unloaded,
        };
    }

    fn run_conditions(&self) -> RunConditions {
        let Some(models) = self.models.upgrade() else {
            return RunConditions::default();
        };
        // The facts of a host that fails say nothing.
        let facts = models.host_facts().unwrap_or_default();
        models.app.run_conditions(&facts, models.pauses_in_background)
    }

    fn growth_bytes(&self) -> u64 {
        let Some(models) = self.models.upgrade() else { return 0 };
        let Ok(view) = models.view() else { return 0 };
        let order = self.loaded_order(&view);
        order.map_or(0, |order| models.growth_bytes(&view, self.id, &order))
    }

    fn reserve_growth(&self, tokens: u32, whole: u64, more: u64) -> Option<u64> {
        let models = self.models.upgrade()?;
        let rest = {
            // No load may find the same bytes free. A plan takes half a second at most.
            let _one = lock(&models.planning);
            let view = models.view().ok()?;
            let order = self.loaded_order(&view)?;
            let spare = match tokens > order.context {
                true => models.growth_bytes(&view, self.id, &order),
                false => view.spare(self.id, &order),
            };
            let rest = spare.checked_sub(more)?;
            let mut engines = lock(&models.engines);
            engines.iter_mut().find(|entry| entry.id == self.id)?.growing = whole;
            rest
        };
        models.lower_saved_limits_but(self.id, rest);
        Some(rest)
    }

    fn context_resized(&self, tokens: u32, cache: u64, compute: u64) {
        let Some(models) = self.models.upgrade() else { return };
        let mut engines = lock(&models.engines);
        let Some(entry) = engines.iter_mut().find(|entry| entry.id == self.id) else {
            return;
        };
        entry.growing = 0;
        if let LoadState::Loaded(order) = &mut entry.load {
            order.resize(tokens, cache, compute);
        }
    }

    fn adjusted(&self, action: AdjustmentAction, cause: AdjustmentCause) {
        let Some(models) = self.models.upgrade() else { return };
        let model = self.model.id.clone();
        models.app.publish(&Adjustment { model, action, cause });
    }
}

impl EnginePlanner {
    /// Returns the order of this engine's model if it is in memory.
    fn loaded_order(&self, view: &MemoryView) -> Option<LoadOrder> {
        let own = view.models.iter().find(|model| model.id == self.id)?;
        match &own.load {
            LoadState::Loaded(order) => Some(*order),
            _ => None,
        }
    }
}
