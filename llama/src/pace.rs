//! The number of threads that computes fastest now, found from the durations of a context's computations.
//!
//! ggml's threads wait for each other by spinning, so a thread that shares its core with another process holds up all: two
//! threads beside a busy process can be a hundred times slower than one. Which cores are free changes at any moment, and no
//! system says it in a portable way; the durations do.
//!
//! A [`Pace`] expects each computation to take as long as the best recent ones. Slow ones start a trial with fewer threads,
//! and the fastest number is kept. From then on it tries more threads again from time to time, less often while that fails.
//! Every trial has a time limit, relative to the duration that is known, so that it costs little. Computations whose
//! durations are similar change nothing.
//!
//! It knows no clock and no thread: the caller passes times. One `Pace` is for computations of one kind.

use std::time::{Duration, Instant};

/// Chooses the number of threads for computations of one kind.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The numbers of threads to choose from, ascending.
    levels: Vec<u32>,
    /// Whether there is nothing to choose.
    is_fixed: bool,
    level: usize,
    stage: Stage,
    recent: Recent,
    /// The time between two trials of more threads.
    climb_wait: Duration,
    next_climb: Option<Instant>,
    last_climb: Option<Instant>,
    /// Computations until the next trial of fewer threads, and how many it would be after one that found nothing.
    calm: u32,
    next_calm: u32,
    /// The position in the cache of the last computation; `None` before the first.
    position: Option<u32>,
}

/// How the next computation should run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PaceChoice {
    /// The number of threads.
    pub(crate) threads: u32,
    /// The time that it may take; unset if it must not be interrupted.
    pub(crate) limit: Option<TimeLimit>,
    /// Whether its duration decides about the number of threads; a long computation should then begin with a short one.
    pub(crate) is_trial: bool,
}

/// The time after which a computation that is partly done is too slow: it grows with the part that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TimeLimit {
    /// Seconds before anything is done.
    pub(crate) start: f64,
    /// Seconds more for the whole.
    pub(crate) whole: f64,
}

impl TimeLimit {
    /// Returns the limit of a trial that is useless unless it takes less than `known` seconds.
    fn of_trial(known: f64) -> Self {
        Self {
            start: known * TRIAL_START,
            whole: known,
        }
    }

    /// Returns whether a computation of which `share` is done after `seconds` is too slow.
    pub(crate) fn is_over(&self, seconds: f64, share: f64) -> bool {
        seconds > self.start + self.whole * share.min(1.0)
    }
}

#[derive(Debug)]
enum Stage {
    /// No duration is known for this position: measures with fewer threads, where contention is unlikely.
    Fresh(Sum),
    Steady,
    /// Tries the threads of `target`.
    Climb {
        target: usize,
        /// Seconds per unit with the threads before.
        base: f64,
        /// Whether `base` is the first measurement.
        is_fresh: bool,
        sum: Sum,
    },
    /// Tries fewer and fewer threads.
    Descend {
        /// The level before, its durations, and seconds per unit.
        from: (usize, Recent, f64),
        /// The fastest level so far, and seconds per unit with it.
        best: (usize, f64),
        target: usize,
        sum: Sum,
    },
}

/// Durations of a trial, in seconds per unit.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: f64,
    count: u32,
}

impl Pace {
    /// Chooses between 1 and `threads`. The best of the last `best_span` computations or more is what the next is expected to
    /// take.
    pub(crate) fn new(threads: u32, best_span: usize) -> Self {
        let threads = threads.max(1);
        let mut levels = vec![threads, threads.saturating_sub(1).max(1)];
        let mut fewer = threads / 2;
        while fewer > 0 {
            levels.push(fewer);
            fewer /= 2;
        }
        levels.sort_unstable();
        levels.dedup();
        Self::between(levels, best_span, false)
    }

    /// Always chooses `threads`.
    pub(crate) fn fixed(threads: u32, best_span: usize) -> Self {
        Self::between(vec![threads.max(1)], best_span, true)
    }

    /// Chooses between 1 and `threads` from now on, as if nothing were known. One that is fixed stays so.
    pub(crate) fn limit(&mut self, threads: u32) {
        let best_span = self.recent.best_span;
        *self = match self.is_fixed {
            true => Self::fixed(threads, best_span),
            false => Self::new(threads, best_span),
        };
    }

