//! The wall clock of a library object: the system's, or one that a test sets.
//!
//! Whatever is dated reads it: days and months of spending, the age of model lists, the times of conversations. Durations
//! and timeouts are measured with [`std::time::Instant`] and do not depend on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A wall clock. Clones of a clock that a test sets share its time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicU64>>);

impl Clock {
    /// Returns the system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Returns a clock that stands at this moment, in milliseconds since 1970, until [`Self::set`] moves it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn standing_at(unix_ms: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(unix_ms))))
    }

    /// Moves a clock of [`Self::standing_at`] to this moment. Does nothing to the system's clock.
    #[cfg(feature = "testing")]
    pub fn set(&self, unix_ms: u64) {
        if let Some(time) = &self.0 {
            time.store(unix_ms, Ordering::SeqCst);
        }
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Some(time) => UNIX_EPOCH + Duration::from_millis(time.load(Ordering::SeqCst)),
            None => SystemTime::now(),
        }
    }

    /// Returns the current time in milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
