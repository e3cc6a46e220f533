/*
 * What the user is told of a failure.
 */
package org.nearside.sample

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertNull
import org.nearside.ErrorKind
import org.nearside.ErrorReason
import org.nearside.NearsideException
import org.nearside.RouteDecision
import org.nearside.RouteRule

class FailureTest {
    @Test
    fun `every reason of the library has a sentence of its own`() {
        val reasons = ErrorReason.entries.map { it.failureReason() }
        assertEquals(FailureReason.entries, reasons)
        for (language in listOf(english, russian)) {
            val sentences = FailureReason.entries.map { language.text(it.sentence) }
            assertEquals(FailureReason.entries.size, sentences.toSet().size)
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
    fun `a reason has the actions that remove its cause`() {
        val actions = mapOf(
            FailureAction.AskAgain to setOf(FailureReason.ConsentRequired),
            FailureAction.TryAgain to setOf(
                FailureReason.Offline,
                FailureReason.Unreachable,
                FailureReason.NoResponse,
                FailureReason.Interrupted,
                FailureReason.DeadlineExceeded,
                FailureReason.ProviderFault,
                FailureReason.StorageFailed,
                FailureReason.RateLimited,
                FailureReason.CircuitOpen,
                FailureReason.Overloaded,
                FailureReason.Busy,
                FailureReason.Closed,
                FailureReason.LocalNetworkDenied,
            ),
            FailureAction.OpenAppSettings to setOf(FailureReason.LocalNetworkDenied),
            FailureAction.StartNewChat to setOf(FailureReason.ContextExceeded),
            FailureAction.ShowProviders to
                setOf(FailureReason.KeyMissing, FailureReason.KeyRejected, FailureReason.KeyForbidden),
            FailureAction.OpenPage to setOf(FailureReason.NoCredit, FailureReason.TermsNotAccepted),
            FailureAction.ShowRouting to setOf(FailureReason.ConsentRequired, FailureReason.PolicyForbids),
            FailureAction.ShowCaps to setOf(FailureReason.CostCap),
            FailureAction.ShowModels to setOf(
                FailureReason.UnknownModel,
                FailureReason.ModelNotInstalled,
                FailureReason.ModelTooLarge,
                FailureReason.Unsupported,
                FailureReason.Damaged,
                FailureReason.DiskFull,
            ),
        )
        assertEquals(FailureAction.entries.toSet(), actions.keys)
        for (reason in FailureReason.entries) {
            assertEquals(actions.filterValues { reason in it }.keys, reason.actions.toSet(), reason.name)
        }
        for (language in listOf(english, russian)) {
            assertEquals(actions.size, FailureAction.entries.map { language.text(it.title) }.toSet().size)
        }
    }

    @Test
    fun `a decision without a route says when to try again`() {
        val decision = RouteDecision.NoRoute(
            RouteRule.REACHABILITY,
            ErrorKind.BUSY,
            ErrorReason.CIRCUIT_OPEN,
            "`groq` failed repeatedly just now",
            emptyList(),
            9_000uL,
        )
        val failure = Failure("`groq` failed repeatedly just now", FailureReason.CircuitOpen, 9.0)
        assertEquals(AnswerDecision.NoRoute(failure), decision.decision())
        assertContains(english.failure(failure), "9\u00A0s")
    }

    @Test
    fun `a page comes before the screen and is offered whatever the reason`() {
        val page = "https://example.org/keys"
        fun actions(reason: FailureReason?, page: String?) = Failure("", reason, page = page).actions
        assertEquals(
            listOf(FailureAction.OpenPage, FailureAction.ShowProviders),
            actions(FailureReason.KeyRejected, page),
        )
        assertEquals(listOf(FailureAction.ShowProviders), actions(FailureReason.KeyRejected, null))
        assertEquals(listOf(FailureAction.OpenPage), actions(FailureReason.NoCredit, page))
        assertEquals(listOf(FailureAction.OpenPage), actions(null, page))
        assertEquals(emptyList(), actions(FailureReason.NoCredit, null))
        assertEquals(emptyList(), actions(FailureReason.Bug, null))
    }

    @Test
    fun `every rule of the router has a text of its own`() {
        val rules = RouteRule.entries.map { it.routingRule() }
        assertEquals(RoutingRule.entries, rules)
        for (language in listOf(english, russian)) {
            assertEquals(rules.size, rules.map { language.text(it.title) }.toSet().size)
        }
    }

    @Test
    fun `any other failure keeps its text`() {
        val failure = IllegalStateException("no space").failure()
        assertNull(failure.reason)
        assertEquals("No space", english.failure(failure))
    }
}
