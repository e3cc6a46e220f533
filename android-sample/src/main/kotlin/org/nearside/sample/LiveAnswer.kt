/*
 * An answer while it is written. Chunks are collected at once; the screen is told at most once per frame, and parses only
 * what is new.
 */
package org.nearside.sample

import kotlin.time.ComparableTimeMark
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch

/** What the screen shows of it. [entry]: everything but its text and reasoning. */
class LiveMessage(val entry: MessageEntry, val blocks: List<MarkdownBlock>, reasoning: CharSequence) {
    private val length = reasoning.length
    val hasReasoning: Boolean = length > 0

    /** Copied only if it is shown. */
    val reasoning: String by lazy(LazyThreadSafetyMode.NONE) { reasoning.substring(0, length) }
}

/** Collects the chunks of an answer that begins or continues with [first]. */
internal class LiveAnswer(first: MessageEntry) {
    private val text = StringBuilder(first.text)
    private val reasoning = StringBuilder(first.reasoning)
    private val markdown = MarkdownStream().apply { append(first.text) }
    private var entry = first.copy(text = "", reasoning = "", status = MessageStatus.Writing)
    private var thinksSince: ComparableTimeMark? = null

    fun add(chunk: AnswerChunk) {
        when (chunk) {
            is AnswerChunk.Text -> {
                text.append(chunk.text)
                markdown.append(chunk.text)
            }
            is AnswerChunk.ReasoningText -> {
                if (thinksSince == null) thinksSince = TimeSource.Monotonic.markNow()
                reasoning.append(chunk.text)
            }
            else -> entry = entry.with(chunk)
        }
        val since = thinksSince
        if (since != null && text.isEmpty()) {
            entry = entry.copy(reasoningSeconds = since.elapsedNow().inWholeMilliseconds / 1000.0)
        }
    }

    /** The whole message so far. */
    fun message(): MessageEntry = entry.copy(text = text.toString(), reasoning = reasoning.toString())

    fun shown() = LiveMessage(entry, markdown.blocks, reasoning)
}

/** Draws in [scope]: at once, then at most once per [interval]; what was asked for last is always drawn. */
internal class Frames(
    private val scope: CoroutineScope,
    private val interval: Duration,
    private val time: TimeSource.WithComparableMarks,
    private val draw: () -> Unit,
) {
    private var last: ComparableTimeMark? = null
    private var waiting: Job? = null

    fun request() {
        if (waiting != null) return
        val left = last?.let { interval - it.elapsedNow() } ?: Duration.ZERO
        if (left <= Duration.ZERO) {
            drawNow()
            return
        }
        waiting = scope.launch {
            delay(left)
            waiting = null
            drawNow()
        }
    }

    private fun drawNow() {
        last = time.markNow()
        draw()
    }

    fun stop() {
        waiting?.cancel()
        waiting = null
    }

    companion object {
        /** One frame of a display with 60 Hz. */
        val INTERVAL = 16.milliseconds
    }
}
