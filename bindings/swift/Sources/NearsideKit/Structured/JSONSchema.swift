// The subset of JSON Schema that both the library's grammar and the providers' strict modes support. Properties keep
// their order, because a model writes them in that order.

import Foundation

/// The shape of a JSON value.
public indirect enum JSONSchema: Sendable, Equatable {
    case string
    /// A string in a format that both support: `date-time`, `date`, `time`, `uuid`.
    case formatted(String)
    /// One of these strings.
    case choice([String])
    /// An integer, within these inclusive bounds if given.
    case integer(from: Int64? = nil, through: Int64? = nil)
    /// One of these integers.
    case integerChoice([Int64])
    case number
    case boolean
    /// A list of values of this schema.
    case array(JSONSchema)
    /// Exactly these properties, in this order.
    case object([Property])
    /// An object with arbitrary keys and values of this schema.
    case map(JSONSchema)
    /// A value of this schema, or `null`.
    case nullable(JSONSchema)
    /// A value of one of these schemas.
    case anyOf([JSONSchema])
    /// This schema with a description for the model. Providers pass it on; on the device it has no effect.
    case described(JSONSchema, String)

    /// A named part of an object.
    public struct Property: Sendable, Equatable {
        public let name: String
        public let schema: JSONSchema

        public init(_ name: String, _ schema: JSONSchema) {
            self.name = name
            self.schema = schema
        }
    }

    /// The schema as JSON, as a request contains it.
    public var json: String {
        write(fields)
    }

    /// A minimal value of this schema, as JSON.
    public var example: String {
        switch self {
        case .string: write("")
        case .formatted("date-time"): write("1970-01-01T00:00:00Z")
        case .formatted("uuid"): write("00000000-0000-0000-0000-000000000000")
        case .formatted("date"): write("1970-01-01")
        case .formatted("time"): write("00:00:00Z")
        case .formatted: write("")
        case .choice(let values): values.first.map(write) ?? "null"
        case .integer(let from, let through): "\(min(max(0, from ?? .min), through ?? .max))"
        case .integerChoice(let values): values.first.map { "\($0)" } ?? "null"
        case .number: "0"
        case .boolean: "false"
        case .array: "[]"
        case .object(let properties): write(properties.map { ($0.name, $0.schema.example) })
        case .map: "{}"
        case .nullable(let schema): schema.example
        case .anyOf(let schemas): schemas.first?.example ?? "null"
        case .described(let schema, _): schema.example
        }
    }

    /// Name and JSON of each keyword.
    private var fields: [(String, String)] {
        switch self {
        case .string: return [("type", write("string"))]
        case .formatted(let format): return [("type", write("string")), ("format", write(format))]
        case .choice(let values): return [("type", write("string")), ("enum", write(values.map(write)))]
        case .integer(let from, let through):
            let bounds = [("minimum", from), ("maximum", through)]
            return [("type", write("integer"))] + bounds.compactMap { name, bound in bound.map { (name, "\($0)") } }
        case .integerChoice(let values):
            return [("type", write("integer")), ("enum", write(values.map { "\($0)" }))]
        case .number: return [("type", write("number"))]
        case .boolean: return [("type", write("boolean"))]
        case .array(let item): return [("type", write("array")), ("items", item.json)]
        case .object(let properties):
            return [
                ("type", write("object")),
                ("properties", write(properties.map { ($0.name, $0.schema.json) })),
                ("required", write(properties.map { write($0.name) })),
                ("additionalProperties", "false"),
            ]
        case .map(let value): return [("type", write("object")), ("additionalProperties", value.json)]
        case .nullable(let schema): return [("anyOf", write([schema.json, write([("type", write("null"))])]))]
        case .anyOf(let schemas): return [("anyOf", write(schemas.map(\.json)))]
        case .described(let schema, let text): return schema.fields + [("description", write(text))]
        }
    }
}

private func write(_ fields: [(String, String)]) -> String {
    "{" + fields.map { name, value in write(name) + ":" + value }.joined(separator: ",") + "}"
}

private func write(_ values: [String]) -> String {
    "[" + values.joined(separator: ",") + "]"
}

private func write(_ text: String) -> String {
    let escaped = text.unicodeScalars.map { scalar in
        switch scalar {
        case "\"", "\\": "\\\(scalar)"
        case _ where scalar.value < 0x20: String(format: "\\u%04x", scalar.value)
        default: String(scalar)
        }
    }
    return "\"" + escaped.joined() + "\""
}

/// A type that declares its own schema because it cannot be derived from `init(from:)`: an enum with associated values,
/// a recursive type, a type that rejects most values.
public protocol JSONSchemaConvertible {
    /// The schema of the JSON that the type's `init(from:)` decodes.
    static var jsonSchema: JSONSchema { get }

    /// A JSON value that `init(from:)` accepts. Needed only if it rejects `JSONSchema.example`.
    static var jsonExample: String { get }
}

extension JSONSchemaConvertible {
    public static var jsonExample: String { jsonSchema.example }
}
