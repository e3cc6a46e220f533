/*
 * What apps' tests get beside scripts and providers: a hub, a model of one megabyte, a clock, previews, scripts of whole apps.
 */
package org.nearside

import java.io.File
import java.time.Instant
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.flow.toList
import org.nearside.testing.FakeClock
import org.nearside.testing.HubFault
import org.nearside.testing.HubFile
import org.nearside.testing.LocalHub
import org.nearside.testing.TinyModel
import org.nearside.testing.preview
import org.nearside.testing.scriptEveryLibrary
import org.nearside.testing.scripted

class AppTestingTest {
    @Test
    fun aTinyModelComesFromALocalHubAndReallyAnswers() = scenario {
        val bytes = TinyModel.bytes()
        LocalHub(HubFile("org/tiny", "tiny.gguf", bytes)).use { hub ->
            hub.add(HubFault.CutAfter(100_000))
            Nearside(Config(freshDirectory(), hub = hub.url, context = 256u)).use { nearside ->
                val events = nearside.download(ModelRef.parse("hf:org/tiny/tiny.gguf")).toList()
                val installed = events.filterIsInstance<DownloadEvent.Installed>().single().model
                val resumed = hub.bytesSent
                assertTrue(resumed in bytes.size.toLong()..bytes.size + 200_000L, "$resumed of ${bytes.size}")

                val request = ChatRequest(
                    listOf(ChatMessage.user("Why tides?")),
                    model = installed.id,
                    limits = RequestLimits(maxTokens = 8u),
                )
                val done = nearside.chat(request).toList().filterIsInstance<Chunk.Done>().single()
                assertEquals(8u, done.summary.usage.completionTokens)
            }
        }
    }

    @Test
    fun aClockMovesTheDatesOfConversations() = scenario {
        val clock = FakeClock(Instant.parse("2026-03-31T23:59:59Z"))
        val nearside = scripted(clock = clock) { text("Because of the moon.") }
        val made = nearside.conversations().create(ConversationSettings())
        assertEquals(clock.now.toEpochMilli().toULong(), made.createdAtMs)
        clock.advance(1.seconds)
        assertEquals(Instant.parse("2026-04-01T00:00:00Z"), clock.now)
        val next = nearside.conversations().create(ConversationSettings())
        assertEquals(made.createdAtMs + 1000u, next.createdAtMs)
        nearside.close()
        clock.close()
    }

    @Test
    fun aPreviewAnswersAndStoresInMemory() = scenario {
        preview { text("Because of the moon.") }.use { nearside ->
            val conversation = nearside.conversations().create(ConversationSettings())
            val answer = nearside.conversations().send(conversation.id, tides()).toList()
            assertEquals("Because of the moon.", answer.text())
            assertEquals(2, nearside.conversations().open(conversation.id).messages.size)
        }
    }

    @Test
    fun aWholeAppPlaysAScriptUntilItIsTakenAway() = scenario {
        val directory = freshDirectory()
        scriptEveryLibrary("""{"steps": [{"type": "text", "text": "As the script says."}]}""")
        try {
            Nearside.open(Config(directory)).use { app ->
                assertEquals("As the script says.", app.chat(tides()).toList().text())
            }
            assertFailsWith<NearsideException.InvalidRequest> {
                scriptEveryLibrary("""{"steps": [{"type": "sing"}]}""")
            }
        } finally {
            scriptEveryLibrary(null)
        }
        Nearside.open(Config(directory)).use { app ->
            assertFailsWith<NearsideException> { app.chat(tides()).toList() }
        }
        assertTrue(File(directory).exists())
    }
}
