// The whole app: which brain answers, which chat is open, what the device is doing.
//
// State goes down from here and events come back up; nothing else is shared. `AppModel` makes the other models and hands
// each the brain, so that there is no container and nothing global.

import Foundation
import Observation

@MainActor @Observable
final class AppModel {
    private let real: @MainActor () throws -> any Brain
    private let demo: @MainActor () -> any Brain
    private var brain: any Brain

    private(set) var chats: ChatsModel
    private(set) var models: ModelsModel
    private(set) var settings: SettingsModel
    /// There while the first run is not over.
    private(set) var firstRun: FirstRunModel?
    /// The chat that is open.
    private(set) var chat: ChatModel?
    private(set) var condition = DeviceCondition()
    private(set) var isDemo: Bool
    private(set) var isLoaded = false
    /// Why the real brain could not be had; the demo answers instead.
    var failure: String?

    /// `startsInDemo`: as UI tests and previews want it, and whoever looks at the app first.
    init(
        real: @escaping @MainActor () throws -> any Brain, demo: @escaping @MainActor () -> any Brain = { DemoBrain() },
        startsInDemo: Bool = false
    ) {
        self.real = real
        self.demo = demo
        var brain = demo()
        isDemo = true
        if !startsInDemo {
            do {
                brain = try real()
                isDemo = false
            } catch {
                failure = BrainError(error).text
            }
        }
        self.brain = brain
        chats = ChatsModel(brain: brain)
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
    }

    /// Reads what is there, and begins the first run where nothing is.
    func start() async {
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

    /// Deletes a chat; if it is the open one, it closes, and its answer ends.
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

    /// The app without a model and without a network. Nothing of it is kept.
    func enterDemo() async {
        isDemo = true
        await use(demo())
    }

    func leaveDemo() async {
        do {
            let brain = try real()
            isDemo = false
            await use(brain)
        } catch {
            failure = BrainError(error).text
        }
    }

    private func use(_ brain: any Brain) async {
        chat?.stop()
        chat = nil
        firstRun = nil
        self.brain = brain
        chats = ChatsModel(brain: brain)
        models = ModelsModel(brain: brain)
        settings = SettingsModel(brain: brain)
        await start()
    }

    private func beginFirstRun() {
        firstRun = FirstRunModel(brain: brain, models: models) { [weak self] begun in
            guard let self else { return }
            firstRun = nil
            await start()
            if let id = begun?.chatID { open(id) }
        }
    }

    /// Heat and memory, for the banner.
    func refreshCondition() async {
        condition = await brain.condition()
    }
}
