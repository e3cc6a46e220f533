// What the measurements share: their output, and a library in a new directory.

import Foundation
import NearsideTesting

/// Prints the values of a measurement as a line of JSON, with the names in snake_case.
func report(_ values: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = .sortedKeys
    print(String(decoding: try encoder.encode(values), as: UTF8.self))
}

/// Opens the library in a new directory, which it deletes afterwards.
func withLibrary(context: UInt32? = nil, _ measure: (Nearside) async throws -> Void) async throws {
    let directory = URL.temporaryDirectory.appending(component: "nearside-bench-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: directory) }
    try await measure(try Nearside(config: Config(directory: directory.path, context: context)))
}

enum BenchError: Error, CustomStringConvertible {
    case lost(expected: Int, received: Int)
    case endedEarly
    case notQueued
    case brokenOff(StopReason, tokens: UInt32)

    var description: String {
        switch self {
        case .lost(let expected, let received): "received \(received) of \(expected) chunks"
        case .endedEarly: "the answer ended too early"
        case .notQueued: "the answer was not in the queue"
        case .brokenOff(let stop, let tokens): "another answer ended with \(stop) after \(tokens) tokens"
        }
    }
}

extension Duration {
    var milliseconds: Double { self / .milliseconds(1) }
    var seconds: Double { self / .seconds(1) }
}
