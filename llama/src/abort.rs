//! The signal that ends a computation early, and the cell through which llama.cpp sees it.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Instant;

use crate::ffi;
use crate::pace::TimeLimit;

/// The conditions under which [`Context::decode`](crate::Context::decode) stops early.
#[derive(Debug, Clone, Copy)]
pub struct AbortSignal<'a> {
    /// Set by another thread.
    pub flag: &'a AtomicBool,
    /// A moment that ends the computation as the flag does.
    pub deadline: Option<Instant>,
}

impl AbortSignal<'_> {
    /// Returns whether the flag is set or the deadline has passed.
    pub fn is_raised(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

impl<'a> From<&'a AtomicBool> for AbortSignal<'a> {
    fn from(flag: &'a AtomicBool) -> Self {
        Self { flag, deadline: None }
    }
}

/// A computation that may end early, and its progress. llama.cpp polls after each operation, on the calling thread.
#[derive(Debug)]
pub(crate) struct WatchedRun<'a> {
    signal: AbortSignal<'a>,
    begun: Instant,
    /// The limit, and the polls of the whole computation.
    limit: Option<(TimeLimit, u32)>,
    polls: Cell<u32>,
    is_overdue: Cell<bool>,
}

impl<'a> WatchedRun<'a> {
    /// Begins now. `polls`: how many the whole computation will be; 0 if that is unknown, and then no limit is kept.
    pub(crate) fn new(signal: AbortSignal<'a>, limit: Option<TimeLimit>, polls: u32) -> Self {
        Self {
            signal,
            begun: Instant::now(),
            limit: limit.filter(|_| polls > 0).map(|limit| (limit, polls)),
            polls: Cell::new(0),
            is_overdue: Cell::new(false),
        }
    }

    /// Returns the number of operations so far.
    pub(crate) fn polls(&self) -> u32 {
        self.polls.get()
    }

    /// Returns whether the limit ended it, and not the signal.
    pub(crate) fn is_overdue(&self) -> bool {
        self.is_overdue.get()
    }

    /// Returns the seconds since it began.
    pub(crate) fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Counts an operation, and returns whether the computation must end.
    fn must_end(&self) -> bool {
        self.polls.set(self.polls.get().saturating_add(1));
        if self.signal.is_raised() {
            return true;
        }
        // Reading the clock takes longer than the shortest operations.
        if let Some((limit, total)) = self.limit
            && self.polls.get().is_multiple_of(POLLS_PER_CLOCK)
            && limit.is_over(self.seconds(), f64::from(self.polls.get()) / f64::from(total))
        {
            self.is_overdue.set(true);
            return true;
        }
        false
    }
}

/// The computation that runs now; null between computations.
///
/// llama.cpp gets the address of the cell once, at the creation of a context.
#[derive(Debug, Default)]
pub(crate) struct AbortCell(AtomicPtr<WatchedRun<'static>>);

impl AbortCell {
    /// Runs `body` while [`on_abort`] answers for `run`.
    pub(crate) fn with_run<T>(&self, run: &WatchedRun<'_>, body: impl FnOnce() -> T) -> T {
        /// Empties the cell on every way out, before the run's lifetime ends.
        struct Emptied<'a>(&'a AbortCell);
        impl Drop for Emptied<'_> {
            fn drop(&mut self) {
                self.0.0.store(ptr::null_mut(), Ordering::Release);
            }
        }
        self.0.store(ptr::from_ref(run).cast_mut().cast(), Ordering::Release);
        let _emptied = Emptied(self);
        body()
    }
}

/// llama.cpp's abort callback. `cell` is the address of a live [`AbortCell`].
pub(crate) unsafe extern "C" fn on_abort(cell: ffi::UserData) -> bool {
    // SAFETY: the context that calls owns the cell. The run in it is live, because `with_run` empties the cell before it
    // returns; llama.cpp calls on the thread that called it, which is the only one that uses the run.
    unsafe {
        let run = (*cell.cast::<AbortCell>()).0.load(Ordering::Acquire);
        run.as_ref().is_some_and(WatchedRun::must_end)
    }
}

/// The clock is read after so many operations.
const POLLS_PER_CLOCK: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callback_answers_for_the_signal_of_the_moment() {
        let cell = AbortCell::default();
        let address: ffi::UserData = ptr::from_ref(&cell).cast_mut().cast();
        // SAFETY: the cell outlives the calls.
        let is_aborted = || unsafe { on_abort(address) };
        let flag = AtomicBool::new(true);
        assert!(!is_aborted());
        let run = WatchedRun::new(AbortSignal::from(&flag), None, 0);
        cell.with_run(&run, || {
            assert!(is_aborted());
            flag.store(false, Ordering::Relaxed);
            assert!(!is_aborted());
        });
        flag.store(true, Ordering::Relaxed);
        assert!(!is_aborted());
        assert_eq!((run.polls(), run.is_overdue()), (2, false));
    }

    #[test]
    fn a_limit_ends_a_computation_whose_length_is_known() {
        let flag = AtomicBool::new(false);
        let limit = TimeLimit { start: 0.0, whole: 0.0 };
        let polls_until_end = |polls| {
            let run = WatchedRun::new(AbortSignal::from(&flag), Some(limit), polls);
            let ended = (0..100).find(|_| run.must_end());
            assert_eq!(ended.is_some(), run.is_overdue());
            ended
        };
        assert_eq!(polls_until_end(100), Some(POLLS_PER_CLOCK - 1));
        assert_eq!(polls_until_end(0), None);
    }
}
