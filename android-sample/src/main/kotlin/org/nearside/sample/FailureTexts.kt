/*
 * A failure as the user sees it: a sentence in their language that says what to do, with the library's text below it.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.heightIn
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.staticCompositionLocalOf
import androidx.compose.ui.Modifier
import kotlin.math.ceil

/** What happened, and what the user can do. */
val FailureReason.sentence: Strings
    get() = when (this) {
        FailureReason.ConsentRequired -> Strings.FailureConsentRequired
        FailureReason.PolicyForbids -> Strings.FailurePolicyForbids
        FailureReason.CostCap -> Strings.FailureCostCap
        FailureReason.ContentFiltered -> Strings.FailureContentFiltered
        FailureReason.KeyMissing -> Strings.FailureKeyMissing
        FailureReason.KeyRejected -> Strings.FailureKeyRejected
        FailureReason.KeyForbidden -> Strings.FailureKeyForbidden
        FailureReason.NoCredit -> Strings.FailureNoCredit
        FailureReason.TermsNotAccepted -> Strings.FailureTermsNotAccepted
        FailureReason.Offline -> Strings.FailureOffline
        FailureReason.Unreachable -> Strings.FailureUnreachable
        FailureReason.NoResponse -> Strings.FailureNoResponse
        FailureReason.Interrupted -> Strings.FailureInterrupted
        FailureReason.DeadlineExceeded -> Strings.FailureDeadlineExceeded
        FailureReason.ProviderFault -> Strings.FailureProviderFault
        FailureReason.ContextExceeded -> Strings.FailureContextExceeded
        FailureReason.UnknownModel -> Strings.FailureUnknownModel
        FailureReason.NotFound -> Strings.FailureNotFound
        FailureReason.InvalidParameter -> Strings.FailureInvalidParameter
        FailureReason.ModelNotInstalled -> Strings.FailureModelNotInstalled
        FailureReason.ModelTooLarge -> Strings.FailureModelTooLarge
        FailureReason.Unsupported -> Strings.FailureUnsupported
        FailureReason.DiskFull -> Strings.FailureDiskFull
        FailureReason.AccessDenied -> Strings.FailureAccessDenied
        FailureReason.Damaged -> Strings.FailureDamaged
        FailureReason.NewerVersion -> Strings.FailureNewerVersion
        FailureReason.StorageFailed -> Strings.FailureStorageFailed
        FailureReason.RateLimited -> Strings.FailureRateLimited
        FailureReason.CircuitOpen -> Strings.FailureCircuitOpen
        FailureReason.Overloaded -> Strings.FailureOverloaded
        FailureReason.Busy -> Strings.FailureBusy
        FailureReason.Closed -> Strings.FailureClosed
        FailureReason.Bug -> Strings.FailureBug
        FailureReason.LocalNetworkDenied -> Strings.FailureLocalNetworkDenied
    }

/** The sentence, the library's text, and when to try again; of a failure without a reason the text alone. */
fun Translation.failure(failure: Failure): String = listOfNotNull(
    failure.reason?.let { text(it.sentence) },
    failure.text.replaceFirstChar { it.uppercase() },
    failure.retrySeconds?.let { text(Strings.FailureRetryIn, duration(ceil(it))) },
).joinToString("\n")

/** Returns what opens the screen of an action; `null` if that is not offered here. */
val LocalOpener = staticCompositionLocalOf<(FailureAction) -> (() -> Unit)?> { { null } }

/** The buttons of a failure. [onRepeat] repeats the work that failed; `null` if that is not offered here. */
@Composable
fun FailureButtons(failure: Failure, onRepeat: (() -> Unit)? = null) {
    val platform = LocalPlatform.current
    val opener = LocalOpener.current
    for (action in failure.actions) {
        val page = failure.page?.takeIf { action == FailureAction.OpenPage }
        val open = when {
            page != null -> ({ platform.openPage(page) })
            action.repeats -> onRepeat
            action == FailureAction.OpenAppSettings -> platform::openAppSettings
            else -> opener(action)
        }
        if (open != null) TextButton(open, Modifier.heightIn(min = Space.touch)) { Text(action.title()) }
    }
}

/** Shows a failure in place, with its buttons; empty if there is none. */
@Composable
fun FailureNotice(
    failure: Failure?,
    modifier: Modifier = Modifier,
    onRepeat: (() -> Unit)? = null,
    onDismiss: (() -> Unit)? = null,
) {
    if (failure == null) return
    Column(modifier) {
        val text = LocalTranslation.current.failure(failure)
        Notice(text, Symbols.Warning, MaterialTheme.colorScheme.failed, onDismiss = onDismiss)
        FailureButtons(failure, onRepeat)
    }
}
