// Models and downloads: installed models, the catalogue with verdicts, any other model by reference, and downloads that
// can be paused and resumed.

import Foundation
import Observation

/// Progress of a download.
struct DownloadState: Equatable {
    enum Phase: Equatable {
        case resolving, loading, verifying, paused
        case failed(BrainError)
    }

    var name: String
    var phase = Phase.resolving
    var done: UInt64 = 0
    var total: UInt64 = 0
    var bytesPerSecond: UInt64 = 0

    var fraction: Double { total == 0 ? 0 : Double(done) / Double(total) }
    var isRunning: Bool { phase == .resolving || phase == .loading || phase == .verifying }

    /// `nil` while unknown.
    var secondsLeft: Double? {
        bytesPerSecond == 0 || total <= done ? nil : Double(total - done) / Double(bytesPerSecond)
    }
}

extension FitLevel {
    /// A guess: a model needs about a quarter more than its file.
    init(guessedFor sizeBytes: UInt64, budget: UInt64) {
        let need = sizeBytes / 4 * 5
        self = need > budget / 4 * 5 ? .tooLarge : need > budget ? .tight : .fits
    }
}

@MainActor @Observable
final class ModelsModel {
    private let brain: any Brain
    private(set) var installed: [ModelEntry] = []
    /// Installed models that cannot answer: remove them, or download them again.
    private(set) var damaged: [ModelEntry] = []
    private(set) var catalogModels: [ModelEntry] = []
    /// Fit by reference; missing while the check runs, or if it failed.
    private(set) var fits: [String: Fit] = [:]
    /// Why a check failed, by reference.
    private(set) var unjudged: [String: BrainError] = [:]
    /// Why no model can be checked now; then `guesses` has a verdict by size for each unchecked one.
    private(set) var unreachable: BrainError?
    private(set) var guesses: [String: FitLevel] = [:]
    private(set) var isCheckingAll = false
    private(set) var downloads: [String: DownloadState] = [:]
    /// Models downloaded since the start of the app, by reference.
    private(set) var arrived: [String: ModelEntry] = [:]
    /// Reference typed by the user.
    var reference = ""
    /// Result of the check of `reference`.
    private(set) var typed: Fit?
    private(set) var isJudging = false
    private(set) var isImporting = false
    var failure: BrainError?
    /// Running downloads; tests wait for them.
    private(set) var work: [String: Task<Void, Never>] = [:]

    init(brain: any Brain) {
        self.brain = brain
    }

    var usedBytes: UInt64 { installed.reduce(0) { $0 + $1.sizeBytes } }

    /// The largest model that fits, or probably fits: the catalogue is sorted by size.
    var recommended: ModelEntry? {
        catalogModels.last { (fits[$0.reference]?.verdict ?? guesses[$0.reference]) == .fits }
    }

    /// The models of the catalogue that are not installed, damaged or not.
    var available: [ModelEntry] {
        let present = installed + damaged
        return catalogModels.filter { entry in
            !present.contains { $0.id == entry.id || $0.reference == entry.reference }
        }
    }

    func load() async {
        await attempt {
            try await self.readInstalled()
            self.catalogModels = try await self.brain.catalogModels().sorted { $0.sizeBytes < $1.sizeBytes }
        }
    }

    private func readInstalled() async throws {
        installed = try await brain.installed()
        damaged = try await brain.damagedModels()
    }

    /// Checks the fit of each model, one at a time: each check fetches a few megabytes. If the hub cannot be reached, the
    /// check ends there, because the others would fail as well, each after its timeout.
    func checkAllFits() async {
        guard !isCheckingAll else { return }
        isCheckingAll = true
        defer { isCheckingAll = false }
        for entry in catalogModels where fits[entry.reference] == nil {
            do {
                fits[entry.reference] = try await brain.checkFit(entry.reference)
                unjudged[entry.reference] = nil
            } catch {
                if Task.isCancelled { return }
                let failure = BrainError(error)
                if failure.reason?.isOfNetwork == true { return await guessFits(failure) }
                unjudged[entry.reference] = failure
            }
        }
        (unreachable, guesses) = (nil, [:])
    }

