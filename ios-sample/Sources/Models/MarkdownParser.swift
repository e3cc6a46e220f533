// Parses Markdown into blocks, scalar by scalar. `blocks` has those that are complete; the last one is still open.
//
// The meaning of a line shows in its first scalars; the few that are undecided are in `leadText`. Text goes on to
// `InlineParser`. Three lines are decided later, each once: a fence whose info has another tick, the head of a table
// (by the line below it), and a row of a table without a bar at its start.

import Foundation

struct MarkdownParser: Sendable {
    private enum Kind: Equatable {
        case none, paragraph
        case heading(Int)
        case list, quote, table, code
    }

    /// What the line is so far.
    private enum Line {
        case indent
        case hashes(Int)
        case fence(Unicode.Scalar, Int)
        case fenceInfo(Unicode.Scalar, Int)
        /// A rule, or the mark of an item.
        case rule(Unicode.Scalar, Int)
        case bullet
        case number(Int)
        /// Behind the dot of a number.
        case numberEnd
        /// The line below the head of a table.
        case separator(hasBar: Bool, hasDash: Bool)
        case content
        case row
        /// A line of code that may be its closing fence.
        case codeStart(marks: Int, isOver: Bool)
        case code
    }

    private static let maxRuleLength = 256
    private static let maxLanguageLength = 64

    private(set) var blocks: [MarkdownBlock] = []
    private var kind = Kind.none
    private var line = Line.indent
    private var indent = 0
    private var leadText = ""
    private var skipsLineFeed = false
    /// The text ends here only for now; then runs are not joined.
    private var isShown = false

    /// Text of a paragraph, heading, quote, or of the last item.
    private var inline = InlineParser()
    private var finishedWork = 0
    /// The last line of a paragraph, which may be the head or a row of a table.
    private var lineText = ""
    private var hasBar = false
    private var isRowCandidate = false

    private var items: [ListItem] = []
    private var depth = 0
    private var marker = ""
    /// An empty line followed the last item.
    private var isLoose = false

    private var head: [[InlineRun]] = []
    private var rows: [[[InlineRun]]] = []
    private var row = RowParser(limit: 0)

    private var fence: (mark: Unicode.Scalar, length: Int, indent: Int) = ("`", 3, 0)
    private var language = ""
    private var code = ""
    /// Line feeds that are written before the next line of code.
    private var lineFeeds = 0

    /// Scalars and runs that were read.
    var work: Int { finishedWork + inline.work + row.work }

    mutating func append(_ text: some StringProtocol) {
        for scalar in text.unicodeScalars {
            finishedWork += 1
            if scalar == "\n" || scalar == "\r" {
                // CR LF is one line end, also if it is split.
                if scalar == "\r" || !skipsLineFeed { breakLine() }
                skipsLineFeed = scalar == "\r"
            } else {
                skipsLineFeed = false
                read(scalar)
            }
        }
    }

    /// Ends the text.
    mutating func finish() {
        endLine(isEnd: true)
        closeBlock()
    }

    /// Ends the text for now, at a cost that does not grow with the length of its last line.
    mutating func showEnd() {
        isShown = true
        finish()
    }

    private mutating func breakLine() {
        endLine(isEnd: false)
        line = kind == .code ? .codeStart(marks: 0, isOver: false) : .indent
        (indent, leadText) = (0, "")
    }

    // MARK: The beginning of a line

    private mutating func read(_ scalar: Unicode.Scalar) {
        switch line {
        case .indent:
            switch scalar {
            case " ": indent += 1
            case "\t": indent += 4
            default: begin(scalar, mayBeSeparator: true)
            }
        case .hashes(let count):
            if scalar == "#", count < 6 {
                advance(.hashes(count + 1), scalar)
            } else if scalar == " " {
                beginBlock(.heading(count))
            } else {
                decideText(scalar)
            }
        case .fence(let mark, let count):
            if scalar == mark {
                advance(.fence(mark, count + 1), scalar)
            } else if count >= 3 {
                advance(.fenceInfo(mark, count), scalar)
            } else {
                decideText(scalar)
            }
        case .fenceInfo(let mark, let count):
            if scalar == mark { decideText(scalar) } else { advance(.fenceInfo(mark, count), scalar) }
        case .rule(let mark, let count):
            if scalar == mark || scalar == " ", leadText.utf8.count < Self.maxRuleLength {
                advance(.rule(mark, scalar == mark ? count + 1 : count), scalar)
            } else {
                decideMark(mark)
                read(scalar)
            }
        case .bullet:
            if scalar == " " { beginItem("•", "") } else { decideText(scalar) }
        case .number(let digits):
            switch scalar {
            case "0"..."9" where digits < 4: advance(.number(digits + 1), scalar)
            case ".", ")": advance(.numberEnd, scalar)
            default: decideText(scalar)
            }
        case .numberEnd:
            if scalar == " " { beginItem(leadText.dropLast() + ".", "") } else { decideText(scalar) }
        case .separator(let hasBar, let hasDash):
            if "|-: ".unicodeScalars.contains(scalar), leadText.utf8.count < Self.maxRuleLength {
                advance(.separator(hasBar: hasBar || scalar == "|", hasDash: hasDash || scalar == "-"), scalar)
            } else {
                giveUpSeparator()
                read(scalar)
            }
        case .content: readContent(scalar)
        case .row: row.append(scalar)
        case .codeStart(let marks, let isOver): readCodeStart(scalar, marks, isOver)
        case .code: code.unicodeScalars.append(scalar)
        }
    }

