// Parses the Markdown of language models into blocks: headings, paragraphs, lists, quotes, tables, code and rules, with
// bold, italic, struck-through text, code and links inside.
//
// Handles partial text: an open fence is already a code block, and a `**` without its partner stays literal until the
// partner arrives. Parsing never fails; anything else is a paragraph.

import Foundation

struct Markdown: Equatable, Sendable {
    let blocks: [MarkdownBlock]

    init(_ text: String) {
        var reader = BlockReader(text)
        blocks = reader.blocks()
    }
}

enum MarkdownBlock: Equatable, Sendable {
    case heading(level: Int, [InlineRun])
    case paragraph([InlineRun])
    case list([ListItem])
    case quote([InlineRun])
    case table(header: [[InlineRun]], rows: [[[InlineRun]]])
    /// `isClosed`: the closing fence was read.
    case code(language: String, text: String, isClosed: Bool)
    case rule
}

struct ListItem: Equatable, Sendable {
    /// Nesting depth; 0 is outermost.
    let depth: Int
    /// `•`, or the number as written.
    let marker: String
    var runs: [InlineRun]
}

struct InlineRun: Equatable, Sendable {
    struct Style: OptionSet, Hashable, Sendable {
        let rawValue: Int
        static let bold = Style(rawValue: 1)
        static let italic = Style(rawValue: 2)
        static let code = Style(rawValue: 4)
        static let struck = Style(rawValue: 8)
    }

    var text: String
    var style: Style = []
    var link: String?
}

/// Parses line by line; each block finds its own end.
private struct BlockReader {
    private let lines: [Substring]
    private var index = 0

    init(_ text: String) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    mutating func blocks() -> [MarkdownBlock] {
        var blocks: [MarkdownBlock] = []
        while index < lines.count {
            if let block = next() { blocks.append(block) }
        }
        return blocks
    }

    private mutating func next() -> MarkdownBlock? {
        let line = lines[index]
        let trimmed = line.trimmed
        if trimmed.isEmpty {
            index += 1
            return nil
        }
        if let fence = Fence(trimmed) { return code(fence) }
        if let heading = heading(trimmed) { return heading }
        if isRule(trimmed) {
            index += 1
            return .rule
        }
        if trimmed.hasPrefix(">") { return quote() }
        if isTable { return table() }
        if item(line) != nil { return list() }
        return paragraph()
    }

    private mutating func code(_ fence: Fence) -> MarkdownBlock {
        index += 1
        var body: [Substring] = []
        while index < lines.count {
            let line = lines[index]
            index += 1
            if fence.isClosed(by: line.trimmed) {
                return .code(language: fence.language, text: body.joined(separator: "\n"), isClosed: true)
            }
            body.append(line)
        }
        // A partial closing fence is not code.
        if let last = body.last?.trimmed, !last.isEmpty, last.count < fence.length,
            last.allSatisfy({ $0 == fence.mark })
        {
            body.removeLast()
        }
        if body.last?.isEmpty == true { body.removeLast() }
        return .code(language: fence.language, text: body.joined(separator: "\n"), isClosed: false)
    }

    private mutating func heading(_ line: Substring) -> MarkdownBlock? {
        let level = line.prefix { $0 == "#" }.count
        guard (1...6).contains(level), line.dropFirst(level).first == " " else { return nil }
        index += 1
        return .heading(level: level, Inline.runs(of: line.dropFirst(level).trimmed))
    }

    private func isRule(_ line: Substring) -> Bool {
        guard line.count >= 3, let mark = line.first, "-*_".contains(mark) else { return false }
        return line.allSatisfy { $0 == mark || $0 == " " } && line.filter { $0 == mark }.count >= 3
    }

    private mutating func quote() -> MarkdownBlock {
        var body: [Substring] = []
        while index < lines.count, lines[index].trimmed.hasPrefix(">") {
            body.append(lines[index].trimmed.dropFirst().trimmed)
            index += 1
        }
        return .quote(Inline.runs(of: body.joined(separator: "\n")[...]))
    }

