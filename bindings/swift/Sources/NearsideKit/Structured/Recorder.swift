// The decoder behind `SchemaProbe`: three containers that hold nothing and write down what they are asked for.

/// What one value was asked for.
final class Recorder: Decoder {
    /// What a property or an element is: known, or a container that is still being asked.
    enum Shape {
        case known(JSONSchema)
        case asked(Recorder)
    }

    let probe: SchemaProbe
    var codingPath: [any CodingKey] { probe.path.map { Name(stringValue: $0) } }
    let userInfo: [CodingUserInfoKey: Any] = [:]

    /// Set by a single value.
    fileprivate var value: JSONSchema?
    /// In the order in which they were asked for.
    fileprivate var properties: [(name: String, shape: Shape)] = []
    /// Properties that may be `null`: their absence was asked about.
    fileprivate var optional: Set<String> = []
    /// Set once elements are asked for.
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
                    "let the elements of a list be of one type, or say the schema as `JSONSchemaConvertible`")
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
        case .known(let schema): schema
        case .asked(let recorder): try recorder.schema()
        }
    }

    fileprivate func add(_ shape: Shape, as name: String) {
        if let known = properties.firstIndex(where: { $0.name == name }) {
            properties[known].shape = shape
        } else {
            properties.append((name, shape))
        }
    }

    /// For a container below this one.
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

/// A name as a coding key.
private struct Name: CodingKey {
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

    // Asked by every `decodeIfPresent` before it decodes.
    func decodeNil(forKey key: Key) -> Bool {
        recorder.optional.insert(key.stringValue)
        return false
    }

    // Stands for the protocol's methods for single types, too.
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
        let (schema, value) = try recorder.probe.at(key.stringValue).describe(type)
        recorder.add(.known(schema), as: key.stringValue)
        return value
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedDecodingContainer<Nested> {
        below(key.stringValue).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer {
        below(key.stringValue).unkeyedContainer()
    }

    func superDecoder() -> any Decoder {
        below("super")
    }

    func superDecoder(forKey key: Key) -> any Decoder {
        below(key.stringValue)
    }

    private func below(_ name: String) -> Recorder {
        let child = recorder.child(name)
        recorder.add(.asked(child), as: name)
        return child
    }
}

/// One element, and then the end.
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
        add(.known(schema))
        return value
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedDecodingContainer<Nested> {
        below().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer {
        below().unkeyedContainer()
    }

    mutating func superDecoder() -> any Decoder {
        below()
    }

    private mutating func below() -> Recorder {
        let child = recorder.child("[]")
        add(.asked(child))
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
