import Foundation
import NearsideTesting
import Testing

extension Scenarios {
    /// What the library does to an answer when the app leaves the foreground or the device is hot.
    @Suite struct AdjustmentTests {
        @Test func anAnswerPausesInTheBackgroundAndGoesOn() async throws {
            let nearside = try Nearside(
                config: Config(directory: freshDirectory(), context: 2048, pauseInBackground: true))
            let question = greedy(.user("Tell a story about a lighthouse."), maxTokens: 80)
            let unbroken = try await nearside.chat(question).all().text
            let stream = try nearside.startAdjustments()
            var chunks: [Chunk] = []
            for try await chunk in nearside.chat(question) {
                if chunk.isText, !chunks.contains(where: \.isText) {
                    try nearside.notify(event: .background)
                    var paused = false
                    while !paused {
                        let batch = try await stream.nextBatch()
                        paused = batch.contains { $0.action == .paused && $0.cause == .background }
                    }
                    try nearside.notify(event: .foreground)
                }
                chunks.append(chunk)
            }

            #expect(chunks.text == unbroken)
            #expect(chunks.done?.stop == .maxTokens)
        }

        @Test func heatSlowsAnAnswerAndTheAppIsTold() async throws {
            let config = Config(directory: freshDirectory(), context: 2048)
            let nearside = try Nearside(config: config, host: FakeDeviceHost(heat: .critical))
            let stream = try nearside.startAdjustments()
            _ = try await nearside.chat(greedy(.user("Count to ten."), maxTokens: 4)).all()

            let told = try #require(try await stream.nextBatch().first)
            #expect(told.model.hasSuffix("smollm2.gguf"))
            #expect(told.action == .slowed(threads: 1, percent: 50))
            #expect(told.cause == .heat)
        }

        @Test func adjustmentsEndWithTheLibrary() async throws {
            let nearside = try Nearside(config: Config(directory: freshDirectory()))
            let stream = try nearside.startAdjustments()
            try await nearside.shutDown()

            #expect(try await stream.nextBatch().isEmpty)
        }
    }
}
