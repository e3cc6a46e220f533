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
import org.nearside.testing.RecordedProvider
import org.nearside.testing.scripted

/** What apps test with. */
class TestingTest {
    private val question = ChatRequest(listOf(user("Why tides?")))

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
        val asked = real.chats().size

        RecordedProvider(tape).use { again ->
            val path = real.url.removePrefix("http://").dropWhile { it != '/' }
            assertEquals(recorded, answer(real.settings.copy(baseUrl = again.url + path)))
        }
        assertTrue(recorded.isNotBlank() && asked == 1)
        assertFalse(Provider.KEY in tape.readText(), "a tape holds no key")
    }

    @Test
    fun whatIsNotOnTheTapeIsRefused() = scenario {
        val tape = Path.of(freshDirectory(), "tape.jsonl").apply { writeText("") }
        RecordedProvider(tape).use { provider ->
            val settings = ProviderSettings("mine", ProviderKind.COMPATIBLE, provider.url, "some-model")
            assertFailsWith<NearsideException> { answer(settings) }
        }
        tape.writeText("{}")
        assertContains(assertFailsWith<IllegalArgumentException> { RecordedProvider(tape) }.message.orEmpty(), "line 1")
    }

    /** What a library with this provider alone answers. */
    private suspend fun answer(settings: ProviderSettings): String =
        Nearside.withHost(Config(freshDirectory(), context = 512u), Anywhere()).use { nearside ->
            nearside.setPolicy(openPolicy)
            nearside.addProvider(settings)
            nearside.setKey(settings.name, Provider.KEY)
            nearside.chat(tides()).toList().text()
        }

    /** Runs this against a recorder before the provider. */
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
