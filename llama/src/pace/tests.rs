//! The pace on simulated machines.

use super::*;

/// A machine whose threads are held up by other processes.
struct Machine {
    cores: u32,
    /// Seconds for one unit with one thread.
    work: f64,
    /// How much of a further thread counts; under 1 where memory is the limit.
    scaling: f64,
    /// The share by which durations differ.
    noise: f64,
    /// The share by which a unit takes longer for each unit before it.
    growth: f64,
    /// The processes that keep one core busy each, by second.
    busy: fn(f64) -> u32,
    random: u64,
}

/// What a simulation did.
#[derive(Debug, Default)]
struct Run {
    units: f64,
    /// The number of threads after each computation, without the trials.
    threads: Vec<u32>,
    /// Second and units of each computation.
    done: Vec<(f64, f64)>,
}

impl Machine {
    fn new(cores: u32, busy: fn(f64) -> u32) -> Self {
        Self {
            cores,
            work: 0.01,
            scaling: 0.8,
            noise: 0.05,
            growth: 0.0,
            busy,
            random: 7,
        }
    }

    /// Returns a number from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f64 / (1_u64 << 24) as f64
    }

    /// Returns the seconds for this many units.
    fn seconds(&mut self, threads: u32, busy: u32, units: f64, before: f64) -> f64 {
        let speed = 1.0 + self.scaling * f64::from(threads - 1);
        let noise = 1.0 + self.noise * (2.0 * self.chance() - 1.0);
        let held_up = match () {
            () if threads + busy <= self.cores => 1.0,
            // Alone on a shared core, it gets its share of it.
            () if threads == 1 => f64::from(1 + busy) / f64::from(self.cores),
            () => 5.0 + 40.0 * self.chance(),
        };
        self.work * units * (1.0 + self.growth * before) / speed * noise * held_up
    }

    /// Computes for so many seconds, in computations of so many units.
    fn run(&mut self, pace: &mut Pace, seconds: f64, units: f64) -> Run {
        let (origin, mut time, mut run) = (Instant::now(), 0.0, Run::default());
        while time < seconds {
            let at = |time: f64| origin + Duration::from_secs_f64(time);
            let position = run.units as u32;
            let is_trial = pace.plan_next(at(time), position, units).is_trial;
            let units = if is_trial { units.min(12.0) } else { units };
            let choice = pace.plan_next(at(time), position, units);
            let whole = self.seconds(choice.threads, (self.busy)(time), units, run.units);
            // The limit grows with the time, too.
            let cut = choice.limit.and_then(|limit| {
                let cut = limit.start / (1.0 - limit.whole / whole).max(f64::MIN_POSITIVE);
                limit.is_over(whole, 1.0).then_some(cut.min(whole))
            });
            match cut {
                Some(cut) => {
                    time += cut;
                    pace.record_overdue(at(time), cut, units);
                }
                None => {
                    time += whole;
                    pace.record(at(time), whole, units);
                    run.units += units;
                    run.done.push((time, units));
                }
            }
            run.threads.push(pace.threads());
        }
        run
    }

    /// Returns the units in so many seconds with a fixed number of threads.
    fn units_with(&mut self, threads: u32, seconds: f64, units: f64) -> f64 {
        self.run(&mut Pace::fixed(threads, 24), seconds, units).units
    }
}

