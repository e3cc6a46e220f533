//! Facts that only the app can supply on a phone: network, battery, temperature, and the memory limit of iOS.
//!
//! Swift and Kotlin implement [`Host`] (`AppleHost`, `AndroidHost`), so that the core needs no platform code. A desktop
//! uses [`NoHost`], which supplies no facts and thereby restricts nothing.

use serde::{Deserialize, Serialize};

/// Source of facts about the device. Called before every decision, from any thread: return at once.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// Returns the current facts.
    fn facts(&self) -> DeviceFacts;
}

/// Current facts about the device. The default: nothing known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// Bytes that this app may still allocate, if the system has a limit per app (iOS). Unset or 0: not known; the
    /// system's own figure counts.
    pub memory_available: Option<u64>,
    /// Kind of connection.
    pub network: Connectivity,
    /// Whether the user lets the app connect to devices in the local network (Android 17 and later). Unset: not known, or
    /// there is no such permission; the connection is tried.
    pub local_network_allowed: Option<bool>,
    /// Charge in percent. Unset: no battery, or unknown.
    pub battery_percent: Option<u32>,
    /// The user turned power saving on.
    pub low_power: bool,
    /// Temperature of the device.
    pub heat: ThermalState,
    /// The system asks apps to free memory.
    pub memory_pressure: bool,
}

impl DeviceFacts {
    /// Returns the bytes that the app may still allocate, if the host knows: systems without a limit report 0.
    pub(crate) fn known_memory(&self) -> Option<u64> {
        self.memory_available.filter(|bytes| *bytes > 0)
    }
}

/// Connection of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Connectivity {
    /// Treated as connected.
    #[default]
    Unknown,
    /// No connection.
    Offline,
    /// A connection that is charged by the byte.
    Metered,
    /// A connection without charge.
    Unmetered,
}

/// Temperature of a device in iOS's four steps (`ProcessInfo.ThermalState`). Android's `THERMAL_STATUS_MODERATE` is
/// `Fair`, `SEVERE` is `Serious`, anything above is `Critical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThermalState {
    /// Normal, or unknown.
    #[default]
    Nominal,
    /// Warm; the fan runs.
    Fair,
    /// Hot; the system reduces its speed.
    Serious,
    /// Very hot; the system stops tasks.
    Critical,
}

/// A host that supplies no facts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts::default()
    }
}