    fn between(levels: Vec<u32>, best_span: usize, is_fixed: bool) -> Self {
        Self {
            level: levels.len() - 1,
            levels,
            is_fixed,
            stage: Stage::Steady,
            recent: Recent::new(best_span),
            climb_wait: MIN_CLIMB_WAIT,
            next_climb: None,
            last_climb: None,
            calm: 0,
            next_calm: MIN_CALM,
            position: None,
        }
    }

    /// Returns how the next computation runs, which begins now at this position of the cache and has so many units of work.
    pub(crate) fn plan_next(&mut self, now: Instant, position: u32, units: f64) -> PaceChoice {
        let top = self.levels.len() - 1;
        if top > 0
            && self
                .position
                .is_none_or(|last| position > last + last / 2 + NEAR_TOKENS)
        {
            self.level = self
                .levels
                .iter()
                .rposition(|level| *level <= self.levels[top] / 2)
                .unwrap_or(0);
            self.recent = Recent::new(self.recent.best_span);
            self.stage = Stage::Fresh(Sum::default());
        }
        self.position = Some(position);
        let is_due = self.next_climb.is_none_or(|next| now >= next);
        if matches!(self.stage, Stage::Steady) && self.level < top && is_due {
            self.start_climb(self.level + 1, false);
        }
        let limit = match &self.stage {
            Stage::Fresh(_) => None,
            Stage::Steady if self.level == 0 => None,
            Stage::Steady => self.recent.best().map(|best| {
                let factor = if self.calm > 0 { CALM_LIMIT_FACTOR } else { 1.0 };
                let expected = best * units * factor;
                TimeLimit {
                    start: MIN_EXCESS_SECONDS * factor + expected / 16.0,
                    whole: expected * SLOW_FACTOR,
                }
            }),
            Stage::Climb { base, .. } => Some(TimeLimit::of_trial(base * units)),
            Stage::Descend { target: 0, .. } => None,
            Stage::Descend { best, .. } => Some(TimeLimit::of_trial(best.1 * units)),
        };
        PaceChoice {
            threads: self.levels[self.tried()],
            limit,
            is_trial: top > 0 && !matches!(self.stage, Stage::Steady),
        }
    }

    /// Records that the computation last chosen took this long.
    pub(crate) fn record(&mut self, now: Instant, seconds: f64, units: f64) {
        let cost = seconds / units.max(f64::MIN_POSITIVE);
        match &mut self.stage {
            Stage::Fresh(sum) => {
                sum.add(cost);
                self.recent.push(cost);
                self.start_climb(self.levels.len() - 1, true);
            }
            Stage::Steady => self.record_steady(now, cost),
            Stage::Climb { sum, .. } => {
                sum.add(cost);
                if sum.count >= CLIMB_SAMPLES {
                    self.end_climb(now, units);
                }
            }
            Stage::Descend { from, sum, .. } => {
                sum.add(cost);
                if sum.count >= DESCEND_SAMPLES || cost > from.2 {
                    self.end_step(now, units);
                }
            }
        }
    }

    /// Records that the computation last chosen was interrupted after this long by its limit. The next choice is for the same
    /// work.
    pub(crate) fn record_overdue(&mut self, now: Instant, seconds: f64, units: f64) {
        let cost = seconds / units.max(f64::MIN_POSITIVE);
        match &mut self.stage {
            Stage::Fresh(_) => {}
            Stage::Steady => {
                // At best it would have gone on normally.
                self.recent.push(cost + self.recent.best().unwrap_or_default());
                self.start_descent();
            }
            Stage::Climb { sum, .. } => {
                *sum = Sum::endless();
                self.end_climb(now, units);
            }
            Stage::Descend { sum, .. } => {
                *sum = Sum::endless();
                self.end_step(now, units);
            }
        }
    }

    /// Returns the number of threads that is in use, apart from trials.
    pub(crate) fn threads(&self) -> u32 {
        self.levels[self.level]
    }

