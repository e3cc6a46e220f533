//! Bytes of states that an engine may write. The limit may be lowered meanwhile: what an engine begins to store in the background
//! must not keep its memory once the app is about to be killed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that an engine may write after it was closed, and those that it has written.
#[derive(Debug)]
pub(super) struct StoredBytes {
    /// `u64::MAX`: it was not closed.
    last: AtomicU64,
    written: AtomicU64,
}

impl Default for StoredBytes {
    fn default() -> Self {
        Self {
            last: AtomicU64::new(u64::MAX),
            written: AtomicU64::new(0),
        }
    }
}

impl StoredBytes {
    /// Returns the bytes that may be written after the close; `None` before it.
    pub(super) fn last(&self) -> Option<u64> {
        Some(self.last.load(Ordering::SeqCst)).filter(|last| *last != u64::MAX)
    }

    /// Lowers them: of several closes, the one that allows the fewest bytes counts.
    pub(super) fn lower_last(&self, bytes: u64) {
        self.last.fetch_min(bytes, Ordering::SeqCst);
    }

    /// Returns the bytes that were written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }
}

/// What may be written while memory is freed.
#[derive(Debug)]
pub(super) struct WriteAllowance<'s> {
    bytes: &'s StoredBytes,
    most: u64,
    written: u64,
}

impl<'s> WriteAllowance<'s> {
    /// Allows this many bytes, and no more than the engine may write once it is closed.
    pub(super) fn new(bytes: &'s StoredBytes, most: u64) -> Self {
        Self {
            bytes,
            most,
            written: 0,
        }
    }

    /// Returns the bytes that may still be written: fewer, if the engine was closed since.
    pub(super) fn left(&self) -> u64 {
        let most = self.most.min(self.bytes.last.load(Ordering::SeqCst));
        most.saturating_sub(self.written)
    }

    /// Has a state of this size written if that is allowed beside `kept` bytes. `write` returns whether it wrote it; it is given
    /// a function that returns whether it must give up.
    pub(super) fn write(&mut self, size: u64, kept: u64, write: impl FnOnce(&dyn Fn() -> bool) -> bool) {
        let is_too_large = || size.saturating_add(kept) > self.left();
        if !is_too_large() && write(&is_too_large) {
            self.written += size;
            self.bytes.written.fetch_add(size, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_close_lowers_the_limit_and_ends_what_is_being_written() {
        let stored = StoredBytes::default();
        stored.lower_last(500);
        let mut allowed = WriteAllowance::new(&stored, 400);
        allowed.write(401, 0, |_| panic!("too large"));
        allowed.write(400, 1, |_| panic!("too large beside another"));
        allowed.write(100, 0, |is_stopped| !is_stopped());
        assert_eq!((allowed.left(), stored.written()), (300, 100));
        allowed.write(200, 0, |is_stopped| {
            assert!(!is_stopped());
            stored.lower_last(150);
            assert!(is_stopped());
            false
        });
        assert_eq!((allowed.left(), stored.written()), (50, 100));
        // A later close that would allow more.
        stored.lower_last(500);
        allowed.write(51, 0, |_| panic!("more than the second close allows"));
        allowed.write(50, 0, |is_stopped| !is_stopped());
        assert_eq!((allowed.left(), stored.written()), (0, 150));
    }

    #[test]
    fn an_open_engine_writes_what_is_asked() {
        let stored = StoredBytes::default();
        assert_eq!(WriteAllowance::new(&stored, 70).left(), 70);
    }
}
