import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct ModelsModelTests {
    private func models(_ brain: any Brain = quick(fresh: true)) async -> ModelsModel {
        let model = ModelsModel(brain: brain)
        await model.load()
        return model
    }

    @Test func everyModelHasAVerdictWithItsReasonAndTheBestThatFitsIsRecommended() async {
        let model = await models()
        await model.checkAllFits()
        #expect(model.fits.count == model.catalogModels.count)
        #expect(model.fits.values.allSatisfy { !$0.reason.isEmpty && $0.needBytes > 0 })
        #expect(Set(model.fits.values.map(\.verdict)) == [.fits, .tight, .tooLarge])
        let recommended = model.recommended
        #expect(recommended.flatMap { model.fits[$0.reference] }?.verdict == .fits)
        let larger = model.catalogModels.drop { $0 != recommended }.dropFirst()
        #expect(larger.allSatisfy { model.fits[$0.reference]?.verdict != .fits })
        #expect(model.fits.values.filter { $0.verdict == .tooLarge }.allSatisfy { !$0.suggestions.isEmpty })
    }

    @Test func aTypedReferenceIsCheckedBeforeAnyDownload() async throws {
        let model = await models()
        model.reference = " hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M "
        await model.checkTypedFit()
        #expect(model.typed?.verdict == .fits)
        #expect(!model.isJudging)
        #expect(model.installed.isEmpty)

        model.reference = "hf:missing/model"
        await model.checkTypedFit()
        #expect(model.typed == nil)
        #expect(model.failure?.text.contains("no model") == true)
    }

    @Test func aDownloadEndsInstalled() async throws {
        let model = await models()
        let entry = try #require(model.available.first)
        model.download(entry.reference, name: entry.name)
        #expect(model.downloads[entry.reference]?.isRunning == true)
        await model.work[entry.reference]?.value
        #expect(model.downloads.isEmpty)
        #expect(model.installed == [entry])
        #expect(!model.available.contains(entry))
        #expect(model.usedBytes == entry.sizeBytes)
    }

    @Test func aPausedDownloadResumes() async throws {
        let model = await models(slow(fresh: true))
        let entry = try #require(model.available.first)
        model.download(entry.reference, name: entry.name)
        await until { (model.downloads[entry.reference]?.fraction ?? 0) > 0.2 }
        model.pause(entry.reference)
        #expect(model.downloads[entry.reference]?.phase == .paused)
        await model.work[entry.reference]?.value
        let paused = try #require(model.downloads[entry.reference])
        #expect(paused.phase == .paused)
        #expect(model.installed.isEmpty)

        model.download(entry.reference, name: entry.name)
        await until { model.downloads[entry.reference]?.phase == .loading }
        await until { (model.downloads[entry.reference]?.done ?? .max) != paused.done }
        #expect((model.downloads[entry.reference]?.done ?? .max) > paused.done, "it began anew")
        await model.work[entry.reference]?.value
        #expect(model.installed == [entry])
    }

    @Test func resumingRightAfterAPauseDoesNotDownloadTwice() async throws {
        let model = await models(slow(fresh: true))
        let entry = try #require(model.available.first)
        model.download(entry.reference, name: entry.name)
        await until { (model.downloads[entry.reference]?.fraction ?? 0) > 0.1 }
        model.pause(entry.reference)
        model.download(entry.reference, name: entry.name)
        await model.work[entry.reference]?.value
        #expect(model.installed == [entry])
        #expect(model.downloads.isEmpty)
    }

    @Test func aFailedDownloadSaysWhyAndStays() async {
        let model = await models()
        model.download("hf:missing/model", name: "Nothing")
        await model.work["hf:missing/model"]?.value
        guard case .failed(let failure)? = model.downloads["hf:missing/model"]?.phase else {
            Issue.record("it did not fail")
            return
        }
        #expect(!failure.text.isEmpty)
        model.dismiss("hf:missing/model")
        #expect(model.downloads.isEmpty)
    }

    @Test func theTimeThatIsLeftComesFromTheRate() {
        var state = DownloadState(name: "x", phase: .loading, done: 50, total: 150, bytesPerSecond: 0)
        #expect(state.secondsLeft == nil)
        state.bytesPerSecond = 20
        #expect(state.secondsLeft == 5)
        #expect(abs(state.fraction - 1 / 3) < 0.001)
        #expect(DownloadState(name: "x").fraction == 0)
    }

    @Test func aModelFileIsImportedAndAnyOtherIsRejected() async {
        let model = await models()
        await model.importModel(URL(fileURLWithPath: "/Some-Model.gguf"))
        #expect(model.installed.map(\.id) == ["some-model"])
        await model.importModel(URL(fileURLWithPath: "/photo.jpg"))
        #expect(model.installed.count == 1)
        #expect(model.failure?.text.contains("GGUF") == true)
    }

    @Test func aVerdictHasItsReasonAndItsNote() async throws {
        let model = await models()
        await model.importModel(URL(fileURLWithPath: "/Some-Model.gguf"))
        model.reference = "some-model"
        await model.checkTypedFit()
        let fit = try #require(model.typed)
        let note = try #require(fit.note)
        #expect(fit.reasons == [fit.reason, note])
    }

    @Test func aDamagedModelIsDownloadedAgainOrRemoved() async throws {
        let known = DemoContent.catalog[1]
        let file = ModelEntry(id: "own", reference: "/own.gguf", name: "own", sizeBytes: 1, isImported: true)
        let model = await models(DemoBrain(pace: .zero, damaged: [known, file]))
        #expect(model.damaged == [known, file])
        #expect(!model.available.contains(known), "it is offered once")
        model.download(known.reference, name: known.name)
        await model.work[known.reference]?.value
        #expect(model.damaged == [file])
        #expect(model.installed.contains(known))
        await model.remove(file.id)
        #expect(model.damaged.isEmpty)
    }

    @Test func aRemovedModelIsAvailableAgain() async throws {
        let model = await models(quick())
        let entry = try #require(model.installed.first)
        await model.remove(entry.id)
        #expect(model.installed.isEmpty)
        #expect(model.available.contains(entry))
        #expect(model.usedBytes == 0)
    }
}
