//! How often a failed request is sent again, and after which delay.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};

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

/// Returns the delay that a response asks for: in `retry-after-ms`, as OpenAI and Azure send it, else in `Retry-After` in
/// seconds; HTTP dates are ignored.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: HeaderName| -> Option<f64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
    let milliseconds = number(HeaderName::from_static("retry-after-ms")).map(|ms| ms / 1000.0);
    Duration::try_from_secs_f64(milliseconds.or_else(|| number(RETRY_AFTER))?).ok()
}

const MAX_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_delay_is_read_in_seconds_and_in_milliseconds() {
        for (name, value, expected) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("retry-after", "-1", None),
            ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(
                retry_after(&headers),
                expected.map(Duration::from_millis),
                "{name}: {value}"
            );
        }
    }
}
