/*
 * Parses the inside of a block: bold, italic, struck-through text, code and links.
 *
 * The text arrives in pieces of any length. Each character is read once; runs that can no longer change are kept. A mark
 * waits for its partner over at most `WINDOW` characters and is literal after that, so that the part that can still change
 * is bounded, however long the block is. The result does not depend on how the text was divided.
 */
package org.nearside.sample

data class InlineRun(
    val text: String,
    val bold: Boolean = false,
    val italic: Boolean = false,
    val code: Boolean = false,
    val struck: Boolean = false,
    val link: String? = null,
)

/**
 * Reads one block. Of two readings the earlier opening decides for code, and code and links take precedence over bold and
 * italic, as in CommonMark. Only web pages become links: the text of a model must not open another app.
 */
internal class InlineScanner {
    /** Runs that are final. */
    private val settled = ArrayList<InlineRun>()

    /** The text after them, as it was written; its first character has the position [base]. */
    private val text = StringBuilder()
    private var base = 0
    private val end get() = base + text.length

    /** The marks in [text], by position. */
    private val marks = ArrayList<Mark>()

    /** Number of marks that were removed from the beginning of [marks]. */
    private var forgotten = 0
    private var style = Style()

    private var open = Openings()

    /** Openings of code, by number of ticks. */
    private val ticks = arrayOfNulls<Tick>(MAX_TICKS + 1)
    private var address: Address? = null

    /** A run of equal mark characters that may still grow: its partners depend on the character after it. */
    private var runStart = -1
    private var isRunEscaped = false

    /** The character before the run, or before the next character; a line break at the beginning. */
    private var before = '\n'
    private var isEscaping = false
    private var settledAt = 0

    /** Number of characters read. Tests compare it with the length of the text. */
    var scanned = 0L
        private set

    val isEmpty: Boolean get() = end == 0

    fun append(character: Char) {
        scan(character)
        if (end - settledAt >= SETTLE) settle()
    }

    fun append(characters: CharSequence) = characters.forEach(::append)

    /** Returns the runs of the text so far, as if it ended with [rest]. Takes time for the last few hundred characters only. */
    fun runs(rest: CharSequence = ""): List<InlineRun> {
        if (runStart < 0 && rest.isEmpty()) return SharedList(settled, settled.size, flatten(end).runs)
        val saved = Saved()
        rest.forEach(::scan)
        endRun(next = null)
        return SharedList(settled, settled.size, flatten(end).runs).also { saved.restore() }
    }

    private fun scan(character: Char) {
        scanned++
        if (address?.let { readAddress(it, character) } == true) return
        if (runStart >= 0) {
            if (text[runStart - base] == character) {
                text.append(character)
                return
            }
            endRun(character)
        }
        val position = end
        text.append(character)
        val isEscaped =
            isEscaping && !character.isLetterOrDigit() && !character.isWhitespace() && !character.isSurrogate()
        isEscaping = false
        if (isEscaped) marks += Mark(position - 1, 1).apply { closed = 1 }
        when {
            character == '`' || (character in "*_~" && !isEscaped) -> {
                runStart = position
                isRunEscaped = isEscaped
                return
            }
            isEscaped -> Unit
            character == '\\' -> isEscaping = true
            character == '[' -> openBracket(position)
            character == ']' -> closeBracket(position)
        }
        before = character
    }

    private fun endRun(next: Char?) {
        if (runStart < 0) return
        val mark = text[runStart - base]
        val length = end - runStart
        if (mark == '`') endTicks(length) else endMarks(mark, length, next)
        before = mark
        runStart = -1
        isRunEscaped = false
    }

    // Code

    private fun endTicks(length: Int) {
        if (length > MAX_TICKS) return
        val opening = ticks[length]?.takeIf { isNear(it.position) }
        if (opening != null) {
            // Marks inside are text, and their partners before it are open again.
            cut(opening.mark, opening.open)
            removeTicks(opening.position)
            marks += Mark(opening.position, length).apply { hide(Delta(code = 1)) }
            marks += Mark(runStart, length).apply { hide(Delta(code = -1)) }
            address = null
        } else if (!isRunEscaped) {
            ticks[length] = Tick(runStart, forgotten + marks.size, open.copy())
        }
    }

    private fun removeTicks(from: Int) {
        for (length in ticks.indices) if ((ticks[length]?.position ?: -1) >= from) ticks[length] = null
    }

    /** Removes the marks from an index on and restores the openings of that time. */
    private fun cut(mark: Int, earlier: Openings) {
        while (forgotten + marks.size > mark) marks.removeAt(marks.lastIndex)
        open = earlier.restored()
    }

    // Bold, italic, struck-through

