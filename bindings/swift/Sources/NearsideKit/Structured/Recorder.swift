// The decoder behind `SchemaProbe`: three empty containers that record the requested keys and types.

/// A decoder that records the requests of one value's `init(from:)`.
final class Recorder: Decoder {
    /// The schema of a property or an element: complete, or a nested container that is still recording.
    enum Shape {
        case complete(JSONSchema)
        case nested(Recorder)
    }

    let probe: SchemaProbe
    var codingPath: [any CodingKey] { probe.path.map { AnyCodingKey(stringValue: $0) } }
    let userInfo: [CodingUserInfoKey: Any] = [:]

    /// Set by the single-value container.
    fileprivate var value: JSONSchema?
    /// In the order of the requests.
    fileprivate var properties: [(name: String, shape: Shape)] = []
    /// Properties that may be `null`: `decodeNil` was called for them.
    fileprivate var optional: Set<String> = []
    /// Set by the unkeyed container.
    fileprivate var elements: [Shape]?

    init(probe: SchemaProbe) {
        self.probe = probe
    }

    func schema() throws -> JSONSchema {
        if let value { return value }
        if let elements {
            let schemas = try elements.map(Self.schema)
            guard let first = schemas.first, schemas.allSatisfy({ $0 == first }) else {
                throw probe.indescribable(
                    "let the elements of a list be of one type, or declare the schema as `JSONSchemaConvertible`")
            }
            return .array(first)
        }
        return .object(
            try properties.map { name, shape in
                let schema = try Self.schema(shape)
                return .init(name, optional.contains(name) ? schema.orNull : schema)
            })
    }

    private static func schema(_ shape: Shape) throws -> JSONSchema {
        switch shape {
        case .complete(let schema): schema
        case .nested(let recorder): try recorder.schema()
        }
    }

    fileprivate func add(_ shape: Shape, as name: String) {
        if let known = properties.firstIndex(where: { $0.name == name }) {
            properties[known].shape = shape
        } else {
            properties.append((name, shape))
        }
    }

    /// Returns the recorder for a nested container.
    fileprivate func child(_ name: String) -> Recorder {
        Recorder(probe: probe.at(name))
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(Keyed(recorder: self))
    }

    func unkeyedContainer() -> any UnkeyedDecodingContainer {
        elements = elements ?? []
        return Unkeyed(recorder: self)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer {
        Single(recorder: self)
    }
}

/// A coding key for any string.
private struct AnyCodingKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        nil
    }
}

private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let recorder: Recorder
    var codingPath: [any CodingKey] { recorder.codingPath }
    var allKeys: [Key] { [] }

    func contains(_ key: Key) -> Bool {
        true
    }

    // Every `decodeIfPresent` calls this before it decodes.
    func decodeNil(forKey key: Key) -> Bool {
        recorder.optional.insert(key.stringValue)
        return false
    }

    // Also satisfies the protocol's requirements for `Bool`, `String` and the number types.
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let (schema, value) = try recorder.probe.at(key.stringValue).describe(type)
        recorder.add(.complete(schema), as: key.stringValue)
        return value
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedDecodingContainer<Nested> {
        nestedRecorder(key.stringValue).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer {
        nestedRecorder(key.stringValue).unkeyedContainer()
    }

    func superDecoder() -> any Decoder {
        nestedRecorder("super")
    }

    func superDecoder(forKey key: Key) -> any Decoder {
        nestedRecorder(key.stringValue)
    }

    private func nestedRecorder(_ name: String) -> Recorder {
        let child = recorder.child(name)
        recorder.add(.nested(child), as: name)
        return child
    }
}

/// A list with exactly one element.
private struct Unkeyed: UnkeyedDecodingContainer {
    let recorder: Recorder
    var codingPath: [any CodingKey] { recorder.codingPath }
    var count: Int? { nil }
    var isAtEnd: Bool { currentIndex > 0 }
    private(set) var currentIndex = 0

    init(recorder: Recorder) {
        self.recorder = recorder
    }

    func decodeNil() -> Bool {
        false
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let (schema, value) = try recorder.probe.at("[]").describe(type)
        add(.complete(schema))
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedDecodingContainer<Nested> {
        nestedRecorder().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer {
        nestedRecorder().unkeyedContainer()
    }

    mutating func superDecoder() -> any Decoder {
        nestedRecorder()
    }

    private mutating func nestedRecorder() -> Recorder {
        let child = recorder.child("[]")
        add(.nested(child))
        return child
    }

    private mutating func add(_ shape: Recorder.Shape) {
        recorder.elements = (recorder.elements ?? []) + [shape]
        currentIndex += 1
    }
}

private struct Single: SingleValueDecodingContainer {
    let recorder: Recorder
    var codingPath: [any CodingKey] { recorder.codingPath }

    func decodeNil() -> Bool {
        false
    }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let (schema, value) = try recorder.probe.describe(type)
        recorder.value = schema
        return value
    }
}
