//! For an app's own tests: a `Nearside` whose `chat` plays a script. Only with the feature `testing`.

use std::sync::Arc;

use nearside::Config;
use nearside::engine::{Script, ScriptStep};

use crate::error::ErrorKind;
use crate::{Nearside, Result};

/// The scripted answer of `chat`.
#[uniffi::remote(Record)]
pub struct Script {
    /// In this order.
    pub steps: Vec<ScriptStep>,
    /// Milliseconds before each word.
    #[uniffi(default = 0)]
    pub chunk_delay_ms: u32,
}

/// A step of a script. Words come one by one.
#[uniffi::remote(Enum)]
pub enum ScriptStep {
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
    /// Nothing more comes until the request is cancelled.
    Stall,
    /// The answer ends with this error.
    Fail {
        kind: ErrorKind,
        detail: String,
    },
}

#[uniffi::export]
impl Nearside {
    /// Plays this script instead of running a model.
    #[uniffi::constructor]
    pub fn scripted(config: Config, script: Script) -> Result<Arc<Self>> {
        nearside::Nearside::scripted(config, script).map(|inner| Arc::new(Self(inner)))
    }
}

/// Panics, so that a test can see a bug in the library arrive as an error and not as the end of the app.
#[uniffi::export]
pub(crate) fn panic_on_purpose(text: String) -> Result<()> {
    std::panic::panic_any(text)
}

/// Number of live core streams in this process, to test that cancelled and dropped streams are freed.
#[uniffi::export]
pub(crate) fn live_objects() -> Result<u64> {
    Ok(nearside::stream::live_streams())
}