    private fun endMarks(character: Char, length: Int, next: Char?) {
        if (character == '~' && length != 2) return
        val isLetter = character == '_'
        val canOpen = next != null && !next.isWhitespace() && !(isLetter && before.isLetterOrDigit())
        val canClose = !before.isWhitespace() && !(isLetter && next?.isLetterOrDigit() == true)
        if (!canOpen && !canClose) return
        val mark = Mark(runStart, length, canClose)
        marks += mark
        val openings = open.of(character)
        while (canClose && mark.closed < length) {
            val opening = openings.lastOrNull { isNear(it.position) && !clashes(it, mark, canOpen) } ?: break
            val used = if (minOf(opening.left, length - mark.closed) >= 2) 2 else 1
            opening.opened += used
            mark.closed += used
            val delta = when {
                character == '~' -> Delta(struck = 1)
                used == 2 -> Delta(bold = 1)
                else -> Delta(italic = 1)
            }
            opening.after += delta
            mark.before -= delta
            open.removeAfter(opening.position)
            if (opening.left == 0) openings.removeAt(openings.lastIndex)
        }
        if (canOpen && mark.closed < length) open.add(openings, mark)
    }

    /** Whether the lengths of two runs do not fit, so that `*a**b*` is italic and not twice broken. */
    private fun clashes(opening: Mark, closing: Mark, canOpen: Boolean): Boolean =
        (opening.canClose || canOpen) && (opening.length + closing.length) % 3 == 0 &&
            (opening.length % 3 != 0 || closing.length % 3 != 0)

    // Links

    private fun openBracket(position: Int) {
        val mark = Mark(position, 1)
        marks += mark
        open.add(open.brackets, mark)
    }

    private fun closeBracket(position: Int) {
        val bracket = open.brackets.removeLastOrNull()?.takeIf { isNear(it.position) } ?: return
        if (position == bracket.position + 1) return
        address = Address(bracket, position, forgotten + marks.size, open.copy())
    }

    /** Follows `](https://…)`. Returns whether the character completes it; until then its characters are also plain text. */
    private fun readAddress(address: Address, character: Char): Boolean {
        val offset = end - address.position
        val isWrong = when (offset) {
            1 -> character != '('
            else -> character.isWhitespace() || !isNear(address.bracket.position)
        }
        if (!isWrong && (character != ')' || offset == 1)) return false
        this.address = null
        if (isWrong) return false
        val page = text.substring(address.position + 2 - base)
        if (!PAGE.matches(page)) return false
        cut(address.mark, address.open)
        removeTicks(address.bracket.position)
        open.brackets.clear()
        runStart = -1
        isEscaping = false
        text.append(character)
        address.bracket.hide(Delta(link = page))
        marks += Mark(address.position, end - address.position).apply { hide(Delta(endsLink = true)) }
        before = character
        return true
    }

    private fun isNear(position: Int) = end - position <= WINDOW

    // Runs

    /** Moves the runs that can no longer change to [settled]. */
    private fun settle() {
        settledAt = end
        val waiting = open.all() + ticks.mapNotNull { it?.position } +
            listOfNotNull(address?.bracket?.position, runStart.takeIf { it >= 0 }, (end - 1).takeIf { isEscaping })
        val safe = waiting.filter(::isNear).minOrNull() ?: end
        val flat = flatten(safe)
        val cut = flat.cut ?: return
        for (index in 0 until cut.runs) settled += flat.runs[index]
        text.delete(0, cut.position - base)
        base = cut.position
        style = cut.style
        val passed = marks.indexOfFirst { it.position >= base }.let { if (it < 0) marks.size else it }
        marks.subList(0, passed).clear()
        forgotten += passed
    }

    /** Divides the text up to a position into runs. */
    private fun flatten(until: Int): Flat {
        val flat = Flat(style)
        var position = base
        for (mark in marks) {
            if (mark.position >= until) break
            flat.add(text, position - base, mark.position - base, base)
            flat.style += mark.before
            flat.add(text, mark.position + mark.closed - base, mark.position + mark.length - mark.opened - base, null)
            flat.style += mark.after
            position = mark.position + mark.length
        }
        if (position < until) flat.add(text, position - base, until - base, base)
        flat.end()
        return flat
    }

    /** The state before a look ahead. */
    private inner class Saved {
        private val length = text.length
        private val allMarks = marks.toList()
        private val states = marks.map { MarkState(it) }
        private val openings = open.copy()
        private val allTicks = ticks.copyOf()
        private val savedAddress = address
        private val run = Triple(runStart, isRunEscaped, before)
        private val escaping = isEscaping
        private val count = scanned

        fun restore() {
            text.setLength(length)
            marks.clear()
            marks += allMarks
            open = openings.restored()
            states.forEach { it.restore() }
            allTicks.copyInto(ticks)
            address = savedAddress
            runStart = run.first
            isRunEscaped = run.second
            before = run.third
            isEscaping = escaping
            scanned = count
        }
    }

    private companion object {
        /** How many characters a mark waits for its partner. */
        const val WINDOW = 1_000

        /** After how many characters final runs are looked for. */
        const val SETTLE = 512
        const val MAX_TICKS = 8
        val PAGE = Regex("https?://.+")
    }
}

