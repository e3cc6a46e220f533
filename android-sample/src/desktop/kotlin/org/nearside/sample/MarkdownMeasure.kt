/*
 * Measures how long the app's main thread works for each chunk of an answer: `scripts/app.sh markdown`.
 *
 * Texts of three sizes come in chunks of four characters through `ChatModel`, with a change of the screen's state for every
 * chunk: the app draws at most once per frame, so that this is the worst case. Drawing itself is not measured. The first
 * rounds are not counted: Java compiles during them, which a phone has done when the app was installed.
 */
package org.nearside.sample

import kotlin.time.Duration
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.runBlocking

fun main() = runBlocking {
    println("%-26s %8s %7s %10s %10s".format("text", "length", "chunks", "worst", "total"))
    for ((name, text) in texts()) {
        for (size in listOf(2_000, 8_000, 20_000)) {
            val whole = text.repeat(size / text.length + 1).take(size)
            repeat(WARM_UPS) { measure(whole) }
            // The best time of each chunk: another process or the garbage collector may interrupt one in a single round.
            val rounds = List(ROUNDS) { measure(whole) }
            val chunks = rounds.first().size
            val worst = (0 until chunks).maxOf { chunk -> rounds.minOf { times -> times[chunk] } }
            val total = rounds.minOf { times -> times.sum() }
            println("%-26s %8d %7d %7.3f ms %7.1f ms".format(name, size, chunks, worst / 1e6, total / 1e6))
        }
    }
}

/** Streams a text, and returns the nanoseconds of each chunk. */
private suspend fun measure(text: String): List<Long> {
    val times = ArrayList<Long>(text.length / CHUNK + 1)
    val demo = DemoBrain(fresh = true) {}
    val brain = object : Brain by demo {
        override fun answer(request: AnswerRequest, chat: ChatId) = AnswerStream(
            flow {
                emit(AnswerChunk.Started(AnswerTarget.Demo, "measured"))
                for (start in text.indices step CHUNK) {
                    val chunk = AnswerChunk.Text(text.substring(start, minOf(text.length, start + CHUNK)))
                    val begin = TimeSource.Monotonic.markNow()
                    emit(chunk)
                    times += begin.elapsedNow().inWholeNanoseconds
                }
            },
            stop = {},
        )
    }
    val chat = ChatModel(brain, CoroutineScope(Dispatchers.Unconfined), frame = Duration.ZERO)
    chat.draft = "Hello"
    chat.send()
    chat.work?.join()
    check(times.size == (text.length + CHUNK - 1) / CHUNK) { "an answer ended early: ${chat.failure?.text}" }
    return times
}

private fun texts() = listOf(
    "an answer as usual" to
        "# Tides\n\nThe **moon** pulls at the sea, see [why](https://example.org/why).\n\n- one `word`\n- two\n\n" +
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```kotlin\nval a = 1\n```\n\n",
    "one paragraph" to "some *words* and **more** of them ",
    "one line without spaces" to "x",
    "an open fence" to "```kotlin\n" + "val a = 1\n".repeat(2_000),
    "marks without partners" to "*a _b `c ~~d [e ",
    "a long list" to "- item with **bold** text\n",
    "a long table" to "| a | b |\n|---|---|\n" + "| 1 | *2* |\n".repeat(2_000),
)

private const val CHUNK = 4
private const val WARM_UPS = 20
private const val ROUNDS = 5
