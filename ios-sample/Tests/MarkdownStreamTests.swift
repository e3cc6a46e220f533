// Text that grows: the same blocks as those of the whole text, at every moment, and linear work.

import Testing

@testable import NearsideSample

struct MarkdownStreamTests {
    /// A generator with a seed, so that a failure can be repeated.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 33)
        }
    }

    private static let reference = """
        ## Steps

        1. Do **this** and `that`
           - nested *item*
             - deeper, which
               goes on
        2. See [here](https://example.org/a_(b))

        Setext?
        ---
        no
        ===
        ```swift
        let a = 1

        // # no
        ```
        Sizes:
        | a | b |
        |---|:-:|
        | 1 | `2` |
        x | y
        > quoted
        > **on two
        > lines**

        ~~gone~~ ***both*** snake_case \\*not\\* 🇷🇺 é
        ***
        ```
        open
        """

    /// Feeds a text in pieces of one to `longest` scalars, and calls `check` after each.
    private func stream(
        _ text: String, longest: Int, _ generator: inout Generator,
        _ check: (String, MarkdownStream) -> Void = { _, _ in }
    ) -> MarkdownStream {
        var stream = MarkdownStream()
        var now = ""
        var rest = text.unicodeScalars[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...longest, using: &generator))
            rest = rest.dropFirst(piece.count)
            now.unicodeScalars.append(contentsOf: piece)
            stream.update(to: now)
            check(now, stream)
        }
        return stream
    }

    @Test(arguments: ["\n", "\r\n"])
    func aTextHasTheSameBlocksHoweverItArrives(_ lineEnd: String) {
        var generator = Generator(state: 7)
        let text = Self.reference.replacingOccurrences(of: "\n", with: lineEnd)
        for longest in [1, 3, 9, 40] {
            let whole = stream(text, longest: longest, &generator) { now, stream in
                #expect(stream.whole == Markdown(now).blocks, "after \(now.debugDescription)")
            }
            #expect(whole.whole == Markdown(text).blocks)
        }
    }

    @Test func randomMarkdownHasTheSameBlocksHoweverItArrives() {
        let pieces = [
            "*", "**", "***", "_", "~~", "`", "``", "```", "~~~", "\n", "\n\n", "\r\n", "- ", "1. ", "  - ", "> ", "# ",
            "| a | b |\n|---|---|\n", "|", "---", "===", "[", "](", "](https://a.b/c)", "](http://x_y_z", "\\", "word",
            " ", "é", "e\u{301}", "🇷🇺", "snake_case", "\t", "```swift\n", "***\n", "a|b", "|:-:|",
        ]
        var generator = Generator(state: 42)
        for _ in 0..<1_500 {
            let text = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &generator)]
            }.joined()
            let stream = stream(text, longest: 6, &generator)
            #expect(stream.whole == Markdown(text).blocks, "\(text.debugDescription)")
        }
    }

    @Test func earlierBlocksStayAsTheyWere() {
        var generator = Generator(state: 3)
        var before: [MarkdownBlock] = []
        var code = ""
        _ = stream(Self.reference, longest: 4, &generator) { _, stream in
            let settled = max(0, before.count - 2)
            #expect(Array(stream.blocks.prefix(settled)) == Array(before.prefix(settled)))
            before = stream.blocks
            for case .code("swift", let now, _) in stream.blocks {
                #expect(now.hasPrefix(code), "code that was shown is taken back")
                code = now
            }
        }
        #expect(code == "let a = 1\n\n// # no")
    }

    @Test func anotherTextStartsAgain() {
        var stream = MarkdownStream()
        stream.update(to: "# one")
        stream.update(to: "two")
        #expect(stream.blocks == Markdown("two").blocks)
        stream.update(to: "six")
        #expect(stream.blocks == Markdown("six").blocks)
        stream.update(to: "")
        #expect(stream.blocks.isEmpty)
    }

    private static func repeated(_ text: String, _ before: String = "") -> String {
        before + String(String(repeating: text, count: 20_000 / text.count + 1).prefix(20_000))
    }

    private static let longTexts: [String] = [
        repeated("The sea is **wide** and `deep` and *old*, they say. "), repeated("let a = b[c] * d\n", "```\n"),
        repeated("a *b* ", "`"), repeated("**a "), repeated("*a b* _c "), repeated("- one **two** three\n"),
        repeated("| one | **two** |\n", "| a | b |\n|---|---|\n"), repeated("x"), repeated("-"), repeated("a|b\n"),
        repeated("[a](https://"), repeated("["), repeated("[a]("), repeated("`"), repeated("\\"), repeated(" "),
        repeated("Море **широкое** и `глубокое`. "), repeated("*a ") + repeated("a* "), repeated("> a\n"),
        (1...200).map { String(repeating: "`", count: $0) + "a" }.joined(),
        repeated("## Head\n\nWith **bold** text and a [link](https://example.org/a).\n\n- one\n- two\n\n"),
    ]

    @Test(arguments: longTexts.indices)
    func theWorkIsLinear(_ index: Int) {
        let text = Self.longTexts[index]
        var stream = MarkdownStream()
        var now = ""
        var rest = text.unicodeScalars[...]
        while !rest.isEmpty {
            now.unicodeScalars.append(contentsOf: rest.prefix(4))
            rest = rest.dropFirst(4)
            stream.update(to: now)
        }
        let length = text.unicodeScalars.count
        #expect(stream.totalWork <= 6 * length, "\(stream.totalWork) for \(length)")
        #expect(stream.whole == Markdown(text).blocks)
    }
}
