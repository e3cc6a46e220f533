// Readings of Apple's systems as plain values, and their conversion to the library's device facts. Nothing here needs
// an Apple system, so its tests run anywhere; AppleHost.swift takes the readings.

/// The latest values reported by the system.
struct DeviceReadings: Sendable, Equatable {
    /// The network path, as `NWPath` reports it.
    struct Path: Sendable, Equatable {
        /// A connection exists or can be established on demand.
        var isSatisfied: Bool
        /// Mobile data, or a personal hotspot.
        var isExpensive: Bool
        /// The user enabled Low Data Mode.
        var isConstrained: Bool
    }

    /// Bytes that this process may still allocate. `nil`: unknown.
    var memoryAvailable: UInt64?
    /// `nil` until the first update from the system.
    var path: Path?
    /// Raw value of `ProcessInfo.ThermalState`: 0 nominal, 1 fair, 2 serious, 3 critical.
    var thermalState = 0
    var isLowPower = false
    /// `UIDevice.batteryLevel`: 0 to 1, negative if unknown.
    var batteryLevel: Float = -1
    /// The system reported memory pressure and has not ended it.
    var memoryPressure = false

    var facts: DeviceFacts {
        DeviceFacts(
            memoryAvailable: memoryAvailable, network: network, batteryPercent: batteryPercent, lowPower: isLowPower,
            heat: heat, memoryPressure: memoryPressure)
    }

    private var network: Connectivity {
        guard let path else { return .unknown }
        guard path.isSatisfied else { return .offline }
        // In Low Data Mode the user wants to save data even on an unmetered network.
        return path.isExpensive || path.isConstrained ? .metered : .unmetered
    }

    private var batteryPercent: UInt32? {
        (0...1).contains(batteryLevel) ? UInt32((batteryLevel * 100).rounded()) : nil
    }

    private var heat: ThermalState {
        switch thermalState {
        case ...0: .nominal
        case 1: .fair
        case 2: .serious
        // A state that a later system adds beyond critical is at least critical.
        default: .critical
        }
    }
}

/// Returns the available memory of a Mac in bytes: free and reclaimable pages.
func availableBytes(pageSize: UInt64, free: UInt64, inactive: UInt64, purgeable: UInt64) -> UInt64 {
    // Inactive purgeable pages are in both counts; the larger one counts none twice.
    (free + max(inactive, purgeable)) * pageSize
}

/// Returns what `os_proc_available_memory` reports. 0 means that the system keeps no limit, as for an iPad app on a Mac.
func remainingBytes(_ reported: Int) -> UInt64? {
    reported > 0 ? UInt64(reported) : nil
}
