//! Lifecycle events of the app, reported in one line: `nearside.notify(AppEvent::MemoryLow)`.

use serde::{Deserialize, Serialize};

use super::{Inner, Nearside, lock};
use crate::device::{Connectivity, DeviceFacts};
use crate::engine::local::AdjustmentCause;
use crate::error::{Error, ErrorReason, Result};

/// An app lifecycle event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppEvent {
    /// Memory warning: idle models and the saved caches of earlier conversations are freed, the states of stored conversations go
    /// to files, answers under way reduce their contexts to what they need, and for a minute routing assumes memory pressure.
    MemoryLow,
    /// The app is about to be killed: all models are freed, and answers on the device end with
    /// [`StopReason::MemoryCritical`](crate::chat::StopReason::MemoryCritical). States go to files only if they are small.
    MemoryCritical,
    /// The app entered the background: idle models and saved caches are freed, and the states of stored conversations go to
    /// files. An answer under way pauses if the model computes on a GPU or
    /// [`Config::pause_in_background`](crate::Config::pause_in_background) is set, else it continues for as long as the system
    /// allows.
    Background,
    /// The app returned to the foreground: paused answers go on, and providers that were paused after failures are tried again.
    Foreground,
}

impl Nearside {
    /// Reports an app lifecycle event. Returns immediately; memory is freed on a library thread.
    pub fn notify(&self, event: AppEvent) {
        let inner = std::sync::Arc::clone(&self.inner);
        let models = &inner.local_models;
        // At once: a GPU must be idle when this returns to a system that is about to suspend the app.
        match event {
            AppEvent::MemoryLow => {
                models.app.note_pressure();
                models.reduce_memory();
            }
            AppEvent::MemoryCritical => models.app.note_pressure(),
            AppEvent::Background | AppEvent::Foreground => {
                models.app.set_background(event == AppEvent::Background);
                models.update_conditions();
            }
        }
        if event == AppEvent::Foreground {
            return inner.forget_failures();
        }
        self.handle.spawn_blocking(move || {
            let models = &inner.local_models;
            match event {
                AppEvent::MemoryLow => {
                    models.close_idle(AdjustmentCause::MemoryLow);
                    models.free_all_saved(AdjustmentCause::MemoryLow);
                    models.halve_saved_limits();
                }
                AppEvent::MemoryCritical => models.end_engines(),
                AppEvent::Background => {
                    models.close_idle(AdjustmentCause::Background);
                    models.free_all_saved(AdjustmentCause::Background);
                }
                AppEvent::Foreground => {}
            }
        });
    }
}

impl Inner {
    /// Returns the host's facts; a recent memory warning counts as memory pressure. On another network than before,
    /// earlier failures of providers are forgotten.
    ///
    /// # Errors
    /// `Internal` with the host's own text if it panics.
    pub(super) fn host_facts(&self) -> Result<DeviceFacts> {
        let facts = self.local_models.host_facts()?;
        let before = std::mem::replace(&mut *lock(&self.last_facts), facts);
        if before.network != facts.network && facts.network != Connectivity::Offline {
            self.forget_failures();
        }
        Ok(facts)
    }

    /// Returns the error; if a server was not reached because the device is offline, as the host reports, says so.
    pub(super) fn explain_network(&self, error: Error) -> Error {
        let unreached = matches!(error.reason(), ErrorReason::Unreachable | ErrorReason::NoResponse);
        let is_offline = |facts: DeviceFacts| facts.network == Connectivity::Offline;
        match unreached && self.host_facts().is_ok_and(is_offline) {
            true => Error::of(
                ErrorReason::Offline,
                format!("the device is offline; connect it and try again ({error})"),
            ),
            false => error,
        }
    }
}
