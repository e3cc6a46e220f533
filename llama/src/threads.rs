//! The threads that compute for a context, in different numbers.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::thread::available_parallelism;

use llama_cpp_sys_2 as sys;

use crate::{LlamaError, ffi, stack};

/// Thread pools of ggml with different numbers of threads, of which one computes and the others sleep.
///
/// A pool whose threads are more than a computation uses would not do: the others spin meanwhile, on the cores that the
/// computation leaves to other processes.
pub(crate) struct ThreadPools {
    pools: Vec<ThreadPool>,
    selected: usize,
}

impl ThreadPools {
    /// Starts `most` threads less the calling one, but not more than the system runs at once: they wait for each other by
    /// spinning, so one without a core of its own holds up all.
    ///
    /// # Errors
    /// [`LlamaError::Threads`] if the system starts no more threads.
    pub(crate) fn new(most: u32) -> Result<Self, LlamaError> {
        let most = available_parallelism().map_or(most, |cores| most.min(u32::try_from(cores.get()).unwrap_or(most)));
        Ok(Self {
            pools: vec![ThreadPool::new(most)?],
            selected: 0,
        })
    }

    /// Returns the maximum number of threads, including the calling one.
    pub(crate) fn most(&self) -> u32 {
        self.pools.first().map_or(1, |pool| pool.count)
    }

    /// Returns the number of threads of the selected pool.
    pub(crate) fn selected(&self) -> u32 {
        self.current().map_or(1, |pool| pool.count)
    }

    /// Selects a pool of `count` threads, which is at most [`most`](Self::most), and makes the others sleep. Returns whether
    /// the selection changed; it does not if the system starts no more threads.
    pub(crate) fn select(&mut self, count: u32) -> bool {
        if self.current().is_some_and(|pool| pool.count == count) {
            return false;
        }
        let known = self.pools.iter().position(|pool| pool.count == count);
        let next = match known {
            Some(known) => known,
            None => match ThreadPool::new(count.min(self.most())) {
                Ok(pool) => {
                    self.pools.push(pool);
                    self.pools.len() - 1
                }
                Err(_) => return false,
            },
        };
        self.pause();
        self.selected = next;
        true
    }

    /// Makes the threads sleep until the next computation. Otherwise each spins for a tenth of a second or more first.
    pub(crate) fn pause(&self) {
        if let Some(pool) = self.current() {
            // SAFETY: the pool is live. ggml wakes the threads itself when a computation begins.
            unsafe { sys::ggml_threadpool_pause(pool.raw.as_ptr()) }
        }
    }

    /// Makes `context` compute with the selected pool.
    ///
    /// # Safety
    /// `context` is live, and is freed before the pools.
    pub(crate) unsafe fn attach(&self, context: *mut sys::llama_context) {
        let Some(pool) = self.current() else { return };
        let count = i32::try_from(pool.count).unwrap_or(1);
        // SAFETY: the caller guarantees that the context is live; the pool is.
        unsafe {
            sys::llama_set_n_threads(context, count, count);
            sys::llama_attach_threadpool(context, pool.raw.as_ptr(), pool.raw.as_ptr());
        }
    }

    fn current(&self) -> Option<&ThreadPool> {
        self.pools.get(self.selected)
    }
}

/// A thread pool of ggml.
struct ThreadPool {
    raw: NonNull<sys::ggml_threadpool>,
    count: u32,
}

impl ThreadPool {
    fn new(count: u32) -> Result<Self, LlamaError> {
        // ggml asserts that each thread starts, and leaks the others if one does not: so it is tried out before.
        if !stack::can_start_threads(count.saturating_sub(1) as usize) {
            return Err(LlamaError::Threads(count));
        }
        // SAFETY: the pool outlives the call.
        ffi::call_for_object(|out, error| unsafe { ffi::ns_threadpool_new(count, out, error) })
            .map(|raw| Self { raw, count })
            .map_err(|_| LlamaError::Threads(count))
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
            assert_eq!(ThreadPools::new(wanted).map(|pools| pools.most()), Ok(count));
        }
    }

    #[test]
    fn a_pool_is_made_once_for_each_number_of_threads() {
        let mut pools = ThreadPools::new(2).unwrap();
        let most = pools.most();
        assert!(!pools.select(most));
        assert_eq!(pools.select(1), most > 1);
        assert_eq!(pools.select(most), most > 1);
        assert_eq!(pools.pools.len(), most as usize);
        assert_eq!(pools.current().map(|pool| pool.count), Some(most));
    }
}
