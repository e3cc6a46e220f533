//! Scripted answers for an app's own tests. Only with the feature `testing`.

use std::sync::Arc;

use nearside::Config;
use nearside::engine::{ReplyStep, ScriptedReply};

use crate::Nearside;
use crate::error::{ErrorKind, ErrorReason, Result};

/// The scripted answer of `chat`.
#[uniffi::remote(Record)]
pub struct ScriptedReply {
    /// The steps, in order.
    pub steps: Vec<ReplyStep>,
    /// Milliseconds before each word.
    #[uniffi(default = 0)]
    pub chunk_delay_ms: u32,
}

/// A step of a script. Text is sent word by word.
#[uniffi::remote(Enum)]
pub enum ReplyStep {
    Reasoning {
        text: String,
    },
    Text {
        text: String,
    },
    ToolCall {
        id: String,
        name: String,
        arguments: String,
    },
    /// Sends nothing until the request is cancelled.
    Stall,
    /// The answer ends with an error of this kind.
    Fail {
        kind: ErrorKind,
        detail: String,
    },
    /// The answer ends with an error of this reason, and of the reason's usual kind.
    FailBecause {
        reason: ErrorReason,
        detail: String,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
}

#[uniffi::export]
impl Nearside {
    /// Opens the directory like `new`; `chat` then plays this script instead of running a model.
    #[uniffi::constructor]
    pub fn scripted(config: Config, script: ScriptedReply) -> Result<Arc<Self>> {
        nearside::Nearside::scripted(config, script).map(|inner| Arc::new(Self(inner)))
    }
}

/// Panics, to test that a bug in the library reaches the app as an error.
#[uniffi::export]
pub(crate) fn panic_on_purpose(text: String) -> Result<()> {
    std::panic::panic_any(text)
}

/// Returns the number of live streams in this process, to test that cancelled and dropped ones are freed.
#[uniffi::export]
pub(crate) fn live_objects() -> Result<u64> {
    Ok(nearside::stream::live_streams())
}
