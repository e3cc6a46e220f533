// Parses the inline Markdown of one block, scalar by scalar: styles, code and links.
//
// A mark without its partner is text until the partner arrives; then the runs between the two get their style. Only the
// latest `maxWaiting` marks wait. Code is undecided up to its closing ticks or the end of its line, and is parsed
// as text if they do not come. Therefore each scalar is read a few times at most, whatever the text.

struct InlineParser: Sendable {
    /// A mark that waits for its partner; meanwhile `runs[run]` is its text.
    private struct Mark: Sendable {
        let scalar: Unicode.Scalar
        /// Length as written, and the rest that is not used yet.
        let length: Int
        var count: Int
        /// Whether it could close as well as open.
        let isBoth: Bool
        let run: Int
    }

    /// The end of the text so far, if its meaning depends on what follows.
    private enum Hold: Sendable {
        case none, escape
        case marks(Unicode.Scalar, Int)
        case ticks(Int)
        /// Text behind opening ticks, which ends in `closing` ticks; it is in `held`.
        case code(ticks: Int, closing: Int)
        /// A bracket that closes.
        case bracket
        /// The address of a link; it is in `held`.
        case address(depth: Int)
    }

    private struct LineStart: Sendable {
        let runs: Int
        let waiting: [Mark]
    }

    private static let maxWaiting = 32
    private static let maxAddressBytes = 2_048

    private(set) var runs: [InlineRun] = []
    /// Scalars and runs that were read.
    private(set) var work = 0
    private var waiting: [Mark] = []
    private var hold = Hold.none
    private var held = ""
    /// White space that is dropped at the end of a line.
    private var space = ""
    private var isAtLineStart = true
    private var previous: Unicode.Scalar = " "
    /// `nil` once a mark of this line closed one of an earlier line.
    private var lineStart: LineStart? = LineStart(runs: 0, waiting: [])
    /// While a line is read again: how many runs of ticks follow, by their length.
    private var ticksAhead: [Int: Int]?

    mutating func append(_ scalar: Unicode.Scalar) {
        work += 1
        switch hold {
        case .none: read(scalar)
        case .escape:
            hold = .none
            if scalar.isMark { return write(scalar) }
            write("\\")
            append(scalar)
        case .marks(let mark, let count):
            if scalar == mark {
                hold = .marks(mark, count + 1)
            } else {
                hold = .none
                place(mark, count, before: scalar)
                append(scalar)
            }
        case .ticks(let count):
            if scalar == "`" {
                hold = .ticks(count + 1)
            } else {
                beginCode(count)
                append(scalar)
            }
        case .code(let ticks, let closing):
            if scalar != "`", closing == ticks {
                endCode(ticks)
                append(scalar)
            } else {
                hold = .code(ticks: ticks, closing: scalar == "`" ? closing + 1 : 0)
                held.unicodeScalars.append(scalar)
            }
        case .bracket:
            if scalar == "(" {
                (hold, held) = (.address(depth: 0), "")
            } else {
                writeBracket()
                append(scalar)
            }
        case .address(let depth): readAddress(scalar, depth)
        }
    }

    /// Begins another line of the same block.
    mutating func breakLine(_ separator: String) {
        settle()
        space = isAtLineStart ? space + separator : separator
        if runs.isEmpty { space = "" }
        (isAtLineStart, previous) = (true, " ")
        lineStart = LineStart(runs: runs.count, waiting: waiting)
    }

    /// Decides what depends on the rest of the line. For a line that only is shown before its end, text that may become
    /// code is not parsed: to parse it for each update would not be linear.
    mutating func settle(isShown: Bool = false) {
        while true {
            switch hold {
            case .none: return
            case .escape:
                hold = .none
                write("\\")
            case .marks(let mark, let count):
                hold = .none
                place(mark, count, before: " ")
            case .ticks(let count):
                hold = .none
                write("`", count)
            case .code(let ticks, let closing):
                if closing == ticks { endCode(ticks) } else { writeCode(ticks, isShown: isShown) }
            case .bracket: writeBracket()
            case .address: writeAddress()
            }
        }
    }

    /// Ends the block: joins adjacent runs of the same style.
    mutating func finish() {
        settle()
        runs = Self.join(runs)
        work += runs.count
    }

    // MARK: The line

    /// Whether the line can be taken back: no mark in it closed one of an earlier line.
    var canDropLine: Bool { lineStart != nil }

