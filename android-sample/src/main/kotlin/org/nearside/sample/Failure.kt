/*
 * The only kind of error that reaches a screen, and why it happened.
 */
package org.nearside.sample

import kotlinx.coroutines.CancellationException

/** A failure. Its reason has a sentence in the user's language; [text], in English, says what exactly happened. */
data class Failure(
    val text: String,
    /** `null`: a failure outside of the library. */
    val reason: FailureReason? = null,
    /** Seconds until a retry can succeed. */
    val retrySeconds: Double? = null,
    /** A page where the user removes the cause. */
    val page: String? = null,
)

/** A failure that a brain throws. */
class BrainError(val failure: Failure) : Exception(failure.text) {
    constructor(text: String, reason: FailureReason? = null) : this(Failure(text, reason))
}

/** What the user is told something different about. */
enum class FailureReason {
    ConsentRequired,
    PolicyForbids,
    CostCap,
    ContentFiltered,
    KeyMissing,
    KeyRejected,
    KeyForbidden,
    NoCredit,
    TermsNotAccepted,
    Offline,
    Unreachable,
    LocalNetworkDenied,
    NoResponse,
    Interrupted,
    DeadlineExceeded,
    ProviderFault,
    ContextExceeded,
    UnknownModel,
    NotFound,
    InvalidParameter,
    ModelNotInstalled,
    ModelTooLarge,
    Unsupported,
    DiskFull,
    AccessDenied,
    Damaged,
    NewerVersion,
    StorageFailed,
    RateLimited,
    CircuitOpen,
    Overloaded,
    Busy,
    Closed,
    Bug,
}

/** Runs the work and returns its failure, or `null`. */
internal suspend fun failureOf(work: suspend () -> Unit): Failure? = try {
    work()
    null
} catch (cancelled: CancellationException) {
    throw cancelled
} catch (error: Exception) {
    error.failure()
}
