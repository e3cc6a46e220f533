// What JSON a type is read from, seen by letting its `init(from:)` read from a decoder that holds nothing: it writes down
// what it is asked for and hands out the plainest value. Macros and mirrors cannot do that for a type that an app has.

import Foundation

extension JSONSchema {
    /// The JSON that `type` is read from.
    /// - Throws: `GenerateError.indescribable`, with what helps.
    public init(describing type: (some Decodable).Type) throws {
        self = try SchemaProbe(root: "\(type)", path: [], inside: []).describe(type).schema
    }
}

/// Where in a type the probe is.
struct SchemaProbe {
    /// The type that was asked about.
    let root: String
    /// The names of the properties on the way here.
    let path: [String]
    /// The types that are being described on the way here: one that comes up again contains itself.
    let inside: [ObjectIdentifier]

    typealias Described<T> = (schema: JSONSchema, value: T)

    func at(_ name: String) -> SchemaProbe {
        SchemaProbe(root: root, path: path + [name], inside: inside)
    }

    func indescribable(_ remedy: String) -> GenerateError {
        .indescribable(type: root, path: path.joined(separator: "."), remedy: remedy)
    }

    /// The shape of `type`, and a value of it for the initializer that asks.
    func describe<T: Decodable>(_ type: T.Type) throws -> Described<T> {
        if let type = type as? any JSONSchemaConvertible.Type { return try describe(T.self, as: type) }
        if let (schema, value) = simple(type), let value = value as? T { return (schema, value) }
        if let type = type as? any WrappingShape.Type {
            let (schema, value) = try type.describe(with: self)
            if let value = value as? T { return (schema, value) }
        }
        if type is any DictionaryShape.Type {
            throw indescribable("let the keys of its dictionary be `String`")
        }
        if let type = type as? any (CaseIterable & RawRepresentable).Type { return try choice(T.self, among: type) }

        guard !inside.contains(ObjectIdentifier(type)) else {
            throw indescribable("`\(type)` contains itself: \(Self.convertible(type))")
        }
        let recorder = Recorder(
            probe: SchemaProbe(root: root, path: path, inside: inside + [ObjectIdentifier(type)]))
        let value: T
        do {
            value = try T(from: recorder)
        } catch let error as GenerateError {
            throw error
        } catch {
            throw indescribable(
                type is any RawRepresentable.Type
                    ? "let `\(type)` conform to `CaseIterable`, so that its cases are known"
                    : "`\(type)` refuses an empty value: \(Self.convertible(type))")
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

    private func choice<T, C: CaseIterable & RawRepresentable>(_: T.Type, among: C.Type) throws -> Described<T> {
        guard let first = C.allCases.first as? T else { throw indescribable("give `\(C.self)` a case") }
        if let values = C.allCases.map(\.rawValue) as? [String] { return (.choice(values), first) }
        let values = C.allCases.compactMap { ($0.rawValue as? any BinaryInteger).flatMap { Int64(exactly: $0) } }
        guard values.count == C.allCases.count else {
            throw indescribable("let the raw values of `\(C.self)` be `String` or `Int`")
        }
        return (.integerChoice(values), first)
    }

    private static func convertible(_ type: Any.Type) -> String {
        "let `\(type)` conform to `JSONSchemaConvertible` and say its schema"
    }
}

/// Types that are one JSON value, and how they are written.
private func simple(_ type: Any.Type) -> (JSONSchema, Any)? {
    switch type {
    case is String.Type: (.string, "")
    case is Bool.Type: (.boolean, false)
    case let type as any FixedWidthInteger.Type: integer(type)
    case is Double.Type: (.number, 0.0)
    case is Float.Type: (.number, Float(0))
    case is Decimal.Type: (.number, Decimal(0))
    case is Date.Type: (.formatted("date-time"), Date(timeIntervalSince1970: 0))
    case is UUID.Type: (.formatted("uuid"), UUID())
    // Strict modes know no format for addresses.
    case is URL.Type: (.string, URL(fileURLWithPath: "/"))
    case is Data.Type: (.string, Data())
    default: nil
    }
}

private func integer<I: FixedWidthInteger>(_: I.Type) -> (JSONSchema, Any) {
    // The bounds of 64 bits say nothing that a model's digits could break.
    let wide = I.bitWidth >= 64
    let from: Int64? = I.isSigned && wide ? nil : Int64(exactly: I.min)
    return (.integer(from: from, through: wide ? nil : Int64(exactly: I.max)), I.zero)
}

/// A type that wraps others, and whose own `init(from:)` does not tell.
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

/// A dictionary, whatever its keys are.
private protocol DictionaryShape {}

extension Dictionary: DictionaryShape {}

extension JSONSchema {
    /// This or `null`, said once.
    var orNull: JSONSchema {
        if case .nullable = self { self } else { .nullable(self) }
    }
}
