//! What this machine is: `core/src/device`.

use nearside::device::Snapshot;

/// The machine as it is at this moment.
#[uniffi::remote(Record)]
pub struct Snapshot {
    /// Bytes of memory in the machine.
    pub memory_total: u64,
    /// Bytes that this process could still take.
    pub memory_available: u64,
    /// Where `memory_available` comes from, for a person to read.
    pub memory_source: String,
    /// Fast cores that this process may use.
    pub threads: u32,
    /// The processor's name.
    pub cpu: String,
    /// The operating system and its version.
    pub os: String,
}
