//! Counts the leases of an engine, and remembers the last use.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::sync::lock;

/// Count and time of the uses of an engine.
#[derive(Debug)]
pub(super) struct UseCount {
    leases: AtomicUsize,
    last: Mutex<Instant>,
}

impl UseCount {
    /// Starts without leases.
    pub(super) fn new() -> Self {
        Self {
            leases: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
        }
    }

    /// Returns whether a lease exists.
    pub(super) fn is_leased(&self) -> bool {
        self.leases.load(Ordering::SeqCst) > 0
    }

    /// Returns when the engine was last used.
    pub(super) fn last(&self) -> Instant {
        *lock(&self.last)
    }

    /// Counts a lease.
    pub(super) fn begin(&self) {
        self.leases.fetch_add(1, Ordering::SeqCst);
        *lock(&self.last) = Instant::now();
    }

    /// Ends a lease.
    pub(super) fn end(&self) {
        *lock(&self.last) = Instant::now();
        self.leases.fetch_sub(1, Ordering::SeqCst);
    }
}
