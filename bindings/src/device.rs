//! What this machine is: `core/src/device`.

use nearside::device::Snapshot;

/// The machine as it is at this moment.
#[uniffi::remote(Record)]
pub struct Snapshot {
    /// Bytes of memory that there are for this process: all of the machine's, or those of its container.
    pub memory_total: u64,
    /// Bytes that can be taken now without pushing others out.
    pub memory_available: u64,
    /// Where that number comes from: `MemAvailable`, `cgroup limit` or `system`.
    pub memory_source: String,
    /// Fast cores that this process may use.
    pub threads: u32,
    /// The processor's name.
    pub cpu: String,
    /// The operating system and its version.
    pub os: String,
}
