// What Apple's systems say of a device, in plain values, and what the library makes of it. Nothing here needs an Apple
// system, so its tests run anywhere; AppleHost.swift does the reading.

/// A device as its system described it last.
struct DeviceReadings: Sendable, Equatable {
    /// How the device is connected, as `NWPath` says.
    struct Path: Sendable, Equatable {
        /// Something can be reached, if need be by dialling first.
        var isSatisfied: Bool
        /// Mobile data, or a personal hotspot.
        var isExpensive: Bool
        /// The person switched on Low Data Mode.
        var isConstrained: Bool
    }

    /// Bytes that this process may still take. Unset: not told.
    var memoryAvailable: UInt64?
    /// Unset until the system has told for the first time.
    var path: Path?
    /// `ProcessInfo.ThermalState` by its number: 0 nominal, 1 fair, 2 serious, 3 critical.
    var thermalState = 0
    var isLowPower = false
    /// From 0 to 1, negative where it is not known: `UIDevice.batteryLevel`.
    var batteryLevel: Float = -1
    /// The system asked for memory and has not taken that back.
    var memoryPressure = false

    var facts: HostFacts {
        HostFacts(
            memoryAvailable: memoryAvailable, network: network, batteryPercent: batteryPercent, lowPower: isLowPower,
            heat: heat, memoryPressure: memoryPressure)
    }

    private var network: Network {
        guard let path else { return .unknown }
        guard path.isSatisfied else { return .offline }
        // Low Data Mode is the person's wish to save bytes, whatever they cost.
        return path.isExpensive || path.isConstrained ? .metered : .unmetered
    }

    private var batteryPercent: UInt32? {
        (0...1).contains(batteryLevel) ? UInt32((batteryLevel * 100).rounded()) : nil
    }

    private var heat: Heat {
        switch thermalState {
        case ...0: .nominal
        case 1: .fair
        case 2: .serious
        // A state that a later system adds beyond critical is not a cooler one.
        default: .critical
        }
    }
}

/// Available memory of a Mac in bytes: free pages, plus pages that can be reclaimed.
func bytesAvailable(pageSize: UInt64, free: UInt64, inactive: UInt64, purgeable: UInt64) -> UInt64 {
    // Inactive purgeable pages are counted in both; taking the larger counts none twice.
    (free + max(inactive, purgeable)) * pageSize
}
