import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct ChatModelTests {
    /// Creates a chat on a brain and loads it.
    private func chat(_ brain: any Brain = quick(), _ id: ChatID? = nil) async -> ChatModel {
        let chat = ChatModel(brain: brain, chatID: id)
        await chat.load()
        return chat
    }

    @Test func aQuestionIsAnsweredAndCarriesItsReceipt() async throws {
        let chat = await chat()
        await chat.say("Why do the tides come twice a day?")
        #expect(chat.messages.map(\.author) == [.user, .model])
        let answer = try #require(chat.answer)
        #expect(answer.text.contains("bulges"))
        #expect(answer.reasoning.contains("rotation"))
        #expect(!answer.text.contains("rotation"), "reasoning is kept apart from the text")
        #expect(answer.status == .done)
        #expect(answer.receipt?.target == .demo)
        #expect(answer.receipt?.cost == 0)
        #expect(chat.draft.isEmpty)
        #expect(!chat.isAnswering)
    }

    @Test func messagesThatWereNotSentAreToldWithTheAnswerAndInItsReceipt() async throws {
        let chat = await chat()
        for _ in 1...4 { await chat.say("Hello") }
        #expect(chat.messages.allSatisfy { $0.omittedMessages == 0 })
        await chat.say("Hello")
        let answer = try #require(chat.answer)
        #expect(answer.omittedMessages == 2)
        #expect(answer.receipt?.omittedMessages == 2)

        let writing = await self.chat(slow())
        for _ in 1...4 { await writing.say("Code") }
        writing.draft = "Hello"
        writing.send()
        await until { writing.answer?.text.isEmpty == false && writing.messages.count == 10 }
        #expect(writing.answer?.omittedMessages == 2, "it is told while the answer arrives")
        writing.stop()
        await writing.work?.value
    }

    @Test func targetsThatAreOnlyCountedAreInTheReceipt() async throws {
        let chat = await chat()
        await chat.choose(try #require(chat.choices.first { !$0.target.isDevice }))
        await chat.say("Hello")
        chat.accept()
        await chat.work?.value
        let counts = try #require(chat.answer?.receipt?.rejectedMore)
        #expect(counts.map(\.rule) == [.policy, .budget])
        #expect(counts.map(\.count) == [3, 12])
    }

    @Test func whitespaceIsNotSent() async {
        let chat = await chat()
        chat.draft = " \n "
        #expect(!chat.canSend)
        chat.send()
        #expect(chat.work == nil)
        #expect(chat.messages.isEmpty)
    }

    @Test func anAnswerShowsWhileItGrows() async throws {
        let chat = await chat(slow())
        chat.draft = "Hello"
        chat.send()
        await until { (chat.answer?.text.count ?? 0) > 20 }
        #expect(chat.isAnswering)
        #expect(chat.answer?.status == .writing)
        #expect(chat.target == .demo)
        let early = try #require(chat.answer?.text)
        chat.stop()
        await chat.work?.value
        #expect(try #require(chat.answer?.text).hasPrefix(early))
    }

    @Test func aStoppedAnswerKeepsItsTextAndReceiptAndContinues() async throws {
        let brain = slow()
        let chat = await chat(brain)
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        chat.stop()
        await chat.work?.value
        let stopped = try #require(chat.answer)
        #expect(stopped.status == .stopped)
        #expect(stopped.receipt != nil)
        #expect(chat.canContinue)

        chat.resume()
        await chat.work?.value
        let whole = try #require(chat.answer)
        #expect(whole.id == stopped.id, "it goes on, and is no new answer")
        #expect(whole.text.hasPrefix(stopped.text))
        #expect(whole.text.hasSuffix("plane."))
        #expect(whole.status == .done)
        #expect(!chat.canContinue)
    }

    @Test func aStoppedAnswerContinuesRemotelyAfterConsent() async throws {
        let chat = await chat(slow())
        chat.draft = "Hello"
        chat.send()
        await until { chat.answer?.text.isEmpty == false }
        chat.stop()
        await chat.work?.value
        #expect(chat.canContinueRemotely)

        chat.continueRemotely()
        await chat.work?.value
        let prompt = try #require(chat.consentPrompt)
        #expect(!prompt.target.isDevice)
        #expect(chat.answer?.status == .stopped, "nothing is sent before they agreed")
        chat.accept()
        await chat.work?.value
        #expect(chat.consentPrompt == nil)
        #expect(chat.answer?.receipt?.target == prompt.target)
        #expect(chat.answer?.status == .done)
    }

    @Test func regeneratingKeepsBothVersions() async throws {
        let chat = await chat()
        await chat.say("Write some code")
        let first = try #require(chat.answer)
        chat.regenerate(first.id)
        await chat.work?.value
        let second = try #require(chat.answer)
        #expect(chat.messages.count == 2)
        #expect(second.versions == [first.id, second.id])

        await chat.selectVersion(-1, from: second)
        #expect(chat.answer?.id == first.id)
        await chat.selectVersion(-1, from: try #require(chat.answer))
        #expect(chat.answer?.id == first.id, "there is none before the first")
        await chat.selectVersion(1, from: try #require(chat.answer))
        #expect(chat.answer?.id == second.id)
    }

    @Test func anEditedQuestionIsAnsweredAnewAndItsOldVersionStays() async throws {
        let chat = await chat()
        await chat.say("Hello")
        await chat.say("And the moon?")
        let question = try #require(chat.messages.first)
        chat.beginEdit(question.id)
        #expect(chat.draft == "Hello")
        chat.draft = "Write some code"
        chat.send()
        await chat.work?.value
        #expect(chat.messages.map(\.text).first == "Write some code")
        #expect(chat.messages.count == 2, "what followed the old version is not shown")
        #expect(chat.answer?.text.contains("```swift") == true)

        await chat.selectVersion(-1, from: try #require(chat.messages.first))
        #expect(chat.messages.map(\.author) == [.user, .model, .user, .model])
        #expect(chat.messages.first?.text == "Hello")
    }

    @Test func anEditThatIsGivenUpChangesNothing() async throws {
        let chat = await chat()
        await chat.say("Hello")
        chat.beginEdit(try #require(chat.messages.first?.id))
        chat.cancelEdit()
        #expect(chat.draft.isEmpty)
        #expect(chat.editing == nil)
        #expect(chat.messages.count == 2)
    }

    @Test func anEditDoesNotCostTheDraft() async throws {
        let chat = await chat()
        await chat.say("Hello")
        await chat.say("And the moon?")
        chat.draft = "half a thought"
        chat.beginEdit(chat.messages[0].id)
        chat.beginEdit(chat.messages[2].id)
        #expect(chat.draft == "And the moon?")
        #expect(chat.isUnfinished)
        chat.cancelEdit()
        #expect(chat.draft == "half a thought")

        chat.beginEdit(chat.messages[0].id)
        chat.draft = "Write some code"
        chat.send()
        await chat.work?.value
        #expect(chat.answer?.text.contains("```swift") == true)
        #expect(chat.draft == "half a thought")
    }

    @Test func aRefusedEditComesBackAsAnEditAndTheDraftAfterIt() async throws {
        let chat = await chat()
        await chat.say("Hello")
        chat.draft = "half a thought"
        let question = chat.messages[0].id
        chat.beginEdit(question)
        await chat.choose(try #require(chat.choices.first { !$0.target.isDevice }))
        chat.draft = "Tides?"
        chat.send()
        await chat.work?.value
        chat.refuse()
        #expect(chat.editing == question)
        #expect(chat.draft == "Tides?")
        chat.cancelEdit()
        #expect(chat.draft == "half a thought")
    }

    @Test func theEndOfAnAnswerIsReportedOnceWithItsOutcome() async throws {
        let chat = await chat()
        await chat.say(String(repeating: "A long letter. ", count: 200))
        chat.refuse()
        #expect(chat.ended == nil, "a refusal ends no answer")
        await chat.say("Hello")
        #expect(chat.ended == EndedAnswer(number: 1, status: .done))

        let stopped = await self.chat(slow())
        stopped.draft = "Hello"
        stopped.send()
        await until { stopped.answer?.text.isEmpty == false }
        stopped.stop()
        await stopped.work?.value
        #expect(stopped.ended?.status == .stopped)

        let failure = BrainError("lost", reason: .interrupted)
        let broken = await self.chat(FailingBrain(.firstAnswer(failure)))
        await broken.say("Hello")
        #expect(broken.ended?.status == .failed(failure))
    }

    @Test func aTooLongMessageNeedsConsentBeforeItIsSent() async throws {
        let chat = await chat()
        await chat.say(String(repeating: "A long letter. ", count: 200))
        let prompt = try #require(chat.consentPrompt)
        #expect(prompt.dataPolicy.region == "US")
        #expect(prompt.cost != nil)
        #expect(chat.messages.isEmpty)
        chat.accept()
        await chat.work?.value
        #expect(chat.messages.count == 2)
        #expect(chat.answer?.receipt?.dataPolicy.region == "US")
        #expect(try #require(chat.answer?.receipt?.cost) > 0)
    }

    @Test func aRefusalRestoresTheDraft() async {
        let long = String(repeating: "A long letter. ", count: 200).trimmingCharacters(in: .whitespaces)
        let chat = await chat()
        await chat.say(long)
        #expect(chat.consentPrompt != nil)
        chat.refuse()
        #expect(chat.consentPrompt == nil)
        #expect(chat.draft == long)
        #expect(chat.messages.isEmpty)
        #expect(chat.failure?.reason == .consentRequired)
    }

    @Test func onlyOnDeviceNeverAsksForConsent() async {
        let brain = quick()
        await brain.setPreferences(Preferences(mode: .onlyOnDevice, finishedFirstRun: true))
        let chat = await chat(brain)
        await chat.say(String(repeating: "A long letter. ", count: 200))
        #expect(chat.consentPrompt == nil)
        #expect(chat.failure?.text.contains("longer") == true)
        #expect(!chat.draft.isEmpty, "the words are given back")
    }

    @Test func aChosenModelIsKeptWithTheChat() async throws {
        let brain = quick()
        let chat = await chat(brain)
        await chat.say("Hello")
        let remote = try #require(chat.choices.first { !$0.target.isDevice })
        await chat.choose(remote)
        #expect(chat.chosen == remote)
        let again = await self.chat(brain, chat.chatID)
        #expect(again.chosen == remote)
        await again.choose(nil)
        #expect(again.chosen == nil)
    }

    @Test func aPresetShowsTheTemperatureBehindItAndStandsInTheReceipt() async {
        let chat = await chat()
        #expect(chat.presetInfo?.temperature == 0.7)
        await chat.choose(.precise)
        #expect(chat.presetInfo?.temperature == 0)
        await chat.say("Hello")
        #expect(chat.answer?.receipt?.preset == .precise)
        #expect(chat.answer?.receipt?.temperature == 0)
    }

    @Test func theWebIsSearchedOnlyWhereTheProviderCan() async throws {
        let chat = await chat()
        let remote = try #require(chat.choices.first { $0.searchesWeb })
        await chat.choose(remote)
        #expect(chat.canSearchWeb)
        chat.webSearch = true
        await chat.say("Tides")
        chat.accept()
        await chat.work?.value
        #expect(chat.answer?.citations.count == 1)

        await chat.choose(try #require(chat.choices.first { $0.target.isDevice }))
        #expect(!chat.canSearchWeb)
        #expect(!chat.webSearch)
    }

    @Test func theCostsOfThisChatComeCheapestFirst() async {
        let chat = await chat()
        await chat.loadCosts()
        #expect(chat.chatID == nil, "asking for prices begins no chat")
        let known = chat.costs.compactMap(\.dollars)
        #expect(known.count > 1)
        #expect(known == known.sorted())
    }

    @Test func aMissingChatReportsAnError() async {
        let chat = await chat(quick(), 9_999)
        #expect(chat.failure?.text == "this chat no longer exists")
    }
}
