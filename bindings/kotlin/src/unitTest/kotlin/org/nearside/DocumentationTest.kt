package org.nearside

import java.nio.file.Path
import java.time.Instant
import kotlin.io.path.extension
import kotlin.io.path.readLines
import kotlin.io.path.walk
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import org.nearside.testing.FakeClock
import org.nearside.testing.FakeDeviceHost
import org.nearside.testing.HubFile
import org.nearside.testing.LocalHub
import org.nearside.testing.RecordedExchange
import org.nearside.testing.RecordedProvider
import org.nearside.testing.TinyModel
import org.nearside.testing.scripted

/** The code in the comments of the library: it is that of this file, which runs. */
class DocumentationTest {
    @Test
    fun theCodeInTheCommentsIsCompiled() {
        val there = Path.of("src/unitTest/kotlin/org/nearside/DocumentationTest.kt").readLines().map { it.trim() }
        val blocks = listOf("main", "android", "testing").flatMap { Path.of("src", it).walk() }
            .filter { it.extension == "kt" }.flatMap { codeInComments(it.readLines()) }
        for (block in blocks) {
            assertTrue(there.windowed(block.size).any { it == block }, "compiled nowhere: $block")
        }
        assertTrue(blocks.size >= 2, "no code found: is the search broken?")
    }

    @Test
    fun theCodeOfTheCommentsRuns() = scenario {
        val nearside = scripted {
            reasoning("The moon pulls, so")
            text("Because of the moon.")
        }
        RecordedProvider(RecordedExchange.chat("Because of the moon."), RecordedExchange.refusal(429)).use { provider ->
            nearside.addProvider(provider.settings())
        }
        assertEquals(1, nearside.providers().size)
        nearside.close()
    }

    @Test
    fun theHubAndTheClockOfTheCommentsRun() = scenario {
        val directory = freshDirectory()
        LocalHub(HubFile("org/tiny", "tiny.gguf", TinyModel.bytes())).use { hub ->
            val nearside = Nearside(Config(directory, hub = hub.url))
            nearside.download(ModelRef.parse("hf:org/tiny/tiny.gguf")).collect {}
        }
        val clock = FakeClock(Instant.parse("2026-03-31T23:59:59Z"))
        val nearside = scripted(clock = clock) { text("Because of the moon.") }
        clock.advance(1.seconds)
        nearside.close()
    }

    @Test
    fun theFakeDeviceOfTheCommentsRuns() = scenario {
        val config = Config(freshDirectory())
        val host = FakeDeviceHost(network = Connectivity.METERED)
        val nearside = Nearside.open(config, host)
        host.simulateNetwork(Connectivity.OFFLINE)
        assertEquals(Connectivity.OFFLINE, host.facts().network)
        nearside.close()
    }

    /** Returns the indented lines of the comments, block by block. */
    private fun codeInComments(lines: List<String>): List<List<String>> {
        val blocks = mutableListOf(mutableListOf<String>())
        for (line in lines) {
            val code = line.trim().takeIf { it.startsWith("*     ") }
            if (code != null) blocks.last() += code.drop(1).trim() else blocks += mutableListOf<String>()
        }
        return blocks.filter { it.isNotEmpty() }
    }
}
