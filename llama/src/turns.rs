//! Turns of the contexts of one process, if the processor has too few cores for the threads of all.
//!
//! ggml's threads wait for each other by spinning. If two contexts compute on the same cores at the same moment, each
//! thread spins for one that does not run, and both fall to a tenth of their speed or less. Therefore a context computes
//! for a slice of time, over several calls, and then lets the next one that waits compute. Contexts whose threads fit beside
//! each other compute at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use crate::AbortSignal;

/// A context that computes in turn with others.
#[derive(Debug)]
pub(crate) struct Participant {
    turns: &'static Turns,
    id: u64,
    threads: u32,
}

/// The contexts that may compute now, and those that wait.
#[derive(Debug, Default)]
struct Turns {
    state: Mutex<TurnState>,
    /// Notified when a holder gives its turn up.
    changed: Condvar,
    /// Number of contexts that wait.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct TurnState {
    holders: Vec<Holder>,
    /// First come, first served.
    waiting: VecDeque<u64>,
    next_id: u64,
}

/// A context that has its turn.
#[derive(Debug)]
struct Holder {
    id: u64,
    threads: u32,
    since: Instant,
    /// Unset while it computes.
    idle_since: Option<Instant>,
}

impl Participant {
    /// Registers a context that computes with this many threads.
    pub(crate) fn new(threads: u32) -> Self {
        static TURNS: Turns = Turns {
            state: Mutex::new(TurnState {
                holders: Vec::new(),
                waiting: VecDeque::new(),
                next_id: 0,
            }),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        };
        Self::registered(&TURNS, threads)
    }

    fn registered(turns: &'static Turns, threads: u32) -> Self {
        let mut state = turns.lock();
        let id = state.next_id;
        state.next_id += 1;
        Self {
            turns,
            id,
            threads: threads.min(cores()),
        }
    }

    /// Waits for a turn, and returns whether it came before the signal was raised. `pause` is called before another context
    /// gets the turn that this one held: its threads must not spin from then on.
    pub(crate) fn begin(&mut self, abort: &AbortSignal<'_>, pause: impl FnOnce()) -> bool {
        let turns = self.turns;
        let mut state = turns.lock();
        let has_rivals = !state.waiting.is_empty();
        if let Some(holder) = state.holder(self.id) {
            if !has_rivals || holder.since.elapsed() < SLICE {
                holder.idle_since = None;
                return true;
            }
            pause();
            state.remove(self.id);
            turns.changed.notify_all();
        }
        state.waiting.push_back(self.id);
        turns.waiting.fetch_add(1, Ordering::Relaxed);
        let has_turn = loop {
            if state.try_begin(self.id, self.threads) {
                break true;
            }
            if abort.is_raised() {
                state.waiting.retain(|id| *id != self.id);
                break false;
            }
            // Also wakes up for the signal, and for a holder that went idle without giving up its turn.
            let waited = turns.changed.wait_timeout(state, POLL_INTERVAL);
            state = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        };
        turns.waiting.fetch_sub(1, Ordering::Relaxed);
        // The next one may fit beside it, or be the first now.
        turns.changed.notify_all();
        has_turn
    }

    /// Records that a computation ended. The context keeps its turn for the next one.
    pub(crate) fn end(&mut self) {
        if let Some(holder) = self.turns.lock().holder(self.id) {
            holder.idle_since = Some(Instant::now());
        }
    }

    /// Gives the turn up.
    pub(crate) fn leave(&mut self) {
        self.turns.lock().remove(self.id);
        self.turns.changed.notify_all();
    }

    /// Returns whether other contexts wait for a turn.
    pub(crate) fn has_rivals(&self) -> bool {
        self.turns.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnState {
    fn holder(&mut self, id: u64) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|holder| holder.id == id)
    }

    fn remove(&mut self, id: u64) {
        self.holders.retain(|holder| holder.id != id);
    }

    /// Gives the turn to the first that waits, if that is this one and the cores suffice.
    fn try_begin(&mut self, id: u64, threads: u32) -> bool {
        if self.waiting.front() != Some(&id) {
            return false;
        }
        self.holders
            .retain(|holder| holder.idle_since.is_none_or(|since| since.elapsed() < MAX_IDLE));
        let taken: u32 = self.holders.iter().map(|holder| holder.threads).sum();
        if taken > 0 && taken + threads > cores() {
            return false;
        }
        self.waiting.pop_front();
        self.holders.push(Holder {
            id,
            threads,
            since: Instant::now(),
            idle_since: None,
        });
        true
    }
}

/// Returns how many threads the system runs at once.
fn cores() -> u32 {
    available_parallelism().map_or(u32::MAX, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

/// How long a context computes while others wait: long beside waking its threads, short for a reader.
const SLICE: Duration = Duration::from_millis(50);
/// A holder that did not compute for this long lost its turn. Sampling and parsing take less.
const MAX_IDLE: Duration = Duration::from_millis(20);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn turns() -> &'static Turns {
        Box::leak(Box::default())
    }

    #[test]
    fn rivals_compute_in_turn_and_never_at_once() {
        let turns = turns();
        let computing = AtomicUsize::new(0);
        let counts: Vec<u32> = std::thread::scope(|scope| {
            let run = || {
                let mut own = Participant::registered(turns, cores());
                let (mut count, begun) = (0, Instant::now());
                while begun.elapsed() < SLICE * 8 {
                    assert!(own.begin(&AbortSignal::from(&AtomicBool::new(false)), || {}));
                    assert_eq!(computing.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(1));
                    computing.fetch_sub(1, Ordering::SeqCst);
                    own.end();
                    count += 1;
                }
                count
            };
            let all = [scope.spawn(run), scope.spawn(run)];
            all.map(|thread| thread.join().unwrap()).into()
        });
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
        assert!(turns.lock().holders.is_empty());
    }

    #[test]
    fn a_wait_ends_by_the_signal_and_a_turn_by_idleness() {
        let turns = turns();
        let (mut first, mut second) = (
            Participant::registered(turns, cores()),
            Participant::registered(turns, cores()),
        );
        let (go_on, stop) = (AtomicBool::new(false), AtomicBool::new(true));
        assert!(first.begin(&AbortSignal::from(&go_on), || {}));
        assert!(!second.begin(&AbortSignal::from(&stop), || {}));
        assert!(!first.has_rivals());
        first.end();
        assert!(second.begin(&AbortSignal::from(&go_on), || {}), "the first is idle");
        second.leave();
        let mut paused = false;
        assert!(first.begin(&AbortSignal::from(&go_on), || paused = true));
        assert!(!paused, "the first held no turn any more");
    }

    #[test]
    fn contexts_that_fit_beside_each_other_compute_at_once() {
        if cores() < 2 {
            return;
        }
        let turns = turns();
        let (mut first, mut second) = (Participant::registered(turns, 1), Participant::registered(turns, 1));
        let go_on = AtomicBool::new(false);
        assert!(first.begin(&AbortSignal::from(&go_on), || {}));
        assert!(second.begin(&AbortSignal::from(&go_on), || {}));
    }
}
