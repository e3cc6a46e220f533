/*
 * An answer while it is written: what the screen is told, and how often.
 */
@file:OptIn(ExperimentalCoroutinesApi::class)

package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.test.runTest
import kotlinx.coroutines.test.testTimeSource

class LiveAnswerTest {
    /** A demo whose answers are the given texts, one each [gap]. */
    private class Scripted(private val demo: DemoBrain, private val texts: List<String>, private val gap: Duration) :
        Brain by demo {
        override fun answer(request: AnswerRequest, chat: ChatId) = AnswerStream(
            flow {
                emit(AnswerChunk.Started(AnswerTarget.Demo, "it is a test"))
                for (text in texts) {
                    delay(gap)
                    emit(AnswerChunk.Text(text))
                }
                delay(gap)
            },
            stop = {},
        )
    }

    @Test
    fun `the screen changes once a frame and ends with the whole answer`() = runTest {
        val texts = List(1_000) { "w$it " }
        val brain = Scripted(demo(), texts, gap = 1.milliseconds)
        val chat = ChatModel(brain, backgroundScope, time = testTimeSource)
        val seen = mutableListOf<LiveMessage?>()
        chat.draft = "Hello"
        chat.send()
        var longest = 0
        repeat(1_100) {
            testScheduler.advanceTimeBy(1)
            testScheduler.runCurrent()
            if (seen.lastOrNull() !== chat.live) seen += chat.live
            longest = maxOf(longest, chat.messages.lastOrNull()?.text.orEmpty().length)
        }
        val drawn = seen.filterNotNull()
        assertTrue(drawn.size in 50..70, "${drawn.size} frames in a second")
        assertEquals(texts.sumOf { it.length }, longest)
        assertNull(chat.live)
    }

    @Test
    fun `what arrives between two frames is drawn with the next one`() = runTest {
        val drawn = mutableListOf<Long>()
        val frames = Frames(backgroundScope, 16.milliseconds, testTimeSource) { drawn += testScheduler.currentTime }
        frames.request()
        testScheduler.advanceTimeBy(5)
        frames.request()
        frames.request()
        testScheduler.advanceTimeBy(100)
        assertEquals(listOf(0L, 16L), drawn)
        frames.request()
        assertEquals(listOf(0L, 16L, 105L), drawn)
        frames.request()
        frames.stop()
        testScheduler.advanceTimeBy(100)
        assertEquals(3, drawn.size)
    }

    @Test
    fun `the history is the same list during an answer`() {
        val pace = Pace(words = 5)
        val chat = ChatModel(demo(pace), unconfined(), chat = 1, frame = Duration.ZERO).also { it.load().await() }
        chat.draft = "tide"
        chat.send()
        val history = chat.history
        val first = assertNotNull(chat.live)
        pace.allow(20)
        assertSame(history, chat.history)
        assertTrue(assertNotNull(chat.live) !== first)
        assertEquals(history.size + 1, chat.messages.size)
        assertTrue(chat.messages.last().text.isNotEmpty())
        pace.allow(300)
        assertNull(chat.live)
    }

    @Test
    fun `a live message has its text as blocks and its reasoning`() {
        val live = LiveAnswer(MessageEntry(7, Author.Model, text = "a **b"))
        live.add(AnswerChunk.ReasoningText("because"))
        live.add(AnswerChunk.Text("** c"))
        live.add(AnswerChunk.ToolCalled(ToolCall("weather", "{}")))
        val shown = live.shown()
        live.add(AnswerChunk.ReasoningText(" more"))
        assertEquals(markdown("a **b** c"), shown.blocks)
        assertEquals("because", shown.reasoning)
        assertEquals("a **b** c", live.message().text)
        assertEquals("because more", live.message().reasoning)
        assertEquals(listOf(ToolCall("weather", "{}")), shown.entry.toolCalls)
    }
}