    private mutating func begin(_ scalar: Unicode.Scalar, mayBeSeparator: Bool) {
        if mayBeSeparator, kind == .paragraph, hasBar, inline.canDropLine, "|-:".unicodeScalars.contains(scalar) {
            return advance(.separator(hasBar: scalar == "|", hasDash: scalar == "-"), scalar)
        }
        if kind == .table, scalar == "|" {
            beginRow()
            return row.append(scalar)
        }
        switch scalar {
        case "#": advance(.hashes(1), scalar)
        case "`", "~": advance(.fence(scalar, 1), scalar)
        case "-", "*", "_": advance(.rule(scalar, 1), scalar)
        case "+", "•": advance(.bullet, scalar)
        case "0"..."9": advance(.number(1), scalar)
        case ">":
            if kind == .quote { inline.breakLine("\n") } else { beginBlock(.quote) }
            line = .content
        default: decideText(scalar)
        }
    }

    private mutating func advance(_ next: Line, _ scalar: Unicode.Scalar) {
        line = next
        leadText.unicodeScalars.append(scalar)
    }

    /// The line is text after all.
    private mutating func decideText(_ scalar: Unicode.Scalar? = nil) {
        switch kind {
        case .paragraph: inline.breakLine("\n")
        case .list where indent > 0 && !isLoose: inline.breakLine(" ")
        default:
            let isBelowTable = kind == .table
            beginBlock(.paragraph)
            isRowCandidate = isBelowTable
        }
        (line, lineText, hasBar) = (.content, "", false)
        let text = leadText
        leadText = ""
        // Not `readContent`: this may turn out to be a row.
        for scalar in text.unicodeScalars { read(scalar) }
        if let scalar { read(scalar) }
    }

    /// Decides a line that is no rule: an item or text.
    private mutating func decideMark(_ mark: Unicode.Scalar) {
        let rest = leadText.dropFirst()
        if mark != "_", rest.first == " " { beginItem("•", rest.dropFirst()) } else { decideText() }
    }

