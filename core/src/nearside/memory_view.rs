//! Memory and models at one moment: what a budget is computed from.

use std::path::{Path, PathBuf};
use std::time::Instant;

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

/// What becomes of idle models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    Stay,
    /// What is being closed is free, and so are the copies of all, and those that were not used after this moment.
    FreedUntil(Option<Instant>),
    /// All are free, and what was planned counts as taken.
    Freed,
}

/// State of one model, for a budget.
pub(super) struct ModelState {
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(super) stamp: FileStamp,
    pub(super) in_use: bool,
    pub(super) last_used: Instant,
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
        self.measure(own, Idle::Freed)
    }

    /// Returns the budget of this model while idle ones stay.
    pub(super) fn budget_without_idle(&self, own: u64) -> MemoryBudget {
        self.measure(Some(own), Idle::Stay)
    }

    /// Returns the bytes that the loaded model with this order may take beyond its needs, while idle ones stay and without those
    /// that loads have reserved. The copies of its own conversations' caches count as free.
    pub(super) fn spare(&self, own: u64, order: &LoadOrder) -> u64 {
        let beside_idle = self.measure(Some(own), Idle::Stay).bytes;
        let beside_planned = self.measure(Some(own), Idle::Freed).bytes;
        beside_idle.min(beside_planned).saturating_sub(order.required())
    }

    /// Returns the bytes that a model with this order will be able to take beyond its needs once it is loaded: the least recently
    /// used idle ones are freed for its load, as many as it needs, and the others stay.
    pub(super) fn spare_after_load(&self, own: Option<u64>, order: &LoadOrder) -> u64 {
        let is_idle = |model: &&ModelState| own != Some(model.id) && !model.in_use;
        let mut idle: Vec<_> = self.models.iter().filter(is_idle).collect();
        idle.sort_by_key(|model| model.last_used);
        let rest = |free: MemoryBudget| free.bytes.checked_sub(order.required());
        let steps = [Idle::Stay, Idle::FreedUntil(None)].into_iter();
        let steps = steps.chain(idle.iter().map(|model| Idle::FreedUntil(Some(model.last_used))));
        let beside_idle = steps.map(|idle| self.measure(own, idle)).find_map(rest);
        let beside_planned = rest(self.measure(own, Idle::Freed));
        beside_idle.min(beside_planned).unwrap_or(0)
    }

    fn measure(&self, own: Option<u64>, idle: Idle) -> MemoryBudget {
        let is_freed = |model: &ModelState| match idle {
            Idle::Stay => false,
            Idle::FreedUntil(last) => last.is_some_and(|last| model.last_used <= last),
            Idle::Freed => true,
        };
        let mut memory = ModelMemory {
            idle: if idle == Idle::Stay { 0 } else { self.closing },
            ..ModelMemory::default()
        };
        for model in &self.models {
            let is_own = own == Some(model.id);
            match is_own {
                true => memory.own += model.saved_bytes,
                // Before any model.
                false if idle != Idle::Stay => memory.idle += model.saved_bytes,
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
                LoadState::Loaded(order) if !model.in_use && is_freed(model) => memory.idle += order.held(),
                LoadState::Loading(order) if !is_own => memory.starting += order.held(),
                // It waits until idle ones are freed, and takes nothing before.
                LoadState::Planned(order) if idle == Idle::Freed && !is_own => memory.starting += order.held(),
                _ => {}
            }
        }
        MemoryBudget::measure(&self.snapshot, self.under_pressure, memory)
    }
}
