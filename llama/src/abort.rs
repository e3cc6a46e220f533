//! The signal that ends a computation early, and the cell through which llama.cpp sees it.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Instant;

use crate::ffi;

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

/// The signal of the computation that runs now; null between computations.
///
/// llama.cpp gets the address of the cell once, at the creation of a context.
#[derive(Debug, Default)]
pub(crate) struct AbortCell(AtomicPtr<AbortSignal<'static>>);

impl AbortCell {
    /// Runs `body` while [`on_abort`] answers for `signal`.
    pub(crate) fn with_signal<T>(&self, signal: &AbortSignal<'_>, body: impl FnOnce() -> T) -> T {
        /// Empties the cell on every way out, before the signal's lifetime ends.
        struct Emptied<'a>(&'a AbortCell);
        impl Drop for Emptied<'_> {
            fn drop(&mut self) {
                self.0.0.store(ptr::null_mut(), Ordering::Release);
            }
        }
        self.0.store(ptr::from_ref(signal).cast_mut().cast(), Ordering::Release);
        let _emptied = Emptied(self);
        body()
    }
}

/// llama.cpp's abort callback. `cell` is the address of a live [`AbortCell`].
pub(crate) unsafe extern "C" fn on_abort(cell: ffi::UserData) -> bool {
    // SAFETY: the context that calls owns the cell. The signal in it is live, because `with_signal` empties the cell
    // before it returns, and is only read.
    unsafe {
        let signal = (*cell.cast::<AbortCell>()).0.load(Ordering::Acquire);
        signal.as_ref().is_some_and(AbortSignal::is_raised)
    }
}

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
        cell.with_signal(&AbortSignal::from(&flag), || {
            assert!(is_aborted());
            flag.store(false, Ordering::Relaxed);
            assert!(!is_aborted());
        });
        flag.store(true, Ordering::Relaxed);
        assert!(!is_aborted());
    }
}
