// A provider on the loopback interface that replays recorded exchanges: an app's tests exercise routing, consent,
// receipts and the requests that leave the device, without network access, a key or costs. The server is in the library.
//
// `nearside-provider record --upstream URL --out FILE` writes a tape: one exchange per line, without secrets.

import Foundation
@_exported @_spi(Testing) import NearsideKit

/// Replays recorded exchanges until this object is released.
///
///     let provider = try RecordedProvider(tape: tape)  // a file of the test target
///     try await nearside.addProvider(settings: provider.settings(kind: .groq, path: "/openai/v1"))
///
/// A request gets the first unplayed exchange with its method, path and body; otherwise the first unplayed one with its
/// method and path, since a body may contain a date; otherwise the last one with its method and path. A request without
/// a match gets a 404. Recorded delays are not replayed.
public final class RecordedProvider: Sendable {
    private let provider: TestProvider
    /// The server's address, without a path.
    public let url: String

    /// Loads a tape.
    /// - Throws: the error of reading the file, or `NearsideError.InvalidRequest` for a line that is not an exchange.
    public convenience init(tape file: URL) throws {
        let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        try self.init(testTape(text: text).map(RecordedExchange.init))
    }

    /// Replays these exchanges.
    public init(_ exchanges: [RecordedExchange]) throws {
        provider = try TestProvider.start(exchanges: exchanges.map(\.exchange))
        url = try provider.url()
    }

    /// Returns the settings for `addProvider`. `path` is the end of the provider's base address.
    public func settings(
        name: String = "recorded", kind: ProviderKind = .compatible, model: String? = nil, path: String = "/v1"
    ) -> ProviderSettings {
        ProviderSettings(name: name, kind: kind, baseUrl: url + path, model: model)
    }

    /// All requests received so far: the content that left the device.
    public var requests: [RecordedRequest] {
        // A list in memory: the call fails only by a bug of the library.
        ((try? provider.requests()) ?? []).map {
            RecordedRequest(method: $0.method, path: $0.path, body: $0.body)
        }
    }
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
        made(try testChat(text: text, model: model, path: path, isWhole: isWhole))
    }

    /// Returns a chat that fails with this HTTP status.
    public static func refusal(
        status: Int, _ message: String = "recorded", path: String = "/v1/chat/completions"
    ) -> RecordedExchange {
        made(try testRefusal(status: UInt16(clamping: status), message: message, path: path))
    }

    /// Returns a model list.
    public static func models(_ ids: String..., path: String = "/v1/models") -> RecordedExchange {
        made(try testModels(ids: ids, path: path))
    }

    init(_ exchange: TestExchange) {
        self.init(
            RecordedRequest(method: exchange.method, path: exchange.path, body: exchange.body),
            status: Int(exchange.status), headers: exchange.headers.map { [$0.name, $0.value] },
            pieces: exchange.pieces, isWhole: exchange.isWhole)
    }

    var exchange: TestExchange {
        TestExchange(
            method: request.method, path: request.path, body: request.body, status: UInt16(clamping: status),
            headers: headers.map { TestHeader(name: $0.first ?? "", value: $0.last ?? "") }, pieces: pieces,
            isWhole: isWhole)
    }

    /// Returns what the library made. It fails only by a bug, which is then the answer of the provider.
    private static func made(_ exchange: @autoclosure () throws -> TestExchange) -> RecordedExchange {
        do {
            return RecordedExchange(try exchange())
        } catch {
            return RecordedExchange(RecordedRequest(method: "", path: ""), status: 500, pieces: [])
        }
    }
}
