// Conversations that the library keeps: what is said in one, as an `AsyncSequence`. Each chunk is written down as it
// streams; the app stores nothing, and opens the conversation again after whatever happened.
//
// `request` holds what is new. History comes from the conversation, and so do model, provider, preset and the system
// prompt where the request leaves them unset.

import Foundation

extension Conversations {
    /// Appends a message and streams the answer.
    ///
    /// Cancelling the task or leaving the loop stops the answer; what was written so far is kept.
    public func send(_ id: UInt64, _ request: ChatRequest) -> ChatChunks {
        Batches { try self.startSend(id: id, request: request) }
    }

    /// Replaces a user message by a new version and streams the answer. The old version is kept.
    public func edit(_ id: UInt64, _ message: UInt64, _ request: ChatRequest) -> ChatChunks {
        Batches { try self.startEdit(id: id, message: message, request: request) }
    }

    /// Generates another version of an answer; the old one is kept. `request`, without messages, sets how: another
    /// model, a higher temperature.
    public func regenerate(
        _ id: UInt64, _ message: UInt64, _ request: ChatRequest = ChatRequest(messages: [])
    ) -> ChatChunks {
        Batches { try self.startRegenerate(id: id, message: message, request: request) }
    }

    /// Continues the last answer where it was interrupted; only the new part is streamed. `request`, without messages,
    /// sets where: `mode: .onlyInCloud` allows a remote target.
    public func resume(_ id: UInt64, _ request: ChatRequest = ChatRequest(messages: [])) -> ChatChunks {
        Batches { try self.startResume(id: id, request: request) }
    }

    /// Returns the routing decision for this request in the conversation, without sending it.
    public func route(_ id: UInt64, _ request: ChatRequest) async throws -> Decision {
        try await abandonable { try await self.route(id: id, request: request) }
    }

    /// Estimates the cost of this request in the conversation on every target, cheapest first. Makes no network
    /// request.
    public func cost(_ id: UInt64, _ request: ChatRequest) async throws -> [CostRow] {
        try await abandonable { try await self.cost(id: id, request: request) }
    }
}
