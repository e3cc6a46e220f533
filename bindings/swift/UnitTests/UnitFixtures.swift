// Fixtures: a library with a recorded provider, and helpers to read a stream.

import Foundation
import NearsideTesting

/// Opens a library without a local model and with a permissive policy, so that the provider answers every request.
func library(
    with provider: RecordedProvider, host: any DeviceHost = FakeDeviceHost()
) async throws -> Nearside {
    let nearside = try await Nearside.open(config: Config(directory: freshDirectory().path), host: host)
    try await nearside.setPolicy(
        policy: RoutingPolicy(version: "test-1", allowRetention: true, allowTraining: true, consent: .given))
    try await nearside.addProvider(settings: provider.settings(model: "recorded"))
    return nearside
}

/// Returns an unused directory, deleted when the tests end.
func freshDirectory() -> URL {
    scratch.appending(component: UUID().uuidString)
}

private let scratch: URL = {
    let directory = URL.temporaryDirectory.appending(component: "nearside-unit-\(UUID().uuidString)")
    // Not every test creates it by opening a library.
    try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(at: scratch) }
    return directory
}()

extension AsyncSequence {
    /// Returns all elements.
    func all() async throws -> [Element] {
        try await reduce(into: []) { $0.append($1) }
    }
}

extension Sequence<Chunk> {
    /// The answer without the reasoning.
    var text: String {
        reduce(into: "") { if case .text(let text) = $1 { $0 += text } }
    }
}
