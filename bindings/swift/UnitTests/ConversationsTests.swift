// What a list of conversations does, beyond the scenarios that both languages play.

import NearsideTesting
import Testing

@Suite struct ConversationsTests {
    @Test func conversationsAreNamedPinnedFoundExportedAndDeleted() async throws {
        let nearside = try Nearside.scripted { "Granite is hard." }
        let chats = try nearside.conversations()
        let (old, new) = (try await chats.create().id, try await chats.create().id)
        _ = try await chats.send(old, ChatRequest(messages: [.user("Which stone?")])).all()
        try await chats.setPinned(id: old, pinned: true)
        try await chats.rename(id: new, title: "Empty")
        #expect(try await chats.list().map(\.id) == [old, new])
        #expect(try await chats.list().map(\.title) == ["Which stone?", "Empty"])

        let hits = try await chats.search(query: "grani")
        #expect(hits.map(\.conversation.id) == [old])
        #expect(hits.first?.snippet.contains { $0.matched && $0.text == "Granite" } == true)
        #expect(try await chats.export(id: old, format: .markdown).contains("Granite is hard."))

        try await chats.delete(id: old)
        #expect(try await chats.list().map(\.id) == [new])
        try await chats.restore(id: old)
        #expect(try await chats.list().count == 2)
        try await chats.delete(id: old)
        try await chats.purge()
        await #expect(throws: NearsideError.self) { try await chats.open(id: old) }
    }

    @Test func whoWouldAnswerInAConversationAndForHowMuchIsTold() async throws {
        let nearside = try await library(with: try RecordedProvider([.chat("Granite.")]))
        let chats = try nearside.conversations()
        let id = try await chats.create().id
        let request = ChatRequest(messages: [.user("Which stone?")])
        guard case .go(let route) = try await chats.route(id, request) else {
            Issue.record("nobody would answer")
            return
        }
        let target = Target.remote(provider: "recorded", model: "recorded")
        #expect(route.target == target)
        #expect(try await chats.cost(id, request).contains { $0.target == target && $0.setUp })
    }
}
