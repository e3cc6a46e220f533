// Test fixtures: a demo brain whose answers arrive at once or word by word, one that fails at a call, and waits without
// a clock.

import Foundation
import Observation
import Testing

@testable import NearsideSample

/// Returns a brain that answers at once.
func quick(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .zero, fresh: fresh, russian: false)
}

/// Returns a brain that answers slowly enough to be stopped.
func slow(fresh: Bool = false) -> DemoBrain {
    DemoBrain(pace: .milliseconds(5), fresh: fresh, russian: false)
}

/// Waits until the observed condition holds; the time limit of the suite applies.
@MainActor
func until(_ holds: @escaping @MainActor () -> Bool) async {
    while true {
        let (changes, signal) = AsyncStream.makeStream(of: Void.self)
        let isSo = withObservationTracking {
            holds()
        } onChange: {
            signal.yield()
            signal.finish()
        }
        if isSo { return }
        for await _ in changes { break }
    }
}

/// Holds back its callers until it is opened.
@MainActor
final class Gate {
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var isOpen = false

    var isAwaited: Bool { !waiting.isEmpty }

    func pass() async {
        if !isOpen { await withCheckedContinuation { waiting.append($0) } }
    }

    /// Lets those pass that wait now.
    func step() {
        let waited = waiting
        waiting = []
        for caller in waited { caller.resume() }
    }

    func open() {
        isOpen = true
        step()
    }
}

/// The demo, which fails at one call, or holds it back.
struct FailingBrain: Brain {
    enum Call: Sendable {
        case policy(BrainError)
        case checkFit(BrainError)
        case importing(BrainError)
        case shutDown(@Sendable () async -> Void)
        case answer(@Sendable () -> PullStream<AnswerChunk>)
        case newChat(BrainError)
        case decision(BrainError)
        case costs(BrainError)
        /// After its first word.
        case firstAnswer(BrainError)
    }

    let demo: DemoBrain
    let call: Call
    private let isBroken = Flag()
    let fitChecks = Counter()

    init(_ call: Call, demo: DemoBrain = quick()) { (self.call, self.demo) = (call, demo) }

    func newChat(_ options: ChatOptions) async throws -> ChatSummary {
        if case .newChat(let error) = call { throw error }
        return await demo.newChat(options)
    }

    func decide(_ request: AnswerRequest, in chat: ChatID?) async throws -> AnswerDecision {
        if case .decision(let error) = call { throw error }
        return await demo.decide(request, in: chat)
    }

    func answer(_ request: AnswerRequest, in chat: ChatID) -> PullStream<AnswerChunk> {
        if case .answer(let answer) = call { return answer() }
        guard case .firstAnswer(let error) = call, isBroken.raise() else { return demo.answer(request, in: chat) }
        let stream = demo.answer(request, in: chat)
        return PullStream {
            let pull = stream.start()
            return {
                let chunk = try await pull()
                if case .text = chunk { throw error }
                return chunk
            }
        }
    }
}

/// A variable that closures share.
@MainActor
final class Box<Value> {
    var value: Value

    init(_ value: Value) { self.value = value }
}

/// Counts calls.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    var value: Int { lock.withLock { count } }

    func increment() { lock.withLock { count += 1 } }
}

/// A flag that is raised once.
private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var isRaised = false

    /// Returns whether this call raised it.
    func raise() -> Bool {
        lock.withLock {
            defer { isRaised = true }
            return !isRaised
        }
    }
}

extension FailingBrain {
    func chats() async throws -> [ChatSummary] { await demo.chats() }
    func open(_ chat: ChatID) async throws -> Chat { try await demo.open(chat) }
    func rename(_ chat: ChatID, to title: String?) async throws { try await demo.rename(chat, to: title) }
    func setPinned(_ chat: ChatID, _ pinned: Bool) async throws { try await demo.setPinned(chat, pinned) }
    func configure(_ chat: ChatID, _ options: ChatOptions) async throws { try await demo.configure(chat, options) }
    func delete(_ chat: ChatID) async throws { try await demo.delete(chat) }
    func restore(_ chat: ChatID) async throws { try await demo.restore(chat) }
    func search(_ text: String) async throws -> [ChatHit] { await demo.search(text) }
    func export(_ chat: ChatID, as kind: ExportKind) async throws -> String { try await demo.export(chat, as: kind) }
    func selectVersion(_ message: MessageID, in chat: ChatID) async throws -> Chat {
        try await demo.selectVersion(message, in: chat)
    }
    func costs(of request: AnswerRequest, in chat: ChatID?) async throws -> [CostLine] {
        if case .costs(let error) = call { throw error }
        return await demo.costs(of: request, in: chat)
    }
    func presets(for options: ChatOptions) async throws -> [PresetInfo] { await demo.presets(for: options) }
    func choices() async throws -> [ModelChoice] { await demo.choices() }
    func offers(of provider: String) async throws -> [ModelChoice] { await demo.offers(of: provider) }
    func installed() async throws -> [ModelEntry] { await demo.installed() }
    func catalogModels() async throws -> [ModelEntry] { await demo.catalogModels() }
    func checkFit(_ reference: String) async throws -> Fit {
        fitChecks.increment()
        if case .checkFit(let error) = call { throw error }
        return try await demo.checkFit(reference)
    }
    func memoryBudget() async -> UInt64? { await demo.memoryBudget() }
    func download(_ reference: String) -> PullStream<DownloadStep> { demo.download(reference) }
    func importModel(_ file: URL) async throws -> ModelEntry {
        if case .importing(let error) = call { throw error }
        return try await demo.importModel(file)
    }
    func remove(_ model: String) async throws { await demo.remove(model) }
    func damagedModels() async throws -> [ModelEntry] { await demo.damagedModels() }
    func preferences() async throws -> Preferences { await demo.preferences() }
    func setPreferences(_ preferences: Preferences) async throws { await demo.setPreferences(preferences) }
    func policy() async throws -> PolicySettings { await demo.policy() }
    func setPolicy(_ policy: PolicySettings) async throws {
        if case .policy(let error) = call { throw error }
        await demo.setPolicy(policy)
    }
    func providers() async throws -> [ProviderInfo] { await demo.providers() }
    func addProvider(_ provider: NewProvider) async throws { await demo.addProvider(provider) }
    func removeProvider(_ name: String) async throws { await demo.removeProvider(name) }
    func beginSignIn(_ provider: String) async throws -> URL { try await demo.beginSignIn(provider) }
    func finishSignIn(_ provider: String, code: String) async throws {
        await demo.finishSignIn(provider, code: code)
    }
    func spending() async throws -> Spending { await demo.spending() }
    func condition() async -> DeviceCondition { await demo.condition() }
    func shutDown() async {
        if case .shutDown(let wait) = call { await wait() }
        await demo.shutDown()
    }
}

extension ChatModel {
    /// Types, sends, and waits for the end of the answer.
    func say(_ text: String) async {
        draft = text
        send()
        await work?.value
    }

    var answer: MessageEntry? { messages.last { $0.author == .model } }
}
