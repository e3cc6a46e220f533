/*
 * `ChatModel` without a screen.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

class ChatModelTest {
    private fun chat(brain: Brain = demo(), id: ChatId? = null) =
        ChatModel(brain, unconfined(), id).also { it.load().await() }

    @Test
    fun `a chat is stored with its first message and not before`() = runBlocking {
        val brain = demo(fresh = true)
        val chat = chat(brain)
        assertEquals(emptyList(), brain.chats())
        chat.draft = "  Hello  "
        chat.send()
        assertEquals("Hello", brain.chats().single().title)
        assertEquals("", chat.draft)
    }

    @Test
    fun `nothing is sent while an answer is written`() {
        val pace = Pace(words = 5)
        val chat = chat(demo(pace))
        chat.draft = "tide"
        chat.send()
        chat.draft = "and the moon?"
        assertFalse(chat.canSend)
        chat.send()
        assertEquals(2, chat.messages.size)
        assertEquals("and the moon?", chat.draft)
        pace.allow(200)
        assertTrue(chat.canSend)
        assertEquals(MessageStatus.Done, chat.messages.last().status)
    }

    @Test
    fun `a stop before the first word takes effect`() {
        val pace = Pace()
        val chat = chat(demo(pace))
        chat.draft = "tide"
        chat.send()
        chat.stop()
        pace.allow(1)
        assertFalse(chat.isAnswering)
        assertEquals(MessageStatus.Stopped, chat.messages.last().status)
        assertTrue(chat.canContinue)
    }

    @Test
    fun `a device-only mode says why nothing was sent`() = runBlocking {
        val brain = demo()
        brain.setPreferences(Preferences(AnswerMode.OnlyOnDevice, finishedFirstRun = true))
        val chat = chat(brain)
        val long = "word ".repeat(400).trim()
        chat.draft = long
        chat.send()
        assertEquals("this is longer than a model on this device can read", chat.failure?.text)
        assertEquals(long, chat.draft)
        assertEquals(emptyList(), chat.messages)
    }

    @Test
    fun `a refused edit is still an edit`() {
        val chat = chat(id = 1)
        chat.choose(chat.choices.last()).await()
        chat.beginEdit(chat.messages.first().id)
        chat.draft = "Other words"
        chat.send()
        chat.refuse()
        assertEquals("Other words", chat.draft)
        assertEquals(chat.messages.first().id, chat.editing)
    }

    @Test
    fun `an edit brings the draft of before back`() {
        val chat = chat(id = 1)
        chat.draft = "half a thought"
        chat.beginEdit(chat.messages.first().id)
        assertTrue(chat.isUnfinished)
        chat.cancelEdit()
        assertEquals("half a thought", chat.draft)
        chat.beginEdit(chat.messages.first().id)
        chat.draft = "Other words"
        chat.send()
        assertEquals("half a thought", chat.draft)
        assertEquals("Other words", chat.messages.first().text)
        assertNull(chat.editing)
    }

    @Test
    fun `a refused edit keeps the draft of before`() {
        val chat = chat(id = 1)
        chat.choose(chat.choices.last()).await()
        chat.draft = "half a thought"
        chat.beginEdit(chat.messages.first().id)
        chat.draft = "Other words"
        chat.send()
        chat.refuse()
        assertEquals("Other words", chat.draft)
        chat.cancelEdit()
        assertEquals("half a thought", chat.draft)
    }

    @Test
    fun `a refusal and a look at the costs leave no empty chat`() = runBlocking {
        val brain = demo(fresh = true)
        val chat = chat(brain)
        chat.loadCosts().await()
        assertTrue(chat.costs.isNotEmpty())
        assertEquals(emptyList(), brain.chats())
        val long = "word ".repeat(400).trim()
        chat.draft = long
        chat.send()
        assertEquals(emptyList(), brain.chats())
        chat.refuse()
        assertEquals(emptyList(), brain.chats())
        chat.retry()
        chat.accept()
        assertEquals(1, brain.chats().size)
    }

    @Test
    fun `an answer that stored nothing leaves no empty chat`() = runBlocking {
        val demo = demo(fresh = true)
        var isBroken = true
        val brain = object : Brain by demo {
            override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream = if (isBroken) {
                throw BrainError(
                    "another process writes",
                    FailureReason.Busy,
                )
            } else {
                demo.answer(request, chat)
            }
        }
        val chat = chat(brain)
        chat.draft = "Hello"
        chat.send()
        assertEquals(emptyList(), brain.chats())
        assertNull(chat.chatId)
        assertEquals("Hello", chat.draft)
        isBroken = false
        chat.retry()
        assertEquals("Hello", brain.chats().single().title)
    }

    @Test
    fun `a stored chat that fails before it is read stays`() = runBlocking {
        val demo = demo()
        val brain = object : Brain by demo {
            override suspend fun open(chat: ChatId): Chat =
                throw BrainError("another process writes", FailureReason.Busy)

            override suspend fun decide(request: AnswerRequest, chat: ChatId?): AnswerDecision = throw BrainError("no")
        }
        val count = demo.chats().size
        val chat = ChatModel(brain, unconfined(), chat = 1)
        chat.draft = "Hello"
        chat.send()
        assertEquals(count, demo.chats().size)
        assertEquals(1, chat.chatId)
    }

    @Test
    fun `another brain ends the earlier one in order`() = runBlocking {
        var ended = 0
        val brain = object : Brain by demo() {
            override suspend fun shutDown() {
                ended += 1
                throw BrainError("it is not stored")
            }
        }
        val app = app(brain)
        app.enterDemo().join()
        assertEquals(1, ended)
        assertNull(app.failure)
        app.leaveDemo().join()
        app.shutDown()
        assertEquals(2, ended)
    }

    @Test
    fun `web search goes with the model that has it`() {
        val chat = chat(id = 1)
        chat.choose(chat.choices.last()).await()
        chat.webSearch = true
        chat.choose(chat.choices.first()).await()
        assertFalse(chat.canSearchWeb)
        assertFalse(chat.webSearch)
        assertNull(chat.options.provider)
    }
}
