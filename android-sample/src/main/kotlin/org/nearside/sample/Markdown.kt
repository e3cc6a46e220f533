/*
 * Parses the Markdown of language models into blocks: headings, paragraphs, lists, quotes, tables, code and rules, with
 * bold, italic, struck-through text, code and links inside.
 *
 * Handles partial text: an open fence is already a code block, and a `**` without its partner stays literal until the
 * partner arrives. Parsing never fails; anything else is a paragraph.
 */
package org.nearside.sample

/** Parses a text into blocks. */
fun markdown(text: String): List<MarkdownBlock> = BlockReader(text.split('\n')).blocks()

sealed interface MarkdownBlock {
    data class Heading(val level: Int, val runs: List<InlineRun>) : MarkdownBlock

    data class Paragraph(val runs: List<InlineRun>) : MarkdownBlock

    data class Items(val items: List<ListItem>) : MarkdownBlock

    data class Quote(val runs: List<InlineRun>) : MarkdownBlock

    data class Table(val header: List<List<InlineRun>>, val rows: List<List<List<InlineRun>>>) : MarkdownBlock

    /** [isClosed]: the closing fence was read. */
    data class Code(val language: String, val text: String, val isClosed: Boolean) : MarkdownBlock

    data object Rule : MarkdownBlock
}

/** [depth]: 0 is outermost. [marker]: `•`, or the number as written. */
data class ListItem(val depth: Int, val marker: String, val runs: List<InlineRun>)

data class InlineRun(
    val text: String,
    val bold: Boolean = false,
    val italic: Boolean = false,
    val code: Boolean = false,
    val struck: Boolean = false,
    val link: String? = null,
)

/** Parses line by line; each block finds its own end. */
private class BlockReader(private val lines: List<String>) {
    private var index = 0

    fun blocks(): List<MarkdownBlock> = buildList {
        while (index < lines.size) next()?.let(::add)
    }

    private fun next(): MarkdownBlock? {
        val line = lines[index].trim()
        val fence = fence(line)
        return when {
            line.isEmpty() -> null.also { index++ }
            fence != null -> code(fence)
            heading.matches(line) -> heading(line)
            isRule(line) -> MarkdownBlock.Rule.also { index++ }
            line.startsWith(">") -> quote()
            isTable() -> table()
            item(lines[index]) != null -> list()
            else -> paragraph()
        }
    }

    private fun code(fence: Fence): MarkdownBlock {
        index++
        val body = mutableListOf<String>()
        while (index < lines.size) {
            val line = lines[index++]
            if (fence.isClosedBy(line.trim())) return MarkdownBlock.Code(fence.language, body.joinToString("\n"), true)
            body += line
        }
        // A partial closing fence is not code.
        val last = body.lastOrNull()?.trim().orEmpty()
        if (last.isNotEmpty() && last.length < fence.length &&
            last.all { it == fence.mark }
        ) {
            body.removeAt(body.lastIndex)
        }
        if (body.lastOrNull()?.isEmpty() == true) body.removeAt(body.lastIndex)
        return MarkdownBlock.Code(fence.language, body.joinToString("\n"), isClosed = false)
    }

    private fun heading(line: String): MarkdownBlock {
        index++
        val level = line.takeWhile { it == '#' }.length
        return MarkdownBlock.Heading(level, inline(line.drop(level).trim().trimEnd('#').trim()))
    }

    private fun isRule(line: String): Boolean {
        val mark = line.first()
        return mark in "-*_" && line.all { it == mark || it == ' ' } && line.count { it == mark } >= 3
    }

    private fun quote(): MarkdownBlock {
        val body = takeLines { it.trim().startsWith(">") }.map { it.trim().drop(1).trim() }
        return MarkdownBlock.Quote(inline(body.joinToString("\n")))
    }

    private fun list(): MarkdownBlock {
        val items = mutableListOf<ListItem>()
        while (index < lines.size) {
            val line = lines[index]
            val item = item(line)
            val goesOn = line.startsWith(" ") && line.isNotBlank() && fence(line.trim()) == null && items.isNotEmpty()
            // A loose list: an empty line between two items.
            val isLoose = line.isBlank() && lines.getOrNull(index + 1)?.let(::item) != null
            when {
                item != null -> items += item
                goesOn -> items += items.removeAt(items.lastIndex).run { copy(runs = runs + inline(" " + line.trim())) }
                !isLoose -> break
            }
            index++
        }
        return MarkdownBlock.Items(items)
    }

    private fun item(line: String): ListItem? {
        val (indent, mark, text) = bullet.matchEntire(line)?.destructured ?: return null
        val depth = indent.replace("\t", "    ").length / 2
        val marker = if (mark[0].isDigit()) mark.dropLast(1) + "." else "•"
        return ListItem(depth.coerceAtMost(4), marker, inline(text.trim()))
    }

    /** Returns whether a line with bars is followed by a line of dashes. */
    private fun isTable(): Boolean {
        val under = lines.getOrNull(index + 1)?.trim() ?: return false
        return '|' in lines[index] && '|' in under && '-' in under && under.all { it in "|-: " }
    }

