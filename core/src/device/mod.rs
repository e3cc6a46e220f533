//! What the device has for a model: memory that is free now, and processor cores worth using.
//!
//! On a phone the app knows best and says so itself; on a desktop [`snapshot`] asks the system. All of it is a look at
//! one moment: memory that was free may be gone a second later, so nothing here is cached.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod cgroup;
#[cfg(any(target_os = "linux", target_os = "android", test))]
mod cores;
mod desktop;
mod host;

use serde::{Deserialize, Serialize};

pub use desktop::{peak_resident_bytes, snapshot};
pub use host::{Heat, Host, HostFacts, Network, NoHost};

/// One look at the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Bytes of memory that there are for this process: all of the machine's, or those of its container.
    pub memory_total: u64,
    /// Bytes that can be taken now without pushing others out.
    pub memory_available: u64,
    /// Where `memory_available` comes from: `MemAvailable`, `cgroup limit` or `system`.
    pub memory_source: String,
    /// How many threads should compute: the fast cores that this process may use, one thread on each.
    pub threads: u32,
    /// The processor's name, for a person to read.
    pub cpu: String,
    /// The system's name and version, for a person to read.
    pub os: String,
}
