// The only file that imports Nearside. It maps between the types of the library and of the app.
//
// The app decides here which directories are used, where credentials are, and that the user is always asked.

import Foundation
import NearsideKit

actor NearsideBrain: Brain {
    private let nearside: Nearside
    private let conversations: Conversations
    private let keys: any CredentialStore
    /// Provides the device readings. With `nil` the library asks the system itself.
    private let host: (any DeviceHost)?
    private let settingsFile: URL
    private let catalog: [CatalogEntry]
    /// Completes when all stored credentials are loaded.
    private let unlocked: Task<Void, Never>
    /// Models of each provider, as last fetched.
    private var offers: [String: [RemoteModel]] = [:]
    private var signIns: [String: SignIn] = [:]

    /// `hub`: a mirror or test server instead of Hugging Face.
    init(directory: URL, hub: String? = nil) async throws {
        // Models are large and can be downloaded again; chats cannot, so they are backed up.
        let directories = try AppDirectories(
            models: directory.appending(path: "nearside"), data: directory.appending(path: "nearside-data"))
        let config = Config(directory: directories.models.path, dataDirectory: directories.data.path, hub: hub)
        #if canImport(Darwin)
            let (host, keys) = (AppleHost(), KeychainCredentialStore())
            let nearside = try await Nearside.open(config: config, host: host)
            nearside.followApp()
        #else
            let (host, keys) = (DeviceHost?.none, FileCredentialStore(directory: directory.appending(path: "keys")))
            let nearside = try await Nearside.open(config: config)
        #endif
        (self.host, self.nearside, self.keys) = (host, nearside, keys)
        (conversations, catalog) = (try nearside.conversations(), try nearside.catalog())
        settingsFile = directory.appendingPathComponent("preferences.json")
        // A credential that cannot be read counts as missing; the provider reports that.
        unlocked = Task { try? await nearside.loadCredentials(keys) }
    }

    // MARK: Chats

    func chats() async throws -> [ChatSummary] { try await conversations.list().map(ChatSummary.init) }

    func newChat(_ options: ChatOptions) async throws -> ChatSummary {
        ChatSummary(try await conversations.create(settings: options.settings))
    }

    func open(_ chat: ChatID) async throws -> Chat { Chat(try await conversations.open(id: chat)) }

    func rename(_ chat: ChatID, to title: String?) async throws {
        try await conversations.rename(id: chat, title: title)
    }

    func setPinned(_ chat: ChatID, _ pinned: Bool) async throws {
        try await conversations.setPinned(id: chat, pinned: pinned)
    }

    func configure(_ chat: ChatID, _ options: ChatOptions) async throws {
        try await conversations.configure(id: chat, settings: options.settings)
    }

    func delete(_ chat: ChatID) async throws { try await conversations.delete(id: chat) }
    func restore(_ chat: ChatID) async throws { try await conversations.restore(id: chat) }

    func search(_ text: String) async throws -> [ChatHit] {
        try await conversations.search(query: text).map {
            ChatHit(
                chat: ChatSummary($0.conversation), message: $0.message,
                snippet: $0.snippet.map { SnippetRun(text: $0.text, matched: $0.matched) })
        }
    }

    func export(_ chat: ChatID, as kind: ExportKind) async throws -> String {
        try await conversations.export(id: chat, format: kind == .markdown ? .markdown : .json)
    }

    func selectVersion(_ message: MessageID, in chat: ChatID) async throws -> Chat {
        Chat(try await conversations.choose(id: chat, message: message))
    }

    // MARK: Answers

    func decide(_ request: AnswerRequest, in chat: ChatID) async throws -> AnswerDecision {
        await unlocked.value
        switch try await conversations.route(chat, request.chatRequest, turn: request.turn) {
        case .route(let route): return .route(AnswerTarget(route.target), reason: route.reason)
        case .needsConsent(let question):
            let (target, policy) = (AnswerTarget(question.target), DataPolicyInfo(question.dataPolicy))
            return .needsConsent(
                ConsentPrompt(target: target, reason: question.reason, dataPolicy: policy, cost: question.costUsd))
        case .noRoute(_, _, let reason, let detail, _, _): return .noRoute(BrainError(detail, reason))
        }
    }

    nonisolated func answer(_ request: AnswerRequest, in chat: ChatID) -> PullStream<AnswerChunk> {
        let body = request.chatRequest
        return pullStream(
            { [conversations] in
                switch request.kind {
                case .send: conversations.send(chat, body)
                case .edit(let old, _): conversations.edit(chat, old, body)
                case .regenerate(let old): conversations.regenerate(chat, old, body)
                case .resume: conversations.resume(chat, body)
                }
            }, AnswerChunk.init)
    }

    func costs(of request: AnswerRequest, in chat: ChatID?) async throws -> [CostLine] {
        let (body, turn, chats) = (request.chatRequest, request.turn, conversations)
        let rows = if let chat { try await chats.cost(chat, body, turn: turn) } else { try await nearside.cost(body) }
        return rows.map { row in
            CostLine(target: AnswerTarget(row.target), isSetUp: row.setUp, dollars: row.usdTotal, asOf: row.asOf)
        }
    }

    func presets(for options: ChatOptions) async throws -> [PresetInfo] {
        try await nearside.presets(model: options.model, provider: options.provider).map {
            PresetInfo(
                preset: AnswerPreset($0.preset), temperature: $0.temperature.map(rounded), topP: $0.topP.map(rounded),
                reason: $0.reason)
        }
    }

    func choices() async throws -> [ModelChoice] {
        var choices: [ModelChoice] = []
        for model in try await installed() {
            let fit = try? await nearside.fit(ModelRef.parse(model.id))
            let verdict = fit.map { verdicts[$0.verdict] ?? .tight }
            choices.append(ModelChoice(target: .device(model: model.id), name: model.name, verdict: verdict))
        }
        return choices
            + (try await nearside.providers()).filter(\.hasKey).compactMap { status in
                status.defaultModel.map { model in
                    choice(model, at: status, offers[status.settings.name]?.first { $0.id == model })
                }
            }
    }

    func offers(of provider: String) async throws -> [ModelChoice] {
        await unlocked.value
        guard let status = try await nearside.providers().first(where: { $0.settings.name == provider }) else {
            return []
        }
        offers[provider] = try await nearside.providerModels(provider)
        return offers[provider, default: []].map { choice($0.id, at: status, $0) }
    }

    private func choice(_ model: String, at status: ProviderStatus, _ offer: RemoteModel?) -> ModelChoice {
        ModelChoice(
            target: .provider(name: status.settings.name, model: model), name: offer?.name ?? model,
            dollarsIn: offer?.price?.usdIn, dollarsOut: offer?.price?.usdOut, region: status.dataPolicy.region,
            searchesWeb: offer?.abilities?.webSearch ?? (status.settings.kind == .openRouter))
    }

    // MARK: Models

    func installed() async throws -> [ModelEntry] {
        try await nearside.models().map { ModelEntry($0, catalog: catalog) }
    }

    func catalogModels() -> [ModelEntry] { catalog.map(ModelEntry.init) }

    func checkFit(_ reference: String) async throws -> Fit {
        Fit(try await nearside.fit(model(reference)), reference: reference)
    }

    nonisolated func download(_ reference: String) -> PullStream<DownloadStep> {
        pullStream(
            { [self] in nearside.download(try model(reference)) }, { [catalog] in DownloadStep($0, catalog: catalog) })
    }

    /// Resolves an id of the catalogue, or parses any other reference.
    private nonisolated func model(_ reference: String) throws -> ModelRef {
        try catalog.first { $0.id == reference }?.model ?? ModelRef.parse(reference)
    }

    func importModel(_ file: URL) async throws -> ModelEntry {
        ModelEntry(try await nearside.import(path: file.path), catalog: catalog)
    }

    func remove(_ model: String) async throws { _ = try await nearside.remove(model: ModelRef.parse(model)) }

    // MARK: Settings

    func preferences() -> Preferences { Preferences(file: settingsFile) }
    func setPreferences(_ preferences: Preferences) throws { try preferences.write(to: settingsFile) }

    func policy() throws -> PolicySettings {
        let policy = try nearside.policy()
        return PolicySettings(
            regions: policy.regions, allowRetention: policy.allowRetention, allowTraining: policy.allowTraining,
            allowMetered: policy.allowMetered, dollarsPerRequest: policy.maxUsdRequest, dollarsPerDay: policy.maxUsdDay,
            dollarsPerMonth: policy.maxUsdMonth)
    }

    func setPolicy(_ settings: PolicySettings) async throws {
        var policy = try nearside.policy()
        // Receipts name the version of the policy that applied.
        policy.version = "app-" + Date.now.ISO8601Format()
        policy.regions = settings.regions
        policy.allowRetention = settings.allowRetention
        policy.allowTraining = settings.allowTraining
        policy.allowMetered = settings.allowMetered
        policy.maxUsdRequest = settings.dollarsPerRequest
        policy.maxUsdDay = settings.dollarsPerDay
        policy.maxUsdMonth = settings.dollarsPerMonth
        policy.consent = .ask
        try await nearside.setPolicy(policy: policy)
    }

    func providers() async throws -> [ProviderInfo] {
        await unlocked.value
        return try await nearside.providers().map(ProviderInfo.init)
    }

    func addProvider(_ provider: NewProvider) async throws {
        let (name, address) = (provider.name, provider.address.trimmingCharacters(in: .whitespaces))
        var settings = ProviderSettings(name: name, kind: kinds[provider.kind] ?? .compatible)
        if !address.isEmpty { settings.baseUrl = address }
        if !provider.model.isEmpty { settings.model = provider.model }
        // Allow plain HTTP only if the user typed such an address, as for a server of their own.
        settings.allowHttp = address.hasPrefix("http://")
        // A key that is loaded later would replace the new one.
        await unlocked.value
        try await nearside.addProvider(settings: settings, credentials: keys)
        if !provider.key.isEmpty {
            try await nearside.saveCredential(provider: name, key: provider.key, in: keys)
        }
    }

    func removeProvider(_ name: String) async throws {
        try await nearside.removeProvider(name: name)
        try keys.remove(provider: name)
        offers[name] = nil
    }

    func beginSignIn(_ provider: String) async throws -> URL {
        let signIn = try await nearside.signIn(provider: provider)
        guard let page = URL(string: try signIn.url()) else { throw BrainError("the sign-in page has no address") }
        signIns[provider] = signIn
        return page
    }

    func finishSignIn(_ provider: String, code: String) async throws {
        guard let signIn = signIns[provider] else { throw BrainError("the sign-in is not active; start it again") }
        let key = try await nearside.finishSignIn(provider: provider, signIn: signIn, code: code)
        try await nearside.saveCredential(provider: provider, key: key, in: keys)
        signIns[provider] = nil
    }

    func spending() async throws -> Spending {
        let spent = try await nearside.spent()
        let lines = try await nearside.spending(by: .provider)
            .map { SpendingLine(name: $0.key, answers: Int($0.requests), dollars: $0.usd) }
        return Spending(today: spent.day, month: spent.month, byProvider: lines)
    }

    // MARK: The device

    func condition() -> DeviceCondition {
        guard let facts = try? host?.facts() else { return DeviceCondition() }
        return DeviceCondition(
            isHot: facts.heat == .serious || facts.heat == .critical, isShortOfMemory: facts.memoryPressure)
    }
}