    /// Takes the whole last line back.
    mutating func dropLine() {
        guard let start = lineStart else { return }
        runs.removeSubrange(start.runs...)
        (waiting, hold, space) = (start.waiting, .none, "")
    }

    // MARK: Reading

    private mutating func read(_ scalar: Unicode.Scalar) {
        if scalar.isSpace {
            if !isAtLineStart { space.unicodeScalars.append(scalar) }
            previous = " "
            return
        }
        isAtLineStart = false
        switch scalar {
        case "\\": hold = .escape
        case "*", "_", "~": hold = .marks(scalar, 1)
        case "`": hold = .ticks(1)
        case "[": open("[", 1, isBoth: false)
        case "]" where waiting.contains { $0.scalar == "[" }: hold = .bracket
        default: write(scalar)
        }
    }

    /// Places a run of marks: first closes what it can, then opens.
    private mutating func place(_ mark: Unicode.Scalar, _ length: Int, before next: Unicode.Scalar) {
        // Inside a word `_` is a letter: `snake_case`.
        let opens = !next.isSpace && !(mark == "_" && previous.isWord)
        let closes = !previous.isSpace && !(mark == "_" && next.isWord)
        guard mark != "~" || length == 2 else { return write(mark, length) }
        var rest = length
        while closes, rest > 0, let index = partner(of: mark, length, isBoth: opens) {
            let isDouble = waiting[index].count > 1 && rest > 1
            rest -= isDouble ? 2 : 1
            if mark == "~" { rest = 0 }
            style(from: index, mark == "~" ? .struck : isDouble ? .bold : .italic, isDouble ? 2 : 1)
        }
        guard rest > 0 else {
            previous = mark
            return
        }
        if opens { open(mark, rest, isBoth: closes) } else { write(mark, rest) }
    }

    /// Returns the latest mark that this one closes. As in CommonMark, a mark that could open as well does not close
    /// half of a longer one: in `**a*b**` the middle mark is text.
    private func partner(of mark: Unicode.Scalar, _ length: Int, isBoth: Bool) -> Int? {
        waiting.lastIndex { other in
            guard other.scalar == mark else { return false }
            let sum = other.length + length
            return !(isBoth || other.isBoth) || sum % 3 != 0 || (other.length % 3 == 0 && length % 3 == 0)
        }
    }

    private mutating func open(_ mark: Unicode.Scalar, _ count: Int, isBoth: Bool) {
        flushSpace()
        waiting.append(Mark(scalar: mark, length: count, count: count, isBoth: isBoth, run: runs.count))
        runs.append(InlineRun(text: String(repeating: Character(mark), count: count)))
        if waiting.count > Self.maxWaiting { waiting.removeFirst() }
        previous = mark
    }

    /// Gives a style to all runs behind a waiting mark, which gives up `used` of its scalars.
    private mutating func style(from index: Int, _ style: InlineRun.Style, _ used: Int) {
        flushSpace()
        var mark = waiting[index]
        mark.count -= used
        waiting.removeSubrange(index...)
        let inner = runs[(mark.run + 1)...].map {
            InlineRun(text: $0.text, style: $0.style.union(style), link: $0.link)
        }
        replace(from: mark.run, with: inner)
        guard mark.count > 0 else { return }
        runs.insert(InlineRun(text: String(repeating: Character(mark.scalar), count: mark.count)), at: mark.run)
        waiting.append(mark)
    }

    /// Replaces a mark and all behind it.
    private mutating func replace(from first: Int, with inner: [InlineRun]) {
        work += inner.count
        if first < lineStart?.runs ?? 0 { lineStart = nil }
        runs.replaceSubrange(first..., with: Self.join(inner))
    }

    // MARK: Code

    private mutating func beginCode(_ ticks: Int) {
        if let ticksAhead, ticksAhead[ticks, default: 0] == 0 {
            hold = .none
            write("`", ticks)
        } else {
            (hold, held) = (.code(ticks: ticks, closing: 0), "")
        }
    }

    private mutating func endCode(_ ticks: Int) {
        var body = Substring(held).dropLast(ticks)
        // The spaces of `` ` `` separate ticks only.
        if body.hasPrefix(" "), body.hasSuffix(" "), body.contains(where: { $0 != " " }) {
            body = body.dropFirst().dropLast()
        }
        (hold, held) = (.none, "")
        flushSpace()
        runs.append(InlineRun(text: String(body), style: .code))
        previous = "`"
    }

