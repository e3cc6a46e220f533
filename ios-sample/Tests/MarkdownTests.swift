import Testing

@testable import NearsideSample

struct MarkdownTests {
    private func blocks(_ text: String) -> [MarkdownBlock] { Markdown(text).blocks }

    @Test func aParagraphRunsUpToAnEmptyLine() {
        #expect(
            blocks("one\ntwo\n\nthree") == [
                .paragraph([InlineRun(text: "one\ntwo")]), .paragraph([InlineRun(text: "three")]),
            ])
    }

    @Test func headingsHaveTheirLevel() {
        #expect(blocks("## Two") == [.heading(level: 2, [InlineRun(text: "Two")])])
        #expect(blocks("#hash") == [.paragraph([InlineRun(text: "#hash")])])
    }

    @Test func stylesNestAndUnpairedMarksStay() {
        #expect(
            blocks("a **b *c* d** e") == [
                .paragraph([
                    InlineRun(text: "a "), InlineRun(text: "b ", style: .bold),
                    InlineRun(text: "c", style: [.bold, .italic]), InlineRun(text: " d", style: .bold),
                    InlineRun(text: " e"),
                ])
            ])
        #expect(blocks("2 * 3 * 4 and **half") == [.paragraph([InlineRun(text: "2 * 3 * 4 and **half")])])
        #expect(blocks("snake_case_name") == [.paragraph([InlineRun(text: "snake_case_name")])])
        #expect(blocks(#"\*not\*"#) == [.paragraph([InlineRun(text: "*not*")])])
    }

    @Test func codeInsideALineKeepsItsMarks() {
        #expect(
            blocks("use `a ** b`.") == [
                .paragraph([
                    InlineRun(text: "use "), InlineRun(text: "a ** b", style: .code), InlineRun(text: "."),
                ])
            ])
    }

    @Test func onlyPagesAreLinks() {
        #expect(
            blocks("[here](https://example.org)") == [
                .paragraph([InlineRun(text: "here", link: "https://example.org")])
            ])
        #expect(blocks("[x](tel:112)") == [.paragraph([InlineRun(text: "[x](tel:112)")])])
    }

    @Test func listsKnowTheirDepthAndTheirNumbers() {
        #expect(
            blocks("- a\n  - b\n1. c\n\n2) d") == [
                .list([
                    ListItem(depth: 0, marker: "•", runs: [InlineRun(text: "a")]),
                    ListItem(depth: 1, marker: "•", runs: [InlineRun(text: "b")]),
                    ListItem(depth: 0, marker: "1.", runs: [InlineRun(text: "c")]),
                    ListItem(depth: 0, marker: "2.", runs: [InlineRun(text: "d")]),
                ])
            ])
    }

    @Test func aTableHasAsManyCellsInEachRowAsInItsHead() {
        #expect(
            blocks("| a | b |\n|---|:-:|\n| 1 |") == [
                .table(
                    header: [[InlineRun(text: "a")], [InlineRun(text: "b")]], rows: [[[InlineRun(text: "1")], []]])
            ])
    }

    @Test func quotesAndRules() {
        #expect(blocks("> a\n> b\n---") == [.quote([InlineRun(text: "a\nb")]), .rule])
    }

    @Test func aClosedFenceIsCodeAndNothingInItIsMarkdown() {
        #expect(
            blocks("x\n```swift\nlet **a** = 1\n\n# no\n```\ny") == [
                .paragraph([InlineRun(text: "x")]),
                .code(language: "swift", text: "let **a** = 1\n\n# no", isClosed: true),
                .paragraph([InlineRun(text: "y")]),
            ])
    }

    @Test func aFenceThatIsStillOpenIsCodeAlready() {
        #expect(blocks("```py\nprint(1)") == [.code(language: "py", text: "print(1)", isClosed: false)])
        #expect(blocks("```") == [.code(language: "", text: "", isClosed: false)])
        #expect(blocks("```py\nprint(1)\n``") == [.code(language: "py", text: "print(1)", isClosed: false)])
    }

    @Test func aFenceInALongerFenceIsText() {
        #expect(
            blocks("````\n```\na\n```\n````") == [.code(language: "", text: "```\na\n```", isClosed: true)])
    }

    @Test func aMarkThatCouldOpenDoesNotCloseHalfOfALongerOne() {
        #expect(blocks("**a*b**") == [.paragraph([InlineRun(text: "a*b", style: .bold)])])
        #expect(blocks("***a***") == [.paragraph([InlineRun(text: "a", style: [.bold, .italic])])])
        #expect(
            blocks("**one\ntwo**") == [.paragraph([InlineRun(text: "one\ntwo", style: .bold)])],
            "lines of one paragraph")
    }

    @Test func ticksWithoutAPartnerAreTextAndStylesBehindThemRemain() {
        #expect(
            blocks("`a *b* ``c``\nd`") == [
                .paragraph([
                    InlineRun(text: "`a "), InlineRun(text: "b", style: .italic), InlineRun(text: " "),
                    InlineRun(text: "c", style: .code), InlineRun(text: "\nd`"),
                ])
            ])
        #expect(blocks("`` `a` ``") == [.paragraph([InlineRun(text: "`a`", style: .code)])])
    }

    @Test func addressesHaveParenthesesAndTitles() {
        #expect(
            blocks("[a](https://e.org/x_(y) \"t\") [b](https://e.org") == [
                .paragraph([
                    InlineRun(text: "a", link: "https://e.org/x_(y)"), InlineRun(text: " [b](https://e.org"),
                ])
            ])
    }

    @Test func aTableFollowsAParagraphAndItsRowsNeedNoBarInFront() {
        #expect(
            blocks("Sizes:\n| a | b |\n|---|---|\nx \\| y | 2\nafter") == [
                .paragraph([InlineRun(text: "Sizes:")]),
                .table(
                    header: [[InlineRun(text: "a")], [InlineRun(text: "b")]],
                    rows: [[[InlineRun(text: "x | y")], [InlineRun(text: "2")]]]),
                .paragraph([InlineRun(text: "after")]),
            ])
        #expect(blocks("a | b\n---x") == [.paragraph([InlineRun(text: "a | b\n---x")])])
    }

    @Test func dashesBelowATextAreARuleAndEqualSignsAreText() {
        #expect(
            blocks("one\n---\ntwo\n===") == [
                .paragraph([InlineRun(text: "one")]), .rule, .paragraph([InlineRun(text: "two\n===")]),
            ])
    }

    @Test func linesMayEndInCRLF() {
        let text = "# a\n\nb\nc\n\n- d\n\n```\ne\n\nf\n```\n\n| g |h\n|---|---|\n| i |j"
        #expect(blocks(text.replacingOccurrences(of: "\n", with: "\r\n")) == blocks(text))
        #expect(blocks(text.replacingOccurrences(of: "\n", with: "\r")) == blocks(text))
    }

    @Test func codeInAListIsIndentedAsItsFence() {
        #expect(
            blocks("1. a\n   ```\n   let b\n     c\n   ```\n2. d") == [
                .list([ListItem(depth: 0, marker: "1.", runs: [InlineRun(text: "a")])]),
                .code(language: "", text: "let b\n  c", isClosed: true),
                .list([ListItem(depth: 0, marker: "2.", runs: [InlineRun(text: "d")])]),
            ])
    }
}
