// What these tests share: a library that has a recorded provider set up, and short ways to read a stream.

import Foundation
import NearsideTesting

/// Open to everything, with nothing on the device: whatever is asked, the provider answers.
func library(with provider: RecordedProvider) async throws -> Nearside {
    let nearside = try Nearside(directory: freshDirectory())
    try await nearside.setPolicy(
        policy: Policy(version: "test-1", allowRetention: true, allowTraining: true, consent: .given))
    try await nearside.addProvider(settings: provider.settings(model: "recorded"))
    return nearside
}

/// A directory that nobody has used, and that goes when the tests end.
func freshDirectory() -> URL {
    scratch.appending(component: UUID().uuidString)
}

private let scratch: URL = {
    let directory = URL.temporaryDirectory.appending(component: "nearside-unit-\(UUID().uuidString)")
    // Not every test makes a library of it first.
    try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(at: scratch) }
    return directory
}()

extension AsyncSequence {
    /// Everything that comes.
    func all() async throws -> [Element] {
        try await reduce(into: []) { $0.append($1) }
    }
}

extension Sequence<Chunk> {
    /// The answer, without what was thought.
    var text: String {
        reduce(into: "") { if case .text(let text) = $1 { $0 += text } }
    }
}
