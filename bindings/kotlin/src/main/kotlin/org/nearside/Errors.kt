/*
 * The fields of an error, whatever its class.
 *
 * An app acts on `reason`: it has an entry for everything that an app does something different about. `message` is the
 * library's text for the user, as `detail` is.
 */
package org.nearside

/** The library's text for the user: the cause and the remedy, in English. */
val NearsideException.detail: String get() = fields.detail

/** What the app can do about it. */
val NearsideException.reason: ErrorReason get() = fields.reason

/** Milliseconds until a retry can succeed; null if that is not known. */
val NearsideException.retryAfterMs: ULong? get() = fields.retryAfterMs

/** Address of a page where the user removes the cause, such as the terms of a model. */
val NearsideException.helpUrl: String? get() = fields.helpUrl

/** The family of the error: its class. */
val NearsideException.kind: ErrorKind
    get() = when (this) {
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

private class Fields(val detail: String, val reason: ErrorReason, val retryAfterMs: ULong?, val helpUrl: String?)

private val NearsideException.fields: Fields
    get() = when (this) {
        is NearsideException.NotInstalled -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.TooLarge -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Storage -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Network -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Provider -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Unauthorized -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.RateLimited -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Corrupt -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Unsupported -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.InvalidRequest -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Blocked -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Busy -> Fields(detail, reason, retryAfterMs, helpUrl)
        is NearsideException.Internal -> Fields(detail, reason, retryAfterMs, helpUrl)
    }
