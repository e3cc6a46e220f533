//! Hosts with little memory, and the memory of this process. What counts it is for test files with one test: others would be
//! counted, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nearside::device::{DeviceFacts, Host};

/// A host with a limit for the memory that only this process uses.
#[derive(Debug, Default)]
pub struct LimitHost {
    limit: AtomicU64,
}

impl LimitHost {
    /// Sets the limit so that this much is left now.
    pub fn leave(&self, bytes: u64) {
        self.limit.store(own_bytes() + bytes, Ordering::SeqCst);
    }
}

impl Host for LimitHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: Some(self.limit.load(Ordering::SeqCst).saturating_sub(own_bytes()).max(1)),
            ..DeviceFacts::default()
        }
    }
}

/// A host that always has this much left; `None`: it does not know.
#[derive(Debug, Clone, Copy)]
pub struct FixedHost(pub Option<u64>);

impl Host for FixedHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: self.0,
            ..DeviceFacts::default()
        }
    }
}

/// A phone whose app may take a number of bytes, which changes.
#[derive(Debug, Default)]
pub struct PhoneHost(AtomicU64);

impl PhoneHost {
    /// Creates one that has this much left.
    #[must_use]
    pub fn with_left(bytes: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(bytes)))
    }

    /// Sets how much is left.
    pub fn set_left(&self, bytes: u64) {
        self.0.store(bytes, Ordering::SeqCst);
    }
}

impl Host for PhoneHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: Some(self.0.load(Ordering::SeqCst)),
            ..DeviceFacts::default()
        }
    }
}

/// Returns the resident memory that only this process uses: without mapped files.
///
/// # Panics
/// If the system does not tell.
#[must_use]
pub fn own_bytes() -> u64 {
    status_bytes("RssAnon:")
}

/// Returns the resident memory of mapped files.
///
/// # Panics
/// If the system does not tell.
#[must_use]
pub fn mapped_bytes() -> u64 {
    status_bytes("RssFile:")
}

fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    let kilobytes = line.trim().trim_end_matches("kB").trim();
    kilobytes.parse::<u64>().expect("a number") * 1024
}
