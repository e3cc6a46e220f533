//! Memory and models at one moment: what a budget is computed from.

use std::path::{Path, PathBuf};

use super::local_model::{FileStamp, file_stamp};
use crate::device::DeviceSnapshot;
use crate::error::Error;
use crate::model::MemoryBudget;
use crate::model::fit::{LoadOrder, ModelMemory};

/// Whether an engine's model is in memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LoadState {
    Unloaded,
    /// Its memory is reserved, and being freed where it is not free yet.
    Planned(LoadOrder),
    Loading(LoadOrder),
    Loaded(LoadOrder),
    Failed(Error),
}

impl LoadState {
    /// Returns the bytes that the model keeps from others.
    pub(super) fn held(&self) -> u64 {
        match self {
            Self::Loaded(order) => order.held(),
            Self::Unloaded | Self::Planned(_) | Self::Loading(_) | Self::Failed(_) => 0,
        }
    }
}

/// Memory and models at one moment.
pub(super) struct MemoryView {
    pub(super) snapshot: DeviceSnapshot,
    pub(super) under_pressure: bool,
    pub(super) models: Vec<ModelState>,
    /// Held by models that are being closed.
    pub(super) closing: u64,
}

/// State of one model, for a budget.
pub(super) struct ModelState {
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(super) stamp: FileStamp,
    pub(super) in_use: bool,
    pub(super) load: LoadState,
    /// Held by copies of its conversations' caches, which are freed first.
    pub(super) saved_bytes: u64,
    /// Promised to its context, which is being replaced by a larger one.
    pub(super) growing: u64,
}

impl MemoryView {
    /// Returns the model at this path.
    pub(super) fn find(&self, path: &Path) -> Option<&ModelState> {
        let found = self.models.iter().find(|model| model.path == path)?;
        // A file that was replaced is another model.
        (found.stamp == file_stamp(path)).then_some(found)
    }

    /// Returns the budget of this model, or of one that has no engine: idle ones can be freed.
    pub(super) fn budget(&self, own: Option<u64>) -> MemoryBudget {
        self.measure(own, true)
    }

    /// Returns the budget of this model while idle ones stay.
    pub(super) fn budget_without_idle(&self, own: u64) -> MemoryBudget {
        self.measure(Some(own), false)
    }

    /// Returns the bytes that the loaded model with this order may take beyond its needs, while idle ones stay and without those
    /// that loads have reserved. The copies of its own conversations' caches count as free.
    pub(super) fn spare(&self, own: u64, order: &LoadOrder) -> u64 {
        let beside_idle = self.measure(Some(own), false).bytes;
        let beside_planned = self.measure(Some(own), true).bytes;
        beside_idle.min(beside_planned).saturating_sub(order.required())
    }

    fn measure(&self, own: Option<u64>, count_idle: bool) -> MemoryBudget {
        let mut memory = ModelMemory {
            idle: if count_idle { self.closing } else { 0 },
            ..ModelMemory::default()
        };
        for model in &self.models {
            let is_own = own == Some(model.id);
            match is_own {
                true => memory.own += model.saved_bytes,
                false if count_idle => memory.idle += model.saved_bytes,
                false => {}
            }
            if !is_own {
                memory.starting += model.growing;
            }
            match &model.load {
                LoadState::Loaded(order) if is_own => {
                    memory.own += order.held();
                    memory.running = order.required();
                }
                LoadState::Loaded(order) if count_idle && !model.in_use => memory.idle += order.held(),
                LoadState::Loading(order) if !is_own => memory.starting += order.held(),
                // It waits until idle ones are freed, and takes nothing before.
                LoadState::Planned(order) if count_idle && !is_own => memory.starting += order.held(),
                _ => {}
            }
        }
        MemoryBudget::measure(&self.snapshot, self.under_pressure, memory)
    }
}
