// The list of chats: pinned ones first, with search and the actions on each chat.

import SwiftUI

struct ChatsScreen: View {
    @Bindable var model: ChatsModel
    /// The chat shown beside the list.
    let opened: ChatID?
    let onOpen: @MainActor (ChatID) -> Void
    let onNew: @MainActor () -> Void
    let onDelete: @MainActor (ChatID) -> Void

    @State private var renamed: ChatSummary?
    @State private var newTitle = ""
    @State private var isRenaming = false
    @Environment(\.accessibilityReduceMotion) private var reducesMotion

    var body: some View {
        List {
            if model.isSearching {
                hits
            } else {
                if !model.pinned.isEmpty { section(Strings.pinned(), model.pinned) }
                section(model.pinned.isEmpty ? "" : Strings.allChats(), model.others)
            }
        }
        .listStyle(.insetGrouped)
        .overlay { emptiness }
        .animation(reducesMotion ? nil : .default, value: model.chats)
        .navigationTitle(Strings.chats())
        .searchable(text: $model.query, prompt: Text(Strings.searchChats()))
        .task(id: model.query) { await model.search() }
        .refreshable { await model.load() }
        .toolbar {
            ToolbarItem(placement: .primaryAction) {
                Button(action: onNew) { Label(Strings.newChat(), systemImage: "square.and.pencil") }
                    .keyboardShortcut("n", modifiers: .command)
                    .accessibilityIdentifier("chats.new")
            }
        }
        .safeAreaInset(edge: .bottom, spacing: 0) { undo }
        .alert(Strings.rename(), isPresented: $isRenaming) {
            TextField(Strings.title(), text: $newTitle)
            Button(Strings.rename()) {
                if let renamed { Task { await model.rename(renamed.id, to: newTitle) } }
            }
            Button(Strings.cancel(), role: .cancel) {}
        } message: {
            Text(Strings.renameHint())
        }
        .sheet(item: $model.exported, onDismiss: { Task { await model.closeExport() } }) { ExportSheet(chat: $0) }
        .failureAlert($model.failure)
    }

    private func section(_ title: String, _ chats: [ChatSummary]) -> some View {
        Section {
            ForEach(chats) { chat in
                Button {
                    onOpen(chat.id)
                } label: {
                    ChatRow(chat: chat)
                }
                .buttonStyle(.plain)
                .listRowBackground(chat.id == opened ? Theme.accent.opacity(0.12) : nil)
                .accessibilityIdentifier("chats.row")
                .swipeActions(edge: .leading, allowsFullSwipe: true) { pinButton(chat).tint(Theme.accent) }
                .swipeActions(edge: .trailing, allowsFullSwipe: true) { deleteButton(chat) }
                .contextMenu {
                    pinButton(chat)
                    Button {
                        beginRename(chat)
                    } label: {
                        Label(Strings.rename(), systemImage: "pencil")
                    }
                    Menu {
                        Button(Strings.exportMarkdown()) { Task { await model.export(chat.id, as: .markdown) } }
                        Button(Strings.exportJSON()) { Task { await model.export(chat.id, as: .json) } }
                    } label: {
                        Label(Strings.export(), systemImage: "square.and.arrow.up")
                    }
                    Divider()
                    deleteButton(chat)
                }
            }
        } header: {
            if !title.isEmpty { Text(title) }
        }
    }

    private func pinButton(_ chat: ChatSummary) -> some View {
        Button {
            Task { await model.setPinned(chat.id, !chat.pinned) }
        } label: {
            Label(chat.pinned ? Strings.unpin() : Strings.pin(), systemImage: chat.pinned ? "pin.slash" : "pin")
        }
    }

    private func deleteButton(_ chat: ChatSummary) -> some View {
        Button(role: .destructive) {
            onDelete(chat.id)
        } label: {
            Label(Strings.delete(), systemImage: "trash")
        }
    }

    private func beginRename(_ chat: ChatSummary) {
        renamed = chat
        newTitle = chat.title
        isRenaming = true
    }

    private var hits: some View {
        ForEach(model.hits) { hit in
            Button {
                onOpen(hit.chat.id)
            } label: {
                VStack(alignment: .leading, spacing: 4) {
                    Text(hit.chat.title).font(.headline).lineLimit(1)
                    snippet(hit).font(.subheadline).foregroundStyle(.secondary).lineLimit(3)
                }
                .padding(.vertical, 4)
                .frame(maxWidth: .infinity, alignment: .leading)
                .contentShape(Rectangle())
            }
            .buttonStyle(.plain)
        }
    }

