package org.nearside

import java.nio.file.Path
import kotlin.io.path.readText
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.nearside.testing.RecordedExchange
import org.nearside.testing.RecordedProvider
import org.nearside.testing.scripted

/** The testing module for apps. */
class TestingTest {
    private val question = ChatRequest(listOf(ChatMessage.user("Why tides?")))

    @Test
    fun aScriptIsPlayedInItsOrder() = scenario {
        val nearside = scripted {
            reasoning("The moon pulls, so")
            text("Because of the moon.")
            toolCall("weather", """{"city":"Brest"}""")
            fail(ErrorKind.NETWORK, "the line is gone")
        }
        val (chunks, failure) = nearside.use { it.chat(question).untilFailure() }

        assertEquals("The moon pulls, so", chunks.filterIsInstance<Chunk.Reasoning>().joinToString("") { it.text })
        assertEquals("Because of the moon.", chunks.text())
        assertEquals("weather", chunks.filterIsInstance<Chunk.ToolCall>().single().name)
        assertEquals("the line is gone", assertIs<NearsideException.Network>(failure).message)
    }

    @Test
    fun aStalledScriptEndsWhenItIsCancelled() = scenario {
        scripted { stall() }.use { nearside -> assertIs<Chunk.Started>(nearside.chat(question).first()) }
    }

    @Test
    fun aRecordedProviderAnswersAsTheRealOneDid() = scenario {
        val tape = Path.of(freshDirectory(), "tape.jsonl")
        val real = Provider("compatible")
        val recorded = record(real, tape) { url -> answer(real.settings.copy(baseUrl = url)) }
        val count = real.chats().size

        RecordedProvider(tape).use { again ->
            val path = real.url.removePrefix("http://").dropWhile { it != '/' }
            assertEquals(recorded, answer(real.settings.copy(baseUrl = again.url + path)))
        }
        assertTrue(recorded.isNotBlank() && count == 1)
        assertFalse(Provider.KEY in tape.readText(), "a tape holds no key")
    }

    @Test
    fun aRecordingMayBeWrittenByHand() = scenario {
        val exchanges =
            arrayOf(RecordedExchange.chat("Because of the moon."), RecordedExchange.refusal(401, "no such key"))
        RecordedProvider(*exchanges, RecordedExchange.models("recorded")).use { provider ->
            assertEquals("Because of the moon.", answer(provider.settings()))
            assertFailsWith<NearsideException.Unauthorized> { answer(provider.settings()) }
            val chats = provider.requests.filter { it.method == "POST" }
            assertTrue(chats.size == 2 && chats.all { "tides" in it.body }, "${provider.requests}")
        }
    }

    @Test
    fun aRecordingMayBreakOff() = scenario {
        RecordedProvider(RecordedExchange.chat("Because of", isWhole = false)).use { provider ->
            val (chunks, failure) = library(provider.settings()).use { it.chat(tides()).untilFailure() }
            assertEquals("Because of", chunks.text())
            assertIs<NearsideException>(failure)
        }
    }

    @Test
    fun whatWasNotRecordedIsRefused() = scenario {
        RecordedProvider().use { provider -> assertFailsWith<NearsideException> { answer(provider.settings()) } }
        val tape = Path.of(freshDirectory(), "tape.jsonl").apply { writeText("{}") }
        assertContains(assertFailsWith<IllegalArgumentException> { RecordedProvider(tape) }.message.orEmpty(), "line 1")
    }

    /** Returns the answer of a library with this provider only. */
    private suspend fun answer(settings: ProviderSettings): String =
        library(settings).use { it.chat(tides()).toList().text() }

    private suspend fun library(settings: ProviderSettings): Nearside =
        Nearside.withHost(Config(freshDirectory(), context = 512u), Anywhere()).also { nearside ->
            nearside.setPolicy(openPolicy)
            nearside.addProvider(settings)
            nearside.setKey(settings.name, Provider.KEY)
        }

    /** Runs [body] with the address of a recorder in front of the provider. */
    private suspend fun <T> record(provider: Provider, tape: Path, body: suspend (String) -> T): T {
        val program = Path.of(System.getProperty("nearside.programs"), "nearside-provider").toString()
        val recorder = ProcessBuilder(program, "record", "--upstream", provider.url, "--out", tape.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT).start()
        try {
            val line = Json.parseToJsonElement(recorder.inputReader().readLine()).jsonObject
            return body(line.getValue("url").jsonPrimitive.content)
        } finally {
            recorder.outputStream.close()
            recorder.waitFor()
        }
    }
}
