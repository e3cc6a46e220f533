// `generate`, beyond the scenarios that both languages run.

import Foundation
import NearsideTesting
import Testing

@Suite struct GenerateUnitTests {
    @Test func aListOrAWordComesInAnEnvelope() async throws {
        let provider = try RecordedProvider([.chat(#"{"value":["red","green"]}"#)])
        let nearside = try Nearside.scripted { #"{"value":["red","green"]}"# }
        let colours = try await nearside.generate(ask(), as: [String].self)
        #expect(colours == ["red", "green"])

        let remote = try await library(with: provider)
        let again: [String] = try await remote.generate(ask())
        #expect(again == colours)
        let body = try #require(provider.requests.last { $0.method == "POST" }).body
        #expect(body.contains(#""json_schema""#) && body.contains(#""value""#), "the request contains the schema")
    }

    @Test func datesAndBytesAreReadAsTheSchemaAsksForThem() async throws {
        struct Event: Codable { let at: Date, fraction: Date, data: Data }
        let nearside = try Nearside.scripted {
            #"{"at":"1970-01-01T00:00:01Z","fraction":"1970-01-01T00:00:01.500Z","data":"aGk="}"#
        }
        let event = try await nearside.generate(ask(), as: Event.self)
        #expect(event.at == Date(timeIntervalSince1970: 1))
        #expect(event.fraction == Date(timeIntervalSince1970: 1.5))
        #expect(event.data == Data("hi".utf8))
    }

    @Test func cancellingTheTaskEndsIt() async throws {
        let nearside = try Nearside.scripted { ReplyStep.stall }
        let task = Task { try await nearside.generate(ask(), as: [String].self) }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func aFailureIsTheLibrarysOwn() async throws {
        let nearside = try Nearside.scripted { ReplyStep.fail(.network, "the line is gone") }
        let failure = NearsideError(kind: .network, reason: .unreachable, detail: "the line is gone")
        await #expect(throws: failure) {
            try await nearside.generate(ask(), as: [String].self)
        }
    }

    private func ask() -> ChatRequest {
        ChatRequest(messages: [.user("Two colours?")])
    }
}
