@_spi(Testing) import NearsideKit
import Testing

extension Scenarios {
    /// Streamed answers.
    @Suite struct StreamTests {
        @Test func aStreamedAnswerEqualsRusts() async throws {
            let question = "What is the capital of France?"
            let expected = try answerOfTheCommandLine(question, maxTokens: 48)
            let nearside = try Nearside(directory: .init(fileURLWithPath: freshDirectory()))
            let chunks = try await nearside.chat(greedy(.user(question), maxTokens: 48)).all()

            #expect(chunks.first?.isStarted == true)
            #expect(!expected.isEmpty, "Rust returned no text")
            #expect(chunks.text == expected)
            let done = try #require(chunks.done)
            #expect(done.receipt.costUsd == 0)
            #expect(done.receipt.dataPolicy.region == "device")
        }

        @Test func reasoningComesApartFromText() async throws {
            let nearside = try scripted(
                .reasoning(text: "The moon pulls, so"), .text(text: "Because of the moon."))
            let chunks = try await nearside.chat(ChatRequest(messages: [.user("Why tides?")])).all()

            #expect(chunks.first?.isStarted == true)
            let firstText = try #require(chunks.firstIndex { $0.isText })
            #expect(chunks[..<firstText].reasoning == "The moon pulls, so")
            #expect(chunks[firstText...].reasoning == "")
            #expect(chunks.text == "Because of the moon.")
            #expect(chunks.done?.stop == .end)
        }

        @Test func aToolCallArrivesWhole() async throws {
            let arguments = #"{"city":"Besançon"}"#
            let nearside = try scripted(.toolCall(id: "1", name: "weather", arguments: arguments))
            let chunks = try await nearside.chat(ChatRequest(messages: [.user("Umbrella?")])).all()

            #expect(chunks.contains(.toolCall(id: "1", name: "weather", arguments: arguments)))
            #expect(chunks.count == 3)
        }

        @Test func aSlowReaderLosesNothing() async throws {
            let words = (1...500).map { "word\($0)" }.joined(separator: " ")
            let nearside = try scripted(.text(text: words))
            var chunks: [Chunk] = []
            for try await chunk in nearside.chat(ChatRequest(messages: [.user("Talk.")])) {
                chunks.append(chunk)
                try await Task.sleep(nanoseconds: 1_000_000)
            }

            #expect(chunks.text == words)
            #expect(chunks.done?.stop == .end)
        }

        @Test func twoConversationsOneAfterTheOther() async throws {
            let nearside = try Nearside(directory: .init(fileURLWithPath: freshDirectory()))
            let france = ChatMessage.user("What is the capital of France?")
            let paris = try await nearside.chat(greedy(france, maxTokens: 24)).all()
            let more = try await nearside.chat(
                greedy(france, .assistant(paris.text), .user("And what is it known for?"), maxTokens: 24)
            ).all()
            let whales = try await nearside.chat(greedy(.user("Are whales fish?"), maxTokens: 24)).all()

            for chunks in [paris, more, whales] { #expect(!chunks.text.isEmpty) }
            let (one, two, three) = try (
                #require(paris.done), #require(more.done), #require(whales.done)
            )
            #expect(two.usage.promptTokens > one.usage.promptTokens, "the first has a history")
            #expect(three.usage.promptTokens < two.usage.promptTokens, "the second begins anew")
            #expect(three.timings.loadMs == 0, "the model stayed loaded")
        }
    }
}
