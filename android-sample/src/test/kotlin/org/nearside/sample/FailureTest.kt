/*
 * What the user is told of a failure.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import org.nearside.ErrorReason
import org.nearside.NearsideException

class FailureTest {
    @Test
    fun `every reason of the library has a sentence of its own`() {
        val reasons = ErrorReason.entries.map { it.failureReason() }
        assertEquals(FailureReason.entries, reasons)
        for (language in listOf(english, russian)) {
            assertEquals(reasons.size, reasons.map { language.text(it.sentence) }.toSet().size)
        }
    }

    @Test
    fun `the library's text is below the sentence`() {
        val page = "https://example.org/o/r"
        val error =
            NearsideException.Unauthorized("`o/r` is gated", ErrorReason.TERMS_NOT_ACCEPTED, 1_500uL, page)
        val failure = error.failure()
        assertEquals(Failure("`o/r` is gated", FailureReason.TermsNotAccepted, 1.5, page), failure)
        val lines = russian.failure(failure).lines()
        assertEquals(russian.text(Strings.FailureTermsNotAccepted), lines[0])
        assertEquals("`o/r` is gated", lines[1])
        assertEquals(3, lines.size)
        assertEquals(failure, BrainError(failure).failure())
    }

    @Test
    fun `any other failure keeps its text`() {
        val failure = IllegalStateException("no space").failure()
        assertNull(failure.reason)
        assertEquals("No space", english.failure(failure))
    }
}
