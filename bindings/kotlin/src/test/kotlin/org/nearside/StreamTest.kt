package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList

/** Streamed answers. */
class StreamTest {
    @Test
    fun aStreamedAnswerEqualsRusts() = scenario {
        val question = "What is the capital of France?"
        val expected = answerOfTheCommandLine(question, maxTokens = 48u)
        val chunks = Nearside.open(freshDirectory()).use {
            it.chat(greedy(ChatMessage.user(question), maxTokens = 48u)).toList()
        }

        assertIs<Chunk.Started>(chunks.first())
        assertTrue(expected.isNotBlank(), "the command line answered nothing")
        assertEquals(expected, chunks.text())
        assertEquals(0.0, chunks.done().receipt.costUsd)
        assertEquals("device", chunks.done().receipt.dataPolicy.region)
    }

    @Test
    fun reasoningComesApartFromText() = scenario {
        val chunks = scripted(
            ReplyStep.Reasoning("The moon pulls, so"),
            ReplyStep.Text("Because of the moon."),
        ).use { it.chat(ChatRequest(listOf(ChatMessage.user("Why tides?")))).toList() }

        val kinds = chunks.map { it::class }.distinct()
        assertEquals(listOf(Chunk.Started::class, Chunk.Reasoning::class, Chunk.Text::class, Chunk.Done::class), kinds)
        assertEquals("The moon pulls, so", chunks.filterIsInstance<Chunk.Reasoning>().joinToString("") { it.text })
        assertEquals("Because of the moon.", chunks.text())
    }

    @Test
    fun aToolCallArrivesWhole() = scenario {
        val call = ReplyStep.ToolCall(id = "1", name = "weather", arguments = """{"city":"Besançon"}""")
        val chunks = scripted(call).use { it.chat(ChatRequest(listOf(ChatMessage.user("Umbrella?")))).toList() }

        val calls = chunks.filterIsInstance<Chunk.ToolCall>()
        assertEquals(listOf(Chunk.ToolCall(call.id, call.name, call.arguments)), calls)
    }

    @Test
    fun aSlowReaderLosesNothing() = scenario {
        val words = (1..500).joinToString(" ") { "word$it" }
        val chunks = scripted(ReplyStep.Text(words)).use { nearside ->
            nearside.chat(ChatRequest(listOf(ChatMessage.user("Talk.")))).onEach { delay(1.milliseconds) }.toList()
        }

        assertEquals(words, chunks.text())
        assertEquals(StopReason.END, chunks.done().stop)
    }

    @Test
    fun twoConversationsOneAfterTheOther() = scenario {
        Nearside.open(freshDirectory()).use { nearside ->
            suspend fun answer(vararg messages: ChatMessage) =
                nearside.chat(greedy(*messages, maxTokens = 24u)).toList()

            val france = ChatMessage.user("What is the capital of France?")
            val paris = answer(france)
            val more = answer(france, ChatMessage.assistant(paris.text()), ChatMessage.user("What is it known for?"))
            val whales = answer(ChatMessage.user("Are whales fish?"))

            for (chunks in listOf(paris, more, whales)) assertTrue(chunks.text().isNotBlank())
            assertTrue(more.done().usage.promptTokens > paris.done().usage.promptTokens, "the first has a history")
            assertTrue(whales.done().usage.promptTokens < more.done().usage.promptTokens, "the second has no history")
            assertEquals(0.0, whales.done().timings.loadMs, "the model stayed loaded")
        }
    }
}
