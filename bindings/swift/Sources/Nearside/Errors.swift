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
}
