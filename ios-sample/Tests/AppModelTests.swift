import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct AppModelTests {
    private func app(_ brain: any Brain = quick()) async -> AppModel {
        let app = AppModel(real: { brain })
        await app.start()
        return app
    }

    @Test func aLibraryThatDoesNotOpenIsReportedAndOpenedAgain() async {
        let isFull = Box(true)
        let app = AppModel(
            real: {
                if isFull.value { throw BrainError("the disk is full") }
                return quick()
            }, demo: { quick() })
        #expect(app.opening == .opening, "the first frame does not wait for the disk")
        await app.start()
        #expect(app.opening == .failed(BrainError("the disk is full")))
        #expect(!app.isDemo && !app.isLoaded, "chats of the demo are not shown as the user's")
        isFull.value = false
        await app.start()
        #expect(app.opening == .open)
        #expect(app.isLoaded)
        #expect(!app.chats.chats.isEmpty)
    }

    @Test func theDemoCanBeUsedIfTheLibraryDoesNotOpen() async {
        let app = AppModel(real: { throw BrainError("the disk is full") }, demo: { quick() })
        await app.start()
        await app.enterDemo()
        #expect(app.isDemo && app.isLoaded)
        await app.leaveDemo()
        #expect(!app.isDemo)
        #expect(app.opening == .failed(BrainError("the disk is full")))
    }

    @Test func theLibraryIsClosedBeforeItIsOpenedAgain() async throws {
        let gate = Gate()
        let demo = slow()
        let opened = Box(0)
        let app = Box<AppModel?>(nil)
        let phase = Box<DownloadState.Phase?>(nil)
        let entry = DemoContent.catalog[1]
        let brain = FailingBrain(
            .shutDown {
                await MainActor.run { phase.value = app.value?.models.downloads[entry.reference]?.phase }
                await gate.pass()
            }, demo: demo)
        let model = AppModel(
            real: {
                if opened.value > 0 { #expect(await demo.isShutDown, "two libraries would write the same files") }
                opened.value += 1
                return opened.value == 1 ? brain : quick()
            }, demo: { quick() })
        app.value = model
        await model.start()
        model.models.download(entry.reference, name: entry.name)
        await until { (model.models.downloads[entry.reference]?.fraction ?? 0) > 0 }
        let entering = Task { await model.enterDemo() }
        await until { !model.isLoaded }
        await model.leaveDemo()
        #expect(opened.value == 1, "the first is still closing")
        gate.open()
        await entering.value
        #expect(phase.value == .paused, "its downloads ended before")
        #expect(model.isDemo && model.isLoaded)
        await model.leaveDemo()
        #expect(opened.value == 2)
        #expect(!model.isDemo && model.isLoaded)
    }

    @Test func costsAreComparedWithoutAnOpenChatAndBeginNone() async {
        let brain = quick()
        let app = await app(brain)
        let before = await brain.chats().count
        let chat = app.chatForCosts()
        await chat.loadCosts()
        #expect(!chat.costs.isEmpty)
        #expect(await brain.chats().count == before)
        app.open(1)
        #expect(app.chatForCosts() === app.chat)
    }

    @Test func theSameChatIsOpenedOnce() async throws {
        let app = await app()
        let id = try #require(app.chats.chats.first?.id)
        app.open(id)
        let chat = app.chat
        app.open(id)
        #expect(app.chat === chat, "an answer under way is not left behind")
        app.close()
        #expect(app.chat == nil)
    }

    @Test func aNewChatIsInTheListOnceSomethingWasSaid() async throws {
        let app = await app()
        let before = app.chats.chats.count
        app.newChat()
        let chat = try #require(app.chat)
        await chat.load()
        #expect(app.chats.chats.count == before)
        await chat.say("Hello")
        #expect(app.chats.chats.count == before + 1)
    }

    @Test func deletingTheOpenChatEndsItsAnswerAndClosesIt() async throws {
        let app = await app(slow())
        app.newChat()
        let chat = try #require(app.chat)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        await app.delete(try #require(chat.chatID))
        #expect(app.chat == nil)
        #expect(!chat.isAnswering)
        await app.chats.undoDelete()
        #expect(app.chats.chats.contains { $0.id == chat.chatID })
    }

    @Test func anAnswerGoesOnWhileAnotherChatIsOpen() async throws {
        let app = await app(slow())
        app.newChat()
        let chat = try #require(app.chat)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        app.open(1)
        app.open(try #require(chat.chatID))
        #expect(app.chat === chat)
        #expect(chat.isAnswering)
        await chat.work?.value
        #expect(chat.answer?.status == .done)
    }

    @Test func aChatThatAnswersOutOfSightIsStoppedAndDeleted() async throws {
        let app = await app(slow())
        app.newChat()
        let chat = try #require(app.chat)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        app.open(1)
        await app.delete(try #require(chat.chatID))
        #expect(!chat.isAnswering)
        #expect(!app.chats.chats.contains { $0.id == chat.chatID })
        #expect(app.chat?.chatID == 1)
        #expect(app.chats.failure == nil)
    }

    @Test func aChatThatIsOpenedDuringADeletionStaysOpen() async throws {
        let app = await app(slow())
        app.newChat()
        let chat = try #require(app.chat)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        let id = try #require(chat.chatID)
        let deletion = Task { await app.delete(id) }
        await until { app.chat == nil || !chat.isAnswering }
        app.open(1)
        await deletion.value
        #expect(app.chat?.chatID == 1)
    }

    @Test func aDraftIsStillThereAfterAnotherChatWasOpen() async throws {
        let app = await app()
        app.open(1)
        app.chat?.draft = "half a thought"
        app.open(try #require(app.chats.others.first?.id))
        #expect(app.chat?.draft == "")
        app.open(1)
        #expect(app.chat?.draft == "half a thought")
        app.close()
        app.newChat()
        app.chat?.draft = "a first thought"
        app.close()
        app.newChat()
        #expect(app.chat?.draft == "a first thought")
    }

    @Test func aRenamedChatHasItsNameOnItsOwnScreen() async {
        let app = await app()
        app.open(1)
        await app.chats.rename(1, to: "The sea")
        #expect(app.chat?.title == "The sea")
    }

    @Test func aChatThatIsTooLongGoesOnInANewOneWithItsDraft() async throws {
        let app = await app()
        app.open(1)
        let full = try #require(app.chat)
        full.draft = "and the moon?"
        #expect(app.offers(.startNewChat))
        app.show(.startNewChat)
        #expect(app.chat !== full)
        #expect(app.chat?.chatID == nil)
        #expect(app.chat?.draft == "and the moon?")
        #expect(full.draft.isEmpty)
    }

    @Test func aFailureLeadsToTheScreenWhereItsCauseIsRemoved() async {
        let app = await app()
        for action in FailureAction.allCases where action.destination != nil {
            app.tab = .chats
            #expect(app.offers(action), "\(action)")
            app.show(action)
            #expect(app.tab == action.destination?.tab)
            #expect(app.section == action.destination?.section)
            #expect(action == .startNewChat || !app.offers(action), "\(action): its screen is shown")
        }
        app.show(.openPage)
        #expect(app.tab == .settings, "a page is no screen of the app")
        #expect(!app.offers(.openPage))
    }

    @Test func theFirstRunOffersNoOtherScreen() async {
        let app = await app(quick(fresh: true))
        #expect(app.firstRun != nil)
        #expect(FailureAction.allCases.allSatisfy { !app.offers($0) })
    }

    @Test func anotherBrainEndsTheEarlierOneInOrder() async {
        let brain = quick()
        let app = await app(brain)
        var isShutDown = await brain.isShutDown
        #expect(!isShutDown)
        await app.enterDemo()
        isShutDown = await brain.isShutDown
        #expect(isShutDown)
    }

    @Test func heatLowMemoryAndDataThatCannotBeWrittenAreReported() async {
        let condition = DeviceCondition(isHot: true, isShortOfMemory: true, isReadOnly: true)
        let app = await app(DemoBrain(pace: .zero, condition: condition))
        #expect(app.condition == condition)
    }
}
