//! What happens to the app, handed to the library in one line: `nearside.notify(AppEvent::MemoryLow)`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Inner, Nearside, lock};
use crate::device::HostFacts;

/// What happened to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppEvent {
    /// The system asks for memory: loaded models that nobody uses are freed, and for a minute decisions count as made
    /// under memory pressure.
    MemoryLow,
    /// The system is about to end the app: every loaded model is freed, and answers on the device end as cancelled.
    MemoryCritical,
    /// Nobody looks at the app: loaded models that nobody uses are freed. An answer under way goes on for as long as the
    /// system lets it.
    Background,
    /// Somebody looks again.
    Foreground,
}

impl Nearside {
    /// Tells what happened to the app. Returns at once; memory is freed on a thread of the library's.
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