    private func snippet(_ hit: ChatHit) -> Text {
        hit.snippet.reduce(Text(verbatim: "")) { text, run in
            text
                + (run.matched
                    ? Text(verbatim: run.text).bold().foregroundStyle(Theme.accent) : Text(verbatim: run.text))
        }
    }

    @ViewBuilder private var emptiness: some View {
        if model.isSearching, model.hits.isEmpty {
            ContentUnavailableView.search(text: model.query)
        } else if model.isLoaded, model.chats.isEmpty {
            ContentUnavailableView {
                Label(Strings.noChats(), systemImage: "bubble.left")
            } description: {
                Text(Strings.noChatsHint())
            } actions: {
                Button(Strings.newChat(), action: onNew).buttonStyle(.borderedProminent)
            }
        }
    }

    @ViewBuilder private var undo: some View {
        if let deleted = model.deleted {
            HStack {
                Text(Strings.deleted(deleted.title)).lineLimit(1)
                Spacer()
                Button(Strings.undo()) { Task { await model.undoDelete() } }
                    .fontWeight(.semibold)
                    .accessibilityIdentifier("chats.undo")
            }
            .font(.subheadline)
            .padding(Theme.edge)
            .background(.regularMaterial, in: RoundedRectangle(cornerRadius: Theme.corner))
            .padding(Theme.edge)
            .transition(.opacity)
            .task(id: deleted.id) {
                // Cancelled when another chat is deleted; then the undo of that chat must remain.
                guard (try? await Task.sleep(for: .seconds(8))) != nil else { return }
                model.forgetDeleted(deleted.id)
            }
        }
    }
}

private struct ChatRow: View {
    let chat: ChatSummary

    var body: some View {
        VStack(alignment: .leading, spacing: 4) {
            HStack(alignment: .firstTextBaseline) {
                Text(chat.title.isEmpty ? Strings.newChat() : chat.title).font(.headline).lineLimit(1)
                Spacer(minLength: Theme.gap)
                Text(chat.updated, format: .relative(presentation: .named))
                    .font(.caption)
                    .foregroundStyle(.secondary)
            }
            HStack(spacing: Theme.tight) {
                if chat.options.provider != nil {
                    Image(systemName: "cloud").font(.caption).foregroundStyle(Theme.remote)
                        .accessibilityLabel(Strings.elsewhere())
                }
                Text(chat.preview).font(.subheadline).foregroundStyle(.secondary).lineLimit(2)
            }
        }
        .padding(.vertical, 4)
        .contentShape(Rectangle())
        .accessibilityElement(children: .combine)
    }
}

/// A preview of the exported file before it is shared.
private struct ExportSheet: View {
    let chat: ExportedChat
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        NavigationStack {
            ScrollView {
                Text(verbatim: chat.text)
                    .font(.footnote.monospaced())
                    .textSelection(.enabled)
                    .frame(maxWidth: .infinity, alignment: .leading)
                    .padding(Theme.edge)
            }
            .navigationTitle(chat.title)
            .navigationBarTitleDisplayMode(.inline)
            .toolbar {
                ToolbarItem(placement: .cancellationAction) { Button(Strings.done()) { dismiss() } }
                ToolbarItem(placement: .primaryAction) { ShareLink(item: chat.file) }
            }
        }
        .presentationDetents([.medium, .large])
    }
}

#if !os(Linux)
    #Preview("Chats") { PreviewChats(brain: DemoBrain()) }

    #Preview("Empty") { PreviewChats(brain: DemoBrain(fresh: true)) }

    #Preview("Searching") { PreviewChats(brain: DemoBrain(russian: false), query: "moon") }

    private struct PreviewChats: View {
        @State private var model: ChatsModel

        init(brain: any Brain, query: String = "") {
            let model = ChatsModel(brain: brain)
            model.query = query
            _model = State(initialValue: model)
        }

        var body: some View {
            NavigationStack {
                ChatsScreen(model: model, opened: nil, onOpen: { _ in }, onNew: {}, onDelete: { _ in })
            }
            .task { await model.load() }
        }
    }
#endif
