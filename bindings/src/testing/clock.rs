//! A clock that a test sets: `core/src/clock`.

use std::sync::Arc;

use nearside::clock::Clock;

use crate::error::Result;

/// A wall clock that stands still until a test moves it, for the borders of days and months.
#[derive(uniffi::Object)]
pub struct TestClock(pub(crate) Clock);

#[uniffi::export]
impl TestClock {
    /// Creates a clock that stands at this moment, in milliseconds since 1970.
    #[uniffi::constructor]
    pub fn new(unix_ms: u64) -> Arc<Self> {
        Arc::new(Self(Clock::standing_at(unix_ms)))
    }

    /// Moves the clock to this moment, in milliseconds since 1970.
    pub fn set(&self, unix_ms: u64) -> Result<()> {
        self.0.set(unix_ms);
        Ok(())
    }

    /// Moves the clock forward by these milliseconds.
    pub fn advance(&self, ms: u64) -> Result<()> {
        self.0.set(self.0.unix_ms().saturating_add(ms));
        Ok(())
    }

    /// Returns the moment at which it stands, in milliseconds since 1970.
    pub fn unix_ms(&self) -> Result<u64> {
        Ok(self.0.unix_ms())
    }
}