    /// Guesses by the size of the file. A guess forbids no download.
    private func guessFits(_ failure: BrainError) async {
        let budget = await brain.memoryBudget()
        guesses = [:]
        for entry in catalogModels where fits[entry.reference] == nil {
            unjudged[entry.reference] = nil
            guesses[entry.reference] = budget.map { FitLevel(guessedFor: entry.sizeBytes, budget: $0) }
        }
        unreachable = failure
    }

    /// Checks the fit of the typed reference.
    func checkTypedFit() async {
        let requested = reference.trimmingCharacters(in: .whitespacesAndNewlines)
        typed = nil
        guard !requested.isEmpty else { return }
        isJudging = true
        await attempt { self.typed = try await self.brain.checkFit(requested) }
        isJudging = false
    }

    // MARK: Downloads

    /// Starts or resumes a download.
    func download(_ reference: String, name: String) {
        guard downloads[reference]?.isRunning != true else { return }
        var state = downloads[reference] ?? DownloadState(name: name)
        state.phase = .resolving
        downloads[reference] = state
        // A paused download may still be ending; two at once would conflict.
        let earlier = work[reference]
        work[reference] = Task {
            await earlier?.value
            await self.run(reference)
        }
    }

    /// Pauses a download; the partial file remains.
    func pause(_ reference: String) {
        guard downloads[reference]?.isRunning == true else { return }
        downloads[reference]?.phase = .paused
        work[reference]?.cancel()
    }

    /// Removes a download from the list; the partial file remains, and a later download resumes it.
    func dismiss(_ reference: String) {
        pause(reference)
        downloads[reference] = nil
    }

    private func run(_ reference: String) async {
        do {
            for try await step in brain.download(reference) { await take(step, of: reference) }
            if downloads[reference]?.isRunning == true { downloads[reference]?.phase = .paused }
        } catch {
            downloads[reference]?.phase = Task.isCancelled ? .paused : .failed(BrainError(error))
        }
    }

    private func take(_ step: DownloadStep, of reference: String) async {
        // An event after a pause updates the progress, but does not restart the download.
        let isPaused = downloads[reference]?.phase == .paused
        switch step {
        case .resolved(let name, let bytes):
            downloads[reference]?.name = name
            downloads[reference]?.total = bytes
            if !isPaused { downloads[reference]?.phase = .loading }
        case .progress(let done, let total, let rate):
            downloads[reference]?.done = done
            downloads[reference]?.total = total
            downloads[reference]?.bytesPerSecond = rate
            if !isPaused { downloads[reference]?.phase = .loading }
        case .verifying:
            if !isPaused { downloads[reference]?.phase = .verifying }
        case .installed(let entry):
            downloads[reference] = nil
            arrived[reference] = entry
            await attempt { try await self.readInstalled() }
        }
    }

    /// Pauses all downloads and waits for their end.
    func endDownloads() async {
        for reference in work.keys { pause(reference) }
        for download in work.values { await download.value }
    }

    // MARK: Files

    /// Imports a file and returns its model; `nil` if that failed, which `failure` says.
    @discardableResult
    func importModel(_ file: URL) async -> ModelEntry? {
        isImporting = true
        defer { isImporting = false }
        #if !os(Linux)
            // A file of another app is readable only between these two calls.
            let isScoped = file.startAccessingSecurityScopedResource()
            defer { if isScoped { file.stopAccessingSecurityScopedResource() } }
        #endif
        var imported: ModelEntry?
        await attempt {
            imported = try await self.brain.importModel(file)
            try await self.readInstalled()
        }
        return imported
    }

    func remove(_ model: String) async {
        await attempt {
            try await self.brain.remove(model)
            try await self.readInstalled()
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error) }
    }
}
