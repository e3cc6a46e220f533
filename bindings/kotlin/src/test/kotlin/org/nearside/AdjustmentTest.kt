package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch

/** What the library does to an answer when the app leaves the foreground or the device is hot. */
class AdjustmentTest {
    @Test
    fun anAnswerPausesInTheBackgroundAndGoesOn() = scenario(2.minutes) {
        Nearside(Config(freshDirectory(), context = 2048u, pauseInBackground = true)).use { nearside ->
            val question = greedy(ChatMessage.user("Tell a story about a lighthouse."), maxTokens = 80u)
            val unbroken = nearside.chat(question).toList().text()
            val paused = CompletableDeferred<Adjustment>()
            val watching = launch {
                paused.complete(nearside.adjustments().first { it.action == AdjustmentAction.Paused })
            }
            val chunks = nearside.chat(question)
                .onEach {
                    if (it is Chunk.Text && !paused.isCompleted) {
                        nearside.notify(AppEvent.BACKGROUND)
                        assertEquals(AdjustmentCause.BACKGROUND, paused.await().cause)
                        nearside.notify(AppEvent.FOREGROUND)
                    }
                }
                .toList()
            watching.join()

            assertEquals(unbroken, chunks.text())
            assertEquals(StopReason.MAX_TOKENS, chunks.done().stop)
        }
    }

    @Test
    fun heatSlowsAnAnswerAndTheAppIsTold() = scenario(2.minutes) {
        val host = Anywhere(DeviceFacts(network = Connectivity.UNMETERED, heat = ThermalState.CRITICAL))
        Nearside.withHost(Config(freshDirectory(), context = 2048u), host).use { nearside ->
            val told = CompletableDeferred<Adjustment>()
            val stream = nearside.startAdjustments()
            val watching = launch { told.complete(stream.nextBatch().first()) }
            nearside.chat(greedy(ChatMessage.user("Count to ten."), maxTokens = 4u)).toList()

            val (model, action, cause) = told.await()
            assertTrue(model.endsWith("smollm2.gguf"))
            assertEquals(AdjustmentAction.Slowed(threads = 1u, percent = 50u), action)
            assertEquals(AdjustmentCause.HEAT, cause)
            watching.join()
            stream.close()
        }
    }

    @Test
    fun adjustmentsEndWithTheLibrary() = scenario {
        val nearside = Nearside(Config(freshDirectory()))
        val stream = nearside.startAdjustments()
        nearside.shutDown()

        assertTrue(stream.nextBatch().isEmpty())
        stream.close()
        nearside.close()
    }
}