    private fun table(): MarkdownBlock {
        val header = cells(lines[index])
        index += 2
        val rows = takeLines { '|' in it }.map { line ->
            val row = cells(line).take(header.size)
            row + List(header.size - row.size) { emptyList() }
        }
        return MarkdownBlock.Table(header, rows)
    }

    private fun cells(line: String) = line.trim().removePrefix("|").removeSuffix("|").split('|').map {
        inline(it.trim())
    }

    private fun paragraph(): MarkdownBlock {
        val body = mutableListOf<String>()
        while (index < lines.size) {
            val line = lines[index].trim()
            val ends = line.isEmpty() || fence(line) != null || line.startsWith(">") || heading.matches(line) ||
                isRule(line) || item(lines[index]) != null || isTable()
            if (body.isNotEmpty() && ends) break
            body += line
            index++
        }
        return MarkdownBlock.Paragraph(inline(body.joinToString("\n")))
    }

    private fun takeLines(belongs: (String) -> Boolean): List<String> =
        lines.drop(index).takeWhile(belongs).also { index += it.size }

    private companion object {
        val heading = Regex("#{1,6} .*")
        val bullet = Regex("([ \\t]*)([-*+•]|\\d{1,4}[.)]) (.*)")
    }
}

/** A fence of three or more marks, with its language. */
private class Fence(val mark: Char, val length: Int, val language: String) {
    fun isClosedBy(line: String): Boolean = line.length >= length && line.all { it == mark }
}

private fun fence(line: String): Fence? {
    val mark = line.firstOrNull()?.takeIf { it == '`' || it == '~' } ?: return null
    val length = line.takeWhile { it == mark }.length
    val rest = line.drop(length)
    if (length < 3 || mark in rest) return null
    return Fence(mark, length, rest.trim().substringBefore(' '))
}

/** Parses inline styles, code and links. */
private fun inline(text: String, style: InlineRun = InlineRun("")): List<InlineRun> {
    val runs = mutableListOf<InlineRun>()
    fun add(run: InlineRun) {
        val last = runs.lastOrNull()
        if (last != null && last.copy(text = "") == run.copy(text = "")) {
            runs[runs.lastIndex] = run.copy(text = last.text + run.text)
        } else {
            runs += run
        }
    }
    var index = 0
    while (index < text.length) {
        val span = escaped(text, index, style) ?: code(text, index, style) ?: link(text, index, style)
            ?: marked(text, index, style)
        if (span == null) {
            add(style.copy(text = text[index].toString()))
            index++
        } else {
            span.runs.forEach(::add)
            index = span.end
        }
    }
    return runs
}

private class Span(val runs: List<InlineRun>, val end: Int)

private fun escaped(text: String, start: Int, style: InlineRun): Span? {
    val next = text.getOrNull(start + 1)?.takeIf { text[start] == '\\' && !it.isLetterOrDigit() && !it.isWhitespace() }
    return next?.let { Span(listOf(style.copy(text = it.toString())), start + 2) }
}

private fun code(text: String, start: Int, style: InlineRun): Span? {
    if (text[start] != '`') return null
    val ticks = text.drop(start).takeWhile { it == '`' }
    val open = start + ticks.length
    val close = Regex("(?<!`)$ticks(?!`)").find(text, open)?.range?.first?.takeIf { it > open } ?: return null
    return Span(listOf(style.copy(text = text.substring(open, close), code = true)), close + ticks.length)
}

private fun link(text: String, start: Int, style: InlineRun): Span? {
    // Web pages only: a model's text must not open another app.
    val found = pageLink.matchAt(text, start) ?: return null
    val (label, address) = found.destructured
    return Span(inline(label, style.copy(link = address)), found.range.last + 1)
}

private val pageLink = Regex("\\[([^\\]]+)]\\((https?://[^)\\s]+)\\)")

private fun marked(text: String, start: Int, style: InlineRun): Span? {
    for (mark in listOf("***", "**", "__", "~~", "*", "_")) {
        val end = if (text.startsWith(mark, start)) markEnd(text, start, mark) else null
        if (end != null) {
            val inside = style.copy(
                bold = style.bold || mark == "***" || mark == "**" || mark == "__",
                italic = style.italic || mark == "***" || mark.length == 1,
                struck = style.struck || mark == "~~",
            )
            return Span(inline(text.substring(start + mark.length, end), inside), end + mark.length)
        }
    }
    return null
}

/** Returns the position of the closing mark. Inside a word `_` is a letter, as in `snake_case`. */
private fun markEnd(text: String, start: Int, mark: String): Int? {
    val open = start + mark.length
    val isLetter = mark[0] == '_'
    if (open >= text.length || text[open].isWhitespace() || text[open] == mark[0]) return null
    if (isLetter && start > 0 && text[start - 1].isLetterOrDigit()) return null
    var index = open + 1
    while (index + mark.length <= text.length) {
        val closes = text.startsWith(mark, index) && !text[index - 1].isWhitespace()
        val isDoubled = closes && mark.length == 1 && text.getOrNull(index + 1) == mark[0]
        val isInWord = isLetter && text.getOrNull(index + mark.length)?.isLetterOrDigit() == true
        if (closes && !isDoubled && !isInWord) return index
        index += if (isDoubled) 2 else 1
    }
    return null
}
