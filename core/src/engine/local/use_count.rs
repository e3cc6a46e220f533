//! Counts the leases of an engine, remembers its last use, and wakes what waits for the end of one.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use crate::sync::lock;

/// Count and time of the uses of an engine.
#[derive(Debug)]
pub(super) struct UseCount {
    leases: AtomicUsize,
    last: Mutex<Instant>,
    /// Whether the last job was a load that an app asked for.
    loaded_ahead: AtomicBool,
    /// Notified by the end of a use. One task waits for it.
    ended: Notify,
}

impl UseCount {
    /// Starts without leases.
    pub(super) fn new() -> Self {
        Self {
            leases: AtomicUsize::new(0),
            last: Mutex::new(Instant::now()),
            loaded_ahead: AtomicBool::new(false),
            ended: Notify::new(),
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

    /// Returns whether the last job was a load that an app asked for: an answer is likely to follow.
    pub(super) fn is_loaded_ahead(&self) -> bool {
        self.loaded_ahead.load(Ordering::SeqCst)
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
        self.ended.notify_one();
    }

    /// Records the end of a job.
    pub(super) fn end_job(&self, is_load: bool) {
        *lock(&self.last) = Instant::now();
        self.loaded_ahead.store(is_load, Ordering::SeqCst);
        self.ended.notify_one();
    }

    /// Wakes what waits for the end of a use: the engine is gone.
    pub(super) fn close(&self) {
        self.ended.notify_one();
    }

    /// Waits for the end of a use, also of one that ended since the last call.
    pub(super) async fn use_ended(&self) {
        self.ended.notified().await;
    }
}
