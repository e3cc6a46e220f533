// The tools of `NearsideTesting`.

import Foundation
import NearsideTesting
import Testing

@Suite struct TestingTests {
    @Test func aScriptIsPlayedInItsOrder() async throws {
        let isHot = true
        let nearside = try Nearside.scripted {
            ReplyStep.reasoning("Let me see.")
            "It is "
            if isHot { "hot " } else { "cold " }
            for word in ["today ", "here."] { word }
            ReplyStep.toolCall("weather", arguments: #"{"city":"Rome"}"#)
        }
        let chunks = try await nearside.chat(request).all()
        #expect(chunks.text == "It is hot today here.")
        #expect(chunks.contains(.toolCall(id: "call-1", name: "weather", arguments: #"{"city":"Rome"}"#)))
        guard case .reasoning = chunks.dropFirst().first else {
            Issue.record("it does not start with reasoning")
            return
        }
    }

    @Test func aStalledScriptEndsWhenItIsCancelled() async throws {
        let nearside = try Nearside.scripted([.text("well "), .stall], pause: .milliseconds(1))
        let stop = Task {
            var last: Chunk?
            for try await chunk in nearside.chat(request) {
                if case .text = chunk { withUnsafeCurrentTask { $0?.cancel() } }
                last = chunk
            }
            return last
        }
        guard case .done(let summary) = try await stop.value, summary.stop == .cancelled else {
            Issue.record("it did not end as cancelled")
            return
        }
    }

    @Test func aRecordedProviderAnswersAndTellsWhatLeftTheDevice() async throws {
        let provider = try RecordedProvider([.chat("Because of the moon."), .refusal(status: 401, "no such key")])
        let nearside = try await library(with: provider)
        let chunks = try await nearside.chat(request).all()

        #expect(chunks.text == "Because of the moon.")
        guard case .done(let summary) = chunks.last, summary.stop == .end else {
            Issue.record("it did not end")
            return
        }
        #expect(summary.usage.completionTokens == 4)
        #expect(summary.receipt.target == .remote(provider: "recorded", model: "recorded"))
        let sent = try #require(provider.requests.last { $0.method == "POST" })
        #expect(sent.method == "POST" && sent.path == "/v1/chat/completions")
        #expect(sent.body.contains("Why tides?"))

        await #expect(throws: NearsideError.self) { try await nearside.chat(request).all() }
    }

    @Test func aConnectionThatBreaksIsAnError() async throws {
        let provider = try RecordedProvider([.chat("Because of", isWhole: false)])
        let nearside = try await library(with: provider)
        var text = ""
        await #expect(throws: NearsideError.self) {
            for try await chunk in nearside.chat(request) { text += [chunk].text }
        }
        #expect(text == "Because of")
    }

    @Test func aTapeIsPlayedByMethodPathAndBody() async throws {
        let tape = freshDirectory().appendingPathExtension("tape")
        try Self.tape.write(to: tape, atomically: true, encoding: .utf8)
        let provider = try RecordedProvider(tape: tape)
        func ask(_ method: String, _ path: String, _ body: String) async throws -> String {
            let url = try #require(URL(string: provider.url + path))
            return try await fetch(url, method: method, body: body)
        }
        #expect(try await ask("POST", "/v1/x", #"{"b":2,"a":1}"#) == "200 second", "the same body, in another order")
        #expect(try await ask("POST", "/v1/x", #"{"day":1}"#) == "200 first", "the first unplayed one")
        #expect(try await ask("POST", "/v1/x", #"{"day":2}"#) == "200 second", "the last one repeats")
        #expect(try await ask("GET", "/v1/models", "") == "429 größe")
        #expect(try await ask("GET", "/elsewhere", "").hasPrefix("404"))
        #expect(provider.requests.count == 5)

        try Data("{}\n".utf8).write(to: tape)
        #expect(throws: NearsideError.self) { try RecordedProvider(tape: tape) }
    }

    private let request = ChatRequest(messages: [.user("Why tides?")])

    private static let tape = """
        {"request":{"method":"POST","path":"/v1/x","body":{"a":0}},"response":{"status":200,"headers":[],\
        "pieces":[{"ms":1,"text":"fir"},{"ms":0,"text":""},{"ms":1,"text":"st"}],"whole":true}}
        {"request":{"method":"POST","path":"/v1/x","body":{"a":1,"b":2}},"response":{"status":200,"headers":[],\
        "pieces":[{"ms":1,"text":"second"}],"whole":true}}
        {"request":{"method":"GET","path":"/v1/models","body":null},"response":{"status":429,\
        "headers":[["content-type","text/plain"]],"pieces":[{"ms":1,"text":"gr"},{"ms":1,"base64":"w7Y="},\
        {"ms":1,"text":"ße"}],"whole":true}}

        """
}

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Returns status and body of a response.
private func fetch(_ url: URL, method: String, body: String) async throws -> String {
    var request = URLRequest(url: url)
    request.httpMethod = method
    if !body.isEmpty { request.httpBody = Data(body.utf8) }
    let (data, response) = try await URLSession.shared.data(for: request)
    let status = (response as? HTTPURLResponse)?.statusCode ?? 0
    return "\(status) \(String(decoding: data, as: UTF8.self))"
}
