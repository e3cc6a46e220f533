// One chat: what was said, what is being said, and everything a person can do about it.
//
// The chat exists in the brain's store from its first message on. While an answer comes, `messages` shows it as it grows;
// when it is over the stored chat is read again, so that what is shown is what is kept.

import Foundation
import Observation

@MainActor @Observable
final class ChatModel: Identifiable {
    private let brain: any Brain
    /// Nothing until something was said.
    private(set) var chatID: ChatID?
    private(set) var title = ""
    private(set) var messages: [MessageEntry] = []
    private(set) var options = ChatOptions()
    private(set) var preferences = Preferences()
    private(set) var isAnswering = false
    /// Who is answering now.
    private(set) var target: AnswerTarget?

    /// What is typed and not sent.
    var draft = ""
    /// The message that `draft` will replace.
    private(set) var editing: MessageID?
    var webSearch = false
    /// Pending consent request. Dismissing it refuses.
    var consentPrompt: ConsentPrompt?
    var failure: String?

    private(set) var choices: [ModelChoice] = []
    /// By provider, once the picker asked for it; and why it could not be had.
    private(set) var offers: [String: [ModelChoice]] = [:]
    private(set) var offerFailures: [String: String] = [:]
    private(set) var presets: [PresetInfo] = []
    private(set) var costs: [CostLine] = []

    /// The work under way: tests wait for it.
    private(set) var work: Task<Void, Never>?
    private var pendingRequest: AnswerRequest?
    /// Told when the list of chats has to be read again.
    private let onChange: @MainActor () async -> Void

    init(brain: any Brain, chatID: ChatID? = nil, onChange: @escaping @MainActor () async -> Void = {}) {
        self.brain = brain
        self.chatID = chatID
        self.onChange = onChange
    }

    func load() async {
        await attempt {
            self.preferences = try await self.brain.preferences()
            // While an answer comes it is read here, not from the store.
            if !self.isAnswering { try await self.reload() }
            try await self.loadChoices()
        }
    }

    // MARK: What can be done

    var canSend: Bool { !isAnswering && !draft.trimmingCharacters(in: .whitespacesAndNewlines).isEmpty }

    /// The last answer ended before its end, so that it can go on.
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

    /// The line of the picker that is chosen; nothing where the router chooses.
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

    // MARK: Asking

    func send() {
        guard canSend else { return }
        let text = draft.trimmingCharacters(in: .whitespacesAndNewlines)
        let kind = editing.map { AnswerRequest.Kind.edit($0, text) } ?? .send(text)
        draft = ""
        editing = nil
        ask(makeRequest(kind))
    }

    func regenerate(_ message: MessageID) { ask(makeRequest(.regenerate(message))) }

    /// Goes on where the last answer broke off.
    func resume() { ask(makeRequest(.resume)) }

    /// The same, elsewhere; the person is asked if the rules say so.
    func continueRemotely() {
        var request = makeRequest(.resume)
        request.mode = .onlyInCloud
        if request.options.provider == nil { request.options.model = nil }
        ask(request)
    }

    /// What was written so far stays, and so does its receipt.
    func stop() { work?.cancel() }

    func accept() {
        guard var request = pendingRequest, let consentPrompt else { return }
        request.consent = consentPrompt.target
        self.consentPrompt = nil
        pendingRequest = nil
        ask(request)
    }

    /// What was typed comes back, to be changed or sent elsewhere.
    func refuse() {
        consentPrompt = nil
        guard let request = pendingRequest else { return }
        pendingRequest = nil
        switch request.kind {
        case .send(let text): draft = text
        case .edit(let message, let text): (editing, draft) = (message, text)
        case .regenerate, .resume: break
        }
    }

    func beginEdit(_ message: MessageID) {
        guard !isAnswering, let message = messages.first(where: { $0.id == message && $0.author == .user }) else {
            return
        }
        editing = message.id
        draft = message.text
    }

    func cancelEdit() {
        editing = nil
        draft = ""
    }

    /// Shows the version before or after this one.
    func selectVersion(_ offset: Int, from message: MessageEntry) async {
        guard !isAnswering, let chatID, let index = message.versions.firstIndex(of: message.id),
            message.versions.indices.contains(index + offset)
        else { return }
        await attempt { self.apply(try await self.brain.selectVersion(message.versions[index + offset], in: chatID)) }
    }

