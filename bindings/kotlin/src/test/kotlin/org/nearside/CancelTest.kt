package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout

/** Every way to stop an answer, and the state after it. */
class CancelTest {
    @Test
    fun cancelDuringPrefill() = scenario(5.minutes) {
        wideContext().use { nearside ->
            var pause = 1.seconds
            var number = 0
            val times = mutableListOf<Double>()
            while (times.size < 20) {
                nearside.startChat(longQuestion(number++)).use { stream ->
                    assertIs<Chunk.Started>(stream.nextBatch().single())
                    delay(pause)
                    val cancelled = TimeSource.Monotonic.markNow()
                    stream.cancel()
                    val rest = stream.rest()
                    val milliseconds = cancelled.elapsedNow().inWholeMicroseconds / 1000.0
                    if (rest.size == 1) {
                        assertEquals(StopReason.CANCELLED, rest.done().stop)
                        times += milliseconds
                    } else {
                        // The prompt was processed before the cancel: cancel earlier.
                        pause /= 2
                    }
                }
            }
            times.sort()
            println("cancel during prefill: done after %.1f ms (median; %.1f at most)".format(times[10], times[19]))
            assertAnswersAtOnce(nearside)
        }
    }

    @Test
    fun cancelDuringDecoding() = scenario {
        wideContext().use { nearside ->
            nearside.startChat(greedy(ChatMessage.user("Count from one to a thousand, in words."))).use { stream ->
                val before = mutableListOf<Chunk>()
                while (before.count { it is Chunk.Text } < 5) before += stream.nextBatch()
                stream.cancel()
                stream.cancel()
                val done = stream.rest().done()

                assertEquals(StopReason.CANCELLED, done.stop)
                assertTrue(done.usage.completionTokens >= 5u)
                assertTrue(stream.nextBatch().isEmpty(), "no chunk follows `Done`")
            }
            assertAnswersAtOnce(nearside)
        }
    }

    @Test
    fun breakingOutOfTheLoopCancels() = scenario {
        wideContext().use { nearside ->
            for (number in 101..102) {
                assertIs<Chunk.Started>(nearside.chat(longQuestion(number)).first())
                assertEquals(1, nearside.chat(longQuestion(-number)).take(1).toList().size)
            }
            for (number in 103..104) {
                val answer = nearside.chat(longQuestion(number))
                assertFailsWith<IllegalStateException> { answer.collect { error("enough") } }
            }
            assertAnswersAtOnce(nearside)
        }
    }

    @Test
    fun cancelledTaskStopsTheRequest() = scenario {
        wideContext().use { nearside ->
            for (number in 201..206) {
                val started = CompletableDeferred<Unit>()
                val task = launch {
                    nearside.chat(longQuestion(number)).collect { if (it is Chunk.Started) started.complete(Unit) }
                }
                started.await()
                task.cancelAndJoin()
            }
            assertAnswersAtOnce(nearside)
        }
    }

    @Test
    fun closingTheObjectWhileStreaming() = scenario {
        val nearside = wideContext()
        val stream = nearside.startChat(greedy(ChatMessage.user("Count from one to a thousand, in words.")))
        do {
            val batch = stream.nextBatch()
        } while (batch.none { it is Chunk.Text })
        nearside.close()

        assertIs<Chunk.Done>(stream.rest().last(), "the answer still ends with `Done`")
        assertFailsWith<IllegalStateException> { nearside.models() }
        stream.close()
    }

    /** Opens a library with a context that fits [longQuestion]. */
    private fun wideContext() = Nearside(Config(freshDirectory(), context = 8192u))

    /** Asserts that an answer does not wait for the cancelled prompts, which would take much longer. */
    private suspend fun assertAnswersAtOnce(nearside: Nearside) = withTimeout(10.seconds) {
        val done = nearside.chat(greedy(ChatMessage.user("Hello!"), maxTokens = 1u)).toList().done()
        assertEquals(StopReason.MAX_TOKENS, done.stop)
    }
}
