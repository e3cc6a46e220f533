//! What the tests of an app use: scripted answers, a clock that a test sets, a hub and providers on the loopback interface.
//!
//! It is part of every build, so that an app tests the library that it ships. The hand-written halves show it to tests only:
//! Swift behind `@_spi(Testing)`, Kotlin behind an opt-in annotation.

mod clock;
mod hub;
mod model;
mod provider;

use std::sync::{Arc, Mutex, PoisonError};

use nearside::TestSetup;
use nearside::engine::{ReplyStep, ScriptedReply};

use crate::error::{ErrorKind, ErrorReason, Result};

pub use clock::TestClock;
pub use hub::TestHub;
pub use provider::TestProvider;

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

/// Lets every library that this process opens from now on play a script, also one that the app itself opens: the text of a
/// JSON file, `{"steps": [{"type": "text", "text": "…"}], "chunk_delay_ms": 20}`. Unset: models and providers answer again.
/// For UI tests of whole apps.
#[uniffi::export]
pub(crate) fn script_app(json: Option<String>) -> Result<()> {
    let script = json.as_deref().map(ScriptedReply::from_json).transpose()?;
    *APP_SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) = script;
    Ok(())
}

/// Returns the setup of the script that [`script_app`] set.
pub(crate) fn app_setup(host: Option<&Arc<dyn nearside::device::Host>>) -> Option<TestSetup> {
    let script = APP_SCRIPT.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
    Some(TestSetup {
        host: host.cloned(),
        ..TestSetup::playing(script)
    })
}

/// Returns the error of a stand-in that could not be set up.
fn io_error(what: &str, cause: &std::io::Error) -> nearside::Error {
    let reason = match cause.kind() {
        std::io::ErrorKind::InvalidData => ErrorReason::InvalidParameter,
        _ => ErrorReason::Unreachable,
    };
    nearside::Error::of(reason, format!("{what}: {cause}"))
}

static APP_SCRIPT: Mutex<Option<ScriptedReply>> = Mutex::new(None);

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
