// Conversations, beyond the scenarios that both languages run.

import NearsideTesting
import Testing

@Suite struct ConversationsTests {
    @Test func whoWouldAnswerInAConversationAndForHowMuchIsTold() async throws {
        let nearside = try await library(with: try RecordedProvider([.chat("Granite.")]))
        let chats = try nearside.conversations()
        let id = try await chats.create().id
        let request = ChatRequest(messages: [.user("Which stone?")])
        guard case .route(let route) = try await chats.route(id, request) else {
            Issue.record("no target would answer")
            return
        }
        let target = RouteTarget.remote(provider: "recorded", model: "recorded")
        #expect(route.target == target)
        #expect(try await chats.cost(id, request).contains { $0.target == target && $0.setUp })
    }
}