    /// Writes opening ticks as text, and reads what follows them again: no closing ticks came.
    private mutating func writeCode(_ ticks: Int, isShown: Bool) {
        let text = held
        (hold, held) = (.none, "")
        write("`", ticks)
        if isShown { return write(text) }
        let runs = text.unicodeScalars.split { $0 != "`" }
        ticksAhead = Dictionary(grouping: runs, by: \.count).mapValues(\.count)
        for index in text.unicodeScalars.indices {
            // A run of ticks is behind once its first tick was read.
            if let run = runs.isEmpty ? nil : tickRun(at: index, in: text) { ticksAhead?[run, default: 0] -= 1 }
            append(text.unicodeScalars[index])
        }
        ticksAhead = nil
    }

    /// Returns the length of the run of ticks that starts here.
    private func tickRun(at index: String.Index, in text: String) -> Int? {
        let scalars = text.unicodeScalars
        guard scalars[index] == "`", index == scalars.startIndex || scalars[scalars.index(before: index)] != "`" else {
            return nil
        }
        return scalars[index...].prefix { $0 == "`" }.count
    }

    // MARK: Links

    private mutating func readAddress(_ scalar: Unicode.Scalar, _ depth: Int) {
        if scalar == ")", depth == 0 {
            guard held.isWebAddress else {
                writeAddress()
                return append(scalar)
            }
            return endLink()
        }
        // Web pages only: a model's text must not open another app.
        let isPossible = held.isWebAddress || "https://".hasPrefix(held) || "http://".hasPrefix(held)
        guard isPossible, !"[]`".unicodeScalars.contains(scalar), held.utf8.count < Self.maxAddressBytes else {
            writeAddress()
            return append(scalar)
        }
        held.unicodeScalars.append(scalar)
        hold = .address(depth: depth + (scalar == "(" ? 1 : scalar == ")" ? -1 : 0))
    }

    private mutating func endLink() {
        // A title may follow the address.
        let address = String(held.prefix { !$0.isWhitespace })
        (hold, held) = (.none, "")
        guard let index = waiting.lastIndex(where: { $0.scalar == "[" }) else { return }
        flushSpace()
        let first = waiting[index].run
        waiting.removeSubrange(index...)
        var inner = runs[(first + 1)...].map { InlineRun(text: $0.text, style: $0.style, link: $0.link ?? address) }
        if inner.isEmpty { inner = [InlineRun(text: address, link: address)] }
        replace(from: first, with: inner)
        previous = ")"
    }

    /// Writes a closing bracket as text, and so the opening one.
    private mutating func writeBracket() {
        hold = .none
        if let index = waiting.lastIndex(where: { $0.scalar == "[" }) { waiting.remove(at: index) }
        write("]")
    }

    /// Reads an address again as text.
    private mutating func writeAddress() {
        let text = held
        held = ""
        writeBracket()
        for scalar in ("(" + text).unicodeScalars { append(scalar) }
    }

    // MARK: Writing

    private mutating func write(_ scalar: Unicode.Scalar, _ count: Int = 1) {
        write(String(repeating: String(scalar), count: count))
        previous = scalar
    }

    private mutating func write(_ text: String) {
        flushSpace()
        add(text)
    }

    private mutating func flushSpace() {
        guard !space.isEmpty else { return }
        add(space)
        space = ""
    }

    /// Appends text to the last run if that is plain text of this line, and no waiting mark.
    private mutating func add(_ text: String) {
        let last = runs.count - 1
        if last >= lineStart?.runs ?? 0, runs[last].style.isEmpty, runs[last].link == nil, waiting.last?.run != last {
            runs[last].text += text
        } else {
            runs.append(InlineRun(text: text))
        }
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

extension String {
    fileprivate var isWebAddress: Bool { hasPrefix("https://") || hasPrefix("http://") }
}

extension Unicode.Scalar {
    fileprivate var isSpace: Bool { isASCII ? self == " " || self == "\t" : properties.isWhitespace }

    fileprivate var isWord: Bool { properties.isAlphabetic || properties.numericType != nil }

    /// Whether a backslash before it is not shown.
    fileprivate var isMark: Bool { isASCII && value > 32 && value < 127 && !isWord }
}
