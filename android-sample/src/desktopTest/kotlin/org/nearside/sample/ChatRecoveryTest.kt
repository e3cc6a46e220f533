/*
 * What remains of a question that was refused or failed, and how it is repeated.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.runBlocking

class ChatRecoveryTest {
    private val long = "word ".repeat(400).trim()

    private fun chat(brain: Brain = demo(), id: ChatId? = null) =
        ChatModel(brain, unconfined(), id).also { it.load().await() }

    private fun AnswerStream.onChunk(act: (AnswerChunk) -> Unit) = AnswerStream(chunks.onEach { act(it) }, stop)

    @Test
    fun `a refused question is asked again`() {
        val chat = chat()
        chat.draft = long
        chat.send()
        chat.refuse()
        val failure = assertNotNull(chat.failure)
        assertEquals(FailureReason.ConsentRequired, failure.reason)
        assertContains(failure.actions, FailureAction.AskAgain)
        chat.retry()
        assertNotNull(chat.consentPrompt)
        assertNull(chat.failure)
        assertEquals("", chat.draft)
        chat.accept()
        assertEquals("US", chat.messages.last().receipt?.dataPolicy?.region)
        assertFalse(chat.canRetry)
    }

    @Test
    fun `a refused regeneration is asked again`() {
        val chat = chat(id = 1)
        chat.choose(chat.choices.last()).await()
        chat.regenerate(chat.messages.last().id)
        chat.refuse()
        assertTrue(chat.canRetry)
        chat.retry()
        chat.accept()
        assertEquals(2, chat.messages.last().versions.size)
    }

    @Test
    fun `a failure of other work does not repeat an answered question`() {
        val brain = object : Brain by demo() {
            override suspend fun costs(request: AnswerRequest, chat: ChatId?): List<CostLine> =
                throw BrainError("another process writes", FailureReason.Busy)
        }
        val chat = chat(brain, 1)
        chat.regenerate(chat.messages.last().id)
        chat.work.await()
        assertEquals(2, chat.messages.last().versions.size)
        chat.loadCosts().await()
        assertEquals(FailureReason.Busy, chat.failure?.reason)
        assertFalse(chat.canRetry)
    }

    @Test
    fun `a text that could not be sent comes back before the newer one`() {
        val gate = CompletableDeferred<AnswerDecision>()
        val brain = object : Brain by demo() {
            override suspend fun decide(request: AnswerRequest, chat: ChatId?) = gate.await()
        }
        val chat = chat(brain)
        chat.draft = "first"
        chat.send()
        chat.draft = "second"
        gate.completeExceptionally(BrainError("it is not stored", FailureReason.StorageFailed))
        chat.work.await()
        assertEquals("first\n\nsecond", chat.draft)
        assertEquals(FailureReason.StorageFailed, chat.failure?.reason)
        assertTrue(chat.canRetry)
    }

    @Test
    fun `a text is not lost if no chat can be stored`() {
        val brain = object : Brain by demo() {
            override suspend fun newChat(options: ChatOptions): ChatSummary =
                throw BrainError("the disk is full", FailureReason.DiskFull)
        }
        val chat = chat(brain)
        chat.draft = "Hello"
        chat.send()
        assertEquals("Hello", chat.draft)
        assertEquals(FailureReason.DiskFull, chat.failure?.reason)
    }

    @Test
    fun `an answer that broke off is continued and its question is not sent twice`() {
        val demo = demo()
        var isBroken = true
        val brain = object : Brain by demo {
            override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream =
                demo.answer(request, chat).onChunk {
                    if (isBroken && it is AnswerChunk.Text) throw BrainError("lost", FailureReason.Interrupted)
                }
        }
        val chat = chat(brain)
        chat.draft = "Why do the tides come twice a day?"
        chat.send()
        assertEquals("", chat.draft)
        assertEquals(FailureReason.Interrupted, chat.failure?.reason)
        isBroken = false
        chat.retry()
        assertNull(chat.failure)
        assertEquals(2, chat.messages.size)
        assertEquals(MessageStatus.Done, chat.messages.last().status)
    }

    @Test
    fun `the answer's own failure is shown also if the chat cannot be read again`() = runBlocking {
        val demo = demo()
        val id = demo.newChat(ChatOptions()).id
        var isGone = false
        val brain = object : Brain by demo {
            override suspend fun open(chat: ChatId): Chat =
                if (isGone) throw BrainError("gone", FailureReason.NotFound) else demo.open(chat)

            override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream =
                demo.answer(request, chat).onChunk {
                    throw BrainError("lost", FailureReason.Interrupted)
                }
        }
        val chat = chat(brain, id)
        isGone = true
        chat.draft = "Hello"
        chat.send()
        assertEquals(FailureReason.Interrupted, chat.failure?.reason)
    }

    @Test
    fun `a stored chat that arrives late does not replace the answer`() {
        val gate = CompletableDeferred<Unit>()
        val pace = Pace(words = 5)
        val demo = demo(pace)
        val brain = object : Brain by demo {
            override suspend fun open(chat: ChatId): Chat = demo.open(chat).also { gate.await() }
        }
        val chat = ChatModel(brain, unconfined(), chat = 1)
        chat.load()
        chat.draft = "Hello"
        chat.send()
        val written = chat.messages
        gate.complete(Unit)
        assertEquals(written, chat.messages)
        pace.allow(200)
        chat.work.await()
        assertEquals(4, chat.messages.size)
    }
}