impl Run {
    fn changes(&self) -> usize {
        self.threads.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    fn last(&self) -> u32 {
        self.threads.last().copied().unwrap_or_default()
    }

    /// Returns the share of the computations from the second on that had so many threads.
    fn share_of(&self, threads: u32) -> f64 {
        self.threads.iter().filter(|count| **count == threads).count() as f64 / self.threads.len() as f64
    }

    /// Returns the units done from one second to another.
    fn units_between(&self, from: f64, to: f64) -> f64 {
        let within = self.done.iter().filter(|(time, _)| (from..to).contains(time));
        within.map(|(_, units)| units).sum()
    }
}

#[test]
fn an_idle_machine_keeps_all_threads_whatever_the_noise() {
    for (cores, scaling, noise, seed) in [
        (1, 0.8, 0.05, 1),
        (2, 0.8, 0.05, 2),
        (2, 0.3, 0.2, 3),
        (2, 0.8, 0.2, 4),
        (4, 0.5, 0.2, 5),
        (8, 0.9, 0.2, 6),
    ] {
        for units in [1.0, 132.0_f64] {
            let mut machine = Machine {
                scaling,
                noise,
                random: seed,
                ..Machine::new(cores, |_| 0)
            };
            let work = 20.0 * units.sqrt();
            let fixed = machine.units_with(cores, work, units);
            let run = machine.run(&mut Pace::new(cores, 24), work, units);
            let share = run.units / fixed;
            assert!(share > 0.97, "{cores} cores, noise {noise}, {units} units: {share}");
            assert!(run.changes() <= 4 && run.last() == cores, "{:?}", run.changes());
        }
    }
}

#[test]
fn beside_a_busy_process_the_fastest_number_is_found_and_kept() {
    for (cores, busy, best) in [
        (2, (|_| 1) as fn(f64) -> u32, 1),
        (2, |_| 2, 1),
        (4, |_| 1, 3),
        (8, |_| 1, 7),
        (8, |_| 4, 4),
        (8, |_| 8, 1),
    ] {
        for units in [1.0, 132.0_f64] {
            let mut machine = Machine::new(cores, busy);
            let work = 10.0 * units.sqrt();
            let fixed = machine.units_with(best, work, units);
            let run = machine.run(&mut Pace::new(cores, 24), work, units);
            let share = run.units / fixed;
            assert!(share > 0.85, "{cores} cores, {units} units: {share}");
            assert!(run.share_of(best) > 0.8, "{cores} cores, {units} units");
        }
    }
}

#[test]
fn a_process_that_is_busy_for_a_while_costs_little_and_full_speed_comes_back() {
    for cores in [2, 8] {
        let mut machine = Machine::new(cores, |time| u32::from((3.0..8.0).contains(&time)));
        let fixed = Machine::new(cores, |_| 0).run(&mut Pace::fixed(cores, 24), 14.0, 1.0);
        let run = machine.run(&mut Pace::new(cores, 24), 14.0, 1.0);
        let share = |from: f64, to: f64| run.units_between(from, to) / fixed.units_between(from, to);
        assert!(share(0.0, 3.0) > 0.97, "before: {}", share(0.0, 3.0));
        assert!(share(3.0, 8.0) > 0.45, "beside it: {}", share(3.0, 8.0));
        assert!(share(10.0, 14.0) > 0.97, "two seconds later: {}", share(10.0, 14.0));
    }
}

#[test]
fn short_disturbances_cost_no_more_than_themselves() {
    // 30 ms in each second.
    let mut machine = Machine::new(2, |time| u32::from(time.fract() < 0.03));
    let fixed = Machine::new(2, |_| 0).units_with(2, 20.0, 1.0);
    let run = machine.run(&mut Pace::new(2, 24), 20.0, 1.0);
    assert!(run.units / fixed > 0.8, "{}", run.units / fixed);
}

#[test]
fn a_growing_context_is_no_disturbance() {
    for (units, growth) in [(1.0, 0.001), (132.0, 0.0005)] {
        let mut machine = Machine {
            growth,
            noise: 0.1,
            ..Machine::new(2, |_| 0)
        };
        let fixed = machine.units_with(2, 60.0 * units, units);
        let run = machine.run(&mut Pace::new(2, if units > 1.0 { 8 } else { 24 }), 60.0 * units, units);
        assert!(run.units / fixed > 0.97, "{}", run.units / fixed);
        assert!(run.last() == 2 && run.share_of(2) > 0.97, "{}", run.share_of(2));
    }
}

#[test]
fn a_far_position_is_measured_anew() {
    let now = Instant::now();
    let mut pace = Pace::new(2, 24);
    for _ in 0..20 {
        pace.plan_next(now, 100, 1.0);
        pace.record(now, 0.01, 1.0);
    }
    assert_eq!(pace.plan_next(now, 120, 1.0).threads, 2);
    let far = pace.plan_next(now, 30_000, 1.0);
    assert_eq!((far.threads, far.limit, far.is_trial), (1, None, true));
    pace.record(now, 0.09, 1.0);
    assert_eq!(
        pace.plan_next(now, 30_001, 1.0).threads,
        2,
        "ten times as long is no disturbance here"
    );
}

#[test]
fn one_thread_is_never_interrupted_and_there_is_nothing_to_choose() {
    let now = Instant::now();
    for mut pace in [Pace::new(1, 24), Pace::fixed(6, 24)] {
        let threads = pace.threads();
        for seconds in [0.01, 0.01, 5.0, 0.01] {
            let choice = pace.plan_next(now, 0, 1.0);
            assert_eq!((choice.threads, choice.limit, choice.is_trial), (threads, None, false));
            pace.record(now, seconds, 1.0);
        }
    }
}
