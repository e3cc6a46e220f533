//! Speed of a download, and the pace of its progress events.

use std::time::{Duration, Instant};

/// Measures a transfer's speed, smoothed over some seconds, and paces its reports.
#[derive(Debug)]
pub(super) struct SpeedMeter {
    reported: Instant,
    counted: u64,
    /// Bytes per second; `None` until the first interval is over.
    smooth: Option<f64>,
}

impl SpeedMeter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            reported: now,
            counted: 0,
            smooth: None,
        }
    }

    /// Counts received bytes. Returns the speed if a report is due.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) -> Option<u64> {
        self.counted += bytes;
        let passed = now.duration_since(self.reported);
        if passed < REPORT_INTERVAL {
            return None;
        }
        let fresh = self.counted as f64 / passed.as_secs_f64();
        // A longer interval weighs more, so that a stall shows at once.
        let weight = 1.0 - (-passed.as_secs_f64() / DECAY_SECONDS).exp();
        let smooth = self.smooth.map_or(fresh, |old| old + weight * (fresh - old));
        self.smooth = Some(smooth);
        self.reported = now;
        self.counted = 0;
        Some(smooth as u64)
    }

    /// Returns the last reported speed.
    pub(super) fn last(&self) -> u64 {
        self.smooth.unwrap_or_default() as u64
    }
}

/// Minimum time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// Seconds after which the weight of an old speed has decayed to 1/e.
const DECAY_SECONDS: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_come_ten_a_second_and_follow_the_speed() {
        let start = Instant::now();
        let mut meter = SpeedMeter::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(meter.add(500, at(50)), None);
        assert_eq!(meter.add(500, at(100)), Some(10_000));
        let reports = (101..=5000).filter_map(|ms| meter.add(20, at(ms))).collect::<Vec<_>>();
        assert_eq!(reports.len(), 49);
        assert!(reports.is_sorted());
        assert!((19_000..=20_000).contains(&meter.last()), "{}", meter.last());
        assert!(
            meter
                .add(0, at(15_000))
                .is_some_and(|after_a_stall| after_a_stall < 200)
        );
    }
}
