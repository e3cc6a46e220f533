// State of one chat and the actions on it.
//
// The brain stores the chat from its first message on: a question that is refused or cancelled creates none. During an
// answer `messages` shows the chunks as they arrive, once per frame; afterwards the stored chat is read again, so that
// the screen shows what is stored.

import Foundation
import Observation

/// The end of an answer: it is announced, and felt if the answer is complete.
struct EndedAnswer: Equatable, Sendable {
    let number: Int
    let status: MessageStatus
}

@MainActor @Observable
final class ChatModel: Identifiable {
    private let brain: any Brain
    /// `nil` until the first message.
    private(set) var chatID: ChatID?
    private(set) var title = ""
    private(set) var messages: [MessageEntry] = []
    private(set) var options = ChatOptions()
    private(set) var isAnswering = false
    /// Target of the current answer.
    private(set) var target: AnswerTarget?

    /// Text typed but not sent.
    var draft = ""
    /// The message that `draft` will replace.
    private(set) var editing: MessageID?
    /// The draft from before the edit.
    private var setAside = ""
    var webSearch = false
    /// Pending consent request; the sheet sets it to `nil` when it is dismissed, and then calls `promptClosed`.
    var consentPrompt: ConsentPrompt?
    var failure: BrainError?

    private(set) var choices: [ModelChoice] = []
    /// Models by provider, once the picker fetched them, and the failures of those fetches.
    private(set) var offers: [String: [ModelChoice]] = [:]
    private(set) var offerErrors: [String: BrainError] = [:]
    private(set) var presets: [PresetInfo] = []
    private(set) var costs: [CostLine] = []
    /// How the last answer of this object ended.
    private(set) var ended: EndedAnswer?

    /// The current work; tests wait for it.
    private(set) var work: Task<Void, Never>?
    private var pending: (request: AnswerRequest, prompt: ConsentPrompt)?
    /// Repeats the last question that was refused or failed.
    private var again: (@MainActor () -> Void)?
    /// The parsed answers by message. Not observed: they follow from `messages`.
    @ObservationIgnored private var markdown: [MessageID: MarkdownStream] = [:]
    private var thinkingSince: Date?
    private let frame: @MainActor () async -> Void
    /// Called when the list of chats must be read again.
    private let onChange: @MainActor () async -> Void

    /// `frame` returns when the screen may be updated again during an answer.
    init(
        brain: any Brain, chatID: ChatID? = nil, frame: @escaping @MainActor () async -> Void = ChunkPacer.nextFrame,
        onChange: @escaping @MainActor () async -> Void = {}
    ) {
        self.brain = brain
        self.chatID = chatID
        self.frame = frame
        self.onChange = onChange
    }

    func load() async {
        await attempt {
            try await self.readStored()
            try await self.loadChoices()
        }
    }

    /// Reads the stored chat again, after a change elsewhere.
    func refresh() async { await attempt { try await self.readStored() } }

    private func readStored() async throws {
        guard let chatID else { return }
        let stored = try await brain.open(chatID)
        // During an answer the messages here are newer than the stored ones.
        if !isAnswering { update(stored) }
    }

    /// Whether something would be lost without this object: an answer in progress, a question to the user, a draft.
    var isUnfinished: Bool { isAnswering || pending != nil || !draft.isBlank || !setAside.isBlank }

    /// Returns the blocks of an answer. Only text that is new is parsed.
    func blocks(of message: MessageEntry) -> [MarkdownBlock] {
        markdown[message.id, default: MarkdownStream()].update(to: message.text)
        return markdown[message.id]?.blocks ?? []
    }

    // MARK: Abilities

    var canSend: Bool { !isAnswering && !draft.isBlank }

    /// Whether the last answer is incomplete and can be continued.
    var canContinue: Bool {
        guard !isAnswering, let last = messages.last, last.author == .model else { return false }
        switch last.status {
        case .stopped, .cutShort, .interrupted, .failed: return true
        case .done, .writing: return false
        }
    }

    /// Whether a remote target could continue it.
    var canContinueRemotely: Bool { canContinue && choices.contains { !$0.target.isDevice } }

    var canSearchWeb: Bool { chosen?.searchesWeb ?? choices.contains(where: \.searchesWeb) }

    /// The selected row of the picker; `nil` if the router chooses.
    var chosen: ModelChoice? {
        (choices + offers.values.joined()).first { choice in
            switch choice.target {
            case .device(let model): options.provider == nil && options.model == model
            case .provider(let name, let model): options.provider == name && options.model == model
            case .demo: false
            }
        }
    }

    var presetInfo: PresetInfo? { presets.first { $0.preset == options.preset ?? .balanced } }

    // MARK: Requests

    func send() {
        guard canSend else { return }
        let text = draft.trimmingCharacters(in: .whitespacesAndNewlines)
        let kind = editing.map { AnswerRequest.Kind.edit($0, text) } ?? .send(text)
        endEdit()
        ask(kind)
    }

    func regenerate(_ message: MessageID) { ask(.regenerate(message)) }

    /// Continues the last answer where it was interrupted.
    func resume() { ask(.resume) }