/// Maps a stream of the library to the app's elements.
private func pullStream<Source: BatchStream, Item: Sendable>(
    _ start: @escaping @Sendable () throws -> BatchSequence<Source>,
    _ convert: @escaping @Sendable (Source.Element) -> Item?
) -> PullStream<Item> {
    PullStream {
        var iterator: BatchSequence<Source>.Iterator?
        return {
            var elements = try iterator ?? start().makeAsyncIterator()
            defer { iterator = elements }
            while let element = try await elements.next() {
                if let item = convert(element) { return item }
            }
            return nil
        }
    }
}

// MARK: - From the library

extension ChatSummary {
    fileprivate init(_ summary: ConversationSummary) {
        self.init(
            id: summary.id, title: summary.title, pinned: summary.pinned,
            updated: Date(timeIntervalSince1970: Double(summary.updatedAtMs) / 1000), preview: summary.preview,
            messages: Int(summary.messages), options: ChatOptions(summary.settings))
    }
}

extension Chat {
    fileprivate init(_ conversation: Conversation) {
        let shown = conversation.messages.filter { $0.role == .user || $0.role == .assistant }
        self.init(summary: ChatSummary(conversation.summary), messages: shown.map(MessageEntry.init))
    }
}

extension MessageEntry {
    fileprivate init(_ message: StoredMessage) {
        self.init(
            id: message.id, author: message.role == .user ? .user : .model, text: message.text,
            reasoning: message.reasoning, reasoningSeconds: Double(message.reasoningMs) / 1000,
            citations: message.citations.map { Citation(url: $0.url, title: $0.title) },
            status: MessageStatus(message.state),
            receipt: message.receipt.map { AnswerReceipt($0, message.usage, message.timings) },
            versions: message.versions)
    }
}

