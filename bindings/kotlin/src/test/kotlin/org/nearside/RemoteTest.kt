package org.nearside

import java.net.InetAddress
import java.net.ServerSocket
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout

/** Requests to providers: cancellation, interruption, citations. */
class RemoteTest {
    @Test
    fun cancellingClosesTheConnection() = scenario {
        val provider = Provider("groq", """slow={"tokens":10000,"per_second":200.0}""")
        nearside(provider).use { nearside ->
            nearside.startChat(tides(RoutingMode.ONLY_IN_CLOUD)).use { stream ->
                do {
                    val batch = stream.nextBatch()
                } while (batch.none { it is Chunk.Text })
                stream.cancel()
                val done = stream.rest().done()
                assertEquals(StopReason.CANCELLED, done.stop)
                assertTrue(done.receipt.billedInFull && done.receipt.costUsd > 0, "${done.receipt}")
            }
            provider.awaitDisconnect()

            nearside.chat(tides(RoutingMode.ONLY_IN_CLOUD)).first { it is Chunk.Text }
            provider.awaitDisconnect()
        }
        provider.close()
    }

    @Test
    fun anAnswerThatBreaksOffGoesOnElsewhere() = scenario {
        val broken = Provider("fireworks", """truncated={"text":"The moon and"}""")
        val sound = Provider("compatible", """plain={"text":" the sun."}""")
        nearside(broken, sound).use { nearside ->
            val request = tides(RoutingMode.ONLY_IN_CLOUD).copy(provider = "fireworks")
            val (chunks, failure) = nearside.chat(request).untilFailure()
            assertEquals("The moon and", chunks.text())
            assertEquals(ErrorReason.INTERRUPTED, assertIs<NearsideException.Network>(failure).reason)

            val rest = nearside.continueRemotely(request.copy(provider = "compatible"), chunks.text()).toList()
            assertEquals(" the sun.", rest.text())
            assertEquals(sound.target, rest.done().receipt.target)
        }
        assertEquals(1, broken.chats().size)
        assertContains(sound.chats().single(), "The moon and")
    }

    @Test
    fun pagesThatAnAnswerRestsOnAreCited() = scenario {
        val pages = """[["https://example.org/tides","Tides"]]"""
        val provider = Provider("openrouter", """web_search={"text":"Twice.","citations":$pages}""")
        nearside(provider).use { nearside ->
            val chunks = nearside.chat(tides().copy(webSearch = true, provider = "openrouter")).toList()
            assertContains(chunks, Chunk.Citation("https://example.org/tides", "Tides"))
        }
    }

    @Test
    fun theKindsOfProviderAreListed() {
        val kinds = providerKinds()
        assertEquals(ProviderKind.entries, kinds.map { it.kind })
        assertTrue(kinds.all { !it.hosted || it.baseUrl.startsWith("https://") }, "$kinds")
        assertEquals("llama-server", kinds.single { it.kind == ProviderKind.LLAMA_SERVER }.name)
    }

    @Test
    fun aCancelledTaskWaitsForNoProvider() = scenario {
        val waiting = listOf<suspend (Nearside) -> Unit>(
            { it.route(tides()) },
            { it.providerModels("silent") },
            { it.chat(tides()).collect {} },
        )
        // A library for each: it fetches a list once at a time, and remembers a failure.
        for (wait in waiting) {
            // Accepts connections and sends no response.
            ServerSocket(0, 8, InetAddress.getLoopbackAddress()).use { silent ->
                val url = "http://127.0.0.1:${silent.localPort}/v1"
                nearside().use { nearside ->
                    nearside.addProvider(ProviderSettings("silent", ProviderKind.COMPATIBLE, url))
                    val task = launch { wait(nearside) }
                    silent.accept().use {
                        withTimeout(2.seconds) { task.cancelAndJoin() }
                    }
                }
            }
        }
    }
}
