// What remains of a question that was refused or failed, and how it is repeated.

import Testing

@testable import NearsideSample

@MainActor @Suite(.timeLimit(.minutes(1)))
struct ChatRecoveryTests {
    private let long = String(repeating: "A long letter. ", count: 200).trimmingCharacters(in: .whitespaces)

    private func chat(_ brain: any Brain = quick(), _ id: ChatID? = nil) async -> ChatModel {
        let chat = ChatModel(brain: brain, chatID: id)
        await chat.load()
        return chat
    }

    @Test func aRefusedQuestionIsAskedAgain() async throws {
        let chat = await chat()
        await chat.say(long)
        chat.refuse()
        let failure = try #require(chat.failure)
        #expect(failure.reason == .consentRequired)
        #expect(failure.actions.contains(.askAgain))
        chat.retry()
        await chat.work?.value
        #expect(chat.consentPrompt != nil)
        #expect(chat.failure == nil)
        #expect(chat.draft.isEmpty)
        chat.accept()
        await chat.work?.value
        #expect(chat.answer?.receipt?.dataPolicy.region == "US")
        #expect(!chat.canRetry)
    }

    @Test func aRefusedRegenerationIsAskedAgain() async throws {
        let chat = await chat(quick(), 1)
        await chat.choose(try #require(chat.choices.last))
        chat.regenerate(try #require(chat.answer?.id))
        await chat.work?.value
        chat.refuse()
        #expect(chat.canRetry)
        chat.retry()
        await chat.work?.value
        chat.accept()
        await chat.work?.value
        #expect(chat.answer?.versions.count == 2)
    }

    @Test func aDismissedSheetRefusesAndDoesNotRefuseTheNextRequest() async {
        let chat = await chat()
        await chat.say(long)
        // Accepted, and another target needs consent before the sheet is gone.
        chat.promptClosed()
        #expect(chat.consentPrompt != nil)
        #expect(chat.failure == nil)
        // Swiped away.
        chat.consentPrompt = nil
        chat.promptClosed()
        #expect(chat.failure?.reason == .consentRequired)
        #expect(chat.draft == long)
    }

    @Test func aFailureOfOtherWorkDoesNotRepeatAnAnsweredQuestion() async throws {
        let chat = await chat(FailingBrain(.costs(BrainError("another process writes", reason: .busy))), 1)
        chat.regenerate(try #require(chat.answer?.id))
        await chat.work?.value
        #expect(chat.answer?.versions.count == 2)
        await chat.loadCosts()
        #expect(chat.failure?.reason == .busy)
        #expect(!chat.canRetry)
    }

    @Test func aTextThatCouldNotBeSentComesBackBeforeTheNewerOne() async {
        let chat = await chat(FailingBrain(.decision(BrainError("it is not stored", reason: .storageFailed))))
        chat.draft = "first"
        chat.send()
        chat.draft = "second"
        await chat.work?.value
        #expect(chat.draft == "first\n\nsecond")
        #expect(chat.failure?.reason == .storageFailed)
        #expect(chat.canRetry)
    }

    @Test func aTextIsNotLostIfNoChatCanBeStored() async {
        let chat = await chat(FailingBrain(.newChat(BrainError("the disk is full", reason: .diskFull))))
        await chat.say("Hello")
        #expect(chat.draft == "Hello")
        #expect(chat.failure?.reason == .diskFull)
    }

    @Test func aQuestionThatIsNotAnsweredLeavesNoChat() async {
        let brain = quick()
        let before = await brain.chats().count
        let refused = await chat(brain)
        await refused.say(long)
        refused.refuse()
        #expect(refused.chatID == nil)

        let cancelled = await chat(brain)
        cancelled.draft = "Hello"
        cancelled.send()
        cancelled.stop()
        await cancelled.work?.value
        #expect(cancelled.chatID == nil)
        #expect(cancelled.draft == "Hello", "the text is given back")
        #expect(await brain.chats().count == before)
    }

    @Test func aChatInWhichNothingCouldBeStoredIsRemoved() async {
        let error = BrainError("the disk is full", reason: .diskFull)
        let brain = FailingBrain(.answer { PullStream { { throw error } } })
        let before = await brain.demo.chats().count
        let chat = await chat(brain)
        await chat.say("Hello")
        #expect(chat.failure == error)
        #expect(chat.draft == "Hello")
        #expect(chat.chatID == nil)
        #expect(await brain.demo.chats().count == before)
    }

    @Test func anAnswerThatBrokeOffIsContinuedAndItsQuestionIsNotSentTwice() async throws {
        let brain = FailingBrain(.firstAnswer(BrainError("lost", reason: .interrupted)))
        let chat = await chat(brain)
        await chat.say("Why do the tides come twice a day?")
        #expect(chat.draft.isEmpty)
        #expect(chat.failure?.reason == .interrupted)
        chat.retry()
        await chat.work?.value
        #expect(chat.failure == nil)
        #expect(chat.messages.count == 2)
        #expect(chat.answer?.status == .done)
    }

    @Test func theSettingsApplyAsTheyAreWhenTheQuestionIsSent() async throws {
        let brain = quick()
        let chat = await chat(brain)
        await brain.setPreferences(Preferences(privacy: .secret, finishedFirstRun: true))
        await chat.say(long)
        #expect(chat.consentPrompt == nil, "a chat that was open before does not offer to send it")
        #expect(chat.failure != nil)
    }
}
