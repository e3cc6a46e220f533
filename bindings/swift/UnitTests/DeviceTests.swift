// Conversion of system readings to device facts.

import Testing

@testable import NearsideKit

@Suite struct DeviceTests {
    @Test func whatIsNotToldIsUnknown() {
        #expect(DeviceReadings().facts == DeviceFacts(network: .unknown, heat: .nominal))
    }

    @Test func aNetworkIsOfflineMeteredOrFree() {
        func network(_ isSatisfied: Bool, _ isExpensive: Bool, _ isConstrained: Bool) -> Connectivity {
            let path = DeviceReadings.Path(
                isSatisfied: isSatisfied, isExpensive: isExpensive, isConstrained: isConstrained)
            return DeviceReadings(path: path).facts.network
        }
        #expect(network(true, false, false) == .unmetered)
        #expect(network(true, true, false) == .metered, "mobile data")
        #expect(network(true, false, true) == .metered, "Low Data Mode")
        #expect(network(false, true, true) == .offline)
    }

    @Test func theFourThermalStatesAreFour() {
        let heat = [ThermalState.nominal, .fair, .serious, .critical]
        #expect((0...3).map { DeviceReadings(thermalState: $0).facts.heat } == heat)
        #expect(DeviceReadings(thermalState: 9).facts.heat == .critical, "an unknown later state is at least critical")
    }

    @Test func batteryPowerSavingAndMemoryAreTold() {
        func percent(_ level: Float) -> UInt32? { DeviceReadings(batteryLevel: level).facts.batteryPercent }
        #expect(percent(-1) == nil, "not monitored, or no battery")
        #expect(percent(0) == 0)
        #expect(percent(0.555) == 56)
        #expect(percent(1) == 100)
        let facts = DeviceReadings(memoryAvailable: 12, isLowPower: true, memoryPressure: true).facts
        #expect(facts.memoryAvailable == 12 && facts.lowPower && facts.memoryPressure)
    }

    @Test func aMacsMemoryCountsNoPageTwice() {
        #expect(availableBytes(pageSize: 16_384, free: 10, inactive: 5, purgeable: 3) == 15 * 16_384)
        #expect(availableBytes(pageSize: 4_096, free: 1, inactive: 0, purgeable: 2) == 3 * 4_096)
    }

    @Test func noLimitOfMemoryIsUnknownAndNotNone() {
        #expect(remainingBytes(0) == nil)
        #expect(remainingBytes(12) == 12)
    }
}
