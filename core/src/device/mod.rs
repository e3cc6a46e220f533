//! Resources of the device: free memory, and the processor cores that computation should use.
//!
//! On a phone the app supplies facts ([`Host`]); for the rest [`snapshot`] asks the system. Free memory may be taken a
//! second later, so nothing is cached here.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod cgroup;
#[cfg(any(target_os = "linux", target_os = "android", test))]
mod cores;
mod desktop;
mod host;

use serde::{Deserialize, Serialize};

pub use desktop::{peak_resident_bytes, snapshot};
pub use host::{Connectivity, DeviceFacts, Host, NoHost, ThermalState};

/// Memory and processor of the device at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSnapshot {
    /// Memory of the machine, or of this process's container, in bytes.
    pub memory_total: u64,
    /// Bytes that can be allocated now without swapping.
    pub memory_available: u64,
    /// Source of `memory_available`: `host`, `MemAvailable`, `cgroup limit` or `system`.
    pub memory_source: String,
    /// Number of compute threads: one for each fast core that this process may use.
    pub threads: u32,
    /// Name of the processor, for display.
    pub cpu: String,
    /// Name and version of the system, for display.
    pub os: String,
}
