// The list of chats: search, rename, pin, delete with undo, export.

import Foundation
import Observation

/// A chat exported as a file.
struct ExportedChat: Identifiable, Equatable {
    let title: String
    let text: String
    let file: URL

    var id: URL { file }
}

@MainActor @Observable
final class ChatsModel {
    private let brain: any Brain
    private(set) var chats: [ChatSummary] = []
    private(set) var hits: [ChatHit] = []
    private(set) var isLoaded = false
    /// Bound to the search field, which calls `search` on a change.
    var query = ""
    /// The chat whose deletion can be undone.
    private(set) var deleted: ChatSummary?
    var exported: ExportedChat?
    var failure: BrainError?

    /// Called after a chat was changed here.
    private let onChange: @MainActor () async -> Void

    init(brain: any Brain, onChange: @escaping @MainActor () async -> Void = {}) {
        self.brain = brain
        self.onChange = onChange
    }

    var pinned: [ChatSummary] { chats.filter(\.pinned) }
    var others: [ChatSummary] { chats.filter { !$0.pinned } }
    var isSearching: Bool { !trimmedQuery.isEmpty }

    private var trimmedQuery: String { query.trimmingCharacters(in: .whitespacesAndNewlines) }

    func load() async {
        await attempt { try await self.read() }
        isLoaded = true
    }

    /// Omits empty chats: one stays if the app ends before its first message is stored.
    private func read() async throws {
        chats = try await brain.chats().filter { $0.messages > 0 }
    }

    /// Searches for `query`. Drops the result of an older query.
    func search() async {
        let requested = trimmedQuery
        guard !requested.isEmpty else {
            hits = []
            return
        }
        await attempt {
            let found = try await self.brain.search(requested)
            if requested == self.trimmedQuery { self.hits = found }
        }
    }

    /// Renames a chat. An empty title restores the first words.
    func rename(_ chat: ChatID, to title: String) async {
        let title = title.trimmingCharacters(in: .whitespacesAndNewlines)
        await change { try await self.brain.rename(chat, to: title.isEmpty ? nil : title) }
    }

    func setPinned(_ chat: ChatID, _ pinned: Bool) async {
        await change { try await self.brain.setPinned(chat, pinned) }
    }

    func delete(_ chat: ChatID) async {
        let summary = chats.first { $0.id == chat }
        await change {
            try await self.brain.delete(chat)
            self.deleted = summary
        }
    }

    func undoDelete() async {
        guard let chat = deleted else { return }
        await change {
            try await self.brain.restore(chat.id)
            self.deleted = nil
        }
    }

    /// Hides the undo bar; the chat can be restored until the next start of the app.
    func forgetDeleted(_ chat: ChatID) {
        if deleted?.id == chat { deleted = nil }
    }

    func export(_ chat: ChatID, as kind: ExportKind) async {
        await attempt {
            let text = try await self.brain.export(chat, as: kind)
            let title = self.chats.first { $0.id == chat }?.title ?? ""
            let file = FileManager.default.temporaryDirectory
                .appendingPathComponent(Self.fileName(title)).appendingPathExtension(kind.rawValue)
            // Not on the main actor: a long chat is a large file.
            try await Task.detached { try Data(text.utf8).write(to: file, options: .atomic) }.value
            self.exported = ExportedChat(title: title, text: text, file: file)
        }
    }

    /// Deletes the exported file, because it holds content of the chat. Called when its sheet closes.
    func closeExport() async {
        let file = exported?.file
        exported = nil
        if let file { await Task.detached { try? FileManager.default.removeItem(at: file) }.value }
    }

    /// Converts a title to a file name that is valid on every file system.
    static func fileName(_ title: String) -> String {
        let words = title.split { !$0.isLetter && !$0.isNumber }.joined(separator: "-")
        return words.isEmpty ? "chat" : String(words.prefix(60))
    }

    private func change(_ work: () async throws -> Void) async {
        await attempt {
            try await work()
            try await self.read()
        }
        if isSearching { await search() }
        await onChange()
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error) }
    }
}