    /// Continues it on a remote target; the user is asked if the policy requires it.
    func continueRemotely() {
        ask(.resume) { request in
            request.mode = .onlyInCloud
            if request.options.provider == nil { request.options.model = nil }
        }
    }

    /// Stops the answer. The text so far and its receipt remain.
    func stop() { work?.cancel() }

    func accept() {
        guard let (asked, prompt) = pending else { return }
        var request = asked
        request.consent = prompt.target
        (consentPrompt, pending) = (nil, nil)
        begin(request.kind) { [request] in request }
    }

    /// Refuses consent, puts the text back into the draft, and says so: `retry` asks again.
    func refuse() {
        guard let (request, prompt) = pending else { return }
        (consentPrompt, pending) = (nil, nil)
        giveBack(request.kind)
        failure = BrainError(prompt.reason, reason: .consentRequired)
    }

    /// A dismissed sheet refuses. It does not refuse the next request, which may have arrived meanwhile.
    func promptClosed() {
        if consentPrompt == nil { refuse() }
    }

    var canRetry: Bool { failure != nil && again != nil && !isAnswering }

    /// Repeats the question that was refused or failed: asks for consent again if the policy requires it.
    func retry() {
        guard canRetry else { return }
        failure = nil
        again?()
    }

    func beginEdit(_ message: MessageID) {
        guard !isAnswering, let message = messages.first(where: { $0.id == message && $0.author == .user }) else {
            return
        }
        if editing == nil { setAside = draft }
        editing = message.id
        draft = message.text
    }

    func cancelEdit() { endEdit() }

    /// Restores the draft from before the edit; without an edit it is empty.
    private func endEdit() {
        (draft, setAside, editing) = (setAside, "", nil)
    }

    /// Selects the version at an offset from this one.
    func selectVersion(_ offset: Int, from message: MessageEntry) async {
        guard !isAnswering, let chatID, let index = message.versions.firstIndex(of: message.id),
            message.versions.indices.contains(index + offset)
        else { return }
        await attempt { self.update(try await self.brain.selectVersion(message.versions[index + offset], in: chatID)) }
    }

    // MARK: Model and options

    func choose(_ choice: ModelChoice?) async {
        switch choice?.target {
        case .device(let model): (options.provider, options.model) = (nil, model)
        case .provider(let name, let model): (options.provider, options.model) = (name, model)
        case .demo, nil: (options.provider, options.model) = (nil, nil)
        }
        if !canSearchWeb { webSearch = false }
        await configure()
    }

    func choose(_ preset: AnswerPreset) async {
        options.preset = preset
        await configure()
    }

    func instruct(_ system: String) async {
        options.system = system.isEmpty ? nil : system
        await configure()
    }

    func loadChoices() async throws {
        choices = try await brain.choices()
        presets = try await brain.presets(for: options)
    }

    /// Fetches all models of the providers for the picker.
    func loadOffers() async {
        for case .provider(let name, _) in choices.map(\.target) where offers[name] == nil {
            do {
                offers[name] = try await brain.offers(of: name)
                offerErrors[name] = nil
            } catch {
                offerErrors[name] = BrainError(error)
            }
        }
        // Update the prices of the choices.
        await attempt { self.choices = try await self.brain.choices() }
    }

    /// Loads the cost of the draft, or of the next message, for each model.
    func loadCosts() async {
        await attempt {
            let request = try await self.makeRequest(.send(self.draft.isBlank ? "…" : self.draft))
            self.costs = try await self.brain.costs(of: request, in: self.chatID)
        }
    }

    private func configure() async {
        await attempt {
            if let chatID = self.chatID { try await self.brain.configure(chatID, self.options) }
            self.presets = try await self.brain.presets(for: self.options)
        }
    }

    // MARK: Answering

    /// Builds a request. Reads the settings each time: they may have changed since the chat was opened.
    private func makeRequest(_ kind: AnswerRequest.Kind) async throws -> AnswerRequest {
        let preferences = try await brain.preferences()
        return AnswerRequest(
            kind: kind, options: options, mode: preferences.mode, privacy: preferences.privacy,
            webSearch: webSearch && canSearchWeb)
    }

    private func ask(
        _ kind: AnswerRequest.Kind, _ change: @escaping @MainActor (inout AnswerRequest) -> Void = { _ in }
    ) {
        guard !isAnswering else { return }
        // A text is in the draft again, and may be changed there.
        again = { [weak self] in
            if kind.text == nil { self?.ask(kind, change) } else { self?.send() }
        }
        begin(kind) {
            var request = try await self.makeRequest(kind)
            change(&request)
            return request
        }
    }

    private func begin(_ kind: AnswerRequest.Kind, _ request: @escaping @MainActor () async throws -> AnswerRequest) {
        guard !isAnswering else { return }
        isAnswering = true
        failure = nil
        let known = Set(messages.map(\.id))
        work = Task {
            do {
                try await self.answer(try await request())
                // A later failure of other work must not repeat a question that was answered.
                if self.pending == nil { self.again = nil }
            } catch {
                if !(error is CancellationError) {
                    let failure = BrainError(error)
                    self.failure = failure
                    self.end(.failed(failure))
                }
                self.recover(kind, known)
            }
            self.isAnswering = false
            self.target = nil
            await self.onChange()
        }
    }