    private mutating func list() -> MarkdownBlock {
        var items: [ListItem] = []
        while index < lines.count {
            let line = lines[index]
            if let item = item(line) {
                items.append(item)
            } else if line.first == " ", !line.trimmed.isEmpty, Fence(line.trimmed) == nil, !items.isEmpty {
                items[items.count - 1].runs += Inline.runs(of: " " + line.trimmed)
            } else if line.trimmed.isEmpty, index + 1 < lines.count, self.item(lines[index + 1]) != nil {
                // A loose list: an empty line between two items.
            } else {
                break
            }
            index += 1
        }
        return .list(items)
    }

    private func item(_ line: Substring) -> ListItem? {
        let indent = line.prefix { $0 == " " || $0 == "\t" }
        let depth = indent.reduce(0) { $0 + ($1 == "\t" ? 4 : 1) } / 2
        let rest = line.dropFirst(indent.count)
        if let mark = rest.first, "-*+•".contains(mark), rest.dropFirst().first == " " {
            return ListItem(depth: min(depth, 4), marker: "•", runs: Inline.runs(of: rest.dropFirst(2).trimmed))
        }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        let after = rest.dropFirst(digits.count)
        guard (1...4).contains(digits.count), let dot = after.first, dot == "." || dot == ")",
            after.dropFirst().first == " "
        else { return nil }
        return ListItem(depth: min(depth, 4), marker: digits + ".", runs: Inline.runs(of: after.dropFirst(2).trimmed))
    }

    /// Returns whether a line with bars is followed by a line of dashes.
    private var isTable: Bool {
        guard lines[index].contains("|"), index + 1 < lines.count else { return false }
        let under = lines[index + 1].trimmed
        return under.contains("|") && under.contains("-") && under.allSatisfy { "|-: ".contains($0) }
    }

    private mutating func table() -> MarkdownBlock {
        let header = cells(lines[index])
        index += 2
        var rows: [[[InlineRun]]] = []
        while index < lines.count, lines[index].contains("|") {
            var row = Array(cells(lines[index]).prefix(header.count))
            row += Array(repeating: [], count: header.count - row.count)
            rows.append(row)
            index += 1
        }
        return .table(header: header, rows: rows)
    }

    private func cells(_ line: Substring) -> [[InlineRun]] {
        var line = line.trimmed
        if line.hasPrefix("|") { line = line.dropFirst() }
        if line.hasSuffix("|") { line = line.dropLast() }
        return line.split(separator: "|", omittingEmptySubsequences: false).map { Inline.runs(of: $0.trimmed) }
    }

    private mutating func paragraph() -> MarkdownBlock {
        var body: [Substring] = []
        while index < lines.count {
            let trimmed = lines[index].trimmed
            let ends = trimmed.isEmpty || Fence(trimmed) != nil || trimmed.hasPrefix(">") || isHeading(trimmed)
            if !body.isEmpty, ends || item(lines[index]) != nil || isTable { break }
            body.append(trimmed)
            index += 1
        }
        return .paragraph(Inline.runs(of: body.joined(separator: "\n")[...]))
    }

    private func isHeading(_ line: Substring) -> Bool {
        let level = line.prefix { $0 == "#" }.count
        return (1...6).contains(level) && line.dropFirst(level).first == " "
    }
}

/// A fence of three or more marks, with its language.
private struct Fence {
    let mark: Character
    let length: Int
    let language: String

    init?(_ line: Substring) {
        guard let mark = line.first, mark == "`" || mark == "~" else { return nil }
        let length = line.prefix { $0 == mark }.count
        let rest = line.dropFirst(length)
        guard length >= 3, !rest.contains(mark) else { return nil }
        (self.mark, self.length) = (mark, length)
        language = rest.trimmed.split(separator: " ").first.map(String.init) ?? ""
    }

    func isClosed(by line: Substring) -> Bool {
        line.count >= length && line.allSatisfy { $0 == mark }
    }
}

