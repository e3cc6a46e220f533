//! How often a failed request is sent again, and after which delay.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Attempts and delays. The delay doubles from one attempt to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Maximum consecutive failed attempts, the first included. What counts as progress is up to the caller.
    pub attempts: u32,
    /// Delay before the second attempt.
    pub initial_backoff: Duration,
}

impl RetryPolicy {
    /// Returns the delay before the next attempt after this many failures in a row; at most 30 seconds.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        let doubled = self
            .initial_backoff
            .saturating_mul(1 << failures.saturating_sub(1).min(10));
        doubled.min(MAX_BACKOFF)
    }
}

/// Returns the delay that a response asks for in `Retry-After`, in seconds; HTTP dates are ignored.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

const MAX_BACKOFF: Duration = Duration::from_secs(30);
