/*
 * Measures what the Kotlin layer adds to a stream, with scripts instead of a model: the time of a chunk, and what stays of
 * streams that were cancelled.
 */
package org.nearside.bench

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.TimeSource
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.launch
import kotlinx.serialization.json.add
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.Nearside
import org.nearside.chat
import org.nearside.invoke
import org.nearside.testing.scripted
import org.nearside.user

private val question = ChatRequest(listOf(ChatMessage.user("Why do the tides come twice a day?")))

internal suspend fun measureChunks(number: Int) {
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

internal suspend fun measureCancels(number: Int) {
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
