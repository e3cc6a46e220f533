// Stored conversations: answers as an `AsyncSequence`. Each chunk is saved while it streams; the app stores nothing and
// reopens the conversation after a restart or a crash.
//
// `request` holds the new messages only. The conversation supplies the history, and the model, provider, preset and
// system prompt if the request leaves them unset.

import Foundation

extension Conversations {
    /// Appends a message and streams the answer.
    ///
    /// Cancelling the task or leaving the loop stops the answer; the part received so far is kept.
    public func send(_ id: UInt64, _ request: ChatRequest) -> ChatChunks {
        BatchSequence { try self.startSend(id: id, request: request) }
    }

    /// Replaces a user message with a new version and streams the answer. The old version is kept.
    public func edit(_ id: UInt64, _ message: UInt64, _ request: ChatRequest) -> ChatChunks {
        BatchSequence { try self.startEdit(id: id, message: message, request: request) }
    }

    /// Generates another version of an answer; the old one is kept. `request`, without messages, changes the settings:
    /// another model, a higher temperature.
    public func regenerate(
        _ id: UInt64, _ message: UInt64, _ request: ChatRequest = ChatRequest(messages: [])
    ) -> ChatChunks {
        BatchSequence { try self.startRegenerate(id: id, message: message, request: request) }
    }

    /// Continues the last answer where it was interrupted; only the new part is streamed. `request`, without messages,
    /// changes the settings: `mode: .onlyInCloud` selects a remote target.
    public func resume(_ id: UInt64, _ request: ChatRequest = ChatRequest(messages: [])) -> ChatChunks {
        BatchSequence { try self.startResume(id: id, request: request) }
    }

    /// Returns the routing decision for this turn of the conversation, without sending it: `turn` names the message that
    /// would be edited or answered again.
    public func route(
        _ id: UInt64, _ request: ChatRequest, turn: ConversationTurn = .next
    ) async throws -> RouteDecision {
        try await abandonOnCancel { try await self.route(id: id, request: request, turn: turn) }
    }

    /// Estimates the cost of this turn of the conversation on every target, cheapest first. Makes no network request.
    public func cost(
        _ id: UInt64, _ request: ChatRequest, turn: ConversationTurn = .next
    ) async throws -> [CostRow] {
        try await abandonOnCancel { try await self.cost(id: id, request: request, turn: turn) }
    }
}
