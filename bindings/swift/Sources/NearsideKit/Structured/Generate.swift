// `generate`: an answer as a value of a Swift type. The type's JSON Schema goes into the request and constrains a model
// on the device token by token; the answer is then decoded with the type's `init(from:)`.

import Foundation

extension Nearside {
    /// Sends the request and returns the answer as a value.
    ///
    /// Dates are ISO 8601, `Data` is base64. An optional property may be `null`. An enum needs raw values and
    /// `CaseIterable`; a type whose schema cannot be derived conforms to `JSONSchemaConvertible`. Small models handle
    /// small types well: few properties with descriptive names. Describe the task in the messages: on the device the
    /// schema constrains the model but is not part of its prompt.
    ///
    /// Cancelling the task cancels the request and throws `CancellationError`.
    /// - Throws: `GenerateError` for a type without a schema and for an incomplete answer; otherwise as `chat` does.
    public func generate<T: Decodable & Sendable>(_ request: ChatRequest, as type: T.Type = T.self) async throws -> T {
        let schema = try JSONSchema(describing: type)
        var request = request
        var text = ""
        var stop: StopReason?
        if case .object = schema {
            request.output = .jsonSchema(schema: schema.json)
        } else {
            // Providers require an object at the top level.
            request.output = .jsonSchema(schema: JSONSchema.object([.init("value", schema)]).json)
        }
        for try await chunk in chat(request) {
            switch chunk {
            case .text(let more): text += more
            case .done(let summary): stop = summary.stop
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
                ? GenerateError.mismatch(type: "\(type)", path: codingPath(of: error)) : .cutOff(stop: stop)
        }
    }
}

/// The reason why `generate` returned no value. Contains no text of the model.
public enum GenerateError: Error, Sendable, Equatable {
    /// The type has no schema, because of the property at this path; `remedy` describes the fix.
    case indescribable(type: String, path: String, remedy: String)
    /// The answer ended before its JSON was complete.
    case cutOff(stop: StopReason)
    /// The answer is complete, but the type cannot be decoded from it: the value at this path is wrong.
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
        case .cutOff(.maxTokens): "allow more tokens, or ask for less"
        case .cutOff(.contextFull): "shorten the messages, or use a larger context"
        case .cutOff(.costLimit): "raise the limit on cost, or ask for less"
        case .cutOff(.stopSequence): "leave out the texts that end an answer"
        case .cutOff(.toolCall): "answer the tool call, or ask without tools"
        case .cutOff(.memoryCritical): "close other apps, or use a smaller model"
        case .cutOff: "change the request"
        case .mismatch: "ask again, take a larger model, or let the type accept more"
        }
    }
}

private struct Enveloped<T: Decodable>: Decodable {
    let value: T
}

extension JSONDecoder {
    /// Returns a decoder for the formats that `JSONSchema(describing:)` declares.
    static var ofAnswers: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let text = try decoder.singleValueContainer().decode(String.self)
            // A model may write fractional seconds, which the default formatter rejects.
            let formatter = ISO8601DateFormatter()
            if let date = formatter.date(from: text) { return date }
            formatter.formatOptions.insert(.withFractionalSeconds)
            if let date = formatter.date(from: text) { return date }
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "no date"))
        }
        return decoder
    }
}

/// Returns the coding path of a decoding error. The rest of a `DecodingError` may quote the answer.
private func codingPath(of error: any Error) -> String {
    let context: DecodingError.Context? =
        switch error as? DecodingError {
        case .dataCorrupted(let context), .typeMismatch(_, let context), .valueNotFound(_, let context): context
        case .keyNotFound(let key, let context):
            .init(codingPath: context.codingPath + [key], debugDescription: "")
        default: nil
        }
    return (context?.codingPath ?? []).map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
}