/// Parses inline styles, code and links.
private enum Inline {
    static func runs(of text: some StringProtocol) -> [InlineRun] {
        join(parse(Array(String(text)), style: []))
    }

    private static let marks: [(mark: [Character], style: InlineRun.Style)] = [
        (Array("***"), [.bold, .italic]), (Array("**"), .bold), (Array("__"), .bold), (Array("~~"), .struck),
        (Array("*"), .italic), (Array("_"), .italic),
    ]

    private static func parse(_ text: [Character], style: InlineRun.Style) -> [InlineRun] {
        var runs: [InlineRun] = []
        var index = 0
        while index < text.count {
            let character = text[index]
            if character == "\\", index + 1 < text.count, text[index + 1].isPunctuation || text[index + 1].isSymbol {
                runs.append(InlineRun(text: String(text[index + 1]), style: style))
                index += 2
            } else if character == "`", let end = codeEnd(text, from: index) {
                let ticks = text[index...].prefix { $0 == "`" }.count
                let body = String(text[(index + ticks)..<end])
                runs.append(InlineRun(text: body, style: style.union(.code)))
                index = end + ticks
            } else if character == "[", let link = link(text, from: index) {
                runs += parse(link.label, style: style).map {
                    InlineRun(text: $0.text, style: $0.style, link: link.address)
                }
                index = link.end
            } else if let span = span(text, from: index) {
                runs += parse(span.body, style: style.union(span.style))
                index = span.end
            } else {
                runs.append(InlineRun(text: String(character), style: style))
                index += 1
            }
        }
        return runs
    }

    /// Returns the start of the run of ticks that closes the one at `start`.
    private static func codeEnd(_ text: [Character], from start: Int) -> Int? {
        let ticks = text[start...].prefix { $0 == "`" }.count
        var index = start + ticks
        while index < text.count {
            let here = text[index...].prefix { $0 == "`" }.count
            if here == ticks { return index > start + ticks ? index : nil }
            index += max(1, here)
        }
        return nil
    }

    private static func link(_ text: [Character], from start: Int) -> (label: [Character], address: String, end: Int)? {
        guard let close = text[start...].firstIndex(of: "]"), close + 1 < text.count, text[close + 1] == "(",
            let end = text[(close + 1)...].firstIndex(of: ")")
        else { return nil }
        let address = String(text[(close + 2)..<end])
        // Web pages only: a model's text must not open another app.
        guard address.hasPrefix("https://") || address.hasPrefix("http://") else { return nil }
        return (Array(text[(start + 1)..<close]), address, end + 1)
    }

    private static func span(
        _ text: [Character], from start: Int
    ) -> (body: [Character], style: InlineRun.Style, end: Int)? {
        for (mark, style) in marks where text[start...].starts(with: mark) {
            let open = start + mark.count
            guard open < text.count, !text[open].isWhitespace else { continue }
            // Inside a word, `_` is a letter: `snake_case`.
            if mark[0] == "_", start > 0, text[start - 1].isLetter || text[start - 1].isNumber { continue }
            var index = open + 1
            while index + mark.count <= text.count {
                let closes = text[index...].starts(with: mark) && !text[index - 1].isWhitespace
                let isLonger = closes && mark.count == 1 && isDoubled(text, at: index, mark[0])
                let after = index + mark.count
                let endsInWord = mark[0] == "_" && after < text.count && (text[after].isLetter || text[after].isNumber)
                if closes, !isLonger, !endsInWord { return (Array(text[open..<index]), style, after) }
                index += isLonger ? 2 : 1
            }
        }
        return nil
    }

    private static func isDoubled(_ text: [Character], at index: Int, _ mark: Character) -> Bool {
        index + 1 < text.count && text[index + 1] == mark
    }

    private static func join(_ runs: [InlineRun]) -> [InlineRun] {
        runs.reduce(into: []) { joined, run in
            if let last = joined.last, last.style == run.style, last.link == run.link {
                joined[joined.count - 1].text += run.text
            } else {
                joined.append(run)
            }
        }
    }
}

extension StringProtocol {
    fileprivate var trimmed: Substring {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
