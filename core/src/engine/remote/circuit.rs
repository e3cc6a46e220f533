//! Circuit breaker for a provider that fails repeatedly.
//!
//! Three consecutive failed requests open the circuit for 30 seconds; each further one doubles the cooldown, up to five
//! minutes. A request counts once, whatever its number of attempts; one that its caller or its deadline ended counts for
//! nothing. The first request after the cooldown is the trial: its result closes the circuit or opens it again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sync::lock;

/// Circuit breaker state of one provider, shared by all requests to it.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: Mutex<CircuitState>,
}

#[derive(Debug, Default)]
struct CircuitState {
    failures: u32,
    until: Option<Instant>,
}

impl CircuitBreaker {
    /// Returns the remaining cooldown; `None` if requests are allowed.
    pub fn remaining_cooldown(&self, now: Instant) -> Option<Duration> {
        let until = lock(&self.state).until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Records a response, including one that rejects the request as invalid.
    pub fn record_success(&self) {
        *lock(&self.state) = CircuitState::default();
    }

    /// Records a failure that is likely to affect other requests too.
    pub fn record_failure(&self, now: Instant) {
        let mut state = lock(&self.state);
        state.failures = state.failures.saturating_add(1);
        if let Some(excess) = state.failures.checked_sub(FAILURE_THRESHOLD) {
            state.until = Some(now + (COOLDOWN * 2_u32.pow(excess.min(4))).min(MAX_COOLDOWN));
        }
    }
}

const FAILURE_THRESHOLD: u32 = 3;
const COOLDOWN: Duration = Duration::from_secs(30);
const MAX_COOLDOWN: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_open_it_time_lets_one_try_and_success_closes_it() {
        let (circuit, start) = (CircuitBreaker::default(), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        circuit.record_failure(start);
        circuit.record_failure(start);
        assert_eq!(circuit.remaining_cooldown(start), None);
        circuit.record_failure(start);
        assert_eq!(circuit.remaining_cooldown(later(10)), Some(Duration::from_secs(20)));
        assert_eq!(circuit.remaining_cooldown(later(30)), None);
        circuit.record_failure(later(30));
        assert_eq!(circuit.remaining_cooldown(later(31)), Some(Duration::from_secs(59)));
        for _ in 0..100 {
            circuit.record_failure(later(31));
        }
        assert_eq!(circuit.remaining_cooldown(later(31)), Some(MAX_COOLDOWN));
        circuit.record_success();
        circuit.record_failure(later(32));
        assert_eq!(circuit.remaining_cooldown(later(32)), None);
    }
}
