//! Facts that requests to one server taught, shared by all requests to it. In memory; only the last one is also stored, with
//! the model list.
//!
//! - Which models it runs itself, and when it said so. An Ollama server may create a model anew at any time as an alias of
//!   one that it forwards, so that its list is not enough; see [`super::forwarding`].
//! - Whether an answer of the server contradicted its list.
//! - Which models begin their answers inside a block of reasoning without an opening tag; see [`super::think`].

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::provider::UnopenedThought;
use crate::chat::ReasoningMode;
use crate::sync::lock;

/// Facts that requests to one server taught.
#[derive(Debug, Default)]
pub struct LearnedFacts {
    hosts: Mutex<HashMap<String, HostStatement>>,
    contradicts_list: AtomicBool,
    unopened: Mutex<HashSet<UnopenedThought>>,
}

/// A statement of a server about the host that runs a model.
#[derive(Debug, Clone, Copy)]
struct HostStatement {
    at: StatementTime,
    is_own: bool,
}

/// The time of a statement by two clocks: one may be set, the other may stand still while the device sleeps.
#[derive(Debug, Clone, Copy)]
pub struct StatementTime {
    steady: Instant,
    wall: SystemTime,
}

impl LearnedFacts {
    /// Records that the server says that it runs this model itself, or that it forwards it. A newer statement stays.
    pub(crate) fn note_host(&self, model: &str, is_own: bool, at: StatementTime) {
        let mut hosts = lock(&self.hosts);
        let is_newer = hosts.get(model).is_none_or(|known| known.at.steady <= at.steady);
        if is_newer {
            hosts.insert(model.to_owned(), HostStatement { at, is_own });
        }
    }

    /// Returns whether the server said a moment ago that it runs this model itself.
    pub(super) fn is_surely_own(&self, model: &str) -> bool {
        let stated = lock(&self.hosts).get(model).copied();
        stated.is_some_and(|stated| stated.is_own && stated.at.is_recent(StatementTime::now()))
    }

    /// Records that the server contradicted its list of models, so that a new one is needed.
    pub(super) fn note_contradiction(&self) {
        self.contradicts_list.store(true, Ordering::SeqCst);
    }

    /// Records that a new list of models was fetched.
    pub(crate) fn note_new_list(&self) {
        self.contradicts_list.store(false, Ordering::SeqCst);
    }

    /// Returns whether the server contradicted its list of models since that was fetched.
    pub(crate) fn contradicts_list(&self) -> bool {
        self.contradicts_list.load(Ordering::SeqCst)
    }

    /// Records whether an answer of this model in this mode began inside a block of reasoning. Returns whether that is new.
    pub(super) fn note_begins_inside(&self, model: &str, mode: &ReasoningMode, begins_inside: bool) -> bool {
        let (begin, mut known) = (unopened(model, mode), lock(&self.unopened));
        match begins_inside {
            true => known.insert(begin),
            false => known.remove(&begin),
        }
    }

    /// Returns whether an earlier answer of this model in this mode began inside a block of reasoning.
    pub(super) fn begins_inside(&self, model: &str, mode: &ReasoningMode) -> bool {
        lock(&self.unopened).contains(&unopened(model, mode))
    }

    /// Returns the models that begin their answers inside a block of reasoning, in order, to store them.
    pub(crate) fn unopened(&self) -> Vec<UnopenedThought> {
        let mut all: Vec<_> = lock(&self.unopened).iter().cloned().collect();
        all.sort_unstable();
        all
    }

    /// Adds what was stored.
    pub(crate) fn restore_unopened(&self, stored: &[UnopenedThought]) {
        lock(&self.unopened).extend(stored.iter().cloned());
    }
}

impl StatementTime {
    /// Returns the present time.
    pub(crate) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Returns whether a statement of this time is recent. A clock that was set back says nothing, so it is not.
    fn is_recent(self, now: Self) -> bool {
        let by_wall = now.wall.duration_since(self.wall);
        now.steady.saturating_duration_since(self.steady) < STATEMENT_MAX_AGE
            && by_wall.is_ok_and(|age| age < STATEMENT_MAX_AGE)
    }
}

fn unopened(model: &str, mode: &ReasoningMode) -> UnopenedThought {
    let mode = match mode {
        ReasoningMode::Auto => "auto",
        ReasoningMode::Off => "off",
        ReasoningMode::On => "on",
        ReasoningMode::Budget { .. } => "budget",
        ReasoningMode::Effort { .. } => "effort",
    };
    UnopenedThought {
        model: model.to_owned(),
        mode: mode.to_owned(),
    }
}

/// How long a statement about the host of a model is valid.
const STATEMENT_MAX_AGE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_valid_for_a_minute_by_both_clocks() {
        let now = StatementTime::now();
        let later = |steady, wall: i64| StatementTime {
            steady: now.steady + Duration::from_secs(steady),
            wall: match u64::try_from(wall) {
                Ok(seconds) => now.wall + Duration::from_secs(seconds),
                Err(_) => now.wall - Duration::from_secs(wall.unsigned_abs()),
            },
        };
        for (steady, wall, recent) in [(0, 0, true), (59, 59, true), (60, 60, false), (1, 3_600, false)] {
            assert_eq!(now.is_recent(later(steady, wall)), recent, "{steady} {wall}");
        }
        assert!(!now.is_recent(later(5, -3_600)), "the clock was set back");
        assert!(
            !now.is_recent(later(3_600, 5)),
            "the clock was set back by an hour, an hour later"
        );
    }

    #[test]
    fn a_newer_statement_replaces_an_older_one_and_never_the_reverse() {
        let (learned, before) = (LearnedFacts::default(), StatementTime::now());
        assert!(!learned.is_surely_own("m"), "nothing was said of it");
        learned.note_host("m", true, before);
        assert!(learned.is_surely_own("m") && !learned.is_surely_own("n"));
        learned.note_host("m", false, StatementTime::now());
        learned.note_host("m", true, before);
        assert!(!learned.is_surely_own("m"), "a list that was asked for before");
    }
}
