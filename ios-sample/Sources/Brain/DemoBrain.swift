// The app without model and network: for users before their first download, previews, UI tests, and the tests of the
// models.
//
// It behaves as the real one does: answers arrive word by word, a stopped answer keeps its text, an edit adds a
// version, a download can be paused and resumed, and consent is requested before content leaves the device. Nothing is
// stored.

import Foundation

actor DemoBrain: Brain {
    private struct Node {
        var message: MessageEntry
        /// 0 for the first message of a chat.
        let parent: MessageID
    }

    private struct Store {
        var summary: ChatSummary
        var named = true
        var nodes: [MessageID: Node] = [:]
        /// The selected child of each message.
        var next: [MessageID: MessageID] = [:]

        var path: [MessageID] {
            sequence(first: next[0]) { [next] in $0.flatMap { next[$0] } }.prefix { $0 != nil }.compactMap(\.self)
        }

        /// All versions of each message, by the message before it.
        var versions: [MessageID: [MessageID]] { Dictionary(grouping: nodes.keys.sorted()) { nodes[$0]?.parent ?? 0 } }
    }

    private let content: DemoContent
    private let pace: Duration
    private var stores: [ChatID: Store] = [:]
    private var deleted: [ChatID: Store] = [:]
    private var scripts: [MessageID: ArraySlice<AnswerChunk>] = [:]
    private var lastID: UInt64 = 0
    private var models: [ModelEntry]
    private var damaged: [ModelEntry]
    private var downloaded: [String: UInt64] = [:]
    private var prefs = Preferences(finishedFirstRun: true)
    private var policySettings = PolicySettings(dollarsPerDay: 0.5, dollarsPerMonth: 5)
    private var configured: [ProviderInfo] = [
        ProviderInfo(
            name: "openrouter", kind: .openRouter, address: "https://openrouter.ai", hasKey: true,
            model: DemoContent.remoteModel, dataPolicy: DemoContent.remoteDataPolicy, models: 342)
    ]
    private let deviceCondition: DeviceCondition
    private(set) var isShutDown = false

    /// With a pace of zero an answer arrives at once. `fresh`: no chats and no models, as on the first start.
    init(
        pace: Duration = .milliseconds(35), fresh: Bool = false, russian: Bool = DemoBrain.prefersRussian,
        condition: DeviceCondition = DeviceCondition(), damaged: [ModelEntry] = [], now: Date = .now
    ) {
        content = russian ? .russian : .english
        self.pace = pace
        deviceCondition = condition
        self.damaged = damaged
        models = fresh ? [] : [DemoContent.catalog[0]]
        prefs.finishedFirstRun = !fresh
        guard !fresh else { return }
        for (index, chat) in content.chats.enumerated() {
            let id = UInt64(index + 1)
            var store = Store(
                summary: ChatSummary(
                    id: id, title: chat.title, pinned: index == 0,
                    updated: now.addingTimeInterval(-Double(index * index) * 17_000 - 240)))
            var parent: MessageID = 0
            for demo in chat.turns {
                for message in [Self.question(demo.question, id: lastID + 1), demo.answer(id: lastID + 2)] {
                    lastID += 1
                    store.nodes[lastID] = Node(message: message, parent: parent)
                    store.next[parent] = lastID
                    parent = lastID
                }
            }
            stores[id] = store
        }
    }

    static var prefersRussian: Bool { Locale.preferredLanguages.first?.hasPrefix("ru") == true }

    // MARK: Chats

    func chats() -> [ChatSummary] {
        stores.keys.compactMap { try? open($0).summary }
            .sorted { $0.pinned == $1.pinned ? $0.updated > $1.updated : $0.pinned }
    }

    func newChat(_ options: ChatOptions) -> ChatSummary {
        lastID += 1
        let summary = ChatSummary(id: lastID, title: "", updated: .now, options: options)
        stores[lastID] = Store(summary: summary, named: false)
        return summary
    }

    func open(_ chat: ChatID) throws -> Chat {
        let store = try store(chat)
        let versions = store.versions
        let messages = store.path.compactMap { store.nodes[$0] }.map { node in
            var message = node.message
            message.versions = versions[node.parent] ?? []
            return message
        }
        var summary = store.summary
        summary.messages = messages.count
        summary.preview = messages.last.map { String($0.text.prefix(120)) } ?? ""
        if !store.named { summary.title = messages.first.map { String($0.text.prefix(48)) } ?? "" }
        return Chat(summary: summary, messages: messages)
    }

    func rename(_ chat: ChatID, to title: String?) throws {
        _ = try store(chat)
        stores[chat]?.named = title != nil
        if let title { stores[chat]?.summary.title = title }
    }

    func setPinned(_ chat: ChatID, _ pinned: Bool) throws {
        _ = try store(chat)
        stores[chat]?.summary.pinned = pinned
    }

    func configure(_ chat: ChatID, _ options: ChatOptions) throws {
        _ = try store(chat)
        stores[chat]?.summary.options = options
    }

    func delete(_ chat: ChatID) throws {
        deleted[chat] = try store(chat)
        stores[chat] = nil
    }

    func restore(_ chat: ChatID) throws {
        guard let store = deleted.removeValue(forKey: chat) else { throw missing }
        stores[chat] = store
    }

    func search(_ text: String) -> [ChatHit] {
        chats().flatMap { summary -> [ChatHit] in
            let messages = (try? open(summary.id).messages) ?? []
            let found = messages.compactMap { message in
                Self.snippet(message.text, text).map { ChatHit(chat: summary, message: message.id, snippet: $0) }
            }
            let title = Self.snippet(summary.title, text).map { ChatHit(chat: summary, message: nil, snippet: $0) }
            return (title.map { [$0] } ?? []) + found
        }
    }

    func export(_ chat: ChatID, as kind: ExportKind) throws -> String {
        let chat = try open(chat)
        switch kind {
        case .markdown:
            let turns = chat.messages.map { "**\($0.author == .user ? content.me : content.model)**\n\n\($0.text)\n" }
            return "# \(chat.summary.title)\n\n" + turns.joined(separator: "\n")
        case .json:
            let messages = chat.messages.map { ["role": $0.author == .user ? "user" : "assistant", "text": $0.text] }
            let object: [String: Any] = ["title": chat.summary.title, "messages": messages]
            let data = try JSONSerialization.data(withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
            return String(decoding: data, as: UTF8.self)
        }
    }

    func selectVersion(_ message: MessageID, in chat: ChatID) throws -> Chat {
        guard let node = try store(chat).nodes[message] else { throw missing }
        stores[chat]?.next[node.parent] = message
        return try open(chat)
    }

    // MARK: Answers

    func decide(_ request: AnswerRequest, in chat: ChatID?) -> AnswerDecision {
        let prefersCloud = request.mode == .onlyInCloud || request.mode == .preferInCloud
        let isLong = if case .send(let text) = request.kind { text.count > DemoContent.fits } else { false }
        let model = request.options.model ?? DemoContent.remoteModel
        let remote = AnswerTarget.provider(name: configured.first?.name ?? "", model: model)
        let mayLeave = request.mode != .onlyOnDevice && request.privacy != .secret && !configured.isEmpty
        let isRemote = prefersCloud || request.options.provider != nil || isLong
        guard isRemote else { return .route(.demo, reason: content.localReason) }
        guard mayLeave else {
            return .noRoute(
                isLong
                    ? BrainError(content.tooLong, reason: .contextExceeded)
                    : BrainError(content.staysHere, reason: .policyForbids))
        }
        let needsConsent = request.privacy == .personal && request.consent != remote
        guard needsConsent else { return .route(remote, reason: content.consentReason) }
        return .needsConsent(
            ConsentPrompt(
                target: remote, reason: isLong ? content.tooLong : content.requestReason,
                dataPolicy: DemoContent.remoteDataPolicy, cost: 0.0004))
    }

    nonisolated func answer(_ request: AnswerRequest, in chat: ChatID) -> PullStream<AnswerChunk> {
        PullStream {
            var id: MessageID?
            return {
                let answer = if let id { id } else { try await self.begin(request, in: chat) }
                id = answer
                return await self.next(of: answer, in: chat)
            }
        }
    }

    func costs(of request: AnswerRequest, in chat: ChatID?) -> [CostLine] { DemoContent.costs }

    func presets(for options: ChatOptions) -> [PresetInfo] {
        [(AnswerPreset.precise, 0), (.balanced, 0.7), (.creative, 1)].map {
            PresetInfo(preset: $0, temperature: $1, topP: 0.95, reason: content.presetReason)
        }
    }

    func choices() -> [ModelChoice] {
        let local = models.map { ModelChoice(target: .device(model: $0.id), name: $0.name, verdict: verdict(of: $0)) }
        let remote = configured.map {
            ModelChoice(
                target: .provider(name: $0.name, model: DemoContent.remoteModel), name: "DeepSeek V3.2",
                dollarsIn: 0.27, dollarsOut: 0.4, region: $0.dataPolicy.region, searchesWeb: true)
        }
        return local + remote
    }

    func offers(of provider: String) -> [ModelChoice] {
        DemoContent.offers.map { offer in
            ModelChoice(
                target: .provider(name: provider, model: offer.id), name: offer.name, dollarsIn: offer.dollarsIn,
                dollarsOut: offer.dollarsOut, region: DemoContent.remoteDataPolicy.region, searchesWeb: true)
        }
    }

    /// Stores the question and an empty answer, and prepares the chunks. Returns the answer's id.
    private func begin(_ request: AnswerRequest, in chat: ChatID) throws -> MessageID {
        let store = try store(chat)
        let target: AnswerTarget =
            switch decide(request, in: chat) {
            case .route(let target, _): target
            case .needsConsent: throw BrainError(content.notAgreed, reason: .consentRequired)
            case .noRoute(let failure): throw failure
            }
        var parent = store.path.last ?? 0
        var question = store.path.reversed().compactMap { store.nodes[$0]?.message }.first { $0.author == .user }?
            .text
        switch request.kind {
        case .send(let text):
            parent = append(Self.question(text, id: lastID + 1), after: parent, in: chat)
            question = text
        case .edit(let message, let text):
            let before = store.nodes[message]?.parent ?? 0
            parent = append(Self.question(text, id: lastID + 1), after: before, in: chat)
            question = text
        case .regenerate(let message):
            parent = store.nodes[message]?.parent ?? parent
            question = store.nodes[parent]?.message.text
        case .resume:
            guard let last = store.path.last, let node = store.nodes[last], node.message.author == .model else { break }
            let written = node.message.text
            let whole = content.answer(to: question ?? "").text
            let isPrefix = whole.hasPrefix(written)
            let remaining = isPrefix ? String(whole.dropFirst(written.count)) : " " + content.fallback.text
            scripts[last] = script(DemoAnswer(text: remaining), at: target, request)[...]
            stores[chat]?.nodes[last]?.message.status = .writing
            return last
        }
        let answer = append(MessageEntry(id: lastID + 1, author: .model, status: .writing), after: parent, in: chat)
        let omitted = max(0, (stores[chat]?.path.count ?? 0) - 2 - DemoContent.contextMessages)
        scripts[answer] = script(content.answer(to: question ?? ""), at: target, request, omitted: omitted)[...]
        return answer
    }

    private func next(of answer: MessageID, in chat: ChatID) async -> AnswerChunk? {
        guard let chunk = scripts[answer]?.first else { return nil }
        if pace > .zero { try? await Task.sleep(for: pace) }
        guard !Task.isCancelled, scripts[answer] != nil else {
            guard case .finished(_, let receipt)? = scripts.removeValue(forKey: answer)?.last else { return nil }
            let stopped = AnswerChunk.finished(.stopped, receipt)
            write(stopped, to: answer, in: chat)
            return stopped
        }
        scripts[answer]?.removeFirst()
        write(chunk, to: answer, in: chat)
        return chunk
    }

    private func write(_ chunk: AnswerChunk, to answer: MessageID, in chat: ChatID) {
        guard var message = stores[chat]?.nodes[answer]?.message else { return }
        message.append(chunk)
        stores[chat]?.nodes[answer]?.message = message
        stores[chat]?.summary.updated = .now
    }

    private func script(
        _ answer: DemoAnswer, at target: AnswerTarget, _ request: AnswerRequest, omitted: Int = 0
    ) -> [AnswerChunk] {
        let preset = presets(for: request.options).first { $0.preset == request.options.preset ?? .balanced }
        let remote = !target.isDevice
        let receipt = AnswerReceipt(
            target: target, servedBy: remote ? "Fireworks" : nil,
            reason: remote ? content.consentReason : content.localReason,
            rejectedMore: remote ? DemoContent.rejectedMore : [], omittedMessages: omitted,
            dataPolicy: remote ? DemoContent.remoteDataPolicy : DataPolicyInfo(), cost: remote ? 0.00018 : 0,
            promptTokens: 41, answerTokens: answer.text.count / 4, firstTokenSeconds: 0.31,
            tokensPerSecond: remote ? 61 : 27.4, preset: request.options.preset, temperature: preset?.temperature,
            topP: preset?.topP, samplingReason: content.presetReason)
        return [.started(target, reason: receipt.reason, omitted: omitted)]
            + Self.words(answer.reasoning).map { .reasoning($0) } + Self.words(answer.text).map { .text($0) }
            + (request.webSearch && remote ? [.citation(DemoContent.citation)] : []) + [.finished(.done, receipt)]
    }

    private func append(_ message: MessageEntry, after parent: MessageID, in chat: ChatID) -> MessageID {
        lastID += 1
        stores[chat]?.nodes[lastID] = Node(message: message, parent: parent)
        stores[chat]?.next[parent] = lastID
        return lastID
    }

    // MARK: Models

    func installed() -> [ModelEntry] { models }

    func catalogModels() -> [ModelEntry] { DemoContent.catalog }

    func checkFit(_ reference: String) throws -> Fit {
        let known = DemoContent.catalog + models
        guard let entry = known.first(where: { $0.reference == reference || $0.id == reference }) else {
            throw BrainError(content.unknownModel, reason: .unknownModel)
        }
        return Fit(
            reference: reference, verdict: verdict(of: entry), reason: content.verdicts[verdict(of: entry)] ?? "",
            note: entry.isImported ? content.noTemplate : nil,
            needBytes: entry.sizeBytes * 5 / 4, budgetBytes: DemoContent.budget, sizeBytes: entry.sizeBytes,
            suggestions: verdict(of: entry) == .tooLarge ? [content.suggestion] : [])
    }

    func memoryBudget() -> UInt64? { DemoContent.budget }

    nonisolated func download(_ reference: String) -> PullStream<DownloadStep> {
        PullStream {
            var isResolved = false
            var isOver = false
            return {
                if isOver { return nil }
                let step = try await self.nextStep(of: reference, isFirst: !isResolved)
                isResolved = true
                if case .installed? = step { isOver = true }
                return step
            }
        }
    }

    private func nextStep(of reference: String, isFirst: Bool) async throws -> DownloadStep? {
        guard let entry = DemoContent.catalog.first(where: { $0.reference == reference }) else {
            throw BrainError(content.unknownModel, reason: .unknownModel)
        }
        if isFirst { return .resolved(name: entry.name, bytes: entry.sizeBytes) }
        if pace > .zero { try? await Task.sleep(for: pace * 2) }
        if Task.isCancelled { return nil }
        let done = downloaded[reference] ?? 0
        guard done < entry.sizeBytes else {
            downloaded[reference] = nil
            if !models.contains(entry) { models.append(entry) }
            damaged.removeAll { $0.id == entry.id }
            return .installed(entry)
        }
        downloaded[reference] = min(entry.sizeBytes, done + entry.sizeBytes / 40)
        return .progress(done: downloaded[reference] ?? 0, total: entry.sizeBytes, bytesPerSecond: 11_400_000)
    }

    func importModel(_ file: URL) throws -> ModelEntry {
        guard file.pathExtension.lowercased() == "gguf" else { throw BrainError(content.notAModel, reason: .damaged) }
        let name = file.deletingPathExtension().lastPathComponent
        let id = name.lowercased()
        let entry = ModelEntry(id: id, reference: id, name: name, sizeBytes: 98_362_432, isImported: true)
        models.append(entry)
        return entry
    }

    func remove(_ model: String) {
        models.removeAll { $0.id == model }
        damaged.removeAll { $0.id == model }
    }

    func damagedModels() -> [ModelEntry] { damaged }

    private func verdict(of entry: ModelEntry) -> FitLevel {
        let need = entry.sizeBytes * 5 / 4
        return need > DemoContent.budget * 5 / 4 ? .tooLarge : need > DemoContent.budget ? .tight : .fits
    }

    // MARK: Settings and the device

    func preferences() -> Preferences { prefs }
    func setPreferences(_ preferences: Preferences) { prefs = preferences }
    func policy() -> PolicySettings { policySettings }
    func setPolicy(_ policy: PolicySettings) { policySettings = policy }
    func providers() -> [ProviderInfo] { configured }

    func addProvider(_ provider: NewProvider) {
        let name = provider.name
        configured.removeAll { $0.name == name }
        configured.append(
            ProviderInfo(
                name: name, kind: provider.kind, address: provider.address, hasKey: !provider.key.isEmpty,
                model: provider.model.isEmpty ? nil : provider.model, dataPolicy: DemoContent.remoteDataPolicy,
                models: 12))
    }

    func removeProvider(_ name: String) { configured.removeAll { $0.name == name } }

    func beginSignIn(_ provider: String) throws -> URL {
        guard let url = URL(string: "https://openrouter.ai/auth") else { throw missing }
        return url
    }

    func finishSignIn(_ provider: String, code: String) {
        for index in configured.indices where configured[index].name == provider { configured[index].hasKey = true }
    }

    func spending() -> Spending {
        Spending(
            today: 0.0127, month: 0.3104,
            byProvider: [SpendingLine(name: "openrouter", answers: 148, dollars: 0.3104)])
    }

    func condition() -> DeviceCondition { deviceCondition }

    func shutDown() { isShutDown = true }

    // MARK: Helpers

    private var missing: BrainError { BrainError(content.missingChat, reason: .notFound) }

    private func store(_ chat: ChatID) throws -> Store {
        guard let store = stores[chat] else { throw missing }
        return store
    }

    private static func question(_ text: String, id: MessageID) -> MessageEntry {
        MessageEntry(id: id, author: .user, text: text)
    }

    /// Splits a text into words, each with the space before it.
    private static func words(_ text: String) -> [String] {
        text.reduce(into: [String]()) { words, character in
            if words.isEmpty || (character.isWhitespace && words.last?.last?.isWhitespace == false) {
                words.append(String(character))
            } else {
                words[words.count - 1].append(character)
            }
        }
    }

    private static func snippet(_ text: String, _ query: String) -> [SnippetRun]? {
        guard let found = text.range(of: query, options: [.caseInsensitive, .diacriticInsensitive]) else { return nil }
        let before = text[..<found.lowerBound].suffix(32).replacingOccurrences(of: "\n", with: " ")
        let after = text[found.upperBound...].prefix(64).replacingOccurrences(of: "\n", with: " ")
        return [
            SnippetRun(text: before, matched: false), SnippetRun(text: String(text[found]), matched: true),
            SnippetRun(text: after, matched: false),
        ]
    }
}
