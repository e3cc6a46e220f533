//! Circuit breaker for a provider that fails repeatedly.
//!
//! Three consecutive failures open the circuit for 30 seconds; each further failure doubles the cooldown, up to five
//! minutes. The first request after the cooldown is the trial: its result closes the circuit or opens it again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Circuit state of one provider, shared by all requests to it.
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
    /// Remaining cooldown; `None` if requests are allowed.
    pub fn open_for(&self, now: Instant) -> Option<Duration> {
        let until = self.lock().until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Records a response, including one that rejects the request as invalid.
    pub fn succeeded(&self) {
        *self.lock() = State::default();
    }

    /// Records a failure that is likely to affect other requests too.
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
