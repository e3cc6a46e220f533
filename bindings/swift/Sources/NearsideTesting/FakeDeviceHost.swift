// A device host whose facts a test sets: an app's behaviour without a network, on a hot phone or under memory pressure,
// without such a phone. The library asks the host before each decision, so that a change applies to the next one.

import Foundation
@_exported import NearsideKit

/// A device of a test. Its facts are those of a cool phone with an unmetered network, until the test changes them.
///
///     let host = FakeDeviceHost(network: .metered)
///     let nearside = try await Nearside.open(config: config, host: host)
///     host.simulateNetwork(.offline)
///
/// The methods that take the library also report the event to it, as `followApp()` does on a phone.
public final class FakeDeviceHost: DeviceHost {
    private let now: Guarded<DeviceFacts>

    /// Creates a device. Without `memoryAvailable` the library uses the free memory of this machine.
    public init(
        memoryAvailable: UInt64? = nil, network: Connectivity = .unmetered, batteryPercent: UInt32? = nil,
        lowPower: Bool = false, heat: ThermalState = .nominal, memoryPressure: Bool = false
    ) {
        now = Guarded(
            DeviceFacts(
                memoryAvailable: memoryAvailable, network: network, batteryPercent: batteryPercent, lowPower: lowPower,
                heat: heat, memoryPressure: memoryPressure))
    }

    public func facts() -> DeviceFacts {
        now.with { $0 }
    }

    /// Sets the bytes that the app may still allocate. `nil`: the free memory of this machine.
    public func simulateMemoryAvailable(_ bytes: UInt64?) {
        now.with { $0.memoryAvailable = bytes }
    }

    /// Sets the connection: `.offline` when it is lost, `.metered` for mobile data.
    public func simulateNetwork(_ network: Connectivity) {
        now.with { $0.network = network }
    }

    /// Sets whether the user lets the app use the local network. `nil`: there is no such permission.
    public func simulateLocalNetwork(allowed: Bool?) {
        now.with { $0.localNetworkAllowed = allowed }
    }

    /// Sets the charge of the battery. `nil`: none, or unknown.
    public func simulateBattery(percent: UInt32?) {
        now.with { $0.batteryPercent = percent }
    }

    /// Turns the low-power mode on or off.
    public func simulateLowPower(_ isOn: Bool) {
        now.with { $0.lowPower = isOn }
    }

    /// Sets the thermal state.
    public func simulateHeat(_ heat: ThermalState) {
        now.with { $0.heat = heat }
    }

    /// Begins or ends memory pressure, as the system reports it beside its warnings.
    public func simulateMemoryPressure(_ isOn: Bool) {
        now.with { $0.memoryPressure = isOn }
    }

    /// Sends a memory warning to the library, and begins memory pressure.
    public func simulateMemoryWarning(_ nearside: Nearside) throws {
        simulateMemoryPressure(true)
        try nearside.notify(event: .memoryLow)
    }

    /// Moves the app to the background.
    public func simulateBackground(_ nearside: Nearside) throws {
        try nearside.notify(event: .background)
    }

    /// Moves the app back to the foreground.
    public func simulateForeground(_ nearside: Nearside) throws {
        try nearside.notify(event: .foreground)
    }
}

/// A value protected by a lock.
private final class Guarded<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }
}
