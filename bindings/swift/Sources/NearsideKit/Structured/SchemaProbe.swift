// Derives the JSON Schema of a `Decodable` type: runs its `init(from:)` with a decoder that records every request and
// returns minimal values. Macros and mirrors cannot do that for an app's existing types.

import Foundation

extension JSONSchema {
    /// Derives the schema of the JSON that `type` is decoded from.
    /// - Throws: `GenerateError.indescribable`, with the remedy.
    public init(describing type: (some Decodable).Type) throws {
        self = try SchemaProbe(root: "\(type)", path: [], ancestors: []).describe(type).schema
    }
}

/// The probe's position in a type.
struct SchemaProbe {
    /// The name of the type being described.
    let root: String
    /// Property names from the root to this position.
    let path: [String]
    /// Types from the root to this position; one that occurs again is recursive.
    let ancestors: [ObjectIdentifier]

    typealias Described<T> = (schema: JSONSchema, value: T)

    func at(_ name: String) -> SchemaProbe {
        SchemaProbe(root: root, path: path + [name], ancestors: ancestors)
    }

    func indescribable(_ remedy: String) -> GenerateError {
        .indescribable(type: root, path: path.joined(separator: "."), remedy: remedy)
    }

    /// Returns the schema of `type`, and a value for the initializer that requested it.
    func describe<T: Decodable>(_ type: T.Type) throws -> Described<T> {
        if let type = type as? any JSONSchemaConvertible.Type { return try describe(T.self, as: type) }
        if let (schema, value) = describeScalar(type), let value = value as? T { return (schema, value) }
        if let type = type as? any WrappingShape.Type {
            let (schema, value) = try type.describe(with: self)
            if let value = value as? T { return (schema, value) }
        }
        if type is any DictionaryShape.Type {
            throw indescribable("let the keys of its dictionary be `String`")
        }
        if let type = type as? any (CaseIterable & RawRepresentable).Type { return try describeEnum(T.self, type) }

        guard !ancestors.contains(ObjectIdentifier(type)) else {
            throw indescribable("`\(type)` contains itself: \(Self.conformanceRemedy(type))")
        }
        let recorder = Recorder(
            probe: SchemaProbe(root: root, path: path, ancestors: ancestors + [ObjectIdentifier(type)]))
        let value: T
        do {
            value = try T(from: recorder)
        } catch let error as GenerateError {
            throw error
        } catch {
            throw indescribable(
                type is any RawRepresentable.Type
                    ? "let `\(type)` conform to `CaseIterable`, so that its cases are known"
                    : "`\(type)` refuses an empty value: \(Self.conformanceRemedy(type))")
        }
        return (try recorder.schema(), value)
    }

    private func describe<T: Decodable>(
        _ type: T.Type, as convertible: any JSONSchemaConvertible.Type
    ) throws -> Described<T> {
        do {
            let example = Data(convertible.jsonExample.utf8)
            return (convertible.jsonSchema, try JSONDecoder.ofAnswers.decode(T.self, from: example))
        } catch {
            throw indescribable("give `\(type)` a `jsonExample` that its `init(from:)` accepts")
        }
    }

    private func describeEnum<T, C: CaseIterable & RawRepresentable>(_: T.Type, _: C.Type) throws -> Described<T> {
        guard let first = C.allCases.first as? T else { throw indescribable("give `\(C.self)` a case") }
        if let values = C.allCases.map(\.rawValue) as? [String] { return (.choice(values), first) }
        let values = C.allCases.compactMap { ($0.rawValue as? any BinaryInteger).flatMap { Int64(exactly: $0) } }
        guard values.count == C.allCases.count else {
            throw indescribable("let the raw values of `\(C.self)` be `String` or `Int`")
        }
        return (.integerChoice(values), first)
    }

    private static func conformanceRemedy(_ type: Any.Type) -> String {
        "let `\(type)` conform to `JSONSchemaConvertible` and declare its schema"
    }
}

/// Returns the schema and a value of a type that is encoded as one scalar, or `nil`.
private func describeScalar(_ type: Any.Type) -> (JSONSchema, Any)? {
    switch type {
    case is String.Type: (.string, "")
    case is Bool.Type: (.boolean, false)
    case let type as any FixedWidthInteger.Type: describeInteger(type)
    case is Double.Type: (.number, 0.0)
    case is Float.Type: (.number, Float(0))
    case is Decimal.Type: (.number, Decimal(0))
    case is Date.Type: (.formatted("date-time"), Date(timeIntervalSince1970: 0))
    case is UUID.Type: (.formatted("uuid"), UUID())
    // Strict modes support no format for URLs.
    case is URL.Type: (.string, URL(fileURLWithPath: "/"))
    case is Data.Type: (.string, Data())
    default: nil
    }
}

private func describeInteger<I: FixedWidthInteger>(_: I.Type) -> (JSONSchema, Any) {
    // 64-bit bounds are not worth stating: models do not write numbers of that size.
    let wide = I.bitWidth >= 64
    let from: Int64? = I.isSigned && wide ? nil : Int64(exactly: I.min)
    return (.integer(from: from, through: wide ? nil : Int64(exactly: I.max)), I.zero)
}

/// A generic wrapper whose own `init(from:)` does not reveal the wrapped type.
private protocol WrappingShape {
    static func describe(with probe: SchemaProbe) throws -> (JSONSchema, Any)
}

extension Optional: WrappingShape where Wrapped: Decodable {
    fileprivate static func describe(with probe: SchemaProbe) throws -> (JSONSchema, Any) {
        let (schema, value) = try probe.describe(Wrapped.self)
        return (schema.orNull, Optional.some(value) as Any)
    }
}

extension Dictionary: WrappingShape where Key == String, Value: Decodable {
    fileprivate static func describe(with probe: SchemaProbe) throws -> (JSONSchema, Any) {
        (.map(try probe.at("*").describe(Value.self).schema), [:] as Self)
    }
}

/// A dictionary with keys of any type.
private protocol DictionaryShape {}

extension Dictionary: DictionaryShape {}

extension JSONSchema {
    /// This schema or `null`, without nesting `nullable` twice.
    var orNull: JSONSchema {
        if case .nullable = self { self } else { .nullable(self) }
    }
}
