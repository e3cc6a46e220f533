/*
 * The parts of `MarkdownStream`: the line that is being read, and the block that may still grow.
 */
package org.nearside.sample

internal enum class LineKind { Blank, Text, Heading, Quote, Item, Fence, Rule, Continuation }

/** One line, with what its first characters say about it. Each character is looked at once. */
internal class MarkdownLine {
    val text = StringBuilder()
    var indent = 0
        private set
    private var columns = 0
    var first = Char(0)
        private set
    private var length = 0

    /** Length of the run of [first] at the beginning. */
    private var run = 0
    private var isRunOver = false
    private var isRunRepeated = false
    private var afterRun = Char(0)
    private var second = Char(0)
    private var marks = 0
    private var spaces = 0
    private var isOnlyMarks = true
    var hasBar = false
        private set
    var hasDash = false
        private set
    var isDelimiter = true
        private set

    /** Length of a number and its `.` or `)`; 0 if the line begins with none. */
    private var number = 0
    private var isNumber = true

    /** Whether no further character changes the kind. */
    var isFinal = false
        private set
    var kind = LineKind.Blank
        private set

    fun add(character: Char) {
        text.append(character)
        if (character == '|') hasBar = true
        if (character == '-') hasDash = true
        if (character !in "|-: ") isDelimiter = false
        if (length == 0 && character.isWhitespace()) {
            indent++
            columns += if (character == '\t') 4 else 1
            return
        }
        if (length == 0) first = character
        length++
        if (length == 2) second = character
        countRun(character)
        countMarks(character)
        countNumber(character)
        if (!isFinal) judge()
    }

    private fun countRun(character: Char) {
        when {
            character != first && !isRunOver -> {
                isRunOver = true
                afterRun = character
            }
            character != first -> Unit
            isRunOver -> isRunRepeated = true
            else -> run++
        }
    }

    private fun countMarks(character: Char) {
        spaces = if (character == ' ') spaces + 1 else 0
        if (character == first) marks++
        if ((character != first && character != ' ') || spaces > MAX_SPACES) isOnlyMarks = false
    }

    private fun countNumber(character: Char) {
        if (!isNumber || number > 0) return
        if (character in ".)" && length in 2..MAX_NUMBER + 1) number = length
        if (character !in '0'..'9' || length > MAX_NUMBER) isNumber = false
    }

    private fun judge() {
        val isRule = first in "-*_" && isOnlyMarks
        when {
            first == '>' -> settle(LineKind.Quote)
            first == '`' || first == '~' -> when {
                run < 3 -> settle(LineKind.Text, isRunOver)
                isRunRepeated -> settle(LineKind.Text)
                else -> settle(LineKind.Fence, false)
            }
            first == '#' -> when {
                !isRunOver -> settle(LineKind.Text, run > 6)
                else -> settle(if (afterRun == ' ' && run <= 6) LineKind.Heading else LineKind.Text)
            }
            isRule && marks >= 3 -> settle(LineKind.Rule, false)
            first in "-*+•" && second == ' ' -> settle(LineKind.Item, !isRule)
            first in "-*+•" -> settle(LineKind.Text, second != Char(0) && !isRule)
            first == '_' -> settle(LineKind.Text, !isRule)
            number > 0 && length > number -> settle(if (text.last() == ' ') LineKind.Item else LineKind.Text)
            else -> settle(LineKind.Text, number == 0 && !isNumber)
        }
    }

    private fun settle(kind: LineKind, isFinal: Boolean = true) {
        this.kind = kind
        this.isFinal = isFinal
    }

    val level: Int get() = run
    val depth: Int get() = (columns / 2).coerceAtMost(4)
    val marker: String get() = if (number > 0) text.substring(indent, indent + number - 1) + "." else "•"

    /** The fence's mark and length. */
    val fence: Pair<Char, Int> get() = first to run

