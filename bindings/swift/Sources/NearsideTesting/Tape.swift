// Parsing a tape, and choosing the exchange for a request.

import Foundation

extension RecordedExchange {
    /// Parses a line of a tape.
    init?(line: String) {
        guard let exchange = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let request = exchange["request"] as? [String: Any],
            let method = request["method"] as? String,
            let path = request["path"] as? String,
            let response = exchange["response"] as? [String: Any],
            let status = response["status"] as? Int,
            let headers = response["headers"] as? [[String]], headers.allSatisfy({ $0.count == 2 }),
            let pieces = (response["pieces"] as? [[String: Any]])?.map(Self.bytes),
            let isWhole = response["whole"] as? Bool,
            let body = Self.text(request["body"])
        else { return nil }
        self.init(
            RecordedRequest(method: method, path: path, body: body), status: status, headers: headers,
            pieces: pieces.compactMap { $0 }, isWhole: isWhole)
        guard self.pieces.count == pieces.count else { return nil }
    }

    private static func bytes(_ piece: [String: Any]) -> Data? {
        (piece["text"] as? String).map { Data($0.utf8) }
            ?? (piece["base64"] as? String).flatMap { Data(base64Encoded: $0) }
    }

    private static func text(_ body: Any?) -> String? {
        guard let body, !(body is NSNull) else { return "" }
        let json = try? JSONSerialization.data(withJSONObject: body, options: .fragmentsAllowed)
        return json.map { String(decoding: $0, as: UTF8.self) }
    }
}

/// A list of exchanges that records which of them were played.
final class Tape: Sendable {
    private let exchanges: [RecordedExchange]
    private let state = Guarded(State())

    private struct State: Sendable {
        var played: Set<Int> = []
        var requests: [RecordedRequest] = []
    }

    init(_ exchanges: [RecordedExchange]) {
        self.exchanges = exchanges
    }

    var requests: [RecordedRequest] { state.with { $0.requests } }

    /// Returns the exchange for a request and marks it as played.
    func response(to request: RecordedRequest) -> RecordedExchange {
        let same = exchanges.indices.filter {
            exchanges[$0].request.method == request.method && exchanges[$0].request.path == request.path
        }
        let exact = same.filter { Self.equal(exchanges[$0].request.body, request.body) }
        let found = state.with { state in
            state.requests.append(request)
            let played = state.played
            let found = exact.first { !played.contains($0) } ?? same.first { !played.contains($0) } ?? same.last
            if let found { state.played.insert(found) }
            return found
        }
        if let found { return exchanges[found] }
        return RecordedExchange(
            request, status: 404, headers: [["content-type", "application/json"]],
            pieces: [Data(#"{"error":{"message":"the recording has no exchange for this request"}}"#.utf8)])
    }

    private static func equal(_ one: String, _ other: String) -> Bool {
        func object(_ text: String) -> NSObject? {
            try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed) as? NSObject
        }
        return one == other || (object(one).map { $0.isEqual(object(other)) } ?? false)
    }
}

/// A value protected by a lock.
final class Guarded<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try lock.withLock { try body(&value) }
    }
}
