//! Lets an answer compute as the device's state allows: before each batch it waits while the model is paused, rests so that
//! the share of the time is kept, and says how many threads may compute.
//!
//! The conditions are read again every two seconds and after each [`RunSignal::notify`], on the engine's thread, so that a
//! change reaches an answer under way. A cancel or deadline ends every wait within 50 ms; only at the start of a pause it may
//! have to wait until the state is stored, which takes some tenths of a second.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside_llama::AbortSignal;

use super::adjustment::{AdjustmentAction, AdjustmentCause};
use super::conditions::RunConditions;
use super::residency::Residency;
use super::run_signal::RunSignal;
use super::settings::LoadPlanner;
use super::shared::EngineShared;

/// What an answer may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Compute a batch with this many threads.
    Compute { threads: u32 },
    /// Free memory, then ask again.
    ReduceMemory,
    /// Store the state, because a long pause begins in which the app may be killed, then ask again.
    StoreState,
    /// End: the stop signal is raised.
    Stop,
}

/// Applies the run conditions on the engine's thread.
#[derive(Debug)]
pub(super) struct Governor {
    planner: Arc<dyn LoadPlanner>,
    signal: Arc<RunSignal>,
    residency: Arc<Residency>,
    conditions: RunConditions,
    /// The last conditions without a pause, whose limits were told.
    told: RunConditions,
    version: u64,
    read_at: Option<Instant>,
    batch_begun: Option<Instant>,
    /// Rest that is due before the next batch.
    rest: Duration,
    waited: Duration,
    /// Whether a pause began for which the state was not stored.
    is_pause_new: bool,
}

impl Governor {
    pub(super) fn new(planner: Arc<dyn LoadPlanner>, shared: &EngineShared) -> Self {
        Self {
            planner,
            signal: Arc::clone(&shared.signal),
            residency: Arc::clone(&shared.residency),
            conditions: RunConditions::default(),
            told: RunConditions::default(),
            version: 0,
            read_at: None,
            batch_begun: None,
            rest: Duration::ZERO,
            waited: Duration::ZERO,
            is_pause_new: false,
        }
    }

    /// Waits until the next step may be taken, and returns which one that is. `threads` are those of the model; `pause` is
    /// called before a long wait.
    pub(super) fn next_step(&mut self, threads: u32, stop: &AbortSignal<'_>, mut pause: impl FnMut()) -> NextStep {
        self.update(threads);
        let begun = Instant::now();
        loop {
            if stop.is_raised() {
                return NextStep::Stop;
            }
            if self.signal.take_reduction() {
                return NextStep::ReduceMemory;
            }
            if std::mem::take(&mut self.is_pause_new) {
                return NextStep::StoreState;
            }
            let rest = match self.conditions.is_paused {
                true => POLL_INTERVAL,
                false => self.rest.saturating_sub(begun.elapsed()).min(POLL_INTERVAL),
            };
            if rest.is_zero() {
                break;
            }
            if rest >= MIN_PAUSE {
                pause();
            }
            let wait_begun = Instant::now();
            self.signal.wait(self.version, rest);
            self.waited += wait_begun.elapsed();
            self.update(threads);
        }
        self.rest = Duration::ZERO;
        self.batch_begun = Some(Instant::now());
        NextStep::Compute {
            threads: self.conditions.threads.of_threads(threads),
        }
    }

    /// Records that the batch has ended.
    pub(super) fn end_batch(&mut self) {
        let Some(begun) = self.batch_begun.take() else { return };
        let duty = self.conditions.duty_percent.clamp(1, 100);
        self.rest = begun.elapsed() * (100 - duty) / duty;
    }

    /// As [`LoadPlanner::reserve_growth`], until the next [`Self::report_context`].
    pub(super) fn reserve_growth(&self, tokens: u32, whole: u64, more: u64) -> Option<u64> {
        self.planner.reserve_growth(tokens, whole, more)
    }

    /// Returns the context in tokens that the model may have for a request with this limit.
    pub(super) fn reachable_context(&self, limit: Option<u32>) -> Option<u32> {
        let order = self.residency.order()?;
        Some(order.reachable_context(limit, self.growth_bytes()))
    }

    /// As [`LoadPlanner::growth_bytes`].
    pub(super) fn growth_bytes(&self) -> u64 {
        self.planner.growth_bytes()
    }

    /// Forgets the waits of an earlier job.
    pub(super) fn begin_job(&mut self) {
        self.waited = Duration::ZERO;
        self.rest = Duration::ZERO;
    }

    /// Reports that the context has another size: it takes this much memory for its cache and for computing, in bytes.
    pub(super) fn report_context(&self, tokens: u32, cache: u64, compute: u64) {
        self.residency.resize(tokens, cache, compute);
        self.planner.context_resized(tokens, cache, compute);
        tracing::info!(tokens, cache, compute, "the context has another size");
    }

