/*
 * `AppModel` without a screen: chats that are left unfinished, and changes of a chat elsewhere.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNotSame
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue

class AppModelTest {
    private fun AppModel.ask(question: String): ChatModel = assertNotNull(chat).also {
        it.draft = question
        it.send()
    }

    @Test
    fun `an answer goes on while another chat is open`() {
        val pace = Pace(words = 5)
        val app = app(demo(pace))
        app.newChat()
        val chat = app.ask("tide")
        app.open(1)
        pace.allow(5)
        app.open(assertNotNull(chat.chatId))
        assertSame(chat, app.chat)
        assertTrue(chat.isAnswering)
        pace.allow(200)
        assertEquals(MessageStatus.Done, chat.messages.last().status)
    }

    @Test
    fun `a chat that answers out of sight is stopped and deleted`() {
        val pace = Pace(words = 5)
        val app = app(demo(pace))
        app.newChat()
        val chat = app.ask("tide")
        app.open(1)
        val deletion = app.delete(assertNotNull(chat.chatId))
        pace.allow(1)
        deletion.await()
        assertFalse(chat.isAnswering)
        assertTrue(app.chats.chats.none { it.id == chat.chatId })
        assertEquals(1, app.chat?.chatId)
        assertNull(app.chats.failure)
    }

    @Test
    fun `a draft is still there after another chat was open`() {
        val app = app()
        app.open(1)
        app.chat?.draft = "half a thought"
        app.open(app.chats.others.first().id)
        assertEquals("", app.chat?.draft)
        app.open(1)
        assertEquals("half a thought", app.chat?.draft)
        app.back()
        app.newChat()
        app.chat?.draft = "a first thought"
        app.back()
        app.newChat()
        assertEquals("a first thought", app.chat?.draft)
    }

    @Test
    fun `a renamed chat has its name on its own screen`() {
        val app = app()
        app.open(1)
        app.chats.rename(1, "The sea").await()
        assertEquals("The sea", app.chat?.title)
    }

    @Test
    fun `a chat that is too long goes on in a new one with its draft`() {
        val app = app()
        app.open(1)
        val full = assertNotNull(app.chat)
        full.draft = "and the moon?"
        assertNotNull(app.opener(FailureAction.StartNewChat))()
        assertNotSame(full, app.chat)
        assertNull(app.chat?.chatId)
        assertEquals("and the moon?", app.chat?.draft)
        assertEquals("", full.draft)
    }
}
