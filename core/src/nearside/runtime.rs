//! The library's threads: a tokio runtime that starts or returns an error, and is closed without blocking or panicking.
//!
//! tokio panics where the system starts no thread, and lets work wait for ever that no thread is left for. Containers and
//! services limit threads, so the threads are tried out first, and one for blocking work is kept.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};
use crate::sync::lock;

/// The runtime of one library object.
#[derive(Debug)]
pub(super) struct LibraryRuntime {
    handle: Handle,
    /// Taken when the object is dropped.
    runtime: Arc<Mutex<Option<Runtime>>>,
}

impl LibraryRuntime {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Busy` if the system starts no more threads.
    pub(super) fn start() -> Result<Self> {
        try_threads(WORKERS + BLOCKING)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("nearside-io")
            // Blocking work that finds no thread waits for one: so one has to stay.
            .thread_keep_alive(KEEP_ALIVE)
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .enable_all()
            .build()
            .map_err(|cause| Error::thread_limit(&cause))?;
        let handle = runtime.handle().clone();
        handle.spawn_blocking(|| ());
        Ok(Self {
            handle,
            runtime: Arc::new(Mutex::new(Some(runtime))),
        })
    }

    /// Returns the handle that spawns tasks.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the runtime after `last`. Returns at once: active work ends on a separate thread, because waiting for it
    /// would block, and panic inside another runtime.
    pub(super) fn shut_down(&self, last: impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::clone(&self.runtime);
        let closing = thread::Builder::new()
            .name("nearside-closing".to_owned())
            .spawn(move || {
                if let Some(runtime) = lock(&shared).take() {
                    runtime.block_on(last);
                    runtime.shutdown_background();
                }
            });
        if closing.is_err() {
            // No thread is left: active work is dropped where it waits.
            if let Some(runtime) = lock(&self.runtime).take() {
                runtime.shutdown_background();
            }
        }
    }
}

/// Checks that the system starts this many threads at the same time.
fn try_threads(count: usize) -> Result<()> {
    let gate = Mutex::new(());
    let before = thread_count();
    let tried = thread::scope(|scope| {
        let closed = lock(&gate);
        let started = (0..count).try_for_each(|_| {
            let waiting = thread::Builder::new().name("nearside-trial".to_owned());
            waiting.spawn_scoped(scope, || drop(lock(&gate))).map(drop)
        });
        drop(closed);
        started.map_err(|cause| Error::thread_limit(&cause))
    });
    // The system counts a thread for a moment after it was joined.
    for _ in 0..TRIAL_END_CHECKS {
        if thread_count() <= before {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    tried
}

/// Returns the number of threads of this process; 0 where the system has no such list.
fn thread_count() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

const WORKERS: usize = 2;
const BLOCKING: usize = 1;
/// Enough for a fifth of a second.
const TRIAL_END_CHECKS: usize = 100;
/// Longer than any app runs.
const KEEP_ALIVE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Enough for every transfer and database at once; idle ones stay, so there must not be hundreds.
const MAX_BLOCKING_THREADS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_runs_and_ends_inside_another_runtime() {
        let outer = Runtime::new().expect("a runtime");
        outer.block_on(async {
            let runtime = LibraryRuntime::start().expect("threads");
            let work = runtime.handle().spawn_blocking(|| 7).await;
            assert_eq!(work.expect("done"), 7);
            let (ended, end) = std::sync::mpsc::channel();
            runtime.shut_down(async move { ended.send(()).expect("the test waits") });
            drop(runtime);
            tokio::task::spawn_blocking(move || end.recv())
                .await
                .expect("joined")
                .expect("ended");
        });
    }
}
