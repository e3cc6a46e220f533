// Exposes the text of an error through `CustomStringConvertible` and `LocalizedError`.

import Foundation

extension NearsideError: LocalizedError, CustomStringConvertible {
    /// The library's message: the cause and the remedy.
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

    /// The remedy for this kind of error, for an alert's second line. `description` has the one for the actual case.
    public var recoverySuggestion: String? {
        switch self {
        case .NotInstalled: "Download or import the model."
        case .TooLarge: "Use a smaller model, or a smaller context."
        case .Storage: "Free some space, and check that the folder is writable."
        case .Network: "Try again when there is a connection. A partial download is kept."
        case .Provider: "Try again, or use another provider."
        case .Unauthorized: "Check the key."
        case .RateLimited: "Wait a little, then try again."
        case .Corrupt: "Remove the model and download it again."
        case .Unsupported: "Use another model."
        case .InvalidRequest: "Change the request."
        case .Blocked: "Change the policy, or the request's mode or sensitivity."
        case .Busy: "Try again when the other operation has finished."
        case .Internal: "Please report this."
        }
    }
}
