/*
 * Measures the overhead of the Kotlin layer, and leaks. Started by `scripts/kotlin.sh bench`; each measurement prints
 * one line of JSON.
 *
 *   chunks [N]          a scripted answer of N words (20,000) at full speed through a Flow
 *   cancels [N]         N streams (1,000) cancelled at random times: threads, objects, memory before and after
 *   decode MODEL [N]    N answers (5) of a real model: tokens per second as reported and as collected
 */
package org.nearside.bench

import kotlin.io.path.createTempDirectory
import kotlin.random.Random
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.add
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import org.nearside.AnswerSummary
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.Nearside
import org.nearside.RequestLimits
import org.nearside.SamplingOptions
import org.nearside.chat
import org.nearside.invoke
import org.nearside.open
import org.nearside.testing.scripted
import org.nearside.user

fun main(arguments: Array<String>) = runBlocking(Dispatchers.Default) {
    fun count(at: Int, default: Int) = arguments.getOrNull(at)?.toInt() ?: default
    when (arguments.firstOrNull()) {
        "chunks" -> chunks(count(at = 1, default = 20_000))
        "cancels" -> cancels(count(at = 1, default = 1_000))
        "decode" -> decode(arguments.getOrNull(1) ?: usage(), count(at = 2, default = 5))
        else -> usage()
    }
}

private fun usage(): Nothing {
    System.err.println("error: no such measurement\nhelp: use `chunks [N]`, `cancels [N]` or `decode MODEL [N]`")
    exitProcess(2)
}

private val question = ChatRequest(listOf(ChatMessage.user("Why do the tides come twice a day?")))

private suspend fun chunks(number: Int) {
    val words = (1..number).joinToString(" ") { "word$it" }
    scripted { text(words) }.use { nearside ->
        // The first run warms up the just-in-time compiler and is dropped.
        val rounds = List(6) {
            var seen = 0
            val began = TimeSource.Monotonic.markNow()
            nearside.chat(question).collect { if (it is Chunk.Text) seen++ }
            began.elapsedNow().inWholeNanoseconds / seen
        }.drop(1)
        report("chunks") {
            put("chunks", number)
            put("ns_per_chunk", rounds.sorted()[rounds.size / 2])
            putJsonArray("rounds") { rounds.forEach { add(it) } }
        }
    }
}

private suspend fun cancels(number: Int) {
    val random = Random(seed = 1)
    val words = (1..2_000).joinToString(" ") { "word$it" }
    scripted { text(words) }.use { nearside ->
        // Three ways in turn: cancel the coroutine, leave the flow early, or close the stream.
        suspend fun abandon(index: Int) = when (index % 3) {
            0 -> cancelAfter(nearside, random.nextInt(until = 3_000).microseconds)
            1 -> nearside.chat(question).take(1 + random.nextInt(until = 40)).collect {}
            else -> nearside.startChat(question).use { repeat(random.nextInt(until = 4)) { _ -> it.nextBatch() } }
        }
        repeat(number) { abandon(it) }
        val before = ProcessUsage.measure()
        repeat(number) { abandon(it) }
        val after = ProcessUsage.measure()
        report("cancels") {
            put("streams", number)
            put("threads_before", before.threads)
            put("threads_after", after.threads)
            put("objects_before", before.objects)
            put("objects_after", after.objects)
            put("rss_before", before.residentBytes)
            put("rss_after", after.residentBytes)
        }
    }
}

private suspend fun cancelAfter(nearside: Nearside, pause: Duration) = coroutineScope {
    val task = launch { nearside.chat(question).collect {} }
    delay(pause)
    task.cancelAndJoin()
}

private suspend fun decode(model: String, number: Int) {
    val directory = createTempDirectory("nearside-bench-").toFile()
    val request = ChatRequest(
        messages = listOf(ChatMessage.user("Count from one to a hundred, in words.")),
        model = model,
        sampling = SamplingOptions(temperature = 0f, seed = 1u),
        limits = RequestLimits(maxTokens = 128u),
    )
    Nearside.open(directory.path).use { nearside ->
        nearside.chat(request).collect {}
        val answers = List(number) { measureAnswer(nearside, request) }
        report("decode") {
            put("answers", number)
            put("tokens", answers.first().tokens)
            put("library_tokens_per_second", answers.map { it.libraryRate }.median())
            put("kotlin_tokens_per_second", answers.map { it.kotlinRate }.median())
            put("ratio", answers.map { it.kotlinRate / it.libraryRate }.median())
        }
    }
    directory.deleteRecursively()
}

/** Tokens per second of one answer: reported by the library, and between the first and the last collected chunk. */
private class AnswerRate(val tokens: Int, val libraryRate: Double, val kotlinRate: Double)

private suspend fun measureAnswer(nearside: Nearside, request: ChatRequest): AnswerRate {
    val began = TimeSource.Monotonic.markNow()
    var first = Duration.ZERO
    var last = Duration.ZERO
    var summary: AnswerSummary? = null
    nearside.chat(request).collect { chunk ->
        if (chunk is Chunk.Text) {
            last = began.elapsedNow()
            if (first == Duration.ZERO) first = last
        }
        if (chunk is Chunk.Done) summary = chunk.summary
    }
    val end = checkNotNull(summary)
    val tokens = end.usage.completionTokens.toInt()
    return AnswerRate(tokens, end.timings.tokensPerSecond, (tokens - 1) / ((last - first).inWholeNanoseconds / 1e9))
}

private fun report(name: String, values: JsonObjectBuilder.() -> Unit) = println(
    buildJsonObject {
        put("measured", "kotlin $name")
        values()
    },
)

private fun List<Double>.median(): Double = sorted()[size / 2]
