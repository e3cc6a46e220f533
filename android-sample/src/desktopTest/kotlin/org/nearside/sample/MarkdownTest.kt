/*
 * The Markdown parser, with complete and partial text.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs

class MarkdownTest {
    private fun runs(text: String) = assertIs<MarkdownBlock.Paragraph>(markdown(text).single()).runs

    @Test
    fun `marks inside a line become styles`() = assertEquals(
        listOf(
            InlineRun("a "),
            InlineRun("b", bold = true),
            InlineRun(" "),
            InlineRun("c", italic = true),
            InlineRun(" "),
            InlineRun("d*", code = true),
            InlineRun(" "),
            InlineRun("e", struck = true),
        ),
        runs("a **b** *c* `d*` ~~e~~"),
    )

    @Test
    fun `a mark without its partner stays as it was typed`() {
        assertEquals(listOf(InlineRun("2 ** 3 and **half")), runs("2 ** 3 and **half"))
        assertEquals(listOf(InlineRun("a snake_case_name")), runs("a snake_case_name"))
        assertEquals(listOf(InlineRun("*stars*")), runs("\\*stars\\*"))
    }

    @Test
    fun `a fence is code before and after it is closed`() {
        assertEquals(listOf(MarkdownBlock.Code("kt", "val a = 1", isClosed = false)), markdown("```kt\nval a = 1\n``"))
        assertEquals(listOf(MarkdownBlock.Code("kt", "val a = 1", isClosed = true)), markdown("```kt\nval a = 1\n```"))
    }

    @Test
    fun `lists keep their numbers and their depth`() {
        val items = assertIs<MarkdownBlock.Items>(markdown("1. one\n   - inner\n\n2) two").single()).items
        assertEquals(listOf("1." to 0, "•" to 1, "2." to 0), items.map { it.marker to it.depth })
    }

    @Test
    fun `a table has as many cells in each row as in its head`() {
        val table = assertIs<MarkdownBlock.Table>(markdown("| a | b |\n|---|---|\n| 1 |").single())
        assertEquals(listOf(listOf(InlineRun("1"))), table.rows.single().filter { it.isNotEmpty() })
        assertEquals(2, table.rows.single().size)
    }

    @Test
    fun `only pages become links`() {
        assertEquals("https://a.org/b", runs("[x](https://a.org/b)").single().link)
        assertEquals(listOf(InlineRun("[x](tel:123)")), runs("[x](tel:123)"))
    }

    @Test
    fun `every beginning of a text can be shown`() {
        val text = "# T\n\n> q **b\n\n- a\n  1. `c`\n\n|x|y|\n|-|-|\n|1|2|\n\n```py\nd = {}\n```\n" +
            "[l](https://e.f) ***g***\n---\n"
        for (length in 0..text.length) markdown(text.take(length))
        assertEquals(7, markdown(text).size)
    }
}
