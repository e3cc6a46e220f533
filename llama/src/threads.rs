//! The threads that compute for a context.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::thread::available_parallelism;

use llama_cpp_sys_2 as sys;

use crate::{LlamaError, ffi, stack};

/// A thread pool of ggml.
pub(crate) struct ThreadPool {
    raw: NonNull<sys::ggml_threadpool>,
    count: u32,
}

impl ThreadPool {
    /// Starts `count` threads less the calling one, but not more than the system runs at once: they wait for each other by
    /// spinning, so one without a core of its own holds up all.
    ///
    /// # Errors
    /// [`LlamaError::Threads`] if the system starts no more threads.
    pub(crate) fn new(count: u32) -> Result<Self, LlamaError> {
        let count = available_parallelism().map_or(count, |most| count.min(u32::try_from(most.get()).unwrap_or(count)));
        // ggml asserts that each thread starts, and leaks the others if one does not: so it is tried out before.
        if !stack::can_start_threads(count.saturating_sub(1) as usize) {
            return Err(LlamaError::Threads(count));
        }
        // SAFETY: the pool outlives the call.
        ffi::call_for_object(|out, error| unsafe { ffi::ns_threadpool_new(count, out, error) })
            .map(|raw| Self { raw, count })
            .map_err(|_| LlamaError::Threads(count))
    }

    /// Returns the number of threads, including the calling one.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Makes the threads sleep until the next computation. Otherwise each spins for a tenth of a second or more first.
    pub(crate) fn pause(&self) {
        // SAFETY: the pool is live. ggml wakes the threads itself when a computation begins.
        unsafe { sys::ggml_threadpool_pause(self.raw.as_ptr()) }
    }

    /// Returns ggml's object. It lives as long as `self`.
    pub(crate) fn as_ptr(&self) -> *mut sys::ggml_threadpool {
        self.raw.as_ptr()
    }
}

// SAFETY: only the thread that computes with the pool's context uses it, one at a time.
unsafe impl Send for ThreadPool {}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // SAFETY: created by `ggml_threadpool_new`, freed once, after the context that used it.
        unsafe { sys::ggml_threadpool_free(self.raw.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pool_has_more_threads_than_the_system_runs_at_once() {
        let most = available_parallelism().map_or(1, |most| u32::try_from(most.get()).unwrap_or(1));
        for (wanted, count) in [(1, 1), (most, most), (most + 1, most), (512, most)] {
            assert_eq!(ThreadPool::new(wanted).map(|pool| pool.count()), Ok(count));
        }
    }
}
