//! The device: `core/src/device`.

use std::sync::Arc;

use nearside::device::{Connectivity, DeviceFacts, DeviceSnapshot, ThermalState};

use crate::error::HostError;

/// The current state of the device.
#[uniffi::remote(Record)]
pub struct DeviceSnapshot {
    /// Bytes of memory of the device, or of the process's container.
    pub memory_total: u64,
    /// Bytes that the process can allocate now without evicting other processes.
    pub memory_available: u64,
    /// Source of `memory_available`: `host`, `MemAvailable`, `cgroup limit` or `system`.
    pub memory_source: String,
    /// Threads that should compute: one per fast core that this process may use.
    pub threads: u32,
    /// Name of the processor.
    pub cpu: String,
    /// Name and version of the operating system.
    pub os: String,
}

/// Supplies the device facts that only the app can read. Called before every decision, from any thread.
// Not `Host`: Swift's Foundation has one, on the Mac and on Linux.
#[uniffi::export(with_foreign)]
pub trait DeviceHost: Send + Sync + std::fmt::Debug {
    /// Returns the current device facts. Must not block. An error ends the request with `Internal` and its text.
    fn facts(&self) -> Result<DeviceFacts, HostError>;
}

/// Adapts the app's host to the core's trait.
#[derive(Debug)]
pub(crate) struct Foreign(pub(crate) Arc<dyn DeviceHost>);

impl nearside::device::Host for Foreign {
    fn facts(&self) -> DeviceFacts {
        // The library turns the panic into its own error; resuming prints nothing.
        self.0
            .facts()
            .unwrap_or_else(|error| std::panic::resume_unwind(Box::new(error.to_string())))
    }
}

/// Device facts. The defaults mean unknown.
#[uniffi::remote(Record)]
pub struct DeviceFacts {
    /// Bytes that the app may still allocate under a per-app limit. Unset or 0: the free memory of the system.
    #[uniffi(default)]
    pub memory_available: Option<u64>,
    /// Connection of the device.
    pub network: Connectivity,
    /// Whether the user lets the app connect to devices in the local network (Android 17 and later). Unset: unknown, or there is
    /// no such permission. Not allowed: a server there is refused at once, because the system would only let it time out.
    #[uniffi(default)]
    pub local_network_allowed: Option<bool>,
    /// Charge in percent. Unset: no battery, or unknown.
    #[uniffi(default)]
    pub battery_percent: Option<u32>,
    /// Whether the user turned on the low-power mode.
    #[uniffi(default = false)]
    pub low_power: bool,
    /// Thermal state.
    pub heat: ThermalState,
    /// Whether the system reports memory pressure.
    #[uniffi(default = false)]
    pub memory_pressure: bool,
}

/// Connection of a device.
#[uniffi::remote(Enum)]
pub enum Connectivity {
    /// Unknown; treated as connected.
    Unknown,
    /// Not connected.
    Offline,
    /// Metered: billed by volume, or limited by the user.
    Metered,
    /// Not metered.
    Unmetered,
}

/// Thermal state of a device.
#[uniffi::remote(Enum)]
pub enum ThermalState {
    /// Normal, or unknown.
    Nominal,
    /// Warm.
    Fair,
    /// Hot: the system slows down.
    Serious,
    /// Very hot: the system restricts apps.
    Critical,
}
