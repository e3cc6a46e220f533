/*
 * Parses the Markdown of language models into blocks: headings, paragraphs, lists, quotes, tables, code and rules.
 *
 * The text arrives in pieces, as a model writes it. Finished blocks are parsed once and keep their identity; only the last
 * line of the last block is looked at again, and each character a bounded number of times. The blocks depend on the text
 * alone, not on how it was divided. Parsing never fails; anything else is a paragraph.
 *
 * Partial text is shown as what it will most likely become: an open fence is already code, and a `**` without its partner
 * stays literal until the partner arrives.
 */
package org.nearside.sample

/** Parses a text into blocks. */
fun markdown(text: String): List<MarkdownBlock> = MarkdownStream().apply { append(text) }.blocks

sealed interface MarkdownBlock {
    data class Heading(val level: Int, val runs: List<InlineRun>) : MarkdownBlock

    data class Paragraph(val runs: List<InlineRun>) : MarkdownBlock

    data class Items(val items: List<ListItem>) : MarkdownBlock

    data class Quote(val runs: List<InlineRun>) : MarkdownBlock

    data class Table(val header: List<List<InlineRun>>, val rows: List<List<List<InlineRun>>>) : MarkdownBlock

    /** [isClosed]: the closing fence was read. The text is copied when it is first read. */
    class Code(val language: String, val isClosed: Boolean, body: CharSequence, length: Int) : MarkdownBlock {
        constructor(language: String, text: String, isClosed: Boolean) : this(language, isClosed, text, text.length)

        val text: String by lazy(LazyThreadSafetyMode.NONE) { body.substring(0, length) }

        override fun equals(other: Any?): Boolean =
            other is Code && language == other.language && isClosed == other.isClosed && text == other.text

        override fun hashCode(): Int = language.hashCode()

        override fun toString(): String = "Code($language, $text, $isClosed)"
    }

    data object Rule : MarkdownBlock
}

/** [depth]: 0 is outermost. [marker]: `•`, or the number as written. */
data class ListItem(val depth: Int, val marker: String, val runs: List<InlineRun>)

/** The blocks of a growing text. */
class MarkdownStream {
    private val finished = ArrayList<MarkdownBlock>()
    private var open: OpenBlock? = null

    /** The text that a table is followed by, unless its line turns out to be a row. */
    private var afterTable: OpenText? = null
    private var line = MarkdownLine()

    /** Whether the characters of the line go to the open block as they arrive; otherwise its kind is not known yet. */
    private var isDecided = false
    private var shown: List<MarkdownBlock>? = emptyList()

    /** Number of characters read, with those that were read again. Tests compare it with the length of the text. */
    var scanned = 0L
        private set

    /** The blocks of the text so far. Finished ones are the same objects each time. */
    val blocks: List<MarkdownBlock>
        get() = shown ?: SharedList(finished, finished.size, unfinished()).also { shown = it }

    fun append(text: CharSequence) {
        if (text.isNotEmpty()) shown = null
        for (character in text) {
            scanned++
            when (character) {
                '\n' -> endLine()
                '\r' -> Unit
                else -> read(character)
            }
        }
    }

    private fun read(character: Char) {
        val code = open as? OpenCode
        line.add(character)
        when {
            code != null -> code.add(character)
            isDecided -> put(character)
            else -> {
                val kind = kind()
                if (line.isFinal && !isDelimiterRow(partly = true)) decide(kind)
            }
        }
    }

    private fun put(character: Char) {
        val text = afterTable
        if (text != null && character == '|') {
            afterTable = null
            feed(open as OpenTable, line.text)
        } else {
            (text ?: open)?.put(character)
            scanned++
        }
    }

    private fun feed(block: OpenBlock, text: CharSequence) {
        block.beginLine()
        text.forEach(block::put)
        scanned += text.length
    }

    // Kinds of lines

    private fun kind(): LineKind {
        val kind = line.kind
        val continuesItem = (open as? OpenList)?.isBetweenItems == false && line.indent > 0
        return when {
            !continuesItem -> kind
            kind == LineKind.Text || kind == LineKind.Heading || kind == LineKind.Quote -> LineKind.Continuation
            else -> kind
        }
    }