    /// Reports that the context was reduced to this size because of a memory warning, and the bytes that this freed.
    pub(super) fn report_reduction(&self, tokens: u32, bytes: u64) {
        let action = AdjustmentAction::ContextReduced { tokens, bytes };
        self.planner.adjusted(action, AdjustmentCause::MemoryLow);
    }

    /// Returns the time that was waited since the last call: it says nothing of the model's speed.
    pub(super) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Reads the conditions if they may have changed, and reports what did.
    fn update(&mut self, threads: u32) {
        let version = self.signal.version();
        let is_known = self.read_at.is_some_and(|at| at.elapsed() < READ_INTERVAL);
        if version == self.version && is_known {
            return;
        }
        self.version = version;
        self.read_at = Some(Instant::now());
        let (before, now) = (self.conditions, self.planner.run_conditions());
        self.conditions = now;
        let cause_before = before.cause.unwrap_or(AdjustmentCause::Heat);
        let cause = now.cause.unwrap_or(cause_before);
        if before.is_paused != now.is_paused {
            self.is_pause_new = now.is_paused;
            match now.is_paused {
                true => self.planner.adjusted(AdjustmentAction::Paused, cause),
                false => self.planner.adjusted(AdjustmentAction::Resumed, cause_before),
            }
        }
        if now.is_paused {
            return;
        }
        // A limit may end while the model is paused.
        let told = std::mem::replace(&mut self.told, now);
        let limits = |conditions: RunConditions| (conditions.threads.of_threads(threads), conditions.duty_percent);
        if limits(told) != limits(now) {
            let told_cause = told.cause.unwrap_or(AdjustmentCause::Heat);
            let (threads_now, percent) = limits(now);
            match (threads_now, percent) == (threads, 100) {
                true => self.planner.adjusted(AdjustmentAction::Restored, told_cause),
                false => self.planner.adjusted(
                    AdjustmentAction::Slowed {
                        threads: threads_now,
                        percent,
                    },
                    now.cause.unwrap_or(told_cause),
                ),
            }
        }
    }
}

/// How old conditions may be that nothing reported as changed: no system reports heat and power saving to the library.
const READ_INTERVAL: Duration = Duration::from_secs(2);
/// Longest wait without looking at the stop signal.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Before a shorter wait, the threads are not made to sleep: waking them takes longer.
const MIN_PAUSE: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use super::super::settings::{LoadOutcome, LocalSettings};
    use super::*;
    use crate::device::{DeviceFacts, ThermalState};
    use crate::error::{Error, Result};
    use crate::model::fit::LoadOrder;
    use crate::sync::lock;

    /// A device in a state that the test sets, and what was told.
    #[derive(Debug, Default)]
    struct Device {
        conditions: Mutex<RunConditions>,
        told: Mutex<Vec<(AdjustmentAction, AdjustmentCause)>>,
    }

    impl LoadPlanner for Device {
        fn plan_load(&self, _for_chat: bool) -> Result<LoadOrder> {
            Err(Error::internal("nothing is loaded"))
        }

        fn load_ended(&self, _outcome: LoadOutcome) {}

        fn run_conditions(&self) -> RunConditions {
            *lock(&self.conditions)
        }

        fn adjusted(&self, action: AdjustmentAction, cause: AdjustmentCause) {
            lock(&self.told).push((action, cause));
        }
    }

    #[test]
    fn a_limit_that_ends_in_a_pause_is_told_as_ended() {
        let device = Arc::new(Device::default());
        let shared = EngineShared::new(&LocalSettings {
            path: "model.gguf".into(),
            id: "model".into(),
            sha256: String::new(),
            states: None,
        });
        let mut governor = Governor::new(Arc::clone(&device) as _, &shared);
        // It reads the conditions and ends.
        let stopped = AtomicBool::new(true);
        for (heat, must_pause) in [
            (ThermalState::Serious, false),
            (ThermalState::Serious, true),
            (ThermalState::Nominal, true),
            (ThermalState::Nominal, false),
        ] {
            let facts = DeviceFacts {
                heat,
                ..DeviceFacts::default()
            };
            *lock(&device.conditions) = RunConditions::derive(&facts, must_pause);
            shared.signal.notify();
            let next = governor.next_step(4, &AbortSignal::from(&stopped), || ());
            assert_eq!(next, NextStep::Stop);
        }
        let slowed = AdjustmentAction::Slowed {
            threads: 2,
            percent: 75,
        };
        assert_eq!(
            *lock(&device.told),
            [
                (slowed, AdjustmentCause::Heat),
                (AdjustmentAction::Paused, AdjustmentCause::Background),
                (AdjustmentAction::Resumed, AdjustmentCause::Background),
                (AdjustmentAction::Restored, AdjustmentCause::Heat),
            ]
        );
    }
}
