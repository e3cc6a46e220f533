// Questions that may wait for a provider, in a task that may be cancelled.

import Foundation

extension Nearside {
    /// Decides who would answer, and sends the words to nobody. May wait seconds for a provider's list of models.
    public func route(_ request: ChatRequest) async throws -> Decision {
        try await abandonable { try await self.route(request: request) }
    }

    /// What this request would cost here and everywhere, the cheapest first. Asks nobody.
    public func cost(_ request: ChatRequest) async throws -> [CostRow] {
        try await abandonable { try await self.cost(request: request) }
    }

    /// Asks a provider for its models, and keeps the list.
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
