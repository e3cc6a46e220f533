// The code of the documentation. Compiled and run here; DocumentationTests.swift checks that the two are equal.

import Foundation
import NearsideTesting

/// Covers the way from an empty directory to an answer.
func firstAnswer(view: TutorialView) async throws {
    let nearside = try await Nearside.open()
    let model = try ModelRef.parse("hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF:Q8_0")

    let fit = try await nearside.fit(model)  // before any download: fetches the head of the file
    guard fit.verdict != .tooLarge else { return view.show(fit.suggestions) }

    for try await event in nearside.download(model) {  // resumes, verifies, never corrupts
        if case .progress(let done, let total, _) = event { view.bar = Double(done) / Double(total) }
    }

    var request = ChatRequest(messages: [.user("Why do the tides come twice a day?")])
    request.mode = .preferOnDevice
    for try await chunk in nearside.chat(request) {  // cancelling the task cancels the request
        switch chunk {
        case .started(let route): view.target = route.target
        case .reasoning(let text): view.thoughts += text
        case .text(let text): view.answer += text
        case .done(let summary): view.receipt = summary.receipt  // target, reason, cost, data policy
        default: break
        }
    }
}

/// Contains the code of the landing page.
func landingPage() async throws -> String {
    var answer = ""
    let nearside = try await Nearside.open()
    for try await chunk in nearside.chat(ChatRequest(messages: [.user("Why do the tides come twice a day?")])) {
        if case .text(let text) = chunk { answer += text }
    }
    return answer
}

/// "Your first answer in ten minutes", step by step.
enum Tutorial {
    static func open() async throws -> Nearside {
        let nearside = try await Nearside.open()
        nearside.followApp()
        return nearside
    }

    static func choose(_ nearside: Nearside) async throws -> CatalogEntry? {
        var fitting: CatalogEntry?
        for entry in try nearside.catalog() {
            let fit = try await nearside.fit(entry.model)
            if fit.verdict != .tooLarge { fitting = entry }
        }
        return fitting
    }

    static func download(_ model: ModelRef, _ nearside: Nearside, bar: (Double) -> Void) async throws -> String? {
        var modelID: String?
        func show(progress: Double) { bar(progress) }
        for try await event in nearside.download(model) {
            switch event {
            case .progress(let done, let total, _): show(progress: Double(done) / Double(total))
            case .installed(let installed): modelID = installed.id
            default: break
            }
        }
        return modelID
    }

    static func ask(
        _ question: String, _ modelID: String?, _ nearside: Nearside
    ) async throws -> (String, String, Double) {
        var (thoughts, answer, speed) = ("", "", 0.0)
        for try await chunk in nearside.chat(ChatRequest(messages: [.user(question)], model: modelID)) {
            switch chunk {
            case .reasoning(let text): thoughts += text
            case .text(let text): answer += text
            case .done(let summary): speed = summary.timings.tokensPerSecond
            default: break
            }
        }
        return (thoughts, answer, speed)
    }

    static func keep(_ question: String, _ nearside: Nearside) async throws -> (String, [StoredMessage]) {
        var answer = ""
        let conversations = try nearside.conversations()
        let id = try await conversations.create().id
        for try await chunk in conversations.send(id, ChatRequest(messages: [.user(question)])) {
            if case .text(let text) = chunk { answer += text }
        }
        let kept = try await conversations.open(id: id).messages
        return (answer, kept)
    }

    static func value(_ nearside: Nearside) async throws -> [String] {
        struct Recipe: Codable {
            let name: String
            let minutes: Int
            let steps: [String]
        }
        let recipe = try await nearside.generate(ChatRequest(messages: [.user("How do I make tea?")]), as: Recipe.self)
        return recipe.steps
    }

    static func consent(
        _ asked: ChatRequest, _ key: String, _ nearside: Nearside, sheet: (String) async -> Bool
    ) async throws -> ChatRequest? {
        var request = asked
        func agrees(to text: String) async -> Bool { await sheet(text) }
        try await nearside.addProvider(settings: ProviderSettings(name: "openrouter", kind: .openRouter))
        try nearside.setKey(provider: "openrouter", key: key)
        switch try await nearside.route(request) {
        case .route: break
        case .needsConsent(let question):
            guard await agrees(to: question.text) else { return nil }
            request.consent = question.target
        case .noRoute(_, let kind, let reason, let detail, _, let wait):
            throw NearsideError(kind: kind, reason: reason, detail: detail, retryAfterMs: wait)
        }
        return request
    }

    static func script() throws -> Nearside {
        let nearside = try Nearside.scripted {
            ReplyStep.reasoning("The moon pulls.")
            "Because of the moon."
        }
        return nearside
    }
}

/// "Testing an app" and "Shipping an app".
enum Articles {
    static func stalled() throws -> Nearside {
        let nearside = try Nearside.scripted(pause: .milliseconds(20)) {
            "Because of "
            ReplyStep.stall
        }
        return nearside
    }

    static func recorded(_ nearside: Nearside) async throws -> RecordedProvider {
        let provider = try RecordedProvider([.chat("Because of the moon."), .refusal(status: 429)])
        try await nearside.addProvider(settings: provider.settings())
        return provider
    }

    static func replayed(_ tape: URL, _ nearside: Nearside) async throws -> RecordedProvider {
        let provider = try RecordedProvider(tape: tape)  // a file of the test target
        try await nearside.addProvider(settings: provider.settings(kind: .groq, path: "/openai/v1"))
        return provider
    }

    static func hub(_ directory: URL) async throws -> UInt64 {
        let hub = try LocalHub([.init(repo: "org/tiny", name: "tiny.gguf", bytes: TinyModel.bytes())])
        let nearside = try Nearside(config: Config(directory: directory.path, hub: hub.url))
        for try await _ in nearside.download(try ModelRef.parse("hf:org/tiny/tiny.gguf")) {}
        return hub.bytesSent
    }

    static func clock(_ lastSecondOfMarch: Date) throws -> Nearside {
        let clock = FakeClock(at: lastSecondOfMarch)
        let nearside = try Nearside.scripted(clock: clock) { "Because of the moon." }
        try clock.advance(by: .seconds(1))
        return nearside
    }

    static func device(_ config: Config) async throws -> Nearside {
        let host = FakeDeviceHost(network: .metered)
        let nearside = try await Nearside.open(config: config, host: host)
        host.simulateNetwork(.offline)
        return nearside
    }

    static func twoDirectories(old: URL) throws -> AppDirectories {
        let directories = try AppDirectories(models: old, data: old.deletingLastPathComponent().appending(path: "Data"))
        return directories
    }
}

/// A minimal screen for the snippet.
final class TutorialView {
    var bar = 0.0
    var target: RouteTarget?
    var thoughts = ""
    var answer = ""
    var receipt: Receipt?

    func show(_ suggestions: [FitSuggestion]) {
        answer = suggestions.map(\.text).joined(separator: "\n")
    }
}
