// The device of a test, with the real library.

import Foundation
import NearsideTesting
import Testing

@Suite struct FakeDeviceTests {
    @Test func everyFactIsWhatTheTestSet() {
        let host = FakeDeviceHost()
        #expect(host.facts() == DeviceFacts(network: .unmetered, heat: .nominal))
        host.simulateMemoryAvailable(12)
        host.simulateNetwork(.metered)
        host.simulateBattery(percent: 7)
        host.simulateLowPower(true)
        host.simulateHeat(.serious)
        host.simulateMemoryPressure(true)
        let facts = DeviceFacts(
            memoryAvailable: 12, network: .metered, batteryPercent: 7, lowPower: true, heat: .serious,
            memoryPressure: true)
        #expect(host.facts() == facts)
    }

    @Test func withoutANetworkNoProviderAnswers() async throws {
        let host = FakeDeviceHost()
        let provider = try RecordedProvider([.models("recorded"), .chat("Granite.")])
        let nearside = try await library(with: provider, host: host)
        // A hosted provider: without a network, a server on this machine is still there.
        try await nearside.addProvider(settings: provider.settings(kind: .deepSeek, model: "deepseek-flash"))
        try nearside.setKey(provider: "recorded", key: "a key")
        #expect(try await nearside.chat(request).all().text == "Granite.")

        host.simulateNetwork(.offline)
        let sent = provider.requests.count
        await #expect { try await nearside.chat(request).all() } throws: { ($0 as? NearsideError)?.reason == .offline }
        #expect(provider.requests.count == sent, "nothing left the device")

        host.simulateNetwork(.unmetered)
        #expect(try await nearside.chat(request).all().text == "Granite.")
    }

    @Test func theLibraryTakesTheMemoryOfTheDevice() async throws {
        let host = FakeDeviceHost(memoryAvailable: 3_000_000_000)
        let nearside = try await Nearside.open(config: Config(directory: freshDirectory().path), host: host)
        #expect(try nearside.device().memoryAvailable == 3_000_000_000)
        #expect(try nearside.device().memorySource == "host")
        host.simulateMemoryAvailable(2_000_000_000)
        #expect(try nearside.device().memoryAvailable == 2_000_000_000)
        host.simulateMemoryAvailable(nil)
        #expect(try nearside.device().memorySource != "host")
    }

    @Test func aMemoryWarningAndTheBackgroundFreeAnIdleModel() async throws {
        let host = FakeDeviceHost()
        let config = Config(directory: freshDirectory().path, context: 512)
        let nearside = try await Nearside.open(config: config, host: host)
        let adjustments = try nearside.startAdjustments()
        let events = [
            (AdjustmentCause.memoryLow, { try host.simulateMemoryWarning(nearside) }),
            (.background, { try host.simulateBackground(nearside) }),
        ]
        for (cause, event) in events {
            _ = try await nearside.load(model).all()
            try event()
            let told = try #require(try await adjustments.nextBatch().last)
            #expect(told.action == .unloaded && told.cause == cause)
            #expect(try nearside.loaded().isEmpty)
            #expect(host.facts().memoryPressure)
            host.simulateMemoryPressure(cause == .memoryLow)
        }
        try host.simulateForeground(nearside)
    }

    private let model: ModelRef = {
        let environment = ProcessInfo.processInfo.environment
        let models = environment["NEARSIDE_MODELS"] ?? "\(environment["HOME"] ?? "")/.cache/nearside/models"
        return .path(path: "\(models)/smollm2.gguf")
    }()

    private let request = ChatRequest(messages: [.user("Which stone?")])
}
