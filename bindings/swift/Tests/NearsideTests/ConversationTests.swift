import Foundation
@_spi(Testing) import NearsideKit
import Testing

extension Scenarios {
    /// Conversations stored by the library.
    @Suite struct ConversationTests {
        @Test func whatWasSaidIsThereAfterARestart() async throws {
            let directory = freshDirectory()
            let id: UInt64
            do {
                let nearside = try library(directory, .reasoning(text: "The moon."), .text(text: "Twice a day."))
                let chats = try nearside.conversations()
                id = try await chats.create(settings: ConversationSettings(system: "Be brief.")).id
                let chunks = try await chats.send(id, ask("Why do the tides come?")).all()
                #expect(chunks.text == "Twice a day.")
                #expect(chunks.done?.stop == .end)
            }
            let nearside = try library(directory)
            let chats = try nearside.conversations()
            let conversation = try await chats.open(id: id)
            #expect(conversation.messages.map(\.role) == [.user, .assistant])
            #expect(conversation.messages.map(\.text) == ["Why do the tides come?", "Twice a day."])
            #expect(conversation.messages.last?.reasoning == "The moon.")
            #expect(conversation.messages.last?.state == .done(stop: .end))
            #expect(conversation.summary.settings.system == "Be brief.")
            #expect(try await chats.list().map(\.id) == [id])
        }

        @Test func anEditAndARegenerationKeepTheVersionsBefore() async throws {
            let nearside = try library(freshDirectory(), .text(text: "Blue."))
            let chats = try nearside.conversations()
            let id = try await chats.create().id
            _ = try await chats.send(id, ask("What colour?")).all()
            let first = try await chats.open(id: id).messages
            #expect(try await chats.regenerate(id, first[1].id).all().text == "Blue.")

            let second = try await chats.open(id: id).messages
            #expect(second.count == 2)
            #expect(second[1].id != first[1].id)
            #expect(second[1].versions == [first[1].id, second[1].id])

            _ = try await chats.edit(id, first[0].id, ask("What colour is the sea?")).all()
            let third = try await chats.open(id: id).messages
            #expect(third.map(\.text) == ["What colour is the sea?", "Blue."])
            #expect(third[0].versions == [first[0].id, third[0].id])

            let back = try await chats.choose(id: id, message: first[0].id)
            #expect(back.messages.first?.text == "What colour?")
        }

        @Test func anAnswerThatWasStoppedGoesOnWhereItBrokeOff() async throws {
            let directory = freshDirectory()
            let id: UInt64
            do {
                let nearside = try library(directory, .text(text: "Because of the "), .stall)
                let chats = try nearside.conversations()
                id = try await chats.create().id
                for try await chunk in chats.send(id, ask("Why tides?")) where chunk.isText {
                    if case .text("the ") = chunk { break }
                }
                let stopped = try await lastStoredMessage(chats, id)
                #expect(stopped.text == "Because of the ")
                #expect(stopped.state == .done(stop: .cancelled))
            }
            let nearside = try library(directory, .text(text: "moon."))
            let chats = try nearside.conversations()
            let more = try await chats.resume(id).all()
            #expect(more.text == "moon.", "only the new part is streamed")
            let messages = try await chats.open(id: id).messages
            #expect(messages.map(\.text) == ["Why tides?", "Because of the moon."])
        }

        @Test func conversationsAreNamedPinnedFoundExportedAndDeleted() async throws {
            let nearside = try library(freshDirectory(), .text(text: "Granite is hard."))
            let chats = try nearside.conversations()
            let (old, new) = (try await chats.create().id, try await chats.create().id)
            _ = try await chats.send(old, ask("Which stone?")).all()
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

        @Test func anEditIsEstimatedOnItsOwnHistoryAndATemporaryChatIsNowhere() async throws {
            let nearside = try library(freshDirectory(), .text(text: "Granite."))
            let chats = try nearside.conversations()
            let id = try await chats.create().id
            for question in ["Which stone?", String(repeating: "And which else? ", count: 200)] {
                _ = try await chats.send(id, ask(question)).all()
            }
            let first = try #require(try await chats.open(id: id).messages.first?.id)
            let next = try await chats.cost(id, ask("Why?")).compactMap(\.usdIn).reduce(0, +)
            let edit = try await chats.cost(id, ask("Why?"), turn: .edit(message: first)).compactMap(\.usdIn)
            #expect(edit.reduce(0, +) * 10 < next)

            let temporary = try nearside.temporaryConversations()
            let other = try await temporary.create().id
            _ = try await temporary.send(other, ask("Which stone?")).all()
            #expect(try await temporary.open(id: other).messages.count == 2)
            #expect(try await chats.list().map(\.id) == [id])
            try await nearside.shutDown()
        }

        @Test func modelsAndConversationsAreInTwoDirectories() async throws {
            let (models, data) = (freshDirectory(), freshDirectory())
            let config = Config(directory: models, dataDirectory: data)
            var id: UInt64 = 0
            do {
                let nearside = try await Nearside.open(config: config)
                id = try await nearside.conversations().create().id
                try await nearside.shutDown()
            }
            let nearside = try await Nearside.open(config: config)
            #expect(try await nearside.conversations().list().map(\.id) == [id])
            let files = FileManager.default
            #expect(try files.contentsOfDirectory(atPath: data).contains("conversations.db"))
            #expect(try files.contentsOfDirectory(atPath: models).contains("models"))
            #expect(try !files.contentsOfDirectory(atPath: models).contains("conversations.db"))
        }

        /// Opens a library in this directory that plays a script.
        private func library(_ directory: String, _ steps: ReplyStep...) throws -> Nearside {
            try Nearside.scripted(config: Config(directory: directory), script: ScriptedReply(steps: steps))
        }

        private func ask(_ question: String) -> ChatRequest {
            ChatRequest(messages: [.user(question)])
        }

        /// Returns the last message once its end is stored: leaving the loop ends the answer with a delay.
        private func lastStoredMessage(_ chats: Conversations, _ id: UInt64) async throws -> StoredMessage {
            while true {
                let message = try #require(try await chats.open(id: id).messages.last)
                if case .done = message.state { return message }
                try await Task.sleep(for: .milliseconds(1))
            }
        }
    }
}
