// Calls that may wait for a provider's response; they return when the calling task is cancelled.

import Foundation

extension Nearside {
    /// Returns the routing decision without sending the request. May wait seconds for a provider's model list.
    public func route(_ request: ChatRequest) async throws -> RouteDecision {
        try await abandonOnCancel { try await self.route(request: request) }
    }

    /// Estimates the cost of the request on every target, cheapest first. Makes no network request.
    public func cost(_ request: ChatRequest) async throws -> [CostRow] {
        try await abandonOnCancel { try await self.cost(request: request) }
    }

    /// Fetches a provider's model list and stores it.
    public func providerModels(_ name: String) async throws -> [RemoteModel] {
        try await abandonOnCancel { try await self.providerModels(name: name) }
    }
}

/// Runs the work and returns its result, or throws `CancellationError` as soon as the task is cancelled. The work then
/// continues in the background and its result is dropped: cancelling a Swift task does not cancel the Rust future.
func abandonOnCancel<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
    let (results, continuation) = AsyncThrowingStream<T, any Error>.makeStream()
    Task {
        do {
            continuation.yield(try await work())
            continuation.finish()
        } catch {
            continuation.finish(throwing: error)
        }
    }
    for try await result in results { return result }
    throw CancellationError()
}
