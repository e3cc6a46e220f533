//! What only the app's side of a phone can tell: the network, the battery, the heat, and what iOS lets an app take.
//!
//! The core asks; Swift and Kotlin answer (`AppleHost`, `AndroidHost`), so that the core needs no platform code. A desktop
//! has [`NoHost`], which says nothing and thereby forbids nothing.

use serde::{Deserialize, Serialize};

/// Tells the library about the device it runs on. Called before every decision, from any thread: answer at once.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// The device as it is now.
    fn facts(&self) -> HostFacts;
}

/// The device as it is now. The default says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Bytes that this app may still take, where the system has a limit of its own (iOS). Unset: as the system has free.
    pub memory_available: Option<u64>,
    /// How the device is connected.
    pub network: Network,
    /// Charge in percent. Unset: no battery, or not told.
    pub battery_percent: Option<u32>,
    /// The person asked the device to save power.
    pub low_power: bool,
    /// How hot it is.
    pub heat: Heat,
    /// The system asks apps to give memory back.
    pub memory_pressure: bool,
}

/// How a device is connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Not told: taken as connected.
    #[default]
    Unknown,
    /// Not at all.
    Offline,
    /// In a way that costs by the byte.
    Metered,
    /// Freely.
    Unmetered,
}

/// How hot a device is, in iOS's four steps (`ProcessInfo.ThermalState`). Android's `THERMAL_STATUS_MODERATE` is `Fair`,
/// `SEVERE` is `Serious`, anything above `Critical`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heat {
    /// As usual, or not told.
    #[default]
    Nominal,
    /// Warm; the fan runs.
    Fair,
    /// Hot: the system slows down.
    Serious,
    /// The system stops what it can.
    Critical,
}

/// A host that says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
}
