package org.nearside

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.takeWhile
import kotlinx.coroutines.flow.toList

/** Conversations that the library keeps. */
class ConversationTest {
    @Test
    fun aConversationIsThereAfterARestart() = scenario {
        val directory = freshDirectory()
        val script = Script(listOf(ScriptStep.Reasoning("The moon."), ScriptStep.Text("Because of the moon.")))
        val id = Nearside.scripted(Config(directory), script).use { nearside ->
            val conversations = nearside.conversations()
            val id = conversations.create(ConversationSettings(preset = Preset.PRECISE)).id
            assertEquals("Because of the moon.", conversations.send(id, saying("Why tides?")).toList().text())
            id
        }
        Nearside(directory).use { nearside ->
            val summary = nearside.conversations().list().single()
            assertEquals(id to "Why tides?", summary.id to summary.title)
            val (question, answer) = nearside.conversations().open(id).messages
            assertEquals("Why tides?", question.text)
            assertEquals("Because of the moon." to "The moon.", answer.text to answer.reasoning)
            assertEquals(MessageState.Done(StopReason.END), answer.state)
            assertEquals(id, nearside.conversations().search("moon").single().conversation.id)
        }
    }

    @Test
    fun everyVersionOfAMessageIsKept() = scenario {
        scripted(ScriptStep.Text("So.")).use { nearside ->
            val conversations = nearside.conversations()
            val id = conversations.create().id
            conversations.send(id, saying("Why?")).toList()
            val (question, answer) = conversations.open(id).messages

            conversations.regenerate(id, answer.id).toList()
            val again = conversations.open(id).messages.last()
            assertEquals(listOf(answer.id, again.id), again.versions)

            conversations.edit(id, question.id, saying("Why not?")).toList()
            val edited = conversations.open(id).messages
            assertEquals("Why not?", edited.first().text)
            assertEquals(2, edited.first().versions.size)

            val back = conversations.choose(id, question.id).messages
            assertEquals(listOf("Why?", "So."), back.map { it.text })
        }
    }

    @Test
    fun anAnswerThatWasLeftIsKeptAndGoesOn() = scenario {
        val words = (1..200).joinToString(" ") { "word$it" }
        scripted(ScriptStep.Text(words), delayMs = 1u).use { nearside ->
            val conversations = nearside.conversations()
            val id = conversations.create().id
            var seen = 0
            conversations.send(id, saying("Talk.")).takeWhile { it !is Chunk.Text || seen++ < 20 }.toList()

            val left = conversations.open(id).messages.last()
            assertTrue(left.text.startsWith("word1 word2"), left.text.take(40))
            assertTrue(left.text.length < words.length, "it went on to the end")

            val rest = conversations.resume(id).toList()
            assertIs<Chunk.Done>(rest.last())
            assertContains(conversations.open(id).messages.last().text, rest.text().trim())
        }
    }

    private fun saying(text: String) = ChatRequest(listOf(user(text)))
}
