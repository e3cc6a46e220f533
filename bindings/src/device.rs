//! What this machine is: `core/src/device`.

use std::sync::Arc;

use nearside::device::{Heat, HostFacts, Network, Snapshot};

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

/// Supplies the device facts that only the app can read. Called before every decision, from any thread.
// Not `Host`: Swift's Foundation has one, on the Mac and on Linux.
#[uniffi::export(with_foreign)]
pub trait DeviceHost: Send + Sync + std::fmt::Debug {
    /// Returns the current device facts. Must not block.
    fn facts(&self) -> HostFacts;
}

/// The app's host as the core knows it.
#[derive(Debug)]
pub(crate) struct Foreign(pub(crate) Arc<dyn DeviceHost>);

impl nearside::device::Host for Foreign {
    fn facts(&self) -> HostFacts {
        self.0.facts()
    }
}

/// Device facts. The defaults mean unknown.
#[uniffi::remote(Record)]
pub struct HostFacts {
    /// Bytes that this app may still take, where the system has a limit of its own. Unset: as the system has free.
    #[uniffi(default)]
    pub memory_available: Option<u64>,
    /// How the device is connected.
    pub network: Network,
    /// Charge in percent. Unset: no battery, or not told.
    #[uniffi(default)]
    pub battery_percent: Option<u32>,
    /// The person asked the device to save power.
    #[uniffi(default = false)]
    pub low_power: bool,
    /// How hot it is.
    pub heat: Heat,
    /// The system asks apps to give memory back.
    #[uniffi(default = false)]
    pub memory_pressure: bool,
}

/// How a device is connected.
#[uniffi::remote(Enum)]
pub enum Network {
    /// Unknown; treated as connected.
    Unknown,
    /// Not at all.
    Offline,
    /// Metered: billed by volume, or limited by the user.
    Metered,
    /// Freely.
    Unmetered,
}

/// How hot a device is.
#[uniffi::remote(Enum)]
pub enum Heat {
    /// Normal, or unknown.
    Nominal,
    /// Warm.
    Fair,
    /// Hot: the system slows down.
    Serious,
    /// Very hot: the system restricts apps.
    Critical,
}
