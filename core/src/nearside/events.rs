//! What happens to the app, handed to the library in one line: `nearside.notify(AppEvent::MemoryLow)`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Inner, Nearside, lock};
use crate::device::HostFacts;

/// What happened to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppEvent {
    /// Memory warning: idle models are freed, and for a minute routing assumes memory pressure.
    MemoryLow,
    /// The app is about to be killed: all models are freed, and answers on the device end as cancelled.
    MemoryCritical,
    /// The app entered the background: idle models are freed. An active answer continues for as long as the system
    /// allows.
    Background,
    /// The app returned to the foreground.
    Foreground,
}

impl Nearside {
    /// Reports an app lifecycle event. Returns immediately; memory is freed on a library thread.
    pub fn notify(&self, event: AppEvent) {
        let inner = std::sync::Arc::clone(&self.inner);
        match event {
            AppEvent::MemoryLow | AppEvent::MemoryCritical => *lock(&inner.pressed) = Some(Instant::now()),
            AppEvent::Foreground => return,
            AppEvent::Background => {}
        }
        let all = event == AppEvent::MemoryCritical;
        self.handle
            .spawn_blocking(move || inner.close_engines(|_, engine| all || !engine.is_busy()));
    }
}

impl Inner {
    /// The device as its host tells it, under memory pressure also where the app was told so lately.
    pub(super) fn host_facts(&self) -> HostFacts {
        let mut facts = self.host.facts();
        let pressed = lock(&self.pressed).is_some_and(|at| at.elapsed() < PRESSURE);
        facts.memory_pressure |= pressed;
        facts
    }
}

/// How long a warning counts. iOS and Android say when memory is low, and not when it no longer is.
const PRESSURE: Duration = Duration::from_secs(60);
