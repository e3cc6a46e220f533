// Where a credential store is read: an app calls the library from its main actor, and must not wait there for the keychain.

import Foundation
import NearsideTesting
import Testing

@Suite struct CredentialTests {
    @Test @MainActor func aStoreIsUsedOffTheMainActor() async throws {
        DispatchQueue.main.setSpecific(key: mark.key, value: true)
        try #require(DispatchQueue.getSpecific(key: mark.key) == true, "the test itself is on the main actor")
        let store = RecordingStore()
        let nearside = try await library(with: try RecordedProvider([.models("recorded")]))
        try await nearside.saveCredential(provider: "recorded", key: "a key", in: store)
        try await nearside.loadCredentials(store)
        let moved = ProviderSettings(name: "recorded", kind: .compatible, baseUrl: "http://127.0.0.1:9/v1")
        try await nearside.addProvider(settings: moved, credentials: store)
        #expect(store.calls == ["save", "load", "remove"])
        #expect(store.callsOnMain == [])
    }
}

/// A mark of the main queue. Dispatch's keys are thread-safe, but not declared so on Linux.
private struct MainQueueMark: @unchecked Sendable {
    let key = DispatchSpecificKey<Bool>()
}

private let mark = MainQueueMark()

/// A store that records its calls, and which of them were made on the main queue.
private final class RecordingStore: CredentialStore, @unchecked Sendable {
    private let lock = NSLock()
    private var all: [(name: String, isOnMain: Bool)] = []

    var calls: [String] { lock.withLock { all.map(\.name) } }
    var callsOnMain: [String] { lock.withLock { all.filter(\.isOnMain).map(\.name) } }

    func load(provider: String, origin: String) -> String? {
        add("load")
        return "a key"
    }

    func save(provider: String, origin: String, key: String) { add("save") }

    func remove(provider: String) { add("remove") }

    private func add(_ name: String) {
        let isOnMain = DispatchQueue.getSpecific(key: mark.key) == true
        lock.withLock { all.append((name, isOnMain)) }
    }
}
