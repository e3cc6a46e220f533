// The text of an error, where Swift looks for it.

import Foundation

extension NearsideError: LocalizedError, CustomStringConvertible {
    /// What happened and what helps, in the library's own words.
    public var description: String {
        switch self {
        case .NotInstalled(let message), .TooLarge(let message), .Storage(let message), .Network(let message),
            .Provider(let message), .Unauthorized(let message), .RateLimited(let message), .Corrupt(let message),
            .Unsupported(let message), .InvalidRequest(let message), .Blocked(let message), .Busy(let message),
            .Internal(let message):
            message
        }
    }

    public var errorDescription: String? { description }

    /// What helps against this kind of error, for an alert's second line. The description says it for the case at hand.
    public var recoverySuggestion: String? {
        switch self {
        case .NotInstalled: "Download or import the model."
        case .TooLarge: "Take a smaller model, or a smaller context."
        case .Storage: "Free some space, and check that the folder can be written."
        case .Network: "Try again when there is a connection. What was downloaded is kept."
        case .Provider: "Try again, or take another provider."
        case .Unauthorized: "Check the key."
        case .RateLimited: "Wait a little, then try again."
        case .Corrupt: "Remove the model and download it again."
        case .Unsupported: "Take another model."
        case .InvalidRequest: "Change the request."
        case .Blocked: "Change the policy, or what the request allows."
        case .Busy: "Wait until the other work has ended."
        case .Internal: "Please report this."
        }
    }
}