/** What a mark changes in the style of the text around it. */
private data class Delta(
    val bold: Int = 0,
    val italic: Int = 0,
    val struck: Int = 0,
    val code: Int = 0,
    val link: String? = null,
    val endsLink: Boolean = false,
) {
    operator fun plus(other: Delta) =
        copy(bold = bold + other.bold, italic = italic + other.italic, struck = struck + other.struck)

    operator fun minus(other: Delta) =
        copy(bold = bold - other.bold, italic = italic - other.italic, struck = struck - other.struck)
}

private data class Style(
    val bold: Int = 0,
    val italic: Int = 0,
    val struck: Int = 0,
    val code: Int = 0,
    val link: String? = null,
) {
    operator fun plus(delta: Delta): Style = if (delta == NO_DELTA) {
        this
    } else {
        Style(
            bold + delta.bold,
            italic + delta.italic,
            struck + delta.struck,
            code + delta.code,
            if (delta.endsLink) null else delta.link ?: link,
        )
    }

    fun run(text: String) = InlineRun(text, bold > 0, italic > 0, code > 0, struck > 0, link)

    private val bits = (if (bold > 0) 1 else 0) + (if (italic > 0) 2 else 0) + (if (struck > 0) 4 else 0) +
        (if (code > 0) 8 else 0)

    fun looksLike(other: Style): Boolean = this === other || (bits == other.bits && link == other.link)
}

private val NO_DELTA = Delta()

/** A run of mark characters. [closed] of them, from the left, and [opened], from the right, found partners and are hidden. */
private class Mark(val position: Int, val length: Int, val canClose: Boolean = false) {
    var closed = 0
    var opened = 0
    var before = NO_DELTA
    var after = NO_DELTA
    val left: Int get() = length - closed - opened

    fun hide(delta: Delta) {
        closed = length
        after = delta
    }
}

/** The state of a mark that can still change. */
private class MarkState(private val mark: Mark) {
    private val numbers = mark.closed to mark.opened
    private val deltas = mark.before to mark.after

    fun restore(): Mark = mark.also {
        it.closed = numbers.first
        it.opened = numbers.second
        it.before = deltas.first
        it.after = deltas.second
    }
}

/** Marks that wait for their partner, the innermost last. The outermost is dropped if there are too many. */
private class Openings(private val stacks: List<ArrayList<Mark>> = List(4) { ArrayList() }) {
    val brackets: ArrayList<Mark> get() = stacks[3]

    fun of(character: Char): ArrayList<Mark> = stacks["*_~".indexOf(character)]

    fun add(stack: ArrayList<Mark>, mark: Mark) {
        if (stack.size == MAX_DEPTH) stack.removeAt(0)
        stack += mark
    }

    /** Removes bold, italic and struck-through openings inside a pair, which begins at a position. */
    fun removeAfter(position: Int) {
        for (stack in stacks.take(3)) {
            while ((stack.lastOrNull()?.position ?: -1) >
                position
            ) {
                stack.removeAt(stack.lastIndex)
            }
        }
    }

    fun all(): List<Int> = stacks.flatMap { stack -> stack.map { it.position } }

    private var states: List<MarkState> = emptyList()

    fun copy() = Openings(stacks.map { ArrayList(it) }).also { copy ->
        copy.states =
            stacks.flatten().map { MarkState(it) }
    }

    /** Returns the openings as they were when this copy was made, with the state of that time. */
    fun restored(): Openings {
        states.forEach { it.restore() }
        return Openings(stacks.map { ArrayList(it) })
    }

    private companion object {
        const val MAX_DEPTH = 16
    }
}

/** An opening of code; [mark]: the number of marks before it. */
private class Tick(val position: Int, val mark: Int, val open: Openings)

/** The address of a link, from its `]` on; [mark]: the number of marks before that. */
private class Address(val bracket: Mark, val position: Int, val mark: Int, val open: Openings)

/** Collects runs. Long ones are divided at fixed lengths, so that the finished part of a long line is final. */
private class Flat(var style: Style) {
    val runs = ArrayList<InlineRun>()

    /** The last place where the text before can be separated from the rest. */
    var cut: Cut? = null
    private val current = StringBuilder()
    private var currentStyle = style

    /** Adds a part of the text. [base]: the position of its beginning; `null` inside a mark, where nothing is separated. */
    fun add(text: CharSequence, from: Int, to: Int, base: Int?) {
        var start = from
        while (start < to) {
            val isNew = current.isNotEmpty() && (current.length == CUT || !currentStyle.looksLike(style))
            if (isNew) end()
            if (current.isEmpty()) {
                currentStyle = style
                if (base != null && isNew) cut = Cut(runs.size, base + start, style)
            }
            val stop = minOf(to, start + CUT - current.length)
            current.append(text, start, stop)
            start = stop
        }
    }

    fun end() {
        if (current.isNotEmpty()) runs += currentStyle.run(current.toString())
        current.clear()
    }

    class Cut(val runs: Int, val position: Int, val style: Style)

    private companion object {
        const val CUT = 256
    }
}
