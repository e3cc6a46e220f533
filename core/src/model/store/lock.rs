//! Exclusive locks across threads and processes. The system releases file locks when a process ends, also by a kill.
//!
//! Some phones' kernels do not support file locks. There the locks exclude only threads of this process, which is
//! enough: an app's directory belongs to one process.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use fs4::{FileExt, TryLockError};

/// A lock, released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    file: Option<File>,
}

impl Lock {
    /// Acquires the lock; waits while it is taken.
    pub(crate) fn acquire(path: &Path) -> Self {
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        while !locked.insert(path.to_owned()) {
            locked = RELEASED.wait(locked).unwrap_or_else(PoisonError::into_inner);
        }
        drop(locked);
        let file = open_lock_file(path);
        if let Some(file) = &file
            && let Err(cause) = FileExt::lock(file)
        {
            tracing::debug!(%cause, "this file system has no locks");
        }
        Self {
            path: path.to_owned(),
            file,
        }
    }

    /// Acquires the lock; returns `None` if it is taken.
    pub(super) fn try_acquire(path: &Path) -> Option<Self> {
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        if locked.contains(path) {
            return None;
        }
        let file = open_lock_file(path);
        match file.as_ref().map(FileExt::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => return None,
            Some(Err(TryLockError::Error(cause))) => tracing::debug!(%cause, "this file system has no locks"),
            Some(Ok(())) | None => {}
        }
        locked.insert(path.to_owned());
        Some(Self {
            path: path.to_owned(),
            file,
        })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Release the file lock before waking the waiters.
        self.file = None;
        LOCKED.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        RELEASED.notify_all();
    }
}

fn open_lock_file(path: &Path) -> Option<File> {
    OpenOptions::new().create(true).append(true).open(path).ok()
}

static LOCKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static RELEASED: Condvar = Condvar::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_next_gets_it_when_it_is_dropped() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        let first = Lock::try_acquire(&path).expect("free");
        assert!(Lock::try_acquire(&path).is_none());
        let next = std::thread::spawn({
            let path = path.clone();
            move || drop(Lock::acquire(&path))
        });
        drop(first);
        next.join().expect("its turn came");
        assert!(Lock::try_acquire(&path).is_some());
    }
}
