// Conversations, beyond the scenarios that both languages run.

import NearsideTesting
import Testing

@Suite struct ConversationsTests {
    @Test func whoWouldAnswerInAConversationAndForHowMuchIsTold() async throws {
        let provider = try RecordedProvider([.chat("Granite.")])
        let nearside = try await library(with: provider)
        let chats = try nearside.conversations()
        let id = try await chats.create().id
        let request = ChatRequest(messages: [.user("Which stone?")])
        let decision = try await chats.route(id, request)
        guard case .route(let route) = decision else {
            Issue.record("no target would answer: \(decision)")
            return
        }
        let target = RouteTarget.remote(provider: "recorded", model: "recorded")
        #expect(route.target == target)
        #expect(try await chats.cost(id, request).contains { $0.target == target && $0.setUp })
        #expect(provider.requests.allSatisfy { $0.method == "GET" })
    }
}
