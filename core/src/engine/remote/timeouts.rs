//! Timeouts of one chat request.
//!
//! Connecting, the first byte, the first data, silence between data and the whole answer have separate limits. Comments
//! and blank lines are connection keep-alives and reset no timeout. Waiting for a slow consumer does not count.

use std::time::Duration;

use crate::net::retry::RetryPolicy;

/// Timeouts and retries of one chat request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From sending the request to the response headers.
    pub first_byte: Duration,
    /// From sending the request to the first data event; keep-alives do not count.
    pub first_data: Duration,
    /// Idle timeout between two data events.
    pub idle: Duration,
    /// From the request to the end of the answer, unless the request sets a deadline.
    pub total: Duration,
    /// From the finish reason to the end of the stream; usage may arrive in between.
    pub trailing: Duration,
    /// Attempts, and the delays between them.
    pub retry: RetryPolicy,
    /// Longest `Retry-After` that is honoured; a longer one fails the request at once.
    pub max_retry_after: Duration,
}

impl Timeouts {
    /// Returns the timeouts of a target that has a fallback: the fallback answers sooner than a provider that is down
    /// recovers, so there is one quick retry and less patience.
    pub fn before_fallback() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            retry: RetryPolicy {
                attempts: 2,
                initial_backoff: Duration::from_millis(100),
            },
            max_retry_after: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

impl Default for Timeouts {
    /// Returns the defaults: a model of the size of R1 may need a minute to start and half an hour to reason.
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            first_data: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(1800),
            trailing: Duration::from_secs(5),
            retry: RetryPolicy {
                attempts: 3,
                initial_backoff: Duration::from_millis(500),
            },
            max_retry_after: Duration::from_secs(10),
        }
    }
}
