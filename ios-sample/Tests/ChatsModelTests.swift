import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct ChatsModelTests {
    private func chats(_ brain: any Brain = quick()) async -> ChatsModel {
        let model = ChatsModel(brain: brain)
        await model.load()
        return model
    }

    @Test func pinnedChatsComeFirstThenTheNewest() async {
        let model = await chats()
        #expect(model.isLoaded)
        #expect(model.pinned.map(\.title) == ["Tides, twice a day"])
        #expect(model.others.map(\.updated) == model.others.map(\.updated).sorted(by: >))
        #expect(model.chats.allSatisfy { $0.messages == 2 && !$0.preview.isEmpty })
    }

    @Test func aChatWithoutMessagesIsNotListed() async throws {
        let brain = quick()
        let model = await chats(brain)
        let before = model.chats
        _ = await brain.newChat(ChatOptions())
        await model.load()
        #expect(model.chats == before)
    }

    @Test func aSearchFindsWordsInsideMessagesAndMarksThem() async throws {
        let model = await chats()
        model.query = "CHICKPEAS"
        await model.search()
        #expect(model.isSearching)
        let hit = try #require(model.hits.first)
        #expect(hit.chat.title == "Dinner from what is left")
        #expect(hit.snippet.filter(\.matched).map { $0.text.lowercased() } == ["chickpeas"])

        model.query = "no such words"
        await model.search()
        #expect(model.hits.isEmpty)
        model.query = "  "
        await model.search()
        #expect(!model.isSearching)
        #expect(model.hits.isEmpty)
    }

    @Test func aNameIsKeptAndAnEmptyOneGivesTheFirstWordsBack() async throws {
        let model = await chats()
        let chat = try #require(model.others.first)
        await model.rename(chat.id, to: "  Snippets ")
        #expect(model.chats.first { $0.id == chat.id }?.title == "Snippets")
        await model.rename(chat.id, to: " ")
        #expect(model.chats.first { $0.id == chat.id }?.title == "How do I remove duplicates from a list and keep ")
    }

    @Test func aPinMovesAChatUpAndDown() async throws {
        let model = await chats()
        let chat = try #require(model.others.last)
        await model.setPinned(chat.id, true)
        #expect(model.pinned.contains { $0.id == chat.id })
        await model.setPinned(chat.id, false)
        #expect(!model.pinned.contains { $0.id == chat.id })
    }

    @Test func aDeletedChatComesBackWithItsMessages() async throws {
        let brain = quick()
        let model = await chats(brain)
        let before = model.chats
        let chat = try #require(model.others.first)
        await model.delete(chat.id)
        #expect(model.deleted?.id == chat.id)
        #expect(!model.chats.contains { $0.id == chat.id })
        await model.undoDelete()
        #expect(model.deleted == nil)
        #expect(model.chats == before)
        #expect(try await brain.open(chat.id).messages.count == 2)
    }

    @Test func forgettingOneDeletionLeavesTheWayBackOfAnother() async throws {
        let model = await chats()
        let (first, second) = (try #require(model.others.first), try #require(model.others.last))
        await model.delete(first.id)
        await model.delete(second.id)
        model.forgetDeleted(first.id)
        #expect(model.deleted?.id == second.id)
        model.forgetDeleted(second.id)
        #expect(model.deleted == nil)
    }

    @Test func anExportIsAFileThatGoesWhenItsSheetIsClosed() async throws {
        let model = await chats()
        let chat = try #require(model.pinned.first)
        await model.export(chat.id, as: .markdown)
        let markdown = try #require(model.exported)
        #expect(markdown.file.lastPathComponent == "Tides-twice-a-day.md")
        #expect(try String(contentsOf: markdown.file, encoding: .utf8) == markdown.text)
        #expect(markdown.text.hasPrefix("# Tides, twice a day"))
        await model.closeExport()
        #expect(!FileManager.default.fileExists(atPath: markdown.file.path))

        await model.export(chat.id, as: .json)
        let json = try #require(model.exported)
        let object = try JSONSerialization.jsonObject(with: Data(json.text.utf8)) as? [String: Any]
        #expect((object?["messages"] as? [Any])?.count == 2)
        await model.closeExport()
        #expect(model.exported == nil)
    }

    @Test func aTitleMakesAFileNameThatEverySystemTakes() {
        #expect(ChatsModel.fileName("a/b: c?") == "a-b-c")
        #expect(ChatsModel.fileName("…") == "chat")
        #expect(ChatsModel.fileName("Приливы дважды") == "Приливы-дважды")
    }

    @Test func aFailureIsShown() async {
        let model = await chats()
        await model.setPinned(9_999, true)
        #expect(model.failure?.text == "this chat no longer exists")
    }
}
