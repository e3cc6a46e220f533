//! The flag that stops work: set by one side from any thread, polled or awaited by the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A cancel flag, which one side sets and the other polls or awaits. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    inner: Arc<CancelTokenState>,
}

#[derive(Debug, Default)]
struct CancelTokenState {
    cancelled: AtomicBool,
    waiters: Notify,
}

impl CancelToken {
    /// Sets the flag and wakes every waiter.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        self.inner.waiters.notify_waiters();
    }

    /// Returns whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Returns the bare flag, for code that polls it thousands of times a second.
    pub fn flag(&self) -> &AtomicBool {
        &self.inner.cancelled
    }

    /// Waits until the flag is set.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.inner.waiters.notified();
            tokio::pin!(woken);
            // Register before reading the flag, or a cancel between the two would be missed.
            woken.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            woken.await;
        }
    }
}
