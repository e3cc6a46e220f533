//! Lifecycle events of the app, reported in one line: `nearside.notify(AppEvent::MemoryLow)`.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Inner, Nearside, lock};
use crate::device::{Connectivity, DeviceFacts};
use crate::engine::local::AdjustmentCause;
use crate::engine::remote::ProviderSettings;
use crate::error::{Error, ErrorReason, Result};
use crate::net::url::is_in_local_network;

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
    /// Returns the host's facts; a recent memory warning counts as memory pressure. On another network than before, and when
    /// the local one may be used, earlier failures of providers are forgotten.
    ///
    /// # Errors
    /// `Internal` with the host's own text if it panics.
    pub(super) fn host_facts(&self) -> Result<DeviceFacts> {
        let facts = self.local_models.host_facts()?;
        let before = std::mem::replace(&mut *lock(&self.last_facts), facts);
        let is_allowed = before.local_network_allowed == Some(false) && facts.local_network_allowed != Some(false);
        if is_allowed || before.network != facts.network && facts.network != Connectivity::Offline {
            self.forget_failures();
        }
        Ok(facts)
    }

    /// Returns the error of a provider; if the user's own server was not reached, and the app may not use the local network, says
    /// that this may be the cause: its name may lead there.
    pub(super) fn explain_own_server(&self, settings: &ProviderSettings, error: Error) -> Error {
        let unreached = matches!(error.reason(), ErrorReason::Unreachable | ErrorReason::NoResponse);
        let is_denied = lock(&self.last_facts).local_network_allowed == Some(false);
        if !unreached || !is_denied || settings.kind.is_hosted() {
            return error;
        }
        let text = format!(
            "{error}; if its server is in the local network, allow this app to use that, in the settings of the system"
        );
        Error::of(ErrorReason::LocalNetworkDenied, text)
    }

    /// Returns the error; if the hub was not reached because the device is offline, or because the hub is in the local network,
    /// which the app may not use, as the host reports, says so.
    pub(super) fn explain_network(&self, error: Error) -> Error {
        if !matches!(error.reason(), ErrorReason::Unreachable | ErrorReason::NoResponse) {
            return error;
        }
        let Ok(facts) = self.host_facts() else { return error };
        let hub = self.config.hub.as_deref().and_then(|hub| Url::parse(hub).ok());
        if facts.network == Connectivity::Offline {
            let text = format!("the device is offline; connect it and try again ({error})");
            Error::of(ErrorReason::Offline, text)
        } else if facts.local_network_allowed == Some(false) && hub.is_some_and(|hub| is_in_local_network(&hub)) {
            let text = format!(
                "the hub is in the local network, which this app may not use; allow it in the settings of the system ({error})"
            );
            Error::of(ErrorReason::LocalNetworkDenied, text)
        } else {
            error
        }
    }
}
