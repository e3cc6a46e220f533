// The first run: choose a model that fits, download it, ask a question.

import Foundation
import Observation

@MainActor @Observable
final class FirstRunModel {
    enum Step: Int, CaseIterable { case pick, download, chat }

    private let brain: any Brain
    let models: ModelsModel
    private(set) var step = Step.pick
    private(set) var picked: ModelEntry?
    /// The first chat; present from the third step on.
    private(set) var chat: ChatModel?
    var failure: BrainError?
    private let makeChat: @MainActor () -> ChatModel?
    private let onFinish: @MainActor (ChatModel?) async -> Void
    private let onOpenModels: @MainActor () -> Void
    /// The current work; tests wait for it.
    private(set) var work: Task<Void, Never>?

    /// `makeChat` creates the first chat; `onFinish` receives it and keeps it open; `onOpenModels` shows the models.
    init(
        brain: any Brain, models: ModelsModel, makeChat: @escaping @MainActor () -> ChatModel? = { nil },
        onFinish: @escaping @MainActor (ChatModel?) async -> Void = { _ in },
        onOpenModels: @escaping @MainActor () -> Void = {}
    ) {
        self.brain = brain
        self.models = models
        self.makeChat = makeChat
        self.onFinish = onFinish
        self.onOpenModels = onOpenModels
    }

    /// Loads the catalogue, checks each model, and selects the largest that fits unless one is picked.
    func load() async {
        await models.load()
        await checkAgain()
    }

    /// Checks the models that have no verdict yet.
    func checkAgain() async {
        await models.checkAllFits()
        if picked == nil { picked = models.recommended }
    }

    func pick(_ entry: ModelEntry) {
        if models.fits[entry.reference]?.verdict != .tooLarge { picked = entry }
    }

    /// Selects the typed model, unless it is too large.
    func pickTyped() async {
        await models.checkTypedFit()
        guard let fit = models.typed, fit.verdict != .tooLarge else { return }
        picked = ModelEntry(
            id: fit.reference, reference: fit.reference, name: fit.reference, sizeBytes: fit.sizeBytes)
    }

    var canDownload: Bool { picked != nil }

    var download: DownloadState? { picked.flatMap { models.downloads[$0.reference] } }

    /// Starts or resumes the download; the chat begins once it is complete.
    func startDownload() {
        guard let picked else { return }
        step = .download
        models.download(picked.reference, name: picked.name)
        let transfer = models.work[picked.reference]
        work = Task {
            await transfer?.value
            if self.models.arrived[picked.reference] != nil { await self.beginChat() }
        }
    }

    func pauseDownload() {
        if let picked { models.pause(picked.reference) }
    }

    func back() {
        guard step == .download else { return }
        pauseDownload()
        step = .pick
    }

    /// Imports a file instead of a download.
    func importModel(_ file: URL) async {
        guard let imported = await models.importModel(file) else { return }
        picked = imported
        await beginChat()
    }

    /// Ends the first run; its chat stays open.
    func finish() async {
        do {
            var preferences = try await brain.preferences()
            preferences.finishedFirstRun = true
            try await brain.setPreferences(preferences)
            await onFinish(chat)
        } catch {
            failure = BrainError(error)
        }
    }

    /// Ends the first run and shows the models.
    func openModels() async {
        await finish()
        if failure == nil { onOpenModels() }
    }

    private func beginChat() async {
        let chat = makeChat() ?? ChatModel(brain: brain)
        await chat.load()
        self.chat = chat
        step = .chat
    }
}
