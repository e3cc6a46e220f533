// Conversations that the library keeps: what is said in one, as an `AsyncSequence`. Each chunk is written down as it
// streams; the app stores nothing, and opens the conversation again after whatever happened.
//
// `request` holds what is new. History comes from the conversation, and so do model, provider, preset and the system
// prompt where the request leaves them unset.

import Foundation

extension Conversations {
    /// Says something, and gives the answer as it is written.
    ///
    /// Cancelling the task or leaving the loop stops the answer; what was written so far is kept.
    public func send(_ id: UInt64, _ request: ChatRequest) -> ChatChunks {
        Batches { try self.startSend(id: id, request: request) }
    }

    /// Says something else in place of that message of the person's, and has it answered. The version before is kept.
    public func edit(_ id: UInt64, _ message: UInt64, _ request: ChatRequest) -> ChatChunks {
        Batches { try self.startEdit(id: id, message: message, request: request) }
    }

    /// Has that message answered anew. The answer before is kept. A request, with no messages, says how: which model, a
    /// higher temperature.
    public func regenerate(
        _ id: UInt64, _ message: UInt64, _ request: ChatRequest = ChatRequest(messages: [])
    ) -> ChatChunks {
        Batches { try self.startRegenerate(id: id, message: message, request: request) }
    }

    /// Goes on with the last answer where it broke off; only what is new is given. A request, with no messages, says
    /// where: `mode: .onlyInCloud` lets another place take over.
    public func resume(_ id: UInt64, _ request: ChatRequest = ChatRequest(messages: [])) -> ChatChunks {
        Batches { try self.startResume(id: id, request: request) }
    }

    /// Decides who would answer this in the conversation, and sends the words to nobody.
    public func route(_ id: UInt64, _ request: ChatRequest) async throws -> Decision {
        try await abandonable { try await self.route(id: id, request: request) }
    }

    /// What this would cost in the conversation, here and everywhere, the cheapest first. Asks nobody.
    public func cost(_ id: UInt64, _ request: ChatRequest) async throws -> [CostRow] {
        try await abandonable { try await self.cost(id: id, request: request) }
    }
}