    /** Whether the line makes a table of the line before, which has bars. [partly]: or can still do so. */
    private fun isDelimiterRow(partly: Boolean): Boolean {
        val isBelowBars = (open as? OpenText)?.header != null
        if (!isBelowBars || !line.isDelimiter) return false
        return (line.hasBar && line.hasDash) || (partly && line.text.length < SHORT)
    }

    /** Begins what the line is, or continues it, with the characters that were read. */
    private fun decide(kind: LineKind) {
        isDecided = true
        val current = open
        val block: OpenBlock = when (kind) {
            LineKind.Continuation -> current as OpenList
            LineKind.Item -> (current as? OpenList ?: begin(OpenList())).also { it.beginItem(line) }
            LineKind.Quote -> current?.takeIf { it is OpenText && it.isQuote } ?: begin(OpenText(isQuote = true))
            LineKind.Heading -> begin(OpenText(level = line.level))
            else -> when {
                current is OpenTable && !line.hasBar -> OpenText().also { afterTable = it }
                current is OpenTable -> current
                current is OpenText && !current.isQuote && line.first != '|' -> current
                else -> begin(OpenText())
            }
        }
        feed(block, line.text.drop(line.contentStart(kind)))
    }

    private fun <T : OpenBlock> begin(block: T): T {
        finish()
        open = block
        return block
    }

    private fun finish() {
        open?.let { finished += it.block() }
        open = null
    }

    private fun endLine() {
        val code = open as? OpenCode
        if (code != null) {
            if (code.endLine()) finish()
        } else if (!isDecided) {
            endUndecided()
        } else if (afterTable != null) {
            finish()
            open = afterTable
        }
        afterTable = null
        if (isDecided) {
            open?.endLine(line)
            if ((open as? OpenText)?.level != null) finish()
        }
        isDecided = false
        line = MarkdownLine()
    }

    private fun endUndecided() {
        val kind = kind()
        val text = open as? OpenText
        when {
            kind == LineKind.Blank -> if ((open as? OpenList)?.endsAtBlank() != false) finish()
            text?.header != null && isDelimiterRow(partly = false) -> open = OpenTable(text.header.orEmpty())
            kind == LineKind.Fence -> begin(OpenCode(line))
            kind == LineKind.Rule -> {
                finish()
                finished += MarkdownBlock.Rule
            }
            else -> {
                decide(kind)
                if (afterTable != null) {
                    finish()
                    open = afterTable
                }
            }
        }
    }

    // What is shown of an unfinished text

    private fun unfinished(): List<MarkdownBlock> {
        val kind = if (isDecided || open is OpenCode) LineKind.Blank else kind()
        val current = open
        val header = (current as? OpenText)?.header?.takeIf { isDelimiterRow(partly = false) }

        // Few characters: a longer line whose kind is unknown has no text yet.
        fun rest() = line.text.drop(line.contentStart(kind)).trim()
        return when {
            kind != LineKind.Blank && header != null -> listOf(MarkdownBlock.Table(header, emptyList()))
            kind == LineKind.Blank -> listOfNotNull(current?.block(), afterTable?.block())
            kind == LineKind.Fence -> listOfNotNull(current?.block(), OpenCode(line).block())
            kind == LineKind.Rule -> listOfNotNull(current?.block(), MarkdownBlock.Rule)
            kind == LineKind.Continuation -> listOf((current as OpenList).block(rest()))
            kind == LineKind.Item -> {
                val item = ListItem(line.depth, line.marker, InlineScanner().runs(rest()))
                if (current is OpenList) {
                    listOf(
                        current.blockWith(item),
                    )
                } else {
                    listOfNotNull(current?.block(), itemsOf(item))
                }
            }
            current is OpenText && !current.isQuote && line.first != '|' -> listOf(current.block(rest()))
            else -> listOfNotNull(current?.block(), MarkdownBlock.Paragraph(InlineScanner().runs(rest())))
        }
    }

    private fun itemsOf(item: ListItem) = MarkdownBlock.Items(listOf(item))

    private companion object {
        /** A line whose kind is unknown after so many characters cannot become a delimiter row. */
        const val SHORT = 64
    }
}

/** The beginning of a list that only grows, and the rest, without a copy of either. */
internal class SharedList<T>(private val first: List<T>, private val count: Int, private val rest: List<T>) :
    AbstractList<T>() {
    override val size: Int get() = count + rest.size

    override fun get(index: Int): T = if (index < count) first[index] else rest[index - count]
}
