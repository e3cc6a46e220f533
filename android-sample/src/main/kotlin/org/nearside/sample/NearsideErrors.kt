/*
 * Maps the errors of the library.
 */
package org.nearside.sample

import java.io.IOException
import java.nio.file.AccessDeniedException
import org.nearside.ErrorReason
import org.nearside.NearsideException
import org.nearside.detail
import org.nearside.helpUrl
import org.nearside.reason
import org.nearside.retryAfterMs

/** Returns what a screen shows of an error. */
internal fun Throwable.failure(): Failure = when (this) {
    is BrainError -> failure
    is NearsideException -> failure(detail, reason, retryAfterMs, helpUrl)
    is IOException, is SecurityException -> Failure(message ?: javaClass.simpleName, fileFailure())
    else -> Failure(message ?: javaClass.simpleName)
}

/** Why a file outside of the library could not be read or written. */
private fun Throwable.fileFailure(): FailureReason = when {
    this is SecurityException || this is AccessDeniedException -> FailureReason.AccessDenied
    // Java has no type for it.
    message.orEmpty().run {
        contains("ENOSPC") || contains("No space left", ignoreCase = true)
    } -> FailureReason.DiskFull
    else -> FailureReason.StorageFailed
}

/** A failure with the fields that the library gives. */
internal fun failure(detail: String, reason: ErrorReason, retryAfterMs: ULong?, page: String? = null) =
    Failure(detail, reason.failureReason(), retryAfterMs?.let { it.toLong() / 1000.0 }, page)

/** Exhaustive: a new reason of the library does not compile until it is mapped. */
internal fun ErrorReason.failureReason(): FailureReason = when (this) {
    ErrorReason.CONSENT_REQUIRED -> FailureReason.ConsentRequired
    ErrorReason.POLICY_FORBIDS -> FailureReason.PolicyForbids
    ErrorReason.COST_CAP -> FailureReason.CostCap
    ErrorReason.CONTENT_FILTERED -> FailureReason.ContentFiltered
    ErrorReason.KEY_MISSING -> FailureReason.KeyMissing
    ErrorReason.KEY_REJECTED -> FailureReason.KeyRejected
    ErrorReason.KEY_FORBIDDEN -> FailureReason.KeyForbidden
    ErrorReason.NO_CREDIT -> FailureReason.NoCredit
    ErrorReason.TERMS_NOT_ACCEPTED -> FailureReason.TermsNotAccepted
    ErrorReason.OFFLINE -> FailureReason.Offline
    ErrorReason.UNREACHABLE -> FailureReason.Unreachable
    ErrorReason.LOCAL_NETWORK_DENIED -> FailureReason.LocalNetworkDenied
    ErrorReason.NO_RESPONSE -> FailureReason.NoResponse
    ErrorReason.INTERRUPTED -> FailureReason.Interrupted
    ErrorReason.DEADLINE_EXCEEDED -> FailureReason.DeadlineExceeded
    ErrorReason.PROVIDER_FAULT -> FailureReason.ProviderFault
    ErrorReason.CONTEXT_EXCEEDED -> FailureReason.ContextExceeded
    ErrorReason.UNKNOWN_MODEL -> FailureReason.UnknownModel
    ErrorReason.NOT_FOUND -> FailureReason.NotFound
    ErrorReason.INVALID_PARAMETER -> FailureReason.InvalidParameter
    ErrorReason.MODEL_NOT_INSTALLED -> FailureReason.ModelNotInstalled
    ErrorReason.MODEL_TOO_LARGE -> FailureReason.ModelTooLarge
    ErrorReason.UNSUPPORTED -> FailureReason.Unsupported
    ErrorReason.DISK_FULL -> FailureReason.DiskFull
    ErrorReason.ACCESS_DENIED -> FailureReason.AccessDenied
    ErrorReason.DAMAGED -> FailureReason.Damaged
    ErrorReason.NEWER_VERSION -> FailureReason.NewerVersion
    ErrorReason.STORAGE_FAILED -> FailureReason.StorageFailed
    ErrorReason.RATE_LIMITED -> FailureReason.RateLimited
    ErrorReason.CIRCUIT_OPEN -> FailureReason.CircuitOpen
    ErrorReason.OVERLOADED -> FailureReason.Overloaded
    ErrorReason.BUSY -> FailureReason.Busy
    ErrorReason.CLOSED -> FailureReason.Closed
    ErrorReason.BUG -> FailureReason.Bug
}