    /** The first word after a fence. */
    val language: String
        get() = text.substring(
            indent + run,
            minOf(text.length, indent + run + MAX_LANGUAGE),
        ).trim().substringBefore(' ')

    /** The position after the mark of a kind. */
    fun contentStart(kind: LineKind): Int = indent + when (kind) {
        LineKind.Quote -> 1
        LineKind.Heading -> run
        LineKind.Item -> maxOf(1, number)
        else -> 0
    }

    private companion object {
        const val MAX_SPACES = 3
        const val MAX_NUMBER = 4
        const val MAX_LANGUAGE = 32
    }
}

/** A block that may grow. Lines go into it without their mark; spaces around them are dropped. */
internal sealed class OpenBlock {
    open fun beginLine() = Unit

    abstract fun put(character: Char)

    open fun endLine(line: MarkdownLine) = Unit

    abstract fun block(): MarkdownBlock
}

/** Feeds lines to a scanner without the spaces around them. [tail]: further characters that are dropped at the end. */
private class Trimmed(private val scanner: InlineScanner, private val tail: Char? = null) {
    private val held = StringBuilder()
    private var isAtStart = true

    fun beginLine() {
        isAtStart = true
        held.clear()
    }

    /** [separator]: comes between this line and the one before, once the line has text. */
    fun put(character: Char, separator: Char) {
        if (character.isWhitespace() && isAtStart) return
        if (isAtStart && !scanner.isEmpty) scanner.append(separator)
        isAtStart = false
        if (character.isWhitespace() || character == tail) {
            held.append(character)
        } else {
            scanner.append(held)
            held.clear()
            scanner.append(character)
        }
    }
}

/** A paragraph, a quote, or a heading of a [level]. */
internal class OpenText(val isQuote: Boolean = false, val level: Int? = null) : OpenBlock() {
    private val scanner = InlineScanner()
    private val trimmed = Trimmed(scanner, tail = if (level == null) null else '#')
    private var lines = 0

    /** The cells of the only line, if it has bars: the next one may make it the head of a table. */
    var header: List<List<InlineRun>>? = null
        private set

    override fun beginLine() = trimmed.beginLine()

    override fun put(character: Char) = trimmed.put(character, '\n')

    override fun endLine(line: MarkdownLine) {
        lines++
        header = if (lines == 1 && line.hasBar && !isQuote && level == null) Cells().run { read(line.text) } else null
    }

    override fun block() = block("")

    /** The block with a line that may belong to it. */
    fun block(rest: CharSequence): MarkdownBlock {
        val runs = scanner.runs(if (rest.isEmpty() || scanner.isEmpty) rest else "\n$rest")
        return when {
            level != null -> MarkdownBlock.Heading(level, runs)
            isQuote -> MarkdownBlock.Quote(runs)
            else -> MarkdownBlock.Paragraph(runs)
        }
    }
}

internal class OpenList : OpenBlock() {
    private val items = ArrayList<ListItem>()
    private var depth = 0
    private var marker = ""
    private var scanner: InlineScanner? = null
    private var trimmed: Trimmed? = null

    /** Whether an empty line follows the last item: only another item continues the list. */
    var isBetweenItems = false
        private set

    fun beginItem(line: MarkdownLine) {
        item()?.let(items::add)
        depth = line.depth
        marker = line.marker
        val fresh = InlineScanner()
        scanner = fresh
        trimmed = Trimmed(fresh)
        isBetweenItems = false
    }

    /** Whether an empty line ends the list: the second one does. */
    fun endsAtBlank(): Boolean = isBetweenItems.also { isBetweenItems = true }

    override fun beginLine() = trimmed?.beginLine() ?: Unit

    override fun put(character: Char) = trimmed?.put(character, ' ') ?: Unit

    private fun item(rest: CharSequence = ""): ListItem? {
        val scanner = scanner ?: return null
        return ListItem(depth, marker, scanner.runs(if (rest.isEmpty() || scanner.isEmpty) rest else " $rest"))
    }

    override fun block() = block("")