extension MessageStatus {
    fileprivate init(_ state: MessageState) {
        switch state {
        case .writing: self = .writing
        case .done(let stop): self = MessageStatus(stop)
        case .interrupted: self = .interrupted
        case .failed(let error, let reason): self = .failed(BrainError(error, reason))
        }
    }

    fileprivate init(_ stop: StopReason) {
        switch stop {
        case .end, .stopSequence, .toolCall: self = .done
        case .cancelled: self = .stopped
        case .maxTokens, .contextFull, .costLimit, .filtered: self = .cutShort
        }
    }
}

extension AnswerChunk {
    /// Returns `nil` for tool calls: this app defines no tools.
    fileprivate init?(_ chunk: Chunk) {
        switch chunk {
        case .started(let route): self = .started(AnswerTarget(route.target), reason: route.reason)
        case .reasoning(let text): self = .reasoning(text)
        case .text(let text): self = .text(text)
        case .citation(let url, let title): self = .citation(Citation(url: url, title: title))
        case .toolCall: return nil
        case .done(let summary):
            self = .finished(
                MessageStatus(summary.stop), AnswerReceipt(summary.receipt, summary.usage, summary.timings))
        }
    }
}

extension AnswerTarget {
    fileprivate init(_ target: RouteTarget) {
        switch target {
        case .local(let model): self = .device(model: model)
        case .remote(let provider, let model): self = .provider(name: provider, model: model)
        case .scripted: self = .demo
        }
    }

