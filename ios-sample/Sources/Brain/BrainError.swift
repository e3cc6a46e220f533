// The only error that reaches a screen, and why it happened.

import Foundation

/// A failure. Its reason has a sentence in the user's language; its text, in English, says what exactly happened.
struct BrainError: LocalizedError, Hashable {
    let text: String
    /// `nil`: a failure outside of the library.
    var reason: FailureReason?
    /// Seconds until a retry can succeed.
    var retrySeconds: Double?
    /// A page where the user removes the cause.
    var page: URL?

    var errorDescription: String? { text }

    init(_ text: String, reason: FailureReason? = nil) {
        self.text = text
        self.reason = reason
    }

    init(_ error: any Error) {
        if let known = error as? BrainError {
            self = known
        } else if let reasoned = error as? any ReasonedError {
            self = reasoned.brainError
        } else {
            self.init((error as? any LocalizedError)?.errorDescription ?? error.localizedDescription)
        }
    }
}

/// An error of the library: NearsideErrors.swift maps it.
protocol ReasonedError: Error {
    var brainError: BrainError { get }
}

/// What the user is told something different about.
enum FailureReason: String, CaseIterable, Sendable {
    case consentRequired, policyForbids, costCap, contentFiltered, keyMissing, keyRejected, keyForbidden,
        noCredit, termsNotAccepted, offline, unreachable, localNetworkDenied, noResponse, interrupted,
        deadlineExceeded, providerFault, contextExceeded, unknownModel, notFound, invalidParameter, modelNotInstalled,
        modelTooLarge, unsupported, diskFull, accessDenied, damaged, newerVersion, storageFailed, rateLimited,
        circuitOpen, overloaded, busy, closed, bug
}
