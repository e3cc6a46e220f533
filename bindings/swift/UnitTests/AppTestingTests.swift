// What apps' tests get beside scripts and providers: a hub, a model of one megabyte, a clock, previews, scripts of whole apps.

import Foundation
import NearsideTesting
import Testing

@testable import NearsideKit

@Suite struct AppTestingTests {
    @Test func aTinyModelComesFromALocalHubAndReallyAnswers() async throws {
        let bytes = try TinyModel.bytes()
        let hub = try LocalHub([.init(repo: "org/tiny", name: "tiny.gguf", bytes: bytes)])
        try hub.add(.cutAfter(bytes: 100_000))
        let nearside = try Nearside(config: Config(directory: freshDirectory().path, hub: hub.url, context: 256))
        var installed: InstalledModel?
        for try await event in nearside.download(try ModelRef.parse("hf:org/tiny/tiny.gguf")) {
            if case .installed(let model) = event { installed = model }
        }
        let model = try #require(installed)
        let sent = hub.bytesSent
        #expect(sent >= UInt64(bytes.count) && sent <= UInt64(bytes.count + 200_000))

        var request = ChatRequest(messages: [.user("Why tides?")])
        request.model = model.id
        request.limits = RequestLimits(maxTokens: 8)
        let chunks = try await nearside.chat(request).all()
        guard case .done(let summary) = chunks.last else {
            Issue.record("it did not end")
            return
        }
        #expect(summary.usage.completionTokens == 8)
    }

    @Test func aClockMovesTheDatesOfConversations() async throws {
        let clock = FakeClock(at: Date(timeIntervalSince1970: 1_775_001_599))
        let nearside = try Nearside.scripted(clock: clock) { "Twice a day." }
        let made = try await nearside.conversations().create(settings: ConversationSettings())
        #expect(made.createdAtMs == 1_775_001_599_000)
        try clock.advance(by: .seconds(1))
        #expect(clock.now == Date(timeIntervalSince1970: 1_775_001_600))
        let next = try await nearside.conversations().create(settings: ConversationSettings())
        #expect(next.createdAtMs == made.createdAtMs + 1000)
    }

    @Test func aPreviewAnswersAndStoresInMemory() async throws {
        let nearside = try Nearside.preview { "Because of the moon." }
        let conversation = try await nearside.conversations().create(settings: ConversationSettings())
        let request = ChatRequest(messages: [.user("Why tides?")])
        let chunks = try await nearside.conversations().send(conversation.id, request).all()
        #expect(chunks.text == "Because of the moon.")
        #expect(try await nearside.conversations().open(id: conversation.id).messages.count == 2)
    }

    /// A script that is played would reach the other tests, which run at the same time: scripts/check-swift-packages.sh plays one.
    @Test func argumentsWithoutAScriptChangeNothingAndAFaultyOneIsReported() throws {
        try LaunchScript.play(["app", "-demo"])
        try LaunchScript.play(["app", "-nearsideScript"])
        #expect(throws: NearsideError.self) {
            try LaunchScript.play(["app", "-nearsideScript", #" {"steps": [{"type": "sing"}]}"#])
        }
        #expect(throws: (any Error).self) { try LaunchScript.play(["app", "-nearsideScript", "/no/such/file.json"]) }
    }
}
