// The models: what is here, what is worth having and whether it fits, any other by its reference; downloads that can be
// left and gone on with.

import Foundation
import Observation

/// How far a download is.
struct DownloadState: Equatable {
    enum Phase: Equatable {
        case resolving, loading, verifying, paused
        case failed(String)
    }

    var name: String
    var phase = Phase.resolving
    var done: UInt64 = 0
    var total: UInt64 = 0
    var bytesPerSecond: UInt64 = 0

    var fraction: Double { total == 0 ? 0 : Double(done) / Double(total) }
    var isRunning: Bool { phase == .resolving || phase == .loading || phase == .verifying }

    /// Nothing where it is not known yet.
    var secondsLeft: Double? {
        bytesPerSecond == 0 || total <= done ? nil : Double(total - done) / Double(bytesPerSecond)
    }
}

@MainActor @Observable
final class ModelsModel {
    private let brain: any Brain
    private(set) var installed: [ModelEntry] = []
    private(set) var catalogModels: [ModelEntry] = []
    /// By reference; one that is missing is still being judged, or could not be.
    private(set) var fits: [String: Fit] = [:]
    /// Why a verdict is missing, by reference.
    private(set) var unjudged: [String: String] = [:]
    private(set) var downloads: [String: DownloadState] = [:]
    /// What downloads brought since the app began, by reference.
    private(set) var arrived: [String: ModelEntry] = [:]
    /// Any reference of a hub, typed in.
    var reference = ""
    /// What was found at `reference`.
    private(set) var typed: Fit?
    private(set) var isJudging = false
    var failure: String?
    /// The downloads under way: tests wait for them.
    private(set) var work: [String: Task<Void, Never>] = [:]

    init(brain: any Brain) {
        self.brain = brain
    }

    var usedBytes: UInt64 { installed.reduce(0) { $0 + $1.sizeBytes } }

    /// The best that fits: the catalogue goes from small to large, so it is the last one.
    var recommended: ModelEntry? {
        catalogModels.last { fits[$0.reference]?.verdict == .fits }
    }

    /// Of what is worth having, what is not here.
    var available: [ModelEntry] {
        catalogModels.filter { entry in !installed.contains { $0.id == entry.id || $0.reference == entry.reference } }
    }

    func load() async {
        await attempt {
            self.installed = try await self.brain.installed()
            self.catalogModels = try await self.brain.catalogModels().sorted { $0.sizeBytes < $1.sizeBytes }
        }
    }

    /// Asks for the verdicts one after the other: each fetches a few megabytes.
    func checkAllFits() async {
        for entry in catalogModels where fits[entry.reference] == nil {
            if Task.isCancelled { return }
            do {
                fits[entry.reference] = try await brain.checkFit(entry.reference)
                unjudged[entry.reference] = nil
            } catch {
                unjudged[entry.reference] = BrainError(error).text
            }
        }
    }

    /// Judges what was typed in.
    func checkTypedFit() async {
        let requested = reference.trimmingCharacters(in: .whitespacesAndNewlines)
        typed = nil
        guard !requested.isEmpty else { return }
        isJudging = true
        await attempt { self.typed = try await self.brain.checkFit(requested) }
        isJudging = false
    }

    // MARK: Downloads

    /// Begins, or goes on where it was left.
    func download(_ reference: String, name: String) {
        guard downloads[reference]?.isRunning != true else { return }
        var state = downloads[reference] ?? DownloadState(name: name)
        state.phase = .resolving
        downloads[reference] = state
        // A paused one may still be ending; two at once would be in each other's way.
        let earlier = work[reference]
        work[reference] = Task {
            await earlier?.value
            await self.run(reference)
        }
    }

    /// What came is kept.
    func pause(_ reference: String) {
        guard downloads[reference]?.isRunning == true else { return }
        downloads[reference]?.phase = .paused
        work[reference]?.cancel()
    }

    /// Takes a download off the screen; its file stays, and a later one goes on with it.
    func dismiss(_ reference: String) {
        pause(reference)
        downloads[reference] = nil
    }

    private func run(_ reference: String) async {
        do {
            for try await step in brain.download(reference) { await take(step, of: reference) }
            if downloads[reference]?.isRunning == true { downloads[reference]?.phase = .paused }
        } catch {
            downloads[reference]?.phase = Task.isCancelled ? .paused : .failed(BrainError(error).text)
        }
    }

    private func take(_ step: DownloadStep, of reference: String) async {
        // What still comes after a pause moves the bar and does not start it again.
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
            await attempt { self.installed = try await self.brain.installed() }
        }
    }

    // MARK: Files

    func importModel(_ file: URL) async {
        #if !os(Linux)
            // A file of another app is readable only between these two.
            let isScoped = file.startAccessingSecurityScopedResource()
            defer { if isScoped { file.stopAccessingSecurityScopedResource() } }
        #endif
        await attempt {
            _ = try await self.brain.importModel(file)
            self.installed = try await self.brain.installed()
        }
    }

    func remove(_ model: String) async {
        await attempt {
            try await self.brain.remove(model)
            self.installed = try await self.brain.installed()
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error).text }
    }
}
