// A provider on the loopback interface that replays recorded exchanges: an app's tests exercise routing, consent,
// receipts and the requests that leave the device, without network access, a key or costs.
//
// `nearside-provider record --upstream URL --out FILE` writes a tape: one exchange per line, without secrets.

import Foundation
@_exported import NearsideKit

/// Replays recorded exchanges until this object is released.
///
///     let provider = try RecordedProvider(tape: tape)  // a file of the test target
///     try await nearside.addProvider(settings: provider.settings(kind: .groq, path: "/openai/v1"))
///
/// A request gets the first unplayed exchange with its method, path and body; otherwise the first unplayed one with its
/// method and path, since a body may contain a date; otherwise the last one with its method and path. A request without
/// a match gets a 404. Recorded delays are not replayed.
public final class RecordedProvider: Sendable {
    private let server: LoopbackServer
    private let tape: Tape

    /// Loads a tape.
    /// - Throws: the error of reading the file, or `NearsideError.InvalidRequest` for a line that is not an exchange.
    public convenience init(tape file: URL) throws {
        let lines = String(decoding: try Data(contentsOf: file), as: UTF8.self).split(separator: "\n")
        let exchanges = try lines.enumerated().map { number, line in
            guard let exchange = RecordedExchange(line: String(line)) else {
                throw NearsideError(
                    kind: .invalidRequest, reason: .invalidParameter,
                    detail: "line \(number + 1) of the tape is not an exchange: record it with `nearside-provider`")
            }
            return exchange
        }
        try self.init(exchanges)
    }

    /// Replays these exchanges.
    public init(_ exchanges: [RecordedExchange]) throws {
        let tape = Tape(exchanges)
        self.tape = tape
        server = try LoopbackServer { tape.response(to: $0) }
    }

    deinit {
        server.stop()
    }

    /// The server's address, without a path.
    public var url: String { "http://127.0.0.1:\(server.port)" }

    /// Returns the settings for `addProvider`. `path` is the end of the provider's base address.
    public func settings(
        name: String = "recorded", kind: ProviderKind = .compatible, model: String? = nil, path: String = "/v1"
    ) -> ProviderSettings {
        ProviderSettings(name: name, kind: kind, baseUrl: url + path, model: model)
    }

    /// All requests received so far: the content that left the device.
    public var requests: [RecordedRequest] { tape.requests }
}

/// A request to a provider, without its headers and thus without the key.
public struct RecordedRequest: Sendable, Equatable {
    public let method: String
    public let path: String
    /// As received; empty if there was none.
    public let body: String

    public init(method: String, path: String, body: String = "") {
        self.method = method
        self.path = path
        self.body = body
    }
}

/// A request and its response.
public struct RecordedExchange: Sendable, Equatable {
    public let request: RecordedRequest
    public let status: Int
    public let headers: [[String]]
    /// The body, in the pieces that were received.
    public let pieces: [Data]
    /// `false` if the connection was lost before the end of the body.
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

    /// Returns a chat whose answer streams this text word by word in OpenAI's dialect. `isWhole: false` closes the
    /// connection after it.
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

    /// Returns a chat that fails with this HTTP status.
    public static func refusal(
        status: Int, _ message: String = "recorded", path: String = "/v1/chat/completions"
    ) -> RecordedExchange {
        let body = try? JSONSerialization.data(withJSONObject: ["error": ["message": message]])
        return RecordedExchange(
            RecordedRequest(method: "POST", path: path), status: status,
            headers: [["content-type", "application/json"]], pieces: [body ?? Data()])
    }

    /// Returns a model list.
    public static func models(_ ids: String..., path: String = "/v1/models") -> RecordedExchange {
        let list: [String: Any] = ["object": "list", "data": ids.map { ["id": $0, "object": "model"] }]
        let body = try? JSONSerialization.data(withJSONObject: list)
        return RecordedExchange(
            RecordedRequest(method: "GET", path: path), headers: [["content-type", "application/json"]],
            pieces: [body ?? Data()])
    }
}
