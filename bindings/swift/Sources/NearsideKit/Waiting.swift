// Questions that may wait for a provider, in a task that may be cancelled.

import Foundation

extension Nearside {
    /// Returns the routing decision without sending the request. May wait seconds for a provider's model list.
    public func route(_ request: ChatRequest) async throws -> Decision {
        try await abandonable { try await self.route(request: request) }
    }

    /// Estimates the cost of the request on every target, cheapest first. Makes no network request.
    public func cost(_ request: ChatRequest) async throws -> [CostRow] {
        try await abandonable { try await self.cost(request: request) }
    }

    /// Fetches a provider's model list and stores it.
    public func models(of provider: String) async throws -> [RemoteModel] {
        try await abandonable { try await self.providerModels(name: provider) }
    }
}

/// Waits for the work unless the task is cancelled. The work then ends in its own time, for a Swift task that is
/// cancelled does not cancel the Rust future that it waits for; its result is dropped.
func abandonable<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
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
