// The fields of an error, whatever its case, and its text through `CustomStringConvertible` and `LocalizedError`.
//
// An app acts on `reason`: it has a `case` for everything that an app does something different about.

import Foundation

extension NearsideError {
    /// Creates an error, for a host or a test of an app.
    public init(
        kind: ErrorKind, reason: ErrorReason, detail: String, retryAfterMs: UInt64? = nil, helpUrl: String? = nil
    ) {
        let make: (String, ErrorReason, UInt64?, String?) -> NearsideError =
            switch kind {
            case .notInstalled: NearsideError.NotInstalled
            case .tooLarge: NearsideError.TooLarge
            case .storage: NearsideError.Storage
            case .network: NearsideError.Network
            case .provider: NearsideError.Provider
            case .unauthorized: NearsideError.Unauthorized
            case .rateLimited: NearsideError.RateLimited
            case .corrupt: NearsideError.Corrupt
            case .unsupported: NearsideError.Unsupported
            case .invalidRequest: NearsideError.InvalidRequest
            case .blocked: NearsideError.Blocked
            case .busy: NearsideError.Busy
            case .internal: NearsideError.Internal
            }
        self = make(detail, reason, retryAfterMs, helpUrl)
    }

    /// The family of the error: its case.
    public var kind: ErrorKind {
        switch self {
        case .NotInstalled: .notInstalled
        case .TooLarge: .tooLarge
        case .Storage: .storage
        case .Network: .network
        case .Provider: .provider
        case .Unauthorized: .unauthorized
        case .RateLimited: .rateLimited
        case .Corrupt: .corrupt
        case .Unsupported: .unsupported
        case .InvalidRequest: .invalidRequest
        case .Blocked: .blocked
        case .Busy: .busy
        case .Internal: .internal
        }
    }

    /// The library's text for the user: the cause and the remedy, in English.
    public var detail: String { fields.detail }

    /// What the app can do about it.
    public var reason: ErrorReason { fields.reason }

    /// Milliseconds until a retry can succeed. Unset: unknown.
    public var retryAfterMs: UInt64? { fields.retryAfterMs }

    /// Address of a page where the user removes the cause, such as the terms of a model.
    public var helpUrl: String? { fields.helpUrl }

    private typealias Fields = (detail: String, reason: ErrorReason, retryAfterMs: UInt64?, helpUrl: String?)

    private var fields: Fields {
        switch self {
        case .NotInstalled(let detail, let reason, let retryAfterMs, let helpUrl),
            .TooLarge(let detail, let reason, let retryAfterMs, let helpUrl),
            .Storage(let detail, let reason, let retryAfterMs, let helpUrl),
            .Network(let detail, let reason, let retryAfterMs, let helpUrl),
            .Provider(let detail, let reason, let retryAfterMs, let helpUrl),
            .Unauthorized(let detail, let reason, let retryAfterMs, let helpUrl),
            .RateLimited(let detail, let reason, let retryAfterMs, let helpUrl),
            .Corrupt(let detail, let reason, let retryAfterMs, let helpUrl),
            .Unsupported(let detail, let reason, let retryAfterMs, let helpUrl),
            .InvalidRequest(let detail, let reason, let retryAfterMs, let helpUrl),
            .Blocked(let detail, let reason, let retryAfterMs, let helpUrl),
            .Busy(let detail, let reason, let retryAfterMs, let helpUrl),
            .Internal(let detail, let reason, let retryAfterMs, let helpUrl):
            (detail, reason, retryAfterMs, helpUrl)
        }
    }
}

extension NearsideError: LocalizedError, CustomStringConvertible {
    /// The library's text: the cause and the remedy.
    public var description: String { detail }

    public var errorDescription: String? { detail }

    /// A remedy in English for an alert. An app that speaks other languages has its own texts by `reason`.
    public var recoverySuggestion: String? {
        switch reason {
        case .consentRequired: "Ask the user, and send the request again with the consent."
        case .policyForbids: "Change the policy, or the request's mode or sensitivity."
        case .costCap: "Ask for a shorter answer, or raise the limit."
        case .contentFiltered: "Rephrase the request."
        case .keyMissing: "Enter a key."
        case .keyRejected: "Check the key."
        case .keyForbidden: "Use another account."
        case .noCredit: "Add credit at the provider."
        case .termsNotAccepted: "Accept the terms on the model's page."
        case .offline: "Try again when there is a connection."
        case .unreachable: "Check the address and the network."
        case .localNetworkDenied: "Allow the app to use the local network, in the system's settings."
        case .noResponse, .interrupted, .storageFailed: "Try again."
        case .deadlineExceeded: "Allow more time."
        case .providerFault: "Try again, or use another provider."
        case .contextExceeded: "Start a new conversation, or send less."
        case .unknownModel: "Choose another model."
        case .notFound: "Refresh the list."
        case .invalidParameter: "Change the request."
        case .modelNotInstalled: "Download or import the model."
        case .modelTooLarge: "Use a smaller model, or a smaller context."
        case .unsupported: "Use another model."
        case .diskFull: "Free some space."
        case .accessDenied: "Check that the folder is writable."
        case .damaged: "Download it again if it is a model; restore any other file from a backup, or move it away."
        case .newerVersion: "Update the app."
        case .rateLimited, .overloaded: "Wait a little, then try again."
        case .circuitOpen: "Wait a little, or use another provider."
        case .busy: "Try again when the other operation has finished."
        case .closed: "Open the library again."
        case .bug: "Please report this."
        }
    }
}
