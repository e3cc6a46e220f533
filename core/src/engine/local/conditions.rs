//! How a model may compute now: with which share of its threads and of the time, or not at all.
//!
//! | state of the device | threads | time |
//! |---|---|---|
//! | background, if the app or a GPU demands a pause | | none |
//! | `Critical` heat | one | half |
//! | `Serious` heat | half | three quarters |
//! | power saving | half | all |
//!
//! Heat and power restrict before the system does: a phone that throttles its cores by itself slows the app's screen too,
//! and one that is hot drains its battery for no more tokens. The shares were chosen, not measured on phones.

use super::adjustment::AdjustmentCause;
use crate::device::{DeviceFacts, ThermalState};

/// How a model may compute now. The default: without a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunConditions {
    /// Share of the threads.
    pub threads: ThreadShare,
    /// Share of the time, in percent: 1 to 100.
    pub duty_percent: u32,
    /// Whether nothing may be computed.
    pub is_paused: bool,
    /// The reason of a limit.
    pub cause: Option<AdjustmentCause>,
}

/// Share of a model's compute threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadShare {
    /// All of them.
    All,
    /// Half of them, at least one.
    Half,
    /// One.
    One,
}

impl Default for RunConditions {
    fn default() -> Self {
        Self {
            threads: ThreadShare::All,
            duty_percent: 100,
            is_paused: false,
            cause: None,
        }
    }
}

impl RunConditions {
    /// Derives the conditions from the state of the device. `must_pause`: the app is in the background, where this model may
    /// not compute.
    pub(crate) fn derive(facts: &DeviceFacts, must_pause: bool) -> Self {
        let limited = |threads, duty_percent, cause| Self {
            threads,
            duty_percent,
            is_paused: must_pause,
            cause: Some(cause),
        };
        match facts.heat {
            _ if must_pause => limited(ThreadShare::All, 100, AdjustmentCause::Background),
            ThermalState::Critical => limited(ThreadShare::One, 50, AdjustmentCause::Heat),
            ThermalState::Serious => limited(ThreadShare::Half, 75, AdjustmentCause::Heat),
            ThermalState::Nominal | ThermalState::Fair if facts.low_power => {
                limited(ThreadShare::Half, 100, AdjustmentCause::LowPower)
            }
            ThermalState::Nominal | ThermalState::Fair => Self::default(),
        }
    }
}

impl ThreadShare {
    /// Returns this share of so many threads.
    pub(crate) fn of_threads(self, threads: u32) -> u32 {
        match self {
            Self::All => threads,
            Self::Half => (threads / 2).max(1),
            Self::One => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_follow_the_table() {
        use ThermalState::{Critical, Fair, Nominal, Serious};
        for (heat, low_power, must_pause, threads, duty, cause) in [
            (Nominal, false, false, 8, 100, None),
            (Fair, false, false, 8, 100, None),
            (Fair, true, false, 4, 100, Some(AdjustmentCause::LowPower)),
            (Serious, true, false, 4, 75, Some(AdjustmentCause::Heat)),
            (Critical, false, false, 1, 50, Some(AdjustmentCause::Heat)),
            (Critical, true, true, 8, 100, Some(AdjustmentCause::Background)),
        ] {
            let facts = DeviceFacts {
                heat,
                low_power,
                ..DeviceFacts::default()
            };
            let found = RunConditions::derive(&facts, must_pause);
            let shown = (
                found.threads.of_threads(8),
                found.duty_percent,
                found.is_paused,
                found.cause,
            );
            assert_eq!(shown, (threads, duty, must_pause, cause), "{facts:?}");
        }
        assert_eq!(ThreadShare::Half.of_threads(1), 1);
    }
}
