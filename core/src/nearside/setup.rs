//! What a test replaces of the library: the engine by a script, the system's clock, the files by memory.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::clock::Clock;
#[cfg(feature = "testing")]
use crate::device::Host;
use crate::engine::Engine;
#[cfg(feature = "testing")]
use crate::engine::scripted::{ScriptedEngine, ScriptedReply};

/// How a library object is opened. The default: nothing is replaced.
#[derive(Debug, Default)]
pub(super) struct Setup {
    #[cfg(feature = "testing")]
    pub(super) script: Option<ScriptedReply>,
    pub(super) clock: Clock,
    /// Settings, spending and conversations are in memory, and end with the object.
    pub(super) in_memory: bool,
}

/// What a test replaces. The default: nothing.
#[cfg(feature = "testing")]
#[derive(Debug, Default)]
pub struct TestSetup {
    /// Every answer plays this script, and no model runs.
    pub script: Option<ScriptedReply>,
    /// Facts about the device.
    pub host: Option<Arc<dyn Host>>,
    /// Dates spending, model lists and conversations.
    pub clock: Clock,
    /// Settings, spending and conversations are in memory, and end with the object; no database is opened.
    pub in_memory: bool,
}

#[cfg(feature = "testing")]
impl TestSetup {
    /// Returns a setup in which answers play this script.
    #[must_use]
    pub fn playing(script: ScriptedReply) -> Self {
        Self {
            script: Some(script),
            ..Self::default()
        }
    }
}

impl Setup {
    /// Returns the engine that replaces all others, if there is one.
    #[cfg(feature = "testing")]
    pub(super) fn engine(&self, handle: &Handle) -> Option<Arc<dyn Engine>> {
        let script = self.script.clone()?;
        Some(Arc::new(ScriptedEngine::new(script, handle.clone())))
    }

    /// Returns the engine that replaces all others: none.
    #[cfg(not(feature = "testing"))]
    pub(super) fn engine(&self, _: &Handle) -> Option<Arc<dyn Engine>> {
        None
    }
}