    /// Returns the level of the next computation.
    fn tried(&self) -> usize {
        match &self.stage {
            Stage::Fresh(_) | Stage::Steady => self.level,
            Stage::Climb { target, .. } | Stage::Descend { target, .. } => *target,
        }
    }

    fn record_steady(&mut self, now: Instant, cost: f64) {
        self.recent.push(cost);
        if self.last_climb.is_some_and(|climb| now.duration_since(climb) >= STABLE) {
            (self.climb_wait, self.last_climb) = (MIN_CLIMB_WAIT, None);
        }
        let Some(best) = self.recent.best() else { return };
        let mean = self.recent.mean();
        self.calm = self.calm.saturating_sub(1);
        if self.recent.is_full() && mean <= best * CALM_FACTOR {
            self.next_calm = MIN_CALM;
        }
        let is_slow = self.recent.count_above(best * SLOW_FACTOR) >= 2
            || (self.recent.is_full() && mean > best * SLOW_MEAN_FACTOR);
        if is_slow && self.calm == 0 {
            self.start_descent();
        }
    }

    fn start_climb(&mut self, target: usize, is_fresh: bool) {
        self.stage = Stage::Climb {
            target,
            base: self.recent.mean(),
            is_fresh,
            sum: Sum::default(),
        };
    }

    fn end_climb(&mut self, now: Instant, units: f64) {
        let Stage::Climb {
            target,
            base,
            is_fresh,
            sum,
        } = &self.stage
        else {
            return;
        };
        let (target, is_fresh, cost) = (*target, *is_fresh, sum.mean());
        if cost <= base * if is_fresh { FRESH_GAIN } else { CLIMB_GAIN } {
            self.recent.restart(cost);
            (self.level, self.stage) = (target, Stage::Steady);
            (self.last_climb, self.next_climb) = (Some(now), Some(now));
            return;
        }
        self.stage = Stage::Steady;
        self.wait_to_climb(now, units);
        // More threads being slower says that cores are missing, perhaps also for the fewer.
        if is_fresh {
            self.start_descent();
        }
    }

    /// Schedules the next trial of more threads, and doubles the wait for the one after it.
    fn wait_to_climb(&mut self, now: Instant, units: f64) {
        let least = self.recent.mean() * units * MIN_CLIMB_COMPUTATIONS;
        let wait = self
            .climb_wait
            .max(Duration::try_from_secs_f64(least).unwrap_or(MAX_CLIMB_WAIT));
        self.next_climb = Some(now + wait);
        self.climb_wait = (self.climb_wait * 2).min(MAX_CLIMB_WAIT);
    }

    fn start_descent(&mut self) {
        if self.level == 0 {
            return;
        }
        let before = self.recent.mean();
        let recent = Recent::new(self.recent.best_span);
        self.stage = Stage::Descend {
            from: (self.level, std::mem::replace(&mut self.recent, recent), before),
            best: (self.level, before),
            target: self.level - 1,
            sum: Sum::default(),
        };
    }

    /// Ends the trial of one level, and goes on to the next lower one or back to the fastest.
    fn end_step(&mut self, now: Instant, units: f64) {
        let Stage::Descend {
            from,
            best,
            target,
            sum,
        } = &mut self.stage
        else {
            return;
        };
        let cost = sum.mean();
        let is_faster = cost < best.1 * if best.0 == from.0 { DESCEND_GAIN } else { 1.0 };
        if is_faster {
            *best = (*target, cost);
        }
        let is_found = cost < from.2 * CLEAR_GAIN;
        let is_past_best = !is_faster && best.0 != from.0;
        if *target > 0 && !is_found && !is_past_best {
            *target -= 1;
            *sum = Sum::default();
            return;
        }
        let (level, cost) = *best;
        if level == from.0 {
            std::mem::swap(&mut self.recent, &mut from.1);
            self.calm = self.next_calm;
            self.next_calm = (self.next_calm * 2).min(MAX_CALM);
        } else {
            self.recent.restart(cost);
            if self.last_climb.take().is_none() {
                self.climb_wait = MIN_CLIMB_WAIT;
            }
        }
        (self.level, self.stage) = (level, Stage::Steady);
        if level < self.levels.len() - 1 {
            self.wait_to_climb(now, units);
        }
    }
}

