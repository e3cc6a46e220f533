// Schemas derived from types.

import Foundation
import NearsideKit
import Testing

@Suite struct SchemaTests {
    @Test func primitivesHaveTheTypesOfJson() throws {
        struct All: Codable {
            let text: String
            let flag: Bool
            let whole: Int
            let small: Int8
            let positive: UInt
            let real: Double
            let price: Decimal
        }
        let expected: [JSONSchema.Property] = [
            .init("text", .string), .init("flag", .boolean), .init("whole", .integer()),
            .init("small", .integer(from: -128, through: 127)), .init("positive", .integer(from: 0)),
            .init("real", .number), .init("price", .number),
        ]
        #expect(try JSONSchema(describing: All.self) == .object(expected))
    }

    @Test func propertiesKeepTheirOrderAndTheirNames() throws {
        struct Renamed: Codable {
            enum CodingKeys: String, CodingKey {
                case second = "b"
                case first = "a \"quoted\""
            }

            let second: String
            let first: String
        }
        let schema = try JSONSchema(describing: Renamed.self)
        #expect(
            schema.json == #"{"type":"object","properties":{"b":{"type":"string"},"a \"quoted\"":{"type":"string"}},"#
                + #""required":["b","a \"quoted\""],"additionalProperties":false}"#)
        #expect(try JSONSerialization.jsonObject(with: Data(schema.json.utf8)) is [String: Any])
    }

    @Test func whatMayBeMissingIsNullAndADefaultIsFilledIn() throws {
        struct Lenient: Decodable {
            let note: String?
            let count: Int
            let tags: [String?]

            enum CodingKeys: CodingKey { case note, count, tags }

            init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                note = try container.decode(String?.self, forKey: .note)
                count = try container.decodeIfPresent(Int.self, forKey: .count) ?? 7
                tags = try container.decode([String?].self, forKey: .tags)
            }
        }
        let expected: [JSONSchema.Property] = [
            .init("note", .nullable(.string)), .init("count", .nullable(.integer())),
            .init("tags", .array(.nullable(.string))),
        ]
        #expect(try JSONSchema(describing: Lenient.self) == .object(expected))
        #expect(JSONSchema.nullable(.boolean).json == #"{"anyOf":[{"type":"boolean"},{"type":"null"}]}"#)
    }

    @Test func typesListsMapsAndEnumsNest() throws {
        struct Shop: Codable {
            struct Item: Codable {
                enum Size: Int, Codable, CaseIterable {
                    case small = 1
                    case large = 2
                }
                let size: Size
                let added: Date
            }
            let items: [Item]
            let byName: [String: Item]
            let tags: Set<String>
            let id: UUID
            let page: URL?
            let image: Data
        }
        let item = JSONSchema.object([
            .init("size", .integerChoice([1, 2])), .init("added", .formatted("date-time")),
        ])
        let expected: [JSONSchema.Property] = [
            .init("items", .array(item)), .init("byName", .map(item)), .init("tags", .array(.string)),
            .init("id", .formatted("uuid")), .init("page", .nullable(.string)), .init("image", .string),
        ]
        #expect(try JSONSchema(describing: Shop.self) == .object(expected))
    }

    @Test func theSameTypeTwiceIsNoRecursion() throws {
        struct Point: Codable { let x: Double }
        struct Line: Codable { let from: Point, to: Point }
        let point = JSONSchema.object([.init("x", .number)])
        #expect(try JSONSchema(describing: Line.self) == .object([.init("from", point), .init("to", point)]))
    }

    @Test func containersWithinContainersAreFollowed() throws {
        struct Flat: Decodable {
            enum Outer: CodingKey { case place }
            enum Inner: CodingKey { case city, rooms }

            init(from decoder: any Decoder) throws {
                let outer = try decoder.container(keyedBy: Outer.self)
                let inner = try outer.nestedContainer(keyedBy: Inner.self, forKey: .place)
                _ = try inner.decode(String.self, forKey: .city)
                var rooms = try inner.nestedUnkeyedContainer(forKey: .rooms)
                while !rooms.isAtEnd { _ = try rooms.decode(Int.self) }
            }
        }
        let place = JSONSchema.object([.init("city", .string), .init("rooms", .array(.integer()))])
        #expect(try JSONSchema(describing: Flat.self) == .object([.init("place", place)]))
    }

    @Test func aTypeMaySayItsSchemaItself() throws {
        struct Order: Codable { let answer: YesOrNumber }
        let expected: [JSONSchema.Property] = [.init("answer", YesOrNumber.jsonSchema)]
        #expect(try JSONSchema(describing: Order.self) == .object(expected))
        #expect(YesOrNumber.jsonExample == #"{"yes":false}"#)
        #expect(JSONSchema.described(.string, "A name.").json == #"{"type":"string","description":"A name."}"#)
    }

    @Test func whatCannotBeDescribedIsRefusedByItsPlace() {
        enum Plain: String, Codable { case one }
        struct HasPlain: Codable { let kinds: [Plain] }
        expect(HasPlain.self, at: "kinds.[]", "let `Plain` conform to `CaseIterable`")

        enum Payload: Codable {
            case number(Int)
            case text(String)
        }
        struct HasPayload: Codable { let value: Payload }
        expect(HasPayload.self, at: "value", "let `Payload` conform to `JSONSchemaConvertible`")

        struct Even: Decodable {
            init(from decoder: any Decoder) throws {
                let number = try decoder.singleValueContainer().decode(Int.self)
                throw DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "\(number) is refused"))
            }
        }
        struct HasEven: Decodable { let even: Even }
        expect(HasEven.self, at: "even", "let `Even` conform to `JSONSchemaConvertible`")

        struct HasKeys: Codable { let byNumber: [Int: String] }
        expect(HasKeys.self, at: "byNumber", "let the keys of its dictionary be `String`")

        struct Pair: Decodable {
            init(from decoder: any Decoder) throws {
                var container = try decoder.unkeyedContainer()
                _ = (try container.decode(String.self), try container.decode(Int.self))
            }
        }
        expect(Pair.self, at: "", "let the elements of a list be of one type")

        struct Bad: Codable, JSONSchemaConvertible {
            static let jsonSchema = JSONSchema.string
            let name: String
        }
        expect(Bad.self, at: "", "give `Bad` a `jsonExample`")
    }

    private func expect<T: Decodable>(
        _ type: T.Type, at path: String, _ remedy: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        do {
            _ = try JSONSchema(describing: type)
            Issue.record("it was described", sourceLocation: sourceLocation)
        } catch GenerateError.indescribable("\(T.self)", path, let found) {
            #expect(found.contains(remedy), sourceLocation: sourceLocation)
        } catch {
            Issue.record(error, sourceLocation: sourceLocation)
        }
    }
}

/// An enum with associated values.
private enum YesOrNumber: Codable, JSONSchemaConvertible {
    case yes(Bool)
    case number(Int)

    static let jsonSchema = JSONSchema.anyOf([
        .object([.init("yes", .boolean)]), .object([.init("number", .integer())]),
    ])

    private enum CodingKeys: CodingKey { case yes, number }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let yes = try container.decodeIfPresent(Bool.self, forKey: .yes) {
            self = .yes(yes)
        } else {
            self = .number(try container.decode(Int.self, forKey: .number))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch self {
        case .yes(let yes): try container.encode(yes, forKey: .yes)
        case .number(let number): try container.encode(number, forKey: .number)
        }
    }
}
