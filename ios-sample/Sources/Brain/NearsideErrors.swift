// Maps the errors of the library.

import Foundation
import NearsideKit

extension NearsideError: ReasonedError {
    var brainError: BrainError {
        BrainError(detail, reason, retryAfterMs: retryAfterMs, page: helpUrl)
    }
}

extension BrainError {
    /// A failure with the fields that the library gives.
    init(_ text: String, _ reason: ErrorReason?, retryAfterMs: UInt64? = nil, page: String? = nil) {
        self.init(text, reason: reason.map { FailureReason($0) })
        retrySeconds = retryAfterMs.map { Double($0) / 1000 }
        self.page = page.flatMap { URL(string: $0) }
    }
}

extension FailureReason {
    /// Exhaustive: a new reason of the library does not compile until it is mapped.
    init(_ reason: ErrorReason) {
        switch reason {
        case .consentRequired: self = .consentRequired
        case .policyForbids: self = .policyForbids
        case .costCap: self = .costCap
        case .contentFiltered: self = .contentFiltered
        case .keyMissing: self = .keyMissing
        case .keyRejected: self = .keyRejected
        case .keyForbidden: self = .keyForbidden
        case .noCredit: self = .noCredit
        case .termsNotAccepted: self = .termsNotAccepted
        case .offline: self = .offline
        case .unreachable: self = .unreachable
        case .localNetworkDenied: self = .localNetworkDenied
        case .noResponse: self = .noResponse
        case .interrupted: self = .interrupted
        case .deadlineExceeded: self = .deadlineExceeded
        case .providerFault: self = .providerFault
        case .contextExceeded: self = .contextExceeded
        case .unknownModel: self = .unknownModel
        case .notFound: self = .notFound
        case .invalidParameter: self = .invalidParameter
        case .modelNotInstalled: self = .modelNotInstalled
        case .modelTooLarge: self = .modelTooLarge
        case .unsupported: self = .unsupported
        case .diskFull: self = .diskFull
        case .accessDenied: self = .accessDenied
        case .damaged: self = .damaged
        case .newerVersion: self = .newerVersion
        case .storageFailed: self = .storageFailed
        case .rateLimited: self = .rateLimited
        case .circuitOpen: self = .circuitOpen
        case .overloaded: self = .overloaded
        case .busy: self = .busy
        case .closed: self = .closed
        case .bug: self = .bug
        }
    }
}
