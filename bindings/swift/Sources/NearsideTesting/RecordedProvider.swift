// A provider that answers from a recording, on this machine's loopback: an app's own tests exercise routing, consent,
// receipts and what really leaves the device, without a network, a key or a cent.
//
// A tape is what `nearside-provider record --upstream URL --out FILE` writes: an exchange a line, without secrets.

import Foundation
@_exported import NearsideKit

/// Answers as recorded, for as long as this object lives.
///
///     let provider = try RecordedProvider(tape: Bundle.module.url(forResource: "tides", withExtension: "tape")!)
///     try await nearside.addProvider(settings: provider.settings(kind: .groq, path: "/openai/v1"))
///
/// A question is answered with the first exchange of its method, path and body that was not played yet; else with the
/// first of its method and path, since a body may hold a date; else with the last that was played for them. What the
/// recording does not know is answered with 404. Pauses are left out.
public final class RecordedProvider: Sendable {
    private let server: LoopbackServer
    private let tape: Tape

    /// Plays a tape.
    /// - Throws: what reading fails with, and `NearsideError.InvalidRequest` for a line that is no exchange.
    public convenience init(tape file: URL) throws {
        let lines = String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n")
        let exchanges = try lines.enumerated().map { number, line in
            guard let exchange = RecordedExchange(line: String(line)) else {
                throw NearsideError.InvalidRequest(
                    message: "line \(number + 1) of the tape is no exchange: record it anew with `nearside-provider`")
            }
            return exchange
        }
        try self.init(exchanges)
    }

    /// Plays these exchanges.
    public init(_ exchanges: [RecordedExchange]) throws {
        let tape = Tape(exchanges)
        self.tape = tape
        server = try LoopbackServer { tape.answer($0) }
    }

    deinit {
        server.end()
    }

    /// Where it is, without a path.
    public var url: String { "http://127.0.0.1:\(server.port)" }

    /// What an app says to set it up. `path` is what the provider's base address ends with.
    public func settings(
        name: String = "recorded", kind: ProviderKind = .compatible, model: String? = nil, path: String = "/v1"
    ) -> ProviderSettings {
        ProviderSettings(name: name, kind: kind, baseUrl: url + path, model: model)
    }

    /// All that it was asked so far: what left the device.
    public var requests: [RecordedRequest] { tape.asked }
}

/// What a provider was asked. No header, and so no key, is kept.
public struct RecordedRequest: Sendable, Equatable {
    public let method: String
    public let path: String
    /// As it came; empty where there was none.
    public let body: String

    public init(method: String, path: String, body: String = "") {
        self.method = method
        self.path = path
        self.body = body
    }
}

/// A question and its answer.
public struct RecordedExchange: Sendable, Equatable {
    public let request: RecordedRequest
    public let status: Int
    public let headers: [[String]]
    /// The body, in the pieces in which it came.
    public let pieces: [Data]
    /// Whether the body ended, or the connection broke.
    public let isWhole: Bool

    public init(
        _ request: RecordedRequest, status: Int = 200, headers: [[String]] = [], pieces: [Data], isWhole: Bool = true
    ) {
        self.request = request
        self.status = status
        self.headers = headers
        self.pieces = pieces
        self.isWhole = isWhole
    }

    /// A chat that is answered with this text, word by word, as servers that speak OpenAI's dialect do. `isWhole: false`
    /// breaks off after it.
    public static func chat(
        _ text: String, model: String = "recorded", path: String = "/v1/chat/completions", isWhole: Bool = true
    ) -> RecordedExchange {
        func event(_ delta: [String: String], finish: String? = nil, usage: [String: Int]? = nil) -> Data {
            var event: [String: Any] = [
                "id": "recorded", "object": "chat.completion.chunk", "created": 0, "model": model,
                "choices": [["index": 0, "delta": delta, "finish_reason": finish ?? NSNull()] as [String: Any]],
            ]
            event["usage"] = usage
            // A dictionary of strings and numbers is always JSON.
            let json = (try? JSONSerialization.data(withJSONObject: event)) ?? Data()
            return Data("data: ".utf8) + json + Data("\n\n".utf8)
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        var pieces = words.enumerated().map { event(["content": $0 == 0 ? $1 : " " + $1]) }
        if isWhole {
            let tokens = words.count
            pieces.append(
                event(
                    [:], finish: "stop",
                    usage: ["prompt_tokens": tokens, "completion_tokens": tokens, "total_tokens": tokens * 2]))
            pieces.append(Data("data: [DONE]\n\n".utf8))
        }
        return RecordedExchange(
            RecordedRequest(method: "POST", path: path), headers: [["content-type", "text/event-stream"]],
            pieces: pieces, isWhole: isWhole)
    }

    /// A chat that is refused.
    public static func refusal(
        status: Int, _ message: String = "recorded", path: String = "/v1/chat/completions"
    ) -> RecordedExchange {
        let body = try? JSONSerialization.data(withJSONObject: ["error": ["message": message]])
        return RecordedExchange(
            RecordedRequest(method: "POST", path: path), status: status,
            headers: [["content-type", "application/json"]], pieces: [body ?? Data()])
    }

    /// A list of models.
    public static func models(_ ids: String..., path: String = "/v1/models") -> RecordedExchange {
        let list: [String: Any] = ["object": "list", "data": ids.map { ["id": $0, "object": "model"] }]
        let body = try? JSONSerialization.data(withJSONObject: list)
        return RecordedExchange(
            RecordedRequest(method: "GET", path: path), headers: [["content-type", "application/json"]],
            pieces: [body ?? Data()])
    }
}
