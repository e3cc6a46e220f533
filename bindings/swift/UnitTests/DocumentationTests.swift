// Checks the documentation: its code is that of Tutorial.swift, which runs here; its topics list all public symbols.

import Foundation
import NearsideTesting
import Testing

@Suite struct DocumentationTests {
    @Test func theCodeInTheDocumentationIsThatOfTheTutorial() throws {
        let there = lines(try text("UnitTests/Tutorial.swift"))
        var blocks = 0
        for page in try pages() {
            for block in try text(page).components(separatedBy: "```swift\n").dropFirst() {
                let wanted = lines(block.components(separatedBy: "```")[0])
                blocks += 1
                let found = there.indices.contains { there[$0...].starts(with: wanted) }
                #expect(found, "\(page): not in Tutorial.swift: \(wanted.first ?? "")")
            }
        }
        #expect(blocks >= 12, "no code found: is the search broken?")
    }

    @Test func theCodeInTheCommentsIsCompiled() throws {
        let there = lines(try text("UnitTests/Tutorial.swift") + text("AppleStubs/NamesBesideApple.swift"))
        var blocks = 0
        for file in try sources() + files(in: "Sources/NearsideTesting") where !file.contains("Generated") {
            for block in codeInComments(try text(file)) {
                blocks += 1
                let found = there.indices.contains { there[$0...].starts(with: block) }
                #expect(found, "\(file): compiled nowhere: \(block.first ?? "")")
            }
        }
        #expect(blocks >= 5, "no code found: is the search broken?")
    }

    @Test func theTopicsNameAllThatIsPublic() throws {
        let named = Set(
            try pages().flatMap { page in
                try text(page).matches(of: try Regex("``([A-Za-z/]*/)?([A-Za-z]+)[^`]*``"))
                    .compactMap { $0[2].substring.map(String.init) }
            })
        var declared: Set<String> = []
        // Not indented: a type or a global function. Indented by four: a member.
        let kinds = "(?:struct|enum|class|protocol|typealias|func)"
        let type = try Regex("^(?:public|open) (?:final |indirect )*\(kinds) ([A-Za-z]+)")
        let method = try Regex("^(?:open|public|    public)(?: static| convenience)? func `?([A-Za-z]+)`?[(<]")
        for file in try sources() {
            for line in try text(file).split(separator: "\n") {
                for pattern in [type, method] {
                    if let name = line.prefixMatch(of: pattern)?[1].substring { declared.insert(String(name)) }
                }
            }
        }
        // Excluded: UniFFI's internals, which no app calls, and members that need no topic of their own.
        let own = declared.filter { $0.hasPrefix("uniffi") || $0.hasPrefix("Ffi") || $0.hasSuffix("Impl") }
        let members: Set = [
            "url", "cancel", "nextBatch", "facts", "next", "makeAsyncIterator", "load", "save", "user",
            "assistant", "system", "lift", "lower", "read", "write",
            // Of the classes that only tests see.
            "addFault", "advance", "bytesSent", "clearFaults", "requests", "set", "unixMs",
        ]
        let missing = declared.subtracting(own).subtracting(members).subtracting(named)
        #expect(missing.isEmpty, "no topic names \(missing.sorted())")
        #expect(declared.count > 100, "nothing found: is the search broken?")
    }

    @Test func theTutorialRuns() async throws {
        let nearside = try Tutorial.script()
        let (thoughts, answer, _) = try await Tutorial.ask("Why tides?", nil, nearside)
        #expect(thoughts == "The moon pulls." && answer == "Because of the moon.")
        let (said, kept) = try await Tutorial.keep("Why tides?", nearside)
        #expect(said == answer && kept.map(\.text) == ["Why tides?", answer])

        let cook = try Nearside.scripted { #"{"name":"Tea","minutes":4,"steps":["Boil.","Wait."]}"# }
        #expect(try await Tutorial.value(cook) == ["Boil.", "Wait."])

        #expect(try await Articles.hub(freshDirectory()) > 500_000)
        _ = try Articles.clock(.now)
        let provider = try await Articles.recorded(cook)
        #expect(try await cook.providers().map(\.baseUrl) == [provider.url + "/v1"])
    }

    private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// Returns the non-empty lines, trimmed.
    private func lines(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    /// Returns the indented lines of the documentation comments, block by block.
    private func codeInComments(_ text: String) -> [[String]] {
        var blocks: [[String]] = [[]]
        for line in text.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if line.hasPrefix("///     ") {
                blocks[blocks.count - 1].append(line.dropFirst(3).trimmingCharacters(in: .whitespaces))
            } else {
                blocks.append([])
            }
        }
        return blocks.filter { !$0.isEmpty }
    }

    private func pages() throws -> [String] {
        try files(in: "Sources/NearsideKit/NearsideKit.docc").filter { $0.hasSuffix(".md") }
    }

    private func sources() throws -> [String] {
        try files(in: "Sources/NearsideKit").filter { $0.hasSuffix(".swift") }
    }

    private func files(in folder: String) throws -> [String] {
        let found = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
        return found.map { "\(folder)/\($0)" }
    }
}
