import NearsideKit
import Testing

extension Scenarios {
    /// Downloads from a hub.
    @Suite struct PullTests {
        @Test func pullFromALocalHubWithProgress() async throws {
            let hub = try Hub("--rate", "50000000")
            let nearside = try Nearside(config: Config(directory: freshDirectory(), hub: hub.url))
            let events = try await nearside.download(Hub.model).all()

            guard case .resolved(let file) = events.first else {
                Issue.record("first came \(String(describing: events.first))")
                return
            }
            #expect(file.sizeBytes == smollm2Bytes)
            #expect(file.sha256 == smollm2SHA256)
            let progress = events.compactMap(\.progress)
            #expect(progress.count >= 3, "two seconds of progress, and only \(progress.count) lines of it")
            #expect(progress.map(\.done) == progress.map(\.done).sorted())
            #expect(progress.last?.done == smollm2Bytes)
            #expect(progress.allSatisfy { $0.total == smollm2Bytes })
            #expect(events.dropLast().last == .verifying)
            let installed = try #require(events.last?.installed)
            #expect(installed.sha256 == smollm2SHA256)
            #expect(try await nearside.models() == [installed])

            let again = try await nearside.download(Hub.model).all()
            #expect(again.count == 2)
            #expect(again.last?.installed == installed)
        }

        @Test func fitBeforeTheDownload() async throws {
            let hub = try Hub()
            let nearside = try Nearside(config: Config(directory: freshDirectory(), hub: hub.url))
            let report = try await nearside.fit(Hub.model)
            #expect(report.verdict == .fits)
            #expect(report.sizeBytes == smollm2Bytes)
            #expect((1...8_000_000).contains(report.networkBytes), "\(report.networkBytes) bytes for a verdict")
            let need = report.need
            #expect(need.total == need.weights + need.cache + need.compute + need.other)
            #expect(try await nearside.models() == [])

            let tiny = try await nearside.fit(Hub.model, options: FitOptions(budgetBytes: 1_000_000))
            #expect(tiny.verdict == .tooLarge)
            #expect(tiny.budget.bytes == 1_000_000)

            let first = try await nearside.progress { _ in true }
            #expect(first.done > 0, "the head was not kept")
        }

        @Test func leavingADownloadKeepsWhatCame() async throws {
            let hub = try Hub("--rate", "50000000")
            let nearside = try Nearside(config: Config(directory: freshDirectory(), hub: hub.url))
            let left = try await nearside.progress { $0.done > 10_000_000 }
            #expect(try await nearside.models() == [])
            let next = try await nearside.progress { _ in true }
            #expect(next.done >= left.done, "it began anew")
            let last = try await nearside.download(Hub.model).all().last
            #expect(last?.installed != nil)
        }
    }
}

/// The values of `DownloadEvent.progress`.
private struct DownloadProgress {
    let done: UInt64
    let total: UInt64
}

extension DownloadEvent {
    fileprivate var progress: DownloadProgress? {
        guard case .progress(let done, let total, _) = self else { return nil }
        return DownloadProgress(done: done, total: total)
    }

    fileprivate var installed: InstalledModel? {
        guard case .installed(let model) = self else { return nil }
        return model
    }
}

extension Nearside {
    /// Downloads until the progress matches, then leaves the loop and returns it.
    fileprivate func progress(where matches: (DownloadProgress) -> Bool) async throws -> DownloadProgress {
        for try await event in download(try Hub.model) {
            if let progress = event.progress, matches(progress) { return progress }
        }
        throw NearsideError(kind: .internal, reason: .bug, detail: "the download ended before that")
    }
}
