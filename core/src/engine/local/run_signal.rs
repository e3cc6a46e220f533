//! A change of the device's state, told to an engine's thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::sync::lock;

/// Tells an engine's thread, from any other, that the device's state has changed.
#[derive(Debug, Default)]
pub(super) struct RunSignal {
    version: AtomicU64,
    must_reduce: AtomicBool,
    waiting: Mutex<()>,
    changed: Condvar,
}

impl RunSignal {
    /// Has the conditions read again before the next batch.
    pub(super) fn notify(&self) {
        let _waiting = lock(&self.waiting);
        self.version.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// Asks for memory, before the next batch.
    pub(super) fn request_reduction(&self) {
        self.must_reduce.store(true, Ordering::SeqCst);
        self.notify();
    }

    /// Returns whether memory was asked for since the last call.
    pub(super) fn take_reduction(&self) -> bool {
        self.must_reduce.swap(false, Ordering::SeqCst)
    }

    /// Returns the number of notifications so far.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Waits until the version is another one, at most for this time.
    pub(super) fn wait(&self, version: u64, time: Duration) {
        let waiting = lock(&self.waiting);
        if self.version() == version {
            // Whether it timed out makes no difference.
            drop(self.changed.wait_timeout(waiting, time));
        }
    }
}
