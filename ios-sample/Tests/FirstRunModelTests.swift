import Foundation
import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct FirstRunModelTests {
    private func app(_ brain: DemoBrain) async -> AppModel {
        let app = AppModel(real: { brain }, demo: { quick() })
        await app.start()
        return app
    }

    @Test func threeStepsLeadToAnAnswer() async throws {
        let brain = quick(fresh: true)
        let app = await app(brain)
        let run = try #require(app.firstRun)
        #expect(run.step == .pick)
        await run.load()
        #expect(run.picked == run.models.recommended)
        #expect(run.picked != nil)

        run.startDownload()
        #expect(run.step == .download)
        await run.work?.value
        #expect(run.step == .chat)

        let chat = try #require(run.chat)
        await chat.say("Hello")
        #expect(chat.answer?.status == .done)
        await run.finish()
        #expect(app.firstRun == nil)
        #expect(app.chat?.chatID == chat.chatID, "the chat stays open")
        #expect(app.chats.chats.count == 1)

        let again = await self.app(brain)
        #expect(again.firstRun == nil, "once is enough")
    }

    @Test func theFirstAnswerGoesOnAfterTheFirstRun() async throws {
        let brain = slow(fresh: true)
        let app = await app(brain)
        let run = try #require(app.firstRun)
        await run.importModel(URL(fileURLWithPath: "/own-model.gguf"))
        let chat = try #require(run.chat)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        await run.finish()
        #expect(app.chat === chat)
        await chat.work?.value
        #expect(chat.answer?.status == .done)
        #expect(app.chats.chats.map(\.messages) == [2])
    }

    @Test func aModelThatDoesNotFitCannotBePicked() async throws {
        let run = try #require(await app(quick(fresh: true)).firstRun)
        await run.load()
        let large = try #require(run.models.catalogModels.first { run.models.fits[$0.reference]?.verdict == .tooLarge })
        let before = run.picked
        run.pick(large)
        #expect(run.picked == before)
        let small = try #require(run.models.catalogModels.first)
        run.pick(small)
        #expect(run.picked == small)
    }

    @Test func theDownloadCanBePausedAndAnotherPicked() async throws {
        let run = try #require(await app(slow(fresh: true)).firstRun)
        await run.load()
        run.startDownload()
        await until { (run.download?.fraction ?? 0) > 0.1 }
        run.pauseDownload()
        await run.work?.value
        #expect(run.step == .download, "a paused download does not begin the chat")
        #expect(run.download?.phase == .paused)
        run.back()
        #expect(run.step == .pick)
        run.startDownload()
        await run.work?.value
        #expect(run.step == .chat)
    }

    @Test func anyOtherModelCanBePickedByItsReference() async throws {
        let run = try #require(await app(quick(fresh: true)).firstRun)
        run.models.reference = "hf:Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M"
        await run.pickTyped()
        #expect(run.picked?.reference == run.models.reference)
        run.models.reference = "hf:unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M"
        await run.pickTyped()
        #expect(run.picked?.reference != run.models.reference, "it is too large")
        run.startDownload()
        await run.work?.value
        #expect(run.step == .chat)
    }

    @Test func aFileIsAsGoodAsADownload() async throws {
        let run = try #require(await app(quick(fresh: true)).firstRun)
        await run.load()
        await run.importModel(URL(fileURLWithPath: "/mine.gguf"))
        #expect(run.step == .chat)
        #expect(run.picked?.id == "mine")
    }

    @Test func aFailedImportIsReportedAndAnEarlierFailureDoesNotHideASuccess() async throws {
        let error = BrainError("the disk is full", reason: .diskFull)
        let brain = FailingBrain(.importing(error), demo: quick(fresh: true))
        let failed = FirstRunModel(brain: brain, models: ModelsModel(brain: brain))
        await failed.importModel(URL(fileURLWithPath: "/mine.gguf"))
        #expect(failed.models.failure == error)
        #expect(failed.step == .pick)

        let run = try #require(await app(quick(fresh: true)).firstRun)
        run.models.failure = error
        await run.importModel(URL(fileURLWithPath: "/mine.gguf"))
        #expect(run.step == .chat)
        #expect(!run.models.isImporting)
    }

    @Test func theFirstChatLeadsToTheModels() async throws {
        let app = await app(quick(fresh: true))
        let run = try #require(app.firstRun)
        await run.importModel(URL(fileURLWithPath: "/mine.gguf"))
        await run.openModels()
        #expect(app.firstRun == nil)
        #expect(app.tab == .models)
    }

    @Test func withoutANetworkTheModelsAreGuessedBySizeAndCheckedAgainWhenAsked() async throws {
        let offline = BrainError("no network", reason: .offline)
        let brain = FailingBrain(.checkFit(offline), demo: quick(fresh: true))
        let run = FirstRunModel(brain: brain, models: ModelsModel(brain: brain))
        await run.load()
        let models = run.models
        #expect(models.unreachable == offline)
        #expect(brain.fitChecks.value == 1, "it is not tried for each model")
        #expect(!models.isCheckingAll)
        #expect(models.unjudged.isEmpty && models.failure == nil, "it is said once")
        for entry in models.catalogModels {
            let checked = try await brain.demo.checkFit(entry.reference).verdict
            #expect(models.guesses[entry.reference] == checked, "\(entry.name)")
        }
        #expect(run.picked == models.recommended && run.picked != nil)
        let large = try #require(models.catalogModels.last)
        run.pick(large)
        #expect(run.picked == large, "a guess forbids nothing")
        await run.checkAgain()
        #expect(brain.fitChecks.value == 2)
    }

    @Test func aVerdictReplacesAGuess() async {
        let models = ModelsModel(brain: quick(fresh: true))
        await models.load()
        await models.checkAllFits()
        #expect(models.unreachable == nil && models.guesses.isEmpty)
        #expect(models.fits.count == models.catalogModels.count)
    }

    @Test func theDemoNeedsNeitherAndIsLeftAgain() async throws {
        let app = await app(quick(fresh: true))
        #expect(!app.isDemo)
        await app.enterDemo()
        #expect(app.isDemo)
        #expect(app.firstRun == nil)
        #expect(app.chats.chats.count > 2)
        await app.leaveDemo()
        #expect(!app.isDemo)
        #expect(app.firstRun != nil, "the first run is where it was")
        #expect(app.chats.chats.isEmpty)
    }
}
