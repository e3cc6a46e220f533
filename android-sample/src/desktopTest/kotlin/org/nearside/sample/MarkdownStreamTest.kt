/*
 * Markdown that arrives in pieces: the same blocks as of the whole text, and work that grows with the length of the text.
 */
package org.nearside.sample

import kotlin.random.Random
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertSame
import kotlin.test.assertTrue

class MarkdownStreamTest {
    @Test
    fun `every division of a text has the blocks of the whole`() {
        val random = Random(seed = 20_261_130)
        repeat(400) { round ->
            val text = buildString { repeat(random.nextInt(1, 60)) { append(PIECES.random(random)) } }
            val whole = markdown(text)
            val stream = MarkdownStream()
            var start = 0
            while (start < text.length) {
                val end = minOf(text.length, start + random.nextInt(1, 9))
                stream.append(text.substring(start, end))
                if (random.nextBoolean()) stream.blocks
                if (random.nextInt(8) == 0) assertEquals(markdown(text.take(end)), stream.blocks, text.take(end))
                start = end
            }
            assertEquals(whole, stream.blocks, "round $round: $text")
        }
    }

    @Test
    fun `the work grows with the length of the text and not faster`() {
        for ((name, text) in LONG_TEXTS) {
            val stream = MarkdownStream()
            text.chunked(4).forEach {
                stream.append(it)
                stream.blocks
            }
            assertTrue(stream.scanned <= 4L * text.length, "$name: ${stream.scanned} of ${text.length}")
        }
    }

    @Test
    fun `a mark far from its partner is text and holds nothing back`() {
        for (mark in listOf("*", "**", "~~", "`", "[")) {
            val scanner = InlineScanner()
            scanner.append("$mark" + "word ".repeat(4_000))
            val before = scanner.scanned
            val runs = scanner.runs(mark)
            assertEquals(before, scanner.scanned)
            assertTrue(runs.none { it.bold || it.italic || it.struck || it.code }, mark)
        }
    }

    @Test
    fun `finished blocks keep their identity while the last one grows`() {
        val stream = MarkdownStream()
        stream.append("# Title\n\nfirst **bold**\n\n- one\n- two\n\nlast")
        val before = stream.blocks
        stream.append(" words")
        val after = stream.blocks
        assertEquals(4, before.size)
        before.dropLast(1).zip(after) { old, new -> assertSame(old, new) }
        assertEquals(MarkdownBlock.Paragraph(listOf(InlineRun("last words"))), after.last())
    }

    @Test
    fun `finished items and rows keep their identity`() {
        val stream = MarkdownStream()
        stream.append("- one\n- two")
        val first = assertIs<MarkdownBlock.Items>(stream.blocks.single()).items.first()
        stream.append(" and three")
        assertSame(first, assertIs<MarkdownBlock.Items>(stream.blocks.single()).items.first())
    }

    @Test
    fun `code that is closed later takes the marks inside`() {
        assertEquals(
            listOf(InlineRun("a "), InlineRun("*b* [c](https://d.e)", code = true), InlineRun(" f*")),
            paragraph("a `*b* [c](https://d.e)` f*"),
        )
        assertEquals(listOf(InlineRun("*a "), InlineRun("b* c", code = true)), paragraph("*a `b* c`"))
        assertEquals(listOf(InlineRun("a ` b", code = true)), paragraph("``a ` b``"))
        assertEquals(listOf(InlineRun("a\\*", code = true)), paragraph("`a\\*`"))
    }

    @Test
    fun `marks nest and a link keeps its label's style`() {
        assertEquals(
            listOf(
                InlineRun("a ", italic = true),
                InlineRun("b", bold = true, italic = true),
                InlineRun(" c", italic = true),
            ),
            paragraph("*a **b** c*"),
        )
        assertEquals(listOf(InlineRun("x", bold = true, italic = true)), paragraph("***x***"))
        assertEquals(
            listOf(InlineRun("see "), InlineRun("b", bold = true, link = "https://a.org/b_c_d")),
            paragraph("see [**b**](https://a.org/b_c_d)"),
        )
    }