    fileprivate var routeTarget: RouteTarget {
        switch self {
        case .device(let model): .local(model: model)
        case .provider(let name, let model): .remote(provider: name, model: model)
        case .demo: .scripted
        }
    }
}

extension AnswerReceipt {
    fileprivate init(_ receipt: Receipt, _ usage: TokenUsage?, _ timings: Timings?) {
        self.init(
            target: AnswerTarget(receipt.target), servedBy: receipt.servedBy, reason: receipt.reason,
            rejected: receipt.skipped.map { RejectedTarget(target: AnswerTarget($0.target), reason: $0.reason) },
            dataPolicy: DataPolicyInfo(receipt.dataPolicy), cost: receipt.costUsd,
            costIsCertain: receipt.costSource != .estimated && receipt.costSource != .unknown,
            promptTokens: Int(usage?.promptTokens ?? 0), answerTokens: Int(usage?.completionTokens ?? 0),
            firstTokenSeconds: (timings?.firstTokenMs ?? 0) / 1000, tokensPerSecond: timings?.tokensPerSecond ?? 0,
            preset: receipt.sampling.preset.map(AnswerPreset.init),
            temperature: receipt.sampling.temperature.map(rounded),
            topP: receipt.sampling.topP.map(rounded), samplingReason: receipt.sampling.reason)
    }
}

extension DataPolicyInfo {
    fileprivate init(_ policy: DataPolicy) {
        self.init(
            region: policy.region, retained: policy.retained, trainedOn: policy.trainedOn, asOf: policy.asOf,
            note: policy.note)
    }
}

extension Fit {
    fileprivate init(_ report: FitReport, reference: String) {
        self.init(
            reference: reference, verdict: verdicts[report.verdict] ?? .tight, reason: report.note ?? report.reason,
            needBytes: report.need.total, budgetBytes: report.budget.bytes, sizeBytes: report.sizeBytes,
            suggestions: report.suggestions.map(\.text))
    }
}

extension ModelEntry {
    fileprivate init(_ entry: CatalogEntry) {
        self.init(
            id: entry.id, reference: entry.id, name: entry.name, maker: entry.maker, sizeBytes: entry.sizeBytes,
            quantization: entry.quantization, license: entry.license, note: entry.note, reasons: entry.reasoning)
    }

