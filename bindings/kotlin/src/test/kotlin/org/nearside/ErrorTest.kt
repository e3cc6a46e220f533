package org.nearside

import kotlin.io.path.Path
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlinx.coroutines.flow.toList

/** Errors: one variant for each kind. */
class ErrorTest {
    @Test
    fun eachErrorVariantCanBeToldApart() = scenario {
        for (kind in ErrorKind.entries) {
            val nearside = scripted(ReplyStep.Fail(kind, "model `ünïcode` says $kind"))
            val (_, failure) = nearside.use { it.chat(ChatRequest(listOf(ChatMessage.user("Hello!")))).untilFailure() }

            assertEquals(kind, kindOf(assertIs<NearsideException>(failure)))
            assertEquals("model `ünïcode` says $kind", failure.message)
        }
        assertEquals(13, ErrorKind.entries.size)
    }

    @Test
    fun realFailuresHaveTheVariantThatTheyShould() = scenario {
        val directory = freshDirectory()
        val junk = Path(directory, "junk.gguf").apply { writeText("this is no model") }.toString()
        Nearside.open(directory).use { nearside ->
            assertFailsWith<NearsideException.NotInstalled> {
                nearside.chat(ChatRequest(listOf(ChatMessage.user("Hello!")), model = "missing")).toList()
            }
            assertFailsWith<NearsideException.InvalidRequest> { nearside.chat(ChatRequest(emptyList())).toList() }
            assertFailsWith<NearsideException.Corrupt> { nearside.import(junk) }
            assertFailsWith<NearsideException.NotInstalled> { nearside.remove(ModelRef.parse("missing")) }
        }
        assertFailsWith<NearsideException.Storage> { Nearside.open("$junk/below-a-file") }
    }

    @Test
    fun anErrorComesAfterTheTextBeforeIt() = scenario {
        val nearside = scripted(ReplyStep.Text("so far so"), ReplyStep.Fail(ErrorKind.NETWORK, "the line is gone"))
        val (chunks, failure) = nearside.use { it.chat(ChatRequest(listOf(ChatMessage.user("Hello!")))).untilFailure() }

        assertEquals("so far so", chunks.text())
        assertIs<NearsideException.Network>(failure)
    }

    @Test
    fun aBugIsAnErrorAndNotTheEndOfTheApp() = scenario {
        val failure = assertFailsWith<InternalException> { panicOnPurpose("on purpose") }
        assertContains(failure.message.orEmpty(), "on purpose")
        assertEquals(emptyList(), scripted().use { it.models() })
    }

    /** Maps each exception to its kind; a missing variant does not compile. */
    private fun kindOf(failure: NearsideException): ErrorKind = when (failure) {
        is NearsideException.NotInstalled -> ErrorKind.NOT_INSTALLED
        is NearsideException.TooLarge -> ErrorKind.TOO_LARGE
        is NearsideException.Storage -> ErrorKind.STORAGE
        is NearsideException.Network -> ErrorKind.NETWORK
        is NearsideException.Provider -> ErrorKind.PROVIDER
        is NearsideException.Unauthorized -> ErrorKind.UNAUTHORIZED
        is NearsideException.RateLimited -> ErrorKind.RATE_LIMITED
        is NearsideException.Corrupt -> ErrorKind.CORRUPT
        is NearsideException.Unsupported -> ErrorKind.UNSUPPORTED
        is NearsideException.InvalidRequest -> ErrorKind.INVALID_REQUEST
        is NearsideException.Blocked -> ErrorKind.BLOCKED
        is NearsideException.Busy -> ErrorKind.BUSY
        is NearsideException.Internal -> ErrorKind.INTERNAL
    }
}