impl Sum {
    fn add(&mut self, cost: f64) {
        self.total += cost;
        self.count += 1;
    }

    fn endless() -> Self {
        Self {
            total: f64::INFINITY,
            count: 1,
        }
    }

    fn mean(self) -> f64 {
        self.total / f64::from(self.count.max(1))
    }
}

/// The last durations with one number of threads, in seconds per unit.
#[derive(Debug)]
struct Recent {
    /// The last ones, in no order.
    window: [f64; WINDOW],
    count: usize,
    /// The shortest of the current and of the previous `best_span` computations. Older ones do not count: a computation
    /// takes longer the more tokens the cache holds.
    best: [Option<f64>; 2],
    best_span: usize,
}

impl Recent {
    fn new(best_span: usize) -> Self {
        Self {
            window: [0.0; WINDOW],
            count: 0,
            best: [None; 2],
            best_span: best_span.max(1),
        }
    }

    /// Forgets everything except this duration.
    fn restart(&mut self, cost: f64) {
        *self = Self::new(self.best_span);
        self.push(cost);
    }

    fn push(&mut self, cost: f64) {
        self.window[self.count % WINDOW] = cost;
        if self.count > 0 && self.count.is_multiple_of(self.best_span) {
            self.best = [None, self.best[0]];
        }
        self.best[0] = Some(self.best[0].map_or(cost, |best| best.min(cost)));
        self.count += 1;
    }

    fn costs(&self) -> &[f64] {
        &self.window[..self.count.min(WINDOW)]
    }

    fn is_full(&self) -> bool {
        self.count >= WINDOW
    }

    fn best(&self) -> Option<f64> {
        self.best.iter().flatten().copied().reduce(f64::min)
    }

    fn mean(&self) -> f64 {
        self.costs().iter().sum::<f64>() / self.costs().len().max(1) as f64
    }

    fn count_above(&self, limit: f64) -> usize {
        self.costs().iter().filter(|cost| **cost > limit).count()
    }
}

/// Computations whose mean counts.
const WINDOW: usize = 8;
/// A computation that takes so many times the shortest one is slow.
const SLOW_FACTOR: f64 = 2.5;
/// The mean of the last computations is slow at so many times the shortest one.
const SLOW_MEAN_FACTOR: f64 = 1.6;
/// Durations with a mean below so many times the shortest one are undisturbed.
const CALM_FACTOR: f64 = 1.3;
/// Computations after a trial of fewer threads that found nothing, until the next.
const MIN_CALM: u32 = 2;
const MAX_CALM: u32 = 64;
/// Until then, computations may take so many times as long.
const CALM_LIMIT_FACTOR: f64 = 2.0;
/// A trial is interrupted where it is behind the duration without it by this share of that.
const TRIAL_START: f64 = 0.4;
/// Computations with more threads, until it is decided.
const CLIMB_SAMPLES: u32 = 3;
/// More threads are kept if they need at most this share of the time.
const CLIMB_GAIN: f64 = 0.95;
/// The same for the first trial: the number of threads that the context was made for is kept in doubt.
const FRESH_GAIN: f64 = 1.1;
/// Computations with fewer threads, until it is decided.
const DESCEND_SAMPLES: u32 = 2;
/// Fewer threads are kept if they need at most this share of the time.
const DESCEND_GAIN: f64 = 0.9;
/// Fewer threads that need at most this share of the time end the search.
const CLEAR_GAIN: f64 = 0.6;
/// The excess that is never interrupted: the system's own work takes some milliseconds now and then.
const MIN_EXCESS_SECONDS: f64 = 0.01;
/// The waits between two trials of more threads.
const MIN_CLIMB_WAIT: Duration = Duration::from_millis(250);
const MAX_CLIMB_WAIT: Duration = Duration::from_millis(1500);
/// At least so many computations between two trials of more threads.
const MIN_CLIMB_COMPUTATIONS: f64 = 8.0;
/// More threads that were kept for so long were right.
const STABLE: Duration = Duration::from_secs(1);
/// A step of so many tokens, and half as many as before, needs new measurements.
const NEAR_TOKENS: u32 = 1024;

#[cfg(test)]
mod tests;
