//! How often a failed request is sent again, and after which delay.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

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

/// Returns the delay that a response asks for: in `retry-after-ms`, as OpenAI and Azure send it, else in `Retry-After`, in
/// seconds or as an HTTP date. A date counts from the response's own date, because the device's clock may be wrong. A
/// moment that has passed is no delay.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let date = |name: HeaderName| httpdate::parse_http_date(text(name)?).ok();
    let delay = |seconds: f64| {
        Duration::try_from_secs_f64(seconds.max(0.0))
            .ok()
            .filter(|_| !seconds.is_nan())
    };
    let number = |name: HeaderName| text(name)?.parse::<f64>().ok();
    if let Some(milliseconds) = number(HeaderName::from_static("retry-after-ms")) {
        return delay(milliseconds / 1000.0);
    }
    if let Some(seconds) = number(RETRY_AFTER) {
        return delay(seconds);
    }
    let now = date(DATE).unwrap_or_else(SystemTime::now);
    Some(date(RETRY_AFTER)?.duration_since(now).unwrap_or_default())
}

const MAX_BACKOFF: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn delay_in(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let value = |text: &str| HeaderValue::from_str(text).expect("a header");
        retry_after(
            &headers
                .iter()
                .map(|(name, text)| (HeaderName::from_static(name), value(text)))
                .collect(),
        )
    }

    #[test]
    fn a_delay_is_read_in_seconds_and_in_milliseconds() {
        for (headers, expected) in [
            (&[("retry-after", "7")][..], Some(7_000)),
            (&[("retry-after", " 0.5 ")], Some(500)),
            (&[("retry-after-ms", "1500"), ("retry-after", "9")], Some(1_500)),
            (&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9_000)),
            (&[("retry-after", "-1")], Some(0)),
            (&[("retry-after-ms", "-1")], Some(0)),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "soon")], None),
            (&[], None),
        ] {
            assert_eq!(delay_in(headers), expected.map(Duration::from_millis), "{headers:?}");
        }
    }

    #[test]
    fn a_delay_is_read_from_a_date_by_the_clock_of_the_server() {
        let until = ("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
        for (date, seconds) in [
            ("Fri, 31 Dec 1999 23:59:29 GMT", 30),
            ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
            ("Sat, 01 Jan 2000 00:00:09 GMT", 0),
            ("no date", 0),
        ] {
            assert_eq!(
                delay_in(&[until, ("date", date)]),
                Some(Duration::from_secs(seconds)),
                "{date}"
            );
        }
        assert_eq!(delay_in(&[until]), Some(Duration::ZERO), "long ago");
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        let delay = delay_in(&[("retry-after", &later)]).expect("a delay");
        assert!((30..=90).contains(&delay.as_secs()), "{delay:?}");
    }
}
