import Foundation
import NearsideKit
import Testing

extension Scenarios {
    /// Connections to providers: cancellation, interruption, citations.
    @Suite struct RemoteTests {
        @Test func cancellingClosesTheConnection() async throws {
            let provider = try Provider("groq", #"slow={"tokens":10000,"per_second":200.0}"#)
            let nearside = try await library(provider)
            let stream = try nearside.startChat(request: tides(.onlyInCloud))
            while try await !stream.nextBatch().contains(where: \.isText) {}
            stream.cancel()
            let done = try #require(try await stream.rest().done)
            #expect(done.stop == .cancelled)
            #expect(done.receipt.billedInFull && done.receipt.costUsd > 0)
            try await provider.waitForDisconnect()

            for try await chunk in nearside.chat(tides(.onlyInCloud)) where chunk.isText { break }
            try await provider.waitForDisconnect()
        }

        @Test func anAnswerThatBreaksOffGoesOnElsewhere() async throws {
            let broken = try Provider("fireworks", #"truncated={"text":"The moon and"}"#)
            let sound = try Provider("compatible", #"plain={"text":" the sun."}"#)
            let nearside = try await library(broken, sound)
            let request = tides(.onlyInCloud).with { $0.provider = "fireworks" }
            let (chunks, failure) = await nearside.chat(request).untilFailure()
            #expect(chunks.text == "The moon and")
            let error = try #require(failure as? NearsideError)
            #expect(error.kind == .network)
            #expect(error.reason == .interrupted)

            let elsewhere = request.with { $0.provider = "compatible" }
            let rest = try await nearside.continueRemotely(elsewhere, said: chunks.text).all()
            #expect(rest.text == " the sun.")
            #expect(rest.done?.receipt.target == sound.target)
            #expect(try await broken.chats().count == 1)
            let asked = try await sound.chats()
            #expect(asked.count == 1 && asked[0].contains("The moon and"), "\(asked)")
        }

        @Test func pagesThatAnAnswerRestsOnAreCited() async throws {
            let pages = #"[["https://example.org/tides","Tides"]]"#
            let provider = try Provider("openrouter", #"web_search={"text":"Twice.","citations":\#(pages)}"#)
            let nearside = try await library(provider)
            let request = tides().with {
                $0.webSearch = true
                $0.provider = "openrouter"
            }
            let chunks = try await nearside.chat(request).all()
            #expect(chunks.contains(.citation(url: "https://example.org/tides", title: "Tides")))
        }

        @Test func theKindsOfProviderAreListed() throws {
            let kinds = try providerKinds()
            #expect(kinds.count == Set(kinds.map(\.kind)).count)
            #expect(kinds.allSatisfy { !$0.hosted || $0.baseUrl.hasPrefix("https://") })
            #expect(kinds.first { $0.kind == .llamaServer }?.name == "llama-server")
        }

        @Test func aCancelledTaskWaitsForNoProvider() async throws {
            let waiting: [@Sendable (Nearside) async throws -> Void] = [
                { _ = try await $0.route(tides()) },
                { _ = try await $0.providerModels("silent") },
                { _ = try await $0.chat(tides()).all() },
            ]
            // A library for each: it fetches a list once at a time, and remembers a failure.
            for wait in waiting {
                let silent = try SilentServer()
                let nearside = try await library()
                try await nearside.addProvider(
                    settings: ProviderSettings(name: "silent", kind: .compatible, baseUrl: silent.url))
                let task = Task { try await wait(nearside) }
                let connection = silent.connection()
                let cancelled = Date()
                task.cancel()
                _ = await task.result
                #expect(Date().timeIntervalSince(cancelled) < 2)
                try connection.close()
            }
        }
    }
}
