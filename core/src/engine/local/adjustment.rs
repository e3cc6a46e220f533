//! Adjustments: changes of how a model on this device runs, because of memory, heat, power saving or the background. An
//! app may show them.

use serde::{Deserialize, Serialize};

use crate::stream::Merge;

/// A change of how one model runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Id of the model, as in receipts.
    pub model: String,
    /// What changed.
    pub action: AdjustmentAction,
    /// Why.
    pub cause: AdjustmentCause,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentAction {
    /// The idle model was freed. The next request loads it again.
    Unloaded,
    /// Copies of earlier conversations' caches were freed.
    CachesFreed {
        /// Bytes that they took.
        bytes: u64,
    },
    /// The context of an answer under way was reduced. It grows again when the conversation needs it.
    ContextReduced {
        /// Its size in tokens now.
        tokens: u32,
        /// Bytes that this freed.
        bytes: u64,
    },
    /// Answers compute with fewer threads, or pause after each step, until `Restored`, or until the model is freed.
    Slowed {
        /// The most threads that compute.
        threads: u32,
        /// Share of the time in which they compute, in percent.
        percent: u32,
    },
    /// Answers compute without a limit again.
    Restored,
    /// The answer under way waits, with its state kept, until `Resumed` or its end.
    Paused,
    /// It goes on.
    Resumed,
    /// Answers were ended with [`StopReason::MemoryCritical`](crate::chat::StopReason::MemoryCritical), and the model was freed.
    Ended,
}

/// Why a model runs otherwise. For [`AdjustmentAction::Restored`] and [`AdjustmentAction::Resumed`]: what has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentCause {
    /// A memory warning.
    MemoryLow,
    /// The app was about to be killed for its memory.
    MemoryCritical,
    /// The app is in the background.
    Background,
    /// The device is hot.
    Heat,
    /// The user turned power saving on.
    LowPower,
}

impl Merge for Adjustment {
    /// A listener that does not read gets the latest change of a model in place of many.
    fn merge(&mut self, next: Self) -> Option<Self> {
        if self.model != next.model {
            return Some(next);
        }
        *self = next;
        None
    }
}
