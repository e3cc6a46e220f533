package org.nearside

import kotlin.io.path.Path
import kotlin.io.path.exists
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.yield

/** Conversations that the library stores. */
class ConversationTest {
    @Test
    fun whatWasSaidIsThereAfterARestart() = scenario {
        val directory = freshDirectory()
        val said = arrayOf(ReplyStep.Reasoning("The moon."), ReplyStep.Text("Twice a day."))
        val id = library(directory, *said).use { nearside ->
            val chats = nearside.conversations()
            val id = chats.create(ConversationSettings(system = "Be brief.")).id
            val chunks = chats.send(id, ask("Why do the tides come?")).toList()
            assertEquals("Twice a day.", chunks.text())
            assertEquals(StopReason.END, chunks.done().stop)
            id
        }
        library(directory).use { nearside ->
            val conversation = nearside.conversations().open(id)
            val (question, answer) = conversation.messages
            assertEquals(MessageRole.USER to "Why do the tides come?", question.role to question.text)
            assertEquals(MessageRole.ASSISTANT to "Twice a day.", answer.role to answer.text)
            assertEquals("The moon.", answer.reasoning)
            assertEquals(MessageState.Done(StopReason.END), answer.state)
            assertEquals("Be brief.", conversation.summary.settings.system)
            assertEquals(listOf(id), nearside.conversations().list().map { it.id })
        }
    }

    @Test
    fun anEditAndARegenerationKeepTheVersionsBefore() = scenario {
        library(freshDirectory(), ReplyStep.Text("Blue.")).use { nearside ->
            val chats = nearside.conversations()
            val id = chats.create().id
            chats.send(id, ask("What colour?")).toList()
            val first = chats.open(id).messages
            assertEquals("Blue.", chats.regenerate(id, first[1].id).toList().text())

            val second = chats.open(id).messages
            assertEquals(2, second.size)
            assertNotEquals(first[1].id, second[1].id)
            assertEquals(listOf(first[1].id, second[1].id), second[1].versions)

            chats.edit(id, first[0].id, ask("What colour is the sea?")).toList()
            val third = chats.open(id).messages
            assertEquals(listOf("What colour is the sea?", "Blue."), third.map { it.text })
            assertEquals(listOf(first[0].id, third[0].id), third[0].versions)

            val back = chats.choose(id, first[0].id)
            assertEquals("What colour?", back.messages.first().text)
        }
    }

    @Test
    fun anAnswerThatWasStoppedGoesOnWhereItBrokeOff() = scenario {
        val directory = freshDirectory()
        val id = library(directory, ReplyStep.Text("Because of the "), ReplyStep.Stall).use { nearside ->
            val chats = nearside.conversations()
            val id = chats.create().id
            chats.send(id, ask("Why tides?")).first { it == Chunk.Text("the ") }
            val stopped = awaitFinalMessage(chats, id)
            assertEquals("Because of the ", stopped.text)
            assertEquals(MessageState.Done(StopReason.CANCELLED), stopped.state)
            id
        }
        library(directory, ReplyStep.Text("moon.")).use { nearside ->
            val chats = nearside.conversations()
            assertEquals("moon.", chats.resume(id).toList().text(), "only what is new is streamed")
            assertEquals(listOf("Why tides?", "Because of the moon."), chats.open(id).messages.map { it.text })
        }
    }

    @Test
    fun conversationsAreNamedPinnedFoundExportedAndDeleted() = scenario {
        library(freshDirectory(), ReplyStep.Text("Granite is hard.")).use { nearside ->
            val chats = nearside.conversations()
            val (old, new) = List(2) { chats.create().id }
            chats.send(old, ask("Which stone?")).toList()
            chats.setPinned(old, true)
            chats.rename(new, "Empty")
            assertEquals(listOf(old to "Which stone?", new to "Empty"), chats.list().map { it.id to it.title })

            val hit = chats.search("grani").single()
            assertEquals(old, hit.conversation.id)
            assertTrue(hit.snippet.any { it.matched && it.text == "Granite" }, "${hit.snippet}")
            assertContains(chats.export(old, ExportFormat.MARKDOWN), "Granite is hard.")

            chats.delete(old)
            assertEquals(listOf(new), chats.list().map { it.id })
            chats.restore(old)
            assertEquals(2, chats.list().size)
            chats.delete(old)
            chats.purge()
            assertFailsWith<NearsideException> { chats.open(old) }
        }
    }

    @Test
    fun anEditIsEstimatedOnItsOwnHistoryAndATemporaryChatIsNowhere() = scenario {
        library(freshDirectory(), ReplyStep.Text("Granite.")).use { nearside ->
            val chats = nearside.conversations()
            val id = chats.create().id
            for (question in listOf("Which stone?", "And which else? ".repeat(200))) {
                chats.send(id, ask(question)).toList()
            }
            val first = chats.open(id).messages.first().id
            val next = chats.cost(id, ask("Why?")).sumOf { it.usdIn ?: 0.0 }
            val edit = chats.cost(id, ask("Why?"), ConversationTurn.Edit(first)).sumOf { it.usdIn ?: 0.0 }
            assertTrue(edit * 10 < next, "$edit $next")

            val temporary = nearside.temporaryConversations()
            val other = temporary.create().id
            temporary.send(other, ask("Which stone?")).toList()
            assertEquals(2, temporary.open(other).messages.size)
            assertEquals(listOf(id), chats.list().map { it.id })
            nearside.shutDown()
        }
    }

    @Test
    fun modelsAndConversationsAreInTwoDirectories() = scenario {
        val (models, data) = List(2) { freshDirectory() }
        val id = Nearside.open(models, data).use { nearside ->
            nearside.conversations().create().id.also { nearside.shutDown() }
        }
        Nearside.open(models, data).use { nearside ->
            assertEquals(listOf(id), nearside.conversations().list().map { it.id })
        }
        assertTrue(Path(data, "conversations.db").exists() && Path(models, "models").exists())
        assertFalse(Path(models, "conversations.db").exists())
    }

    /** Opens a library in [directory] with a scripted answer. */
    private fun library(directory: String, vararg steps: ReplyStep): Nearside =
        Nearside.scripted(Config(directory), ScriptedReply(steps.toList()))

    private fun ask(question: String) = ChatRequest(listOf(ChatMessage.user(question)))

    /** Returns the last message once it is final: an answer ends shortly after its flow was left. */
    private suspend fun awaitFinalMessage(chats: Conversations, id: ULong): StoredMessage {
        while (true) {
            val message = chats.open(id).messages.last()
            if (message.state != MessageState.Writing) return message
            yield()
        }
    }
}
