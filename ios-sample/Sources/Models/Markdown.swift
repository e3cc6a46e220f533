// The Markdown of language models as blocks: headings, paragraphs, lists, quotes, tables, code and rules, with bold,
// italic, struck-through text, code and links inside.
//
// `Markdown` parses a whole text, `MarkdownStream` one that grows. Both use the same parser, which reads each scalar
// once; therefore a text has the same blocks however it arrived. Parsing never fails: anything else is a paragraph.

import Foundation

/// The blocks of a whole text.
struct Markdown: Equatable, Sendable {
    let blocks: [MarkdownBlock]

    init(_ text: String) {
        var parser = MarkdownParser()
        parser.append(text)
        parser.finish()
        blocks = parser.blocks
    }
}

/// The blocks of a text that grows.
///
/// A block keeps its index while text is appended, and only the last one or two blocks change: the earlier ones are
/// parsed once, and share their storage with the blocks before the update. The work is linear in the length of the
/// text: `work` counts it.
struct MarkdownStream: Sendable {
    private var parser = MarkdownParser()
    private(set) var text = ""
    private(set) var blocks: [MarkdownBlock] = []
    /// Scalars and runs that were read so far, also those that were read again.
    private(set) var work = 0

    /// Continues with a longer text, or starts again with another one.
    mutating func update(to new: String) {
        let (old, whole) = (text.utf8.count, new.utf8.count)
        if old == whole, text.isSame(as: new, bytes: old) { return }
        if whole < old || !text.isSame(as: new, bytes: old) {
            self = MarkdownStream()
            return update(to: new)
        }
        let added = new[new.utf8.index(new.startIndex, offsetBy: old)...]
        parser.append(added)
        text += added
        // The end of the text is only assumed: the next update continues from the state before it.
        var end = parser
        end.showEnd()
        blocks = end.blocks
        work += end.work - parser.work
    }

    /// The blocks as `Markdown` has them: adjacent runs of one style are joined.
    var whole: [MarkdownBlock] {
        var end = parser
        end.finish()
        return end.blocks
    }

    /// Work of the parser and of all updates.
    var totalWork: Int { work + parser.work }
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

extension String {
    /// Returns whether both texts begin with the same bytes. Not `hasPrefix`: that compares characters, and the last
    /// one can change while a text grows.
    fileprivate func isSame(as other: String, bytes: Int) -> Bool {
        if bytes == 0 { return true }
        let same = utf8.withContiguousStorageIfAvailable { mine in
            other.utf8.withContiguousStorageIfAvailable { memcmp(mine.baseAddress!, $0.baseAddress!, bytes) == 0 }
        }
        return (same ?? nil) ?? utf8.prefix(bytes).elementsEqual(other.utf8.prefix(bytes))
    }
}
