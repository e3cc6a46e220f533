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
    /// The shown tab.
    var tab = AppTab.chats
    /// The section that the settings scroll to when they appear.
    var section: SettingsSection?
    private(set) var condition = DeviceCondition()
    private(set) var isDemo: Bool
    private(set) var isLoaded = false
    /// The real brain is still to be opened; a demo stands in until then, behind the launch screen.
    private var awaitsReal: Bool
    /// Why the real brain failed to open; the demo answers instead.
    var failure: BrainError?

    /// `startsInDemo`: for UI tests, previews, and users who choose the demo.
    init(
        real: @escaping @MainActor () async throws -> any Brain,
        demo: @escaping @MainActor () -> any Brain = { DemoBrain() }, startsInDemo: Bool = false
    ) {
        self.real = real
        self.demo = demo
        let brain = demo()
        isDemo = startsInDemo
        awaitsReal = !startsInDemo
        self.brain = brain
        chats = ChatsModel(brain: brain)
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
    }

    /// Opens the real brain if it is not open, loads the stored state, and begins the first run if there is none.
    func start() async {
        if awaitsReal {
            awaitsReal = false
            do {
                adopt(try await real())
            } catch {
                isDemo = true
                failure = BrainError(error)
            }
        }
        let preferences = (try? await brain.preferences()) ?? Preferences()
        await chats.load()
        await models.load()
        await settings.load()
        await refreshCondition()
        if !preferences.finishedFirstRun && firstRun == nil { beginFirstRun() }
        isLoaded = true
    }

    // MARK: Chats

    func newChat() {
        chat = makeChat(nil)
    }

    func open(_ id: ChatID) {
        if chat?.chatID != id { chat = makeChat(id) }
    }

    func close() { chat = nil }

    /// Deletes a chat. Closes it first if it is open, which ends its answer.
    func delete(_ id: ChatID) async {
        if chat?.chatID == id {
            chat?.stop()
            await chat?.work?.value
            chat = nil
        }
        await chats.delete(id)
    }

    private func makeChat(_ id: ChatID?) -> ChatModel {
        let chats = chats
        return ChatModel(brain: brain, chatID: id) { await chats.load() }
    }

    // MARK: Brains

    /// Switches to the demo. Nothing in it is stored.
    func enterDemo() async {
        isDemo = true
        await use(demo())
    }

    func leaveDemo() async {
        do {
            let brain = try await real()
            isDemo = false
            await use(brain)
        } catch {
            failure = BrainError(error)
        }
    }

    private func use(_ brain: any Brain) async {
        chat?.stop()
        chat = nil
        firstRun = nil
        let earlier = self.brain
        adopt(brain)
        await earlier.shutDown()
        await start()
    }

    // MARK: Actions after a failure

    /// Whether the screen of an action can be shown: not in the first run, and not where it is shown already.
    func offers(_ action: FailureAction) -> Bool {
        guard let destination = action.destination else { return false }
        return isLoaded && firstRun == nil && destination.tab != tab
    }

    /// Shows the screen where the user removes the cause of a failure.
    func show(_ action: FailureAction) {
        guard let destination = action.destination else { return }
        (tab, section) = (destination.tab, destination.section)
    }

    private func adopt(_ brain: any Brain) {
        self.brain = brain
        chats = ChatsModel(brain: brain)
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
    }

    private func beginFirstRun() {
        firstRun = FirstRunModel(brain: brain, models: models) { [weak self] begun in
            guard let self else { return }
            firstRun = nil
            await start()
            if let id = begun?.chatID { open(id) }
        }
    }

    /// Reads heat and memory pressure for the banner.
    func refreshCondition() async {
        condition = await brain.condition()
    }
}