    private func answer(_ request: AnswerRequest) async throws {
        switch try await brain.decide(request, in: chatID) {
        case .route:
            try Task.checkCancellation()
            try await stream(request, in: try await ensureChat())
        case .needsConsent(let prompt): (pending, consentPrompt) = ((request, prompt), prompt)
        case .noRoute(let failure): throw failure
        }
    }

    /// After a failure: puts a text that was not stored back into the draft; a stored answer can be continued.
    private func recover(_ kind: AnswerRequest.Kind, _ known: Set<MessageID>) {
        let isStored = messages.contains { !known.contains($0.id) && $0.id < Self.pendingQuestion }
        if isStored { again = { [weak self] in self?.resume() } } else { giveBack(kind) }
    }

    /// Puts the text of a question back into the draft, before a text that the user typed meanwhile.
    private func giveBack(_ kind: AnswerRequest.Kind) {
        guard let text = kind.text else { return }
        if case .edit(let message, _) = kind {
            if editing == nil { setAside = draft }
            (editing, draft) = (message, text)
        } else if editing != nil {
            setAside = [text, setAside].filter { !$0.isBlank }.joined(separator: "\n\n")
        } else {
            draft = [text, draft].filter { !$0.isBlank }.joined(separator: "\n\n")
        }
    }

    private func end(_ status: MessageStatus) {
        ended = EndedAnswer(number: (ended?.number ?? 0) + 1, status: status)
    }

    /// Ids of messages that the brain has not stored yet.
    private static let pendingQuestion = MessageID.max - 1
    private static let pendingAnswer = MessageID.max

    private func stream(_ request: AnswerRequest, in chatID: ChatID) async throws {
        showPending(request.kind)
        thinkingSince = nil
        let pacer = ChunkPacer(frame: frame) { [weak self] in self?.show($0) }
        do {
            for try await chunk in brain.answer(request, in: chatID) { pacer.add(chunk) }
            pacer.finish()
        } catch {
            pacer.finish()
            try? await reload()
            await removeIfEmpty()
            throw error
        }
        if let status = messages.last?.status, status != .writing { end(status) }
        try await reload()
        await removeIfEmpty()
    }

    /// Appends chunks to the current answer.
    func show(_ chunks: [AnswerChunk]) {
        guard !messages.isEmpty else { return }
        for chunk in chunks {
            if case .started(let target, _, _) = chunk { self.target = target }
            if case .reasoning = chunk, thinkingSince == nil { thinkingSince = .now }
            if let thinkingSince, messages[messages.count - 1].text.isEmpty {
                messages[messages.count - 1].reasoningSeconds = Date.now.timeIntervalSince(thinkingSince)
            }
            messages[messages.count - 1].append(chunk)
        }
    }

    /// Deletes the chat if the brain stored no message in it, because the answer failed before.
    private func removeIfEmpty() async {
        guard let chatID, messages.isEmpty else { return }
        let brain = brain
        await Task { try? await brain.delete(chatID) }.value
        (self.chatID, title) = (nil, "")
    }

    /// Shows the new messages before the brain stores them. Their ids are temporary until the reload.
    private func showPending(_ kind: AnswerRequest.Kind) {
        switch kind {
        case .send(let text):
            messages.append(MessageEntry(id: Self.pendingQuestion, author: .user, text: text))
        case .edit(let message, let text):
            messages.removeSubrange((messages.firstIndex { $0.id == message } ?? messages.endIndex)...)
            messages.append(MessageEntry(id: Self.pendingQuestion, author: .user, text: text))
        case .regenerate(let message):
            messages.removeSubrange((messages.firstIndex { $0.id == message } ?? messages.endIndex)...)
        case .resume:
            if !messages.isEmpty { messages[messages.count - 1].status = .writing }
            return
        }
        markdown[Self.pendingAnswer] = nil
        messages.append(MessageEntry(id: Self.pendingAnswer, author: .model, status: .writing))
    }

    private func ensureChat() async throws -> ChatID {
        if let chatID { return chatID }
        let summary = try await brain.newChat(options)
        chatID = summary.id
        return summary.id
    }

    private func reload() async throws {
        guard let chatID else { return }
        // Use a new task: that of the answer may be cancelled, and the stored chat must be shown anyway.
        let brain = brain
        update(try await Task { try await brain.open(chatID) }.value)
    }

    private func update(_ chat: Chat) {
        title = chat.summary.title
        options = chat.summary.options
        messages = chat.messages
        // The stored answer is the one that was parsed while it arrived.
        if let last = messages.last, let written = markdown[Self.pendingAnswer], written.text == last.text {
            markdown[last.id] = written
        }
        let ids = Set(messages.map(\.id))
        markdown = markdown.filter { ids.contains($0.key) }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error) }
    }
}

extension String {
    fileprivate var isBlank: Bool { allSatisfy(\.isWhitespace) }
}