    /// Maps an installed model. Takes name and notes from the catalogue if it came from there.
    fileprivate init(_ model: InstalledModel, catalog: [CatalogEntry]) {
        let known = catalog.first {
            guard case .hub(let repo, _, _) = $0.model else { return false }
            return $0.quantization == model.quantization && model.source.hasPrefix("hf:\(repo)")
        }
        self.init(
            id: model.id, reference: known?.id ?? model.source, name: known?.name ?? model.id,
            maker: known?.maker ?? "", sizeBytes: model.sizeBytes, quantization: model.quantization,
            license: known?.license ?? "", note: known?.note ?? "", reasons: known?.reasoning ?? false)
    }
}

extension DownloadStep {
    fileprivate init(_ event: DownloadEvent, catalog: [CatalogEntry]) {
        switch event {
        case .resolved(let file): self = .resolved(name: file.name, bytes: file.sizeBytes)
        case .progress(let done, let total, let rate): self = .progress(done: done, total: total, bytesPerSecond: rate)
        case .verifying: self = .verifying
        case .installed(let model): self = .installed(ModelEntry(model, catalog: catalog))
        }
    }
}

extension ProviderInfo {
    fileprivate init(_ status: ProviderStatus) {
        self.init(
            name: status.settings.name, kind: ProviderType(status.settings.kind), address: status.baseUrl,
            hasKey: status.hasKey, model: status.defaultModel, dataPolicy: DataPolicyInfo(status.dataPolicy),
            models: Int(status.models), cooldownSeconds: Int(status.restingSeconds))
    }
}

/// Rounds to three digits, so that 0.69999999 becomes 0.7.
private func rounded(_ value: Float) -> Double { (Double(value) * 1000).rounded() / 1000 }

// MARK: - To the library

extension ChatOptions {
    fileprivate init(_ settings: ConversationSettings) {
        self.init(
            model: settings.model, provider: settings.provider, preset: settings.preset.map(AnswerPreset.init),
            system: settings.system)
    }

    fileprivate var settings: ConversationSettings {
        ConversationSettings(system: system, model: model, provider: provider, preset: preset.flatMap { presets[$0] })
    }
}

extension AnswerRequest {
    /// Builds a request with the new message only: the library adds the history.
    fileprivate var chatRequest: ChatRequest {
        ChatRequest(
            messages: kind.text.map { [.user($0)] } ?? [], model: options.model, provider: options.provider,
            mode: modes[mode] ?? .onlyOnDevice, sensitivity: sensitivities[privacy] ?? .sensitive,
            sampling: SamplingOptions(preset: options.preset.flatMap { presets[$0] }), webSearch: webSearch,
            consent: consent?.routeTarget)
    }

    fileprivate var turn: ConversationTurn {
        switch kind {
        case .send: .next
        case .edit(let old, _): .edit(message: old)
        case .regenerate(let old): .regenerate(message: old)
        case .resume: .resume
        }
    }
}

extension AnswerPreset {
    fileprivate init(_ preset: SamplingPreset) { self = presets.first { $0.value == preset }?.key ?? .balanced }
}

extension ProviderType {
    fileprivate init(_ kind: ProviderKind) { self = kinds.first { $0.value == kind }?.key ?? .compatible }
}

// Enums of both sides. An entry that a table lacks falls back to the most restrictive value.

private let modes: [AnswerMode: RoutingMode] = [
    .onlyOnDevice: .onlyOnDevice, .preferOnDevice: .preferOnDevice, .preferInCloud: .preferInCloud,
    .onlyInCloud: .onlyInCloud,
]
private let sensitivities: [PrivacyLevel: Sensitivity] = [.open: .public, .personal: .personal, .secret: .sensitive]
private let presets: [AnswerPreset: SamplingPreset] = [.precise: .precise, .balanced: .balanced, .creative: .creative]
private let verdicts: [FitVerdict: FitLevel] = [.fits: .fits, .tight: .tight, .tooLarge: .tooLarge]
private let kinds: [ProviderType: ProviderKind] = [
    .openRouter: .openRouter, .deepSeek: .deepSeek, .groq: .groq, .fireworks: .fireworks, .openAI: .openAi,
    .ollama: .ollama, .llamaServer: .llamaServer, .compatible: .compatible,
]
