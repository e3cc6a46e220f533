package org.nearside

import kotlin.io.path.Path
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlinx.coroutines.flow.toList

/** Errors: one variant for each kind, with the same fields. */
class ErrorTest {
    private val hello = ChatRequest(listOf(ChatMessage.user("Hello!")))

    @Test
    fun eachErrorVariantCanBeToldApart() = scenario {
        for (kind in ErrorKind.entries) {
            val nearside = scripted(ReplyStep.Fail(kind, "model `ünïcode` says $kind"))
            val (_, failure) = nearside.use { it.chat(hello).untilFailure() }

            val error = assertIs<NearsideException>(failure)
            assertEquals(kind, error.kind)
            assertEquals("model `ünïcode` says $kind", error.message)
            assertEquals(error.message, error.detail)
            assertNull(error.retryAfterMs)
            assertNull(error.helpUrl)
        }
        assertEquals(13, ErrorKind.entries.size)
    }

    @Test
    fun everyReasonArrivesWithItsFields() = scenario {
        val page = "https://example.org/terms"
        for (reason in ErrorReason.entries) {
            val nearside = scripted(ReplyStep.FailBecause(reason, "because of $reason", 1_500uL, page))
            val (_, failure) = nearside.use { it.chat(hello).untilFailure() }

            val error = assertIs<NearsideException>(failure)
            assertEquals(reason, error.reason)
            assertEquals("because of $reason", error.message)
            assertEquals(1_500uL to page, error.retryAfterMs to error.helpUrl)
        }
    }

    @Test
    fun realFailuresHaveTheVariantThatTheyShould() = scenario {
        val directory = freshDirectory()
        val junk = Path(directory, "junk.gguf").apply { writeText("this is no model") }.toString()
        Nearside.open(directory).use { nearside ->
            assertFailsWith<NearsideException.NotInstalled> { nearside.chat(hello.copy(model = "missing")).toList() }
            assertFailsWith<NearsideException.InvalidRequest> { nearside.chat(ChatRequest(emptyList())).toList() }
            assertFailsWith<NearsideException.Corrupt> { nearside.import(junk) }
            assertFailsWith<NearsideException.NotInstalled> { nearside.remove(ModelRef.parse("missing")) }
        }
        assertFailsWith<NearsideException.Storage> { Nearside.open("$junk/below-a-file") }
    }

    @Test
    fun realFailuresHaveTheReasonThatTheyShould() = scenario {
        val directory = freshDirectory()
        val junk = Path(directory, "junk.gguf").apply { writeText("this is no model") }.toString()
        val reasons = mutableListOf<ErrorReason>()
        suspend fun fails(call: suspend () -> Unit) {
            reasons += assertFailsWith<NearsideException> { call() }.reason
        }
        Nearside.open(directory).use { nearside ->
            fails { nearside.chat(hello.copy(model = "missing")).toList() }
            fails { nearside.chat(ChatRequest(emptyList())).toList() }
            fails { nearside.import(junk) }
            fails { nearside.conversations().open(77u) }
        }
        val expected = listOf(
            ErrorReason.MODEL_NOT_INSTALLED,
            ErrorReason.INVALID_PARAMETER,
            ErrorReason.DAMAGED,
            ErrorReason.NOT_FOUND,
        )
        assertEquals(expected, reasons)
    }

    @Test
    fun anErrorComesAfterTheTextBeforeIt() = scenario {
        val nearside = scripted(ReplyStep.Text("so far so"), ReplyStep.Fail(ErrorKind.NETWORK, "the line is gone"))
        val (chunks, failure) = nearside.use { it.chat(hello).untilFailure() }

        assertEquals("so far so", chunks.text())
        assertIs<NearsideException.Network>(failure)
    }

    @Test
    fun aBugIsAnErrorAndNotTheEndOfTheApp() = scenario {
        val failure = assertFailsWith<NearsideException.Internal> { panicOnPurpose("on purpose") }
        assertContains(failure.message.orEmpty(), "on purpose")
        assertEquals(ErrorReason.BUG, failure.reason)
        assertEquals(emptyList(), scripted().use { it.models() })
    }

    @Test
    fun aHostThatFailsIsAnErrorWithItsOwnText() = scenario {
        val host = object : DeviceHost {
            override fun facts(): DeviceFacts = error("no battery service")
        }
        nearside(host = host).use { nearside ->
            val failures = listOf<suspend () -> Unit>(
                { nearside.chat(hello).toList() },
                { nearside.route(hello) },
                { nearside.device() },
            ).map { assertFailsWith<NearsideException.Internal> { it() } }
            for (failure in failures) assertContains(failure.message.orEmpty(), "no battery service")
        }
    }

    @Test
    fun aStoredFailureKeepsItsReason() = scenario {
        scripted(ReplyStep.Text("so far"), ReplyStep.FailBecause(ErrorReason.NO_CREDIT, "no credit", null, null))
            .use { nearside ->
                val chats = nearside.conversations()
                val id = chats.create().id
                chats.send(id, hello).untilFailure()
                val state = chats.open(id).messages.last().state
                assertEquals(MessageState.Failed("no credit", ErrorReason.NO_CREDIT), state)
            }
    }
}
