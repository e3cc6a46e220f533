//! A provider that fails again and again is left alone for a while.
//!
//! Three failures in a row open the circuit for 30 seconds; each further failure doubles that, up to five minutes. When
//! the time is over the next request is the trial: it closes the circuit or opens it again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known about a provider's health. Shared by all requests to it.
#[derive(Debug, Default)]
pub struct Circuit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

impl Circuit {
    /// How long the provider is left alone yet; nothing if it may be asked.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        let until = self.lock().until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// It answered, if only to say that the request was wrong.
    pub fn succeeded(&self) {
        *self.lock() = State::default();
    }

    /// It failed in a way that another request may well meet too.
    pub fn failed(&self, now: Instant) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if let Some(beyond) = state.failures.checked_sub(FAILURES) {
            state.until = Some(now + (REST * 2_u32.pow(beyond.min(4))).min(LONGEST));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FAILURES: u32 = 3;
const REST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_open_it_time_lets_one_try_and_success_closes_it() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        circuit.failed(start);
        circuit.failed(start);
        assert_eq!(circuit.open_for(start), None);
        circuit.failed(start);
        assert_eq!(circuit.open_for(later(10)), Some(Duration::from_secs(20)));
        assert_eq!(circuit.open_for(later(30)), None);
        circuit.failed(later(30));
        assert_eq!(circuit.open_for(later(31)), Some(Duration::from_secs(59)));
        for _ in 0..100 {
            circuit.failed(later(31));
        }
        assert_eq!(circuit.open_for(later(31)), Some(LONGEST));
        circuit.succeeded();
        circuit.failed(later(32));
        assert_eq!(circuit.open_for(later(32)), None);
    }
}
