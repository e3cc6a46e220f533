//! Adjustments: `core/src/engine/local/adjustment.rs`.

use nearside::engine::{Adjustment, AdjustmentAction, AdjustmentCause};

use crate::error::Result;

/// A change of how one model on this device runs. An app may show it.
#[uniffi::remote(Record)]
pub struct Adjustment {
    /// Id of the model, as in receipts.
    pub model: String,
    /// What changed.
    pub action: AdjustmentAction,
    /// Why.
    pub cause: AdjustmentCause,
}

/// What changed.
#[uniffi::remote(Enum)]
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
    /// Answers were ended with `StopReason.memoryCritical`, and the model was freed.
    Ended,
}

/// Why a model runs otherwise. For `Restored` and `Resumed`: what has ended.
#[uniffi::remote(Enum)]
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

/// A stream of adjustments, pulled in batches. Most apps use `Nearside.adjustments` instead, which loops over this.
#[derive(uniffi::Object)]
pub struct AdjustmentStream(pub(crate) nearside::AdjustmentStream);

#[uniffi::export]
impl AdjustmentStream {
    /// Waits for the next adjustment and returns it with all queued ones, in order. Empty: the stream has ended.
    pub async fn next_batch(&self) -> Result<Vec<Adjustment>> {
        self.0.next_batch().await
    }

    /// Ends the stream. Idempotent, callable from any thread.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