    @Test
    fun `a line of bars is a table only with its dashes`() {
        assertEquals(1, markdown("a | b\n-|-x\nc").size)
        assertIs<MarkdownBlock.Table>(markdown("text\n| a | b |\n|---|:-:|\n| 1 | 2 |").last())
        val (table, text) = markdown("|a|\n|-|\n|1|\nafter")
        assertEquals(1, assertIs<MarkdownBlock.Table>(table).rows.size)
        assertEquals(MarkdownBlock.Paragraph(listOf(InlineRun("after"))), text)
        assertEquals(2, assertIs<MarkdownBlock.Table>(markdown("|a|\n|-|\n|1|\nx | y").single()).rows.size)
    }

    private fun paragraph(text: String) = assertIs<MarkdownBlock.Paragraph>(markdown(text).single()).runs

    private companion object {
        val PIECES = listOf(
            "word", " ", " ", "\n", "\n", "\n\n", "*", "**", "***", "_", "__", "~~", "~", "`", "``", "```", "```kt\n",
            "~~~\n",
            "# ", "## ", "#", "> ", ">", "- ", "-", "* ", "+ ", "1. ", "12) ", "|", "|---|---|\n", "|-|",
            "| a | b |\n", "---\n",
            "* * *\n", "[", "]", "[l](https://a.b/c_d)", "](https://x", ")", "(", "\\", "\\*", "  ", "    ", "\t", "é",
            "漢字", "😀",
            "**bold**", "*it*", "`code`", "snake_case", ".", ":", "\r\n", "a*b*c", "==", "1", "\n- item\n", "\n  more",
        )

        val LONG_TEXTS = listOf(
            "one paragraph" to "word ".repeat(4_000),
            "one line" to "x".repeat(20_000),
            "lines of one paragraph" to "some words\n".repeat(1_800),
            "an open fence" to "```kotlin\n" + "val a = 1\n".repeat(2_000),
            "an open tick" to "`" + "word ".repeat(4_000),
            "an open mark" to "**" + "word ".repeat(4_000),
            "many open marks" to "*a ".repeat(6_600),
            "many open marks of two kinds" to "*a _b ~~c **d ".repeat(1_400),
            "many closing marks" to "*a _b* ".repeat(2_800),
            "many ticks" to (1..8).joinToString("") { "a" + "`".repeat(it) }.repeat(400),
            "many brackets" to "[a](https://b ".repeat(1_400),
            "styled words" to "**a** *b* `c` ".repeat(1_400),
            "a list" to "- item **a**\n".repeat(1_500),
            "a long item" to "- " + "word\n  ".repeat(2_800),
            "a table" to "|a|b|\n|-|-|\n" + "|1|2|\n".repeat(3_300),
            "a long row" to "|a|b|\n|-|-|\n" + "c ".repeat(10_000) + "|",
            "a wide table" to "|a".repeat(5_000) + "|\n" + "|-".repeat(5_000),
            "bars" to "a|b\n" + "|".repeat(19_000),
            "dashes" to "-".repeat(20_000) + "x",
            "dashes below bars" to "a|b\n" + "|-".repeat(9_000) + "x",
            "spaces" to "- a\n" + " ".repeat(19_000) + "b",
            "spaces after a mark" to "_" + " ".repeat(19_000),
            "hashes" to "# a " + "#".repeat(19_000),
            "a fence that is none" to "```" + "a".repeat(19_000) + "`",
            "ticks in code" to "```\n" + "`".repeat(19_000) + "x",
            "empty lines in code" to "```\n" + "a\n\n".repeat(6_000),
            "quotes" to "> a *b\n".repeat(2_800),
            "escapes" to "\\*\\_".repeat(5_000),
        )
    }
}
