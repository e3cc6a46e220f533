//! Which model an engine runs, the plan that it is given for loading it, and the conditions under which it runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::adjustment::{AdjustmentAction, AdjustmentCause};
use super::conditions::RunConditions;
use super::state_files::StateFiles;
use crate::error::{Error, Result};
use crate::model::fit::LoadOrder;

/// The model of an engine.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The model's file, complete and verified.
    pub path: PathBuf,
    /// Model id in receipts.
    pub id: String,
    /// SHA-256 of the file; empty if it is not known.
    pub sha256: String,
    /// Where the states of conversations are stored. Unset: nowhere.
    pub states: Option<Arc<StateFiles>>,
}

/// Plans loads, and says how a loaded model may run. The engine asks right before it loads and while it computes, and
/// reports how that ended; it measures nothing of the device itself. Called on the engine's thread.
pub trait LoadPlanner: Send + Sync + std::fmt::Debug {
    /// Returns how to load the model, frees the memory that it needs, and counts that memory as taken from then on.
    /// Blocks. `for_chat`: the model must have a chat template.
    ///
    /// # Errors
    /// `TooLarge` if the model does not fit; `Unsupported` without a chat template; the error of an earlier load that
    /// would fail again.
    fn plan_load(&self, for_chat: bool) -> Result<LoadOrder>;

    /// Reports how a planned load ended, or that the model is no longer in memory.
    fn load_ended(&self, outcome: LoadOutcome);

    /// Returns how the model may compute now. Must not block.
    fn run_conditions(&self) -> RunConditions {
        RunConditions::default()
    }

    /// Returns how many bytes the context of the loaded model may take beyond its plan, those of its copies of conversations'
    /// caches included. Must not block.
    fn growth_bytes(&self) -> u64 {
        0
    }

    /// Reserves memory for a context that will be replaced by one of so many tokens and `whole` bytes, until
    /// [`Self::context_resized`]: `more` than the present one takes. Returns how many bytes are left then, those of the model's
    /// copies included; `None` if there is no memory for it, or the context would be larger than planned while it must not.
    fn reserve_growth(&self, _tokens: u32, _whole: u64, _more: u64) -> Option<u64> {
        None
    }

    /// Reports that the loaded model's context has another size in tokens, with the bytes of its cache and of its compute
    /// buffers.
    fn context_resized(&self, _tokens: u32, _cache: u64, _compute: u64) {}

    /// Reports an adjustment.
    fn adjusted(&self, _action: AdjustmentAction, _cause: AdjustmentCause) {}
}

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The model is in memory.
    Loaded,
    /// Nothing is in memory: the load was cancelled, or the model was dropped.
    Unloaded,
    /// The load failed.
    Failed(Error),
}
