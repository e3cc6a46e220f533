//! What one engine asks the library: how to load its model, and how it may compute now.

use std::sync::Weak;

use super::{LoadState, LocalModels};
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

    fn spare_bytes(&self) -> u64 {
        // Without the lock of plans: an answer must not wait for a model that is being closed.
        let view = self.models.upgrade().and_then(|models| models.view().ok());
        let Some(view) = view else { return 0 };
        let own = view.models.iter().find(|model| model.id == self.id);
        match own.map(|own| &own.load) {
            Some(LoadState::Loaded(order)) => view.spare(Some(self.id), order),
            _ => 0,
        }
    }

    fn context_resized(&self, tokens: u32, cache: u64, compute: u64) {
        let Some(models) = self.models.upgrade() else { return };
        let mut engines = lock(&models.engines);
        let entry = engines.iter_mut().find(|entry| entry.id == self.id);
        if let Some(LoadState::Loaded(order)) = entry.map(|entry| &mut entry.load) {
            order.resize(tokens, cache, compute);
        }
    }

    fn adjusted(&self, action: AdjustmentAction, cause: AdjustmentCause) {
        let Some(models) = self.models.upgrade() else { return };
        let model = self.model.id.clone();
        models.app.publish(&Adjustment { model, action, cause });
    }
}
