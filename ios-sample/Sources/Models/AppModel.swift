// State of the whole app: the brain, the open chat, and the condition of the device.
//
// State flows down and events flow up. `AppModel` creates the other models and passes each the brain: there is no
// container and no global state.

import Foundation
import Observation

/// The tabs of the app.
enum AppTab: Hashable, Sendable { case chats, models, settings }

/// The sections of the settings that a failure can lead to.
enum SettingsSection: Hashable, Sendable { case routing, providers, caps }

/// The state of the real brain, whose files are opened after the first frame.
enum Opening: Equatable, Sendable {
    case opening
    case failed(BrainError)
    case open
}

@MainActor @Observable
final class AppModel {
    private let real: @MainActor () async throws -> any Brain
    private let demo: @MainActor () -> any Brain
    private var brain: any Brain

    private(set) var chats: ChatsModel
    private(set) var models: ModelsModel
    private(set) var settings: SettingsModel
    /// Present during the first run.
    private(set) var firstRun: FirstRunModel?
    /// The open chat.
    private(set) var chat: ChatModel?
    /// Closed chats that are unfinished. Another model of such a chat would not have the draft or the rest of the answer.
    private var unfinished: [ChatModel] = []
    /// The shown tab.
    var tab = AppTab.chats
    /// The section that the settings scroll to when they appear.
    var section: SettingsSection?
    private(set) var condition = DeviceCondition()
    private(set) var isDemo: Bool
    private(set) var isLoaded = false
    /// Until the real brain is open, an unused demo stands in, and no screen shows it.
    private(set) var opening: Opening
    private var isSwitching = false

    /// `startsInDemo`: for UI tests, previews, and users who choose the demo.
    init(
        real: @escaping @MainActor () async throws -> any Brain,
        demo: @escaping @MainActor () -> any Brain = { DemoBrain() }, startsInDemo: Bool = false
    ) {
        self.real = real
        self.demo = demo
        let brain = demo()
        isDemo = startsInDemo
        opening = startsInDemo ? .open : .opening
        self.brain = brain
        chats = ChatsModel(brain: brain)
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
        // Again, with callbacks, which need all properties.
        adopt(brain)
    }

    /// Opens the real brain, and again after a failure; then loads the stored state, and begins the first run if there
    /// is none.
    func start() async {
        guard !isSwitching else { return }
        isSwitching = true
        defer { isSwitching = false }
        if opening != .open { await openReal() }
        if opening == .open { await load() }
    }

    private func openReal() async {
        opening = .opening
        do {
            adopt(try await real())
            opening = .open
        } catch {
            opening = .failed(BrainError(error))
        }
    }

    private func load() async {
        let preferences = (try? await brain.preferences()) ?? Preferences()
        await chats.load()
        await models.load()
        await settings.load()
        await refreshCondition()
        if !preferences.finishedFirstRun && firstRun == nil { beginFirstRun() }
        isLoaded = true
    }

    // MARK: Chats

    /// Opens a new chat, or that which has a draft and no message.
    func newChat() {
        show(held.first { $0.isUnfinished && $0.messages.isEmpty } ?? makeChat(nil))
    }

    /// Moves the draft of the open chat into a new one.
    private func moveDraft() {
        let draft = chat?.draft ?? ""
        chat?.draft = ""
        show(makeChat(nil))
        chat?.draft = draft
    }

    func open(_ id: ChatID) {
        if chat?.chatID != id { show(unfinished.first { $0.chatID == id } ?? makeChat(id)) }
    }

    func close() { show(nil) }

    /// Shows a chat, or none. The answer of the one before goes on.
    private func show(_ next: ChatModel?) {
        unfinished = held.filter { $0.isUnfinished && $0 !== next }
        chat = next
    }

    /// The open chat and the unfinished ones.
    private var held: [ChatModel] { unfinished + [chat].compactMap(\.self) }

    /// Deletes a chat. Closes it first if it is open, and ends its answer.
    func delete(_ id: ChatID) async {
        let models = held.filter { $0.chatID == id }
        if chat?.chatID == id { show(nil) }
        unfinished.removeAll { $0.chatID == id }
        for model in models {
            model.stop()
            await model.work?.value
        }
        await chats.delete(id)
    }

    /// Returns the open chat, or a new one that is not stored: for the costs of the next message.
    func chatForCosts() -> ChatModel { chat ?? makeChat(nil) }

    private func makeChat(_ id: ChatID?) -> ChatModel {
        let chats = chats
        return ChatModel(brain: brain, chatID: id) { await chats.load() }
    }

    // MARK: Brains

    /// Switches to the demo. Nothing in it is stored.
    func enterDemo() async {
        await replaceBrain {
            self.isDemo = true
            self.adopt(self.demo())
            self.opening = .open
        }
    }

    func leaveDemo() async {
        await replaceBrain {
            self.isDemo = false
            await self.openReal()
        }
    }

    /// Ends all work of the brain and closes it before the next one is opened: two open libraries on one directory would
    /// write the same files.
    private func replaceBrain(_ open: () async -> Void) async {
        guard !isSwitching else { return }
        isSwitching = true
        defer { isSwitching = false }
        (opening, isLoaded) = (.opening, false)
        let answering = held
        (chat, unfinished, firstRun) = (nil, [], nil)
        for model in answering { model.stop() }
        for model in answering { await model.work?.value }
        await models.endDownloads()
        await brain.shutDown()
        await open()
        if opening == .open { await load() }
    }

    // MARK: Actions after a failure

    /// Whether the screen of an action can be shown: not in the first run, and not where it is shown already.
    func offers(_ action: FailureAction) -> Bool {
        guard let destination = action.destination, isLoaded, firstRun == nil else { return false }
        return action == .startNewChat || destination.tab != tab
    }

    /// Shows the screen where the user removes the cause of a failure.
    func show(_ action: FailureAction) {
        guard let destination = action.destination else { return }
        (tab, section) = (destination.tab, destination.section)
        if action == .startNewChat { moveDraft() }
    }

    private func adopt(_ brain: any Brain) {
        self.brain = brain
        chats = ChatsModel(brain: brain) { [weak self] in await self?.chat?.refresh() }
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
    }

    private func beginFirstRun() {
        firstRun = FirstRunModel(
            brain: brain, models: models, makeChat: { [weak self] in self?.makeChat(nil) },
            onFinish: { [weak self] begun in
                guard let self else { return }
                firstRun = nil
                await load()
                if let begun, begun.chatID != nil { show(begun) }
            },
            onOpenModels: { [weak self] in self?.tab = .models })
    }

    /// Reads heat and memory pressure for the banner.
    func refreshCondition() async {
        if opening == .open { condition = await brain.condition() }
    }
}