    private mutating func giveUpSeparator() {
        let text = leadText
        (line, leadText) = (.indent, "")
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if index == 0 { begin(scalar, mayBeSeparator: false) } else { read(scalar) }
        }
    }

    // MARK: Text

    private mutating func readContent(_ scalar: Unicode.Scalar) {
        if kind == .paragraph {
            if scalar == "|", lineText.unicodeScalars.last != "\\" {
                if isRowCandidate { return reopenTable() }
                hasBar = true
            }
            lineText.unicodeScalars.append(scalar)
        }
        inline.append(scalar)
    }

    private mutating func beginBlock(_ kind: Kind) {
        closeBlock()
        self.kind = kind
        line = .content
    }

    private mutating func beginItem(_ marker: String, _ rest: Substring) {
        if kind == .list {
            endItem()
        } else {
            beginBlock(.list)
            items = []
        }
        (self.marker, depth, isLoose, line) = (marker, min(indent / 2, 4), false, .content)
        for scalar in rest.unicodeScalars { inline.append(scalar) }
    }

    private mutating func endItem() {
        items.append(ListItem(depth: depth, marker: marker, runs: takeRuns()))
    }

    /// Ends the inline text and returns it.
    private mutating func takeRuns() -> [InlineRun] {
        if isShown { inline.settle(isShown: true) } else { inline.finish() }
        defer { inline = InlineParser() }
        finishedWork += inline.work
        return inline.runs
    }

    // MARK: Tables

    private mutating func beginTable() {
        inline.dropLine()
        closeBlock()
        var head = RowParser(limit: .max)
        for scalar in lineText.unicodeScalars { head.append(scalar) }
        self.head = head.end(isShown: isShown)
        finishedWork += head.work
        (kind, rows) = (.table, [])
    }

    private mutating func beginRow() {
        finishedWork += row.work
        row = RowParser(limit: head.count)
        line = .row
    }

    /// The line below a table has a bar: it is a row and no paragraph.
    private mutating func reopenTable() {
        guard case .table(let head, let rows)? = blocks.popLast() else { return }
        (kind, self.head, self.rows, isRowCandidate) = (.table, head, rows, false)
        finishedWork += inline.work
        inline = InlineParser()
        beginRow()
        for scalar in (lineText + "|").unicodeScalars { row.append(scalar) }
    }

    private mutating func endRow() {
        let cells = row.end(isShown: isShown).prefix(head.count)
        rows.append(cells + Array(repeating: [], count: head.count - cells.count))
    }

    // MARK: Code

    private mutating func beginCode(_ mark: Unicode.Scalar, _ length: Int) {
        let info = leadText.unicodeScalars.dropFirst(length).drop { $0 == " " }
        beginBlock(.code)
        fence = (mark, length, indent)
        (language, code, lineFeeds) = ("", "", 0)
        language.unicodeScalars.append(
            contentsOf: info.prefix { $0 != " " && $0 != "\t" }.prefix(Self.maxLanguageLength))
    }

    private mutating func readCodeStart(_ scalar: Unicode.Scalar, _ marks: Int, _ isOver: Bool) {
        switch scalar {
        case " ", "\t":
            // Code is indented as far as its fence.
            if marks == 0, scalar == " ", indent < fence.indent, leadText.isEmpty {
                indent += 1
                return
            }
            advance(.codeStart(marks: marks, isOver: marks > 0), scalar)
        case fence.mark where !isOver: advance(.codeStart(marks: marks + 1, isOver: false), scalar)
        default:
            writeCode(leadText)
            line = .code
            code.unicodeScalars.append(scalar)
        }
    }

    private mutating func writeCode(_ text: String) {
        code += String(repeating: "\n", count: lineFeeds) + text
        lineFeeds = 0
    }

    private mutating func endCodeLine(_ marks: Int) {
        if marks >= fence.length {
            blocks.append(.code(language: language, text: code, isClosed: true))
            kind = .none
        } else {
            if !leadText.isEmpty { writeCode(leadText) }
            lineFeeds += 1
        }
    }

    // MARK: Ends

    /// `isEnd`: the text ends, and not the line only.
    private mutating func endLine(isEnd: Bool) {
        switch line {
        case .indent:
            if kind == .list { isLoose = true } else { closeBlock() }
        case .hashes, .bullet, .number, .numberEnd: decideText()
        case .fence(let mark, let count), .fenceInfo(let mark, let count):
            if count >= 3 { beginCode(mark, count) } else { decideText() }
        case .rule(let mark, let count):
            if count >= 3 {
                closeBlock()
                blocks.append(.rule)
            } else {
                decideMark(mark)
            }
        case .separator(let hasBar, let hasDash):
            if hasBar, hasDash {
                beginTable()
            } else {
                giveUpSeparator()
                return endLine(isEnd: isEnd)
            }
        case .row: endRow()
        case .codeStart(let marks, _):
            // A partial closing fence is not code.
            if !isEnd || marks >= fence.length { endCodeLine(marks) }
        case .code:
            lineFeeds += 1
        case .content: break
        }
        isRowCandidate = false
        if case .heading = kind { closeBlock() } else { inline.settle(isShown: isShown) }
    }

    private mutating func closeBlock() {
        switch kind {
        case .none: break
        case .paragraph:
            let runs = takeRuns()
            if !runs.isEmpty { blocks.append(.paragraph(runs)) }
        case .heading(let level): blocks.append(.heading(level: level, takeRuns()))
        case .quote: blocks.append(.quote(takeRuns()))
        case .list:
            endItem()
            blocks.append(.list(items))
        case .table: blocks.append(.table(header: head, rows: rows))
        case .code: blocks.append(.code(language: language, text: code, isClosed: false))
        }
        (kind, items, rows, isLoose, hasBar) = (.none, [], [], false, false)
    }
}

/// Parses a row of a table. Bars separate its cells, except after a backslash.
private struct RowParser: Sendable {
    /// Cells beyond it are not read.
    let limit: Int
    private(set) var work = 0
    private var cells: [[InlineRun]] = []
    private var inline = InlineParser()
    private var isEmpty = true
    private var isEscaped = false
    private var hasBegun = false

    init(limit: Int) { self.limit = limit }

    mutating func append(_ scalar: Unicode.Scalar) {
        work += 1
        let isBar = scalar == "|" && !isEscaped
        isEscaped = scalar == "\\" && !isEscaped
        if isBar {
            // The bar before the first cell.
            if hasBegun { endCell() }
            hasBegun = true
        } else if cells.count < limit {
            if scalar != " ", scalar != "\t" { (hasBegun, isEmpty) = (true, false) }
            inline.append(scalar)
        }
    }

    mutating func end(isShown: Bool) -> [[InlineRun]] {
        if !isEmpty { endCell(isShown: isShown) }
        return cells
    }

    private mutating func endCell(isShown: Bool = false) {
        guard cells.count < limit else { return }
        if isShown { inline.settle(isShown: true) } else { inline.finish() }
        work += inline.work
        cells.append(inline.runs)
        (inline, isEmpty) = (InlineParser(), true)
    }
}