    // MARK: Who answers, and how

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

    /// Everything that the providers offer, for the picker; asks them.
    func loadOffers() async {
        for case .provider(let name, _) in choices.map(\.target) where offers[name] == nil {
            do { offers[name] = try await brain.offers(of: name) } catch {
                offerFailures[name] = BrainError(error).text
            }
        }
        // The prices that came with them.
        await attempt { self.choices = try await self.brain.choices() }
    }

    /// What the draft, or else the next message, would cost everywhere.
    func loadCosts() async {
        await attempt {
            self.costs = try await self.brain.costs(
                of: self.makeRequest(.send(self.draft.isEmpty ? "…" : self.draft)), in: self.chatID)
        }
    }

    private func configure() async {
        await attempt {
            if let chatID = self.chatID { try await self.brain.configure(chatID, self.options) }
            self.presets = try await self.brain.presets(for: self.options)
        }
    }

    // MARK: Running

    private func makeRequest(_ kind: AnswerRequest.Kind) -> AnswerRequest {
        AnswerRequest(
            kind: kind, options: options, mode: preferences.mode, privacy: preferences.privacy,
            webSearch: webSearch && canSearchWeb)
    }

    private func ask(_ request: AnswerRequest) {
        guard !isAnswering else { return }
        isAnswering = true
        failure = nil
        work = Task {
            await self.run(request)
            self.isAnswering = false
            self.target = nil
            await self.onChange()
        }
    }

    private func run(_ request: AnswerRequest) async {
        do {
            let chatID = try await ensureChat()
            switch try await brain.decide(request, in: chatID) {
            case .route:
                try await stream(request, in: chatID)
            case .needsConsent(let consentPrompt):
                pendingRequest = request
                self.consentPrompt = consentPrompt
            case .noRoute(let reason):
                pendingRequest = request
                refuse()
                failure = reason
            }
        } catch is CancellationError {
            pendingRequest = request
            refuse()
        } catch {
            failure = BrainError(error).text
        }
    }

    private func stream(_ request: AnswerRequest, in chatID: ChatID) async throws {
        showPending(request.kind)
        var thinkingSince: Date?
        do {
            for try await chunk in brain.answer(request, in: chatID) {
                if case .started(let target, _) = chunk { self.target = target }
                if case .reasoning = chunk, thinkingSince == nil { thinkingSince = .now }
                guard !messages.isEmpty else { continue }
                if let since = thinkingSince, messages[messages.count - 1].text.isEmpty {
                    messages[messages.count - 1].reasoningSeconds = Date.now.timeIntervalSince(since)
                }
                messages[messages.count - 1].append(chunk)
            }
        } catch {
            try? await reload()
            throw error
        }
        try await reload()
    }

    /// What the chat looks like at once, before the brain has stored anything. These ids live until it is read again.
    private func showPending(_ kind: AnswerRequest.Kind) {
        switch kind {
        case .send(let text):
            messages.append(MessageEntry(id: .max - 1, author: .user, text: text))
        case .edit(let message, let text):
            messages.removeSubrange((messages.firstIndex { $0.id == message } ?? messages.endIndex)...)
            messages.append(MessageEntry(id: .max - 1, author: .user, text: text))
        case .regenerate(let message):
            messages.removeSubrange((messages.firstIndex { $0.id == message } ?? messages.endIndex)...)
        case .resume:
            if !messages.isEmpty { messages[messages.count - 1].status = .writing }
            return
        }
        messages.append(MessageEntry(id: .max, author: .model, status: .writing))
    }

    private func ensureChat() async throws -> ChatID {
        if let chatID { return chatID }
        let summary = try await brain.newChat(options)
        chatID = summary.id
        return summary.id
    }

    private func reload() async throws {
        guard let chatID else { return }
        // Not in the task of the answer, which may be cancelled: what was stored has to be shown all the same.
        let brain = brain
        apply(try await Task { try await brain.open(chatID) }.value)
    }

    private func apply(_ chat: Chat) {
        title = chat.summary.title
        options = chat.summary.options
        messages = chat.messages
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch { failure = BrainError(error).text }
    }
}