    /** The list with a line that continues its last item. */
    fun block(rest: CharSequence): MarkdownBlock =
        MarkdownBlock.Items(SharedList(items, items.size, listOfNotNull(item(rest))))

    /** The list with one more item. */
    fun blockWith(next: ListItem): MarkdownBlock =
        MarkdownBlock.Items(SharedList(items, items.size, listOfNotNull(item(), next)))
}

/** A table; lines go into it whole. */
internal class OpenTable(private val header: List<List<InlineRun>>) : OpenBlock() {
    private val rows = ArrayList<List<List<InlineRun>>>()
    private var row: Cells? = null

    override fun beginLine() {
        row = Cells(header.size)
    }

    override fun put(character: Char) = row?.put(character) ?: Unit

    override fun endLine(line: MarkdownLine) {
        row?.let { rows += it.cells() }
        row = null
    }

    override fun block() = MarkdownBlock.Table(header, SharedList(rows, rows.size, listOfNotNull(row?.cells())))
}

/** The cells of one line. Further ones than [count] are dropped. */
internal class Cells(private val count: Int? = null) {
    private val done = ArrayList<List<InlineRun>>()
    private var scanner = InlineScanner()
    private var trimmed = Trimmed(scanner)
    private var isFirst = true

    fun read(line: CharSequence): List<List<InlineRun>> {
        line.forEach(::put)
        return cells()
    }

    fun put(character: Char) {
        if (isFirst && character.isWhitespace()) return
        if (character != '|') {
            if (done.size < (count ?: MAX_CELLS)) trimmed.put(character, ' ')
        } else if (!isFirst && done.size < (count ?: MAX_CELLS)) {
            done += scanner.runs()
            scanner = InlineScanner()
            trimmed = Trimmed(scanner)
        }
        isFirst = false
    }

    /** The cells so far; as many as the table has columns. A bar at the end begins no cell. */
    fun cells(): List<List<InlineRun>> {
        val cells = if (scanner.isEmpty && done.isNotEmpty()) done.toList() else done + listOf(scanner.runs())
        val wanted = count ?: return cells.take(MAX_CELLS)
        return cells.take(wanted) + List((wanted - cells.size).coerceAtLeast(0)) { emptyList() }
    }

    private companion object {
        const val MAX_CELLS = 32
    }
}

/** A code block, from the line after its fence on. */
internal class OpenCode(fence: MarkdownLine) : OpenBlock() {
    private val mark = fence.fence.first
    private val length = fence.fence.second
    private val language = fence.language
    private val body = StringBuilder()
    private val held = StringBuilder()

    /** Line breaks since the last text. */
    private var breaks = 0

    /** Whether the line consists of spaces, then marks: it may be the closing fence. */
    private var mayClose = true
    private var marks = 0
    private var isAfterMarks = false
    private var isClosed = false

    fun add(character: Char) {
        if (!mayClose) {
            body.append(character)
            return
        }
        held.append(character)
        if (character == mark && !isAfterMarks) {
            marks++
        } else if (marks > 0) {
            isAfterMarks = true
        }
        if (!character.isWhitespace() && (character != mark || isAfterMarks)) {
            mayClose = false
            repeat(breaks) { body.append('\n') }
            breaks = 0
            body.append(held)
        }
    }

    /** Returns whether the line closed the block. */
    fun endLine(): Boolean {
        if (mayClose && marks >= length) {
            repeat(breaks - 1) { body.append('\n') }
            isClosed = true
            return true
        }
        if (mayClose && marks > 0) {
            repeat(breaks) { body.append('\n') }
            breaks = 0
            body.append(held)
        }
        breaks++
        held.clear()
        mayClose = true
        marks = 0
        isAfterMarks = false
        return false
    }

    override fun put(character: Char) = add(character)

    override fun block(): MarkdownBlock {
        val closes = isClosed || (mayClose && marks >= length)
        return MarkdownBlock.Code(language, closes, body, body.length)
    }
}
