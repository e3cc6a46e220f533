// `generate`: an answer as a value of a Swift type. The type's shape becomes the request's JSON Schema, which binds the
// model on the device word by word; what it wrote is then read with the type's own `init(from:)`.

import Foundation

extension Nearside {
    /// Asks, and gives the answer as a value.
    ///
    /// Dates are ISO 8601, `Data` is base64. An optional property may be `null`. An enum needs raw values and
    /// `CaseIterable`; whatever else cannot be seen from the type says it as `JSONSchemaConvertible`. Small models fill
    /// in small types well: few properties with telling names. Name the language model's task in the messages, for on
    /// the device the schema binds the model but is not shown to it.
    ///
    /// Cancelling the task cancels the request, with a `CancellationError`.
    /// - Throws: `GenerateError` for a type that has no schema and for an answer that is not whole; `NearsideError` as
    ///   `chat` does.
    public func generate<T: Decodable & Sendable>(_ request: ChatRequest, as type: T.Type = T.self) async throws -> T {
        let schema = try JSONSchema(describing: type)
        var request = request
        var text = ""
        var stop: StopReason?
        if case .object = schema {
            request.output = .jsonSchema(schema: schema.json)
        } else {
            // Providers want an object at the top.
            request.output = .jsonSchema(schema: JSONSchema.object([.init("value", schema)]).json)
        }
        for try await chunk in chat(request) {
            switch chunk {
            case .text(let more): text += more
            case .done(let reason, _, _, _): stop = reason
            default: break
            }
        }
        try Task.checkCancellation()
        guard let stop, stop != .cancelled else { throw CancellationError() }
        do {
            if case .object = schema { return try JSONDecoder.ofAnswers.decode(T.self, from: Data(text.utf8)) }
            return try JSONDecoder.ofAnswers.decode(Enveloped<T>.self, from: Data(text.utf8)).value
        } catch {
            throw stop == .end
                ? GenerateError.mismatch(type: "\(type)", path: path(of: error)) : .cutOff(stop: stop)
        }
    }
}

/// Why there is no value. Holds nothing of what a model wrote.
public enum GenerateError: Error, Sendable, Equatable {
    /// The type's shape cannot be seen, at this path below it; `remedy` says what helps.
    case indescribable(type: String, path: String, remedy: String)
    /// The answer ended before it was whole.
    case cutOff(stop: StopReason)
    /// The answer is whole, and not of this type: at this path it has something else, or something that the type refuses.
    case mismatch(type: String, path: String)
}

extension GenerateError: LocalizedError, CustomStringConvertible {
    public var description: String { [errorDescription, recoverySuggestion].compactMap { $0 }.joined(separator: "; ") }

    public var errorDescription: String? {
        switch self {
        case .indescribable(let type, let path, _):
            "`\(type)` has no JSON Schema" + (path.isEmpty ? "" : ": it cannot be seen what `\(path)` is")
        case .cutOff(let stop): "the answer ended before it was whole (\(stop))"
        case .mismatch(let type, let path):
            "the answer is no `\(type)`" + (path.isEmpty ? "" : ": `\(path)` is something else")
        }
    }

    public var recoverySuggestion: String? {
        switch self {
        case .indescribable(_, _, let remedy): remedy
        case .cutOff(.maxTokens): "allow more tokens in `limits`, or ask for less"
        case .cutOff(.contextFull): "shorten the messages, or open the library with a larger `context`"
        case .cutOff(.costLimit): "raise the limit on cost, or ask for less"
        case .cutOff(.stopSequence): "leave `stop` out of `sampling`"
        case .cutOff(.toolCall): "answer the tool call, or ask without tools"
        case .cutOff: "change the request"
        case .mismatch: "ask again, take a larger model, or let the type accept more"
        }
    }
}

private struct Enveloped<T: Decodable>: Decodable {
    let value: T
}

extension JSONDecoder {
    /// Reads what the schemas of `JSONSchema(describing:)` ask for.
    static var ofAnswers: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let text = try decoder.singleValueContainer().decode(String.self)
            // A model may write fractions of a second; the plain formatter refuses them.
            let formatter = ISO8601DateFormatter()
            if let date = formatter.date(from: text) { return date }
            formatter.formatOptions.insert(.withFractionalSeconds)
            if let date = formatter.date(from: text) { return date }
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "no date"))
        }
        return decoder
    }
}

/// Where it went wrong. The rest of a `DecodingError` may quote the answer.
private func path(of error: any Error) -> String {
    let context: DecodingError.Context? =
        switch error as? DecodingError {
        case .dataCorrupted(let context), .typeMismatch(_, let context), .valueNotFound(_, let context): context
        case .keyNotFound(let key, let context):
            .init(codingPath: context.codingPath + [key], debugDescription: "")
        default: nil
        }
    return (context?.codingPath ?? []).map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
}
