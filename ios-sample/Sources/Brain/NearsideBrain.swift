// The only file that calls Nearside; NearsideTypes.swift and NearsideErrors.swift map its types and errors.
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

    func decide(_ request: AnswerRequest, in chat: ChatID?) async throws -> AnswerDecision {
        await unlocked.value
        guard let chat else { return AnswerDecision(try await nearside.route(request.firstRequest)) }
        return AnswerDecision(try await conversations.route(chat, request.chatRequest, turn: request.turn))
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
        // Without its credential a provider counts as not set up.
        await unlocked.value
        let rows =
            if let chat {
                try await conversations.cost(chat, request.chatRequest, turn: request.turn)
            } else {
                try await nearside.cost(request.firstRequest)
            }
        return rows.map { row in
            CostLine(target: AnswerTarget(row.target), isSetUp: row.setUp, dollars: row.usdTotal, asOf: row.asOf)
        }
    }

    func presets(for options: ChatOptions) async throws -> [PresetInfo] {
        try await nearside.presets(model: options.model, provider: options.provider).map(PresetInfo.init)
    }

    func choices() async throws -> [ModelChoice] {
        var choices: [ModelChoice] = []
        for model in try await installed() {
            let fit = try? await nearside.fit(ModelRef.parse(model.id))
            let verdict = fit.map { FitLevel($0.verdict) }
            choices.append(ModelChoice(target: .device(model: model.id), name: model.name, verdict: verdict))
        }
        // Without its credential a provider is not listed.
        await unlocked.value
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

    func memoryBudget() -> UInt64? {
        // Available memory if the system tells it; most of the rest belongs to the system and other apps.
        (try? host?.facts())?.memoryAvailable ?? ProcessInfo.processInfo.physicalMemory / 2
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

    func damagedModels() async throws -> [ModelEntry] {
        try await nearside.damagedModels().map { ModelEntry($0, catalog: catalog) }
    }

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
        let provider = provider.trimmed
        var settings = ProviderSettings(name: provider.name, kind: ProviderKind(provider.kind))
        if !provider.address.isEmpty { settings.baseUrl = provider.address }
        if !provider.model.isEmpty { settings.model = provider.model }
        // Allow plain HTTP only if the user typed such an address, as for a server of their own.
        settings.allowHttp = provider.address.hasPrefix("http://")
        // A key that is loaded later would replace the new one.
        await unlocked.value
        try await nearside.addProvider(settings: settings, credentials: keys)
        if !provider.key.isEmpty {
            try await nearside.saveCredential(provider: provider.name, key: provider.key, in: keys)
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
        var condition = DeviceCondition(isReadOnly: (try? nearside.isReadOnly()) ?? false)
        if let facts = try? host?.facts() {
            condition.isHot = facts.heat == .serious || facts.heat == .critical
            condition.isShortOfMemory = facts.memoryPressure
        }
        return condition
    }

    /// A failure means that something is not stored; there is nothing else to do about it.
    func shutDown() async { try? await nearside.shutDown() }
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
