// The services that the app needs, in the app's own types.
//
// Models and screens use only these types. There are two implementations: `NearsideBrain`, the one file that calls
// the library, and `DemoBrain`, which needs no model and no network. Both promise:
//
// - The brain stores a chat, chunk by chunk, while the answer is generated. The app stores nothing.
// - Nothing leaves the device that `decide` did not announce: `.needsConsent` means that the app asks the user first.
// - An answer begins with `.started` and ends with `.finished` or a thrown `BrainError`, also after a stop.

import Foundation

protocol Brain: Sendable {
    // Chats
    func chats() async throws -> [ChatSummary]
    func newChat(_ options: ChatOptions) async throws -> ChatSummary
    func open(_ chat: ChatID) async throws -> Chat
    /// Renames a chat. `nil`: its first words become the title.
    func rename(_ chat: ChatID, to title: String?) async throws
    func setPinned(_ chat: ChatID, _ pinned: Bool) async throws
    func configure(_ chat: ChatID, _ options: ChatOptions) async throws
    /// Deletes a chat. `restore` can undo it until the next start of the app.
    func delete(_ chat: ChatID) async throws
    func restore(_ chat: ChatID) async throws
    func search(_ text: String) async throws -> [ChatHit]
    func export(_ chat: ChatID, as kind: ExportKind) async throws -> String
    /// Selects another version of a message and the messages that follow it.
    func selectVersion(_ message: MessageID, in chat: ChatID) async throws -> Chat

    // Answers
    /// Decides where a request is answered. `nil`: the first request of a chat that is not created yet.
    func decide(_ request: AnswerRequest, in chat: ChatID?) async throws -> AnswerDecision
    func answer(_ request: AnswerRequest, in chat: ChatID) -> PullStream<AnswerChunk>
    /// Returns the cost of the message for each model, cheapest first.
    func costs(of request: AnswerRequest, in chat: ChatID?) async throws -> [CostLine]
    func presets(for options: ChatOptions) async throws -> [PresetInfo]
    /// Returns the models that can answer in a chat, for the picker.
    func choices() async throws -> [ModelChoice]
    /// Fetches all models of a provider.
    func offers(of provider: String) async throws -> [ModelChoice]

    // Models
    func installed() async throws -> [ModelEntry]
    func catalogModels() async throws -> [ModelEntry]
    /// Checks whether the model of any reference fits, before a download.
    func checkFit(_ reference: String) async throws -> Fit
    /// Returns the memory that a model can use, for a guess without a check; `nil` if unknown.
    func memoryBudget() async -> UInt64?
    func download(_ reference: String) -> PullStream<DownloadStep>
    func importModel(_ file: URL) async throws -> ModelEntry
    func remove(_ model: String) async throws
    /// Returns the installed models that cannot answer, because their file is missing or incomplete.
    func damagedModels() async throws -> [ModelEntry]

    // Settings
    func preferences() async throws -> Preferences
    func setPreferences(_ preferences: Preferences) async throws
    func policy() async throws -> PolicySettings
    func setPolicy(_ policy: PolicySettings) async throws
    func providers() async throws -> [ProviderInfo]
    func addProvider(_ provider: NewProvider) async throws
    func removeProvider(_ name: String) async throws
    /// Starts a sign-in and returns the page to open in a browser; it shows a code.
    func beginSignIn(_ provider: String) async throws -> URL
    func finishSignIn(_ provider: String, code: String) async throws
    func spending() async throws -> Spending

    // The device
    func condition() async -> DeviceCondition

    /// Ends active answers and waits until everything is stored. Called when another brain replaces this one.
    func shutDown() async
}

// MARK: - Chats

typealias ChatID = UInt64
typealias MessageID = UInt64

/// Options stored with a chat; they apply from its next message on.
struct ChatOptions: Hashable, Sendable {
    /// `nil`: the router chooses.
    var model: String?
    var provider: String?
    var preset: AnswerPreset?
    /// Instructions for the whole chat.
    var system: String?
}

struct ChatSummary: Identifiable, Hashable, Sendable {
    let id: ChatID
    var title: String
    var pinned = false
    var updated: Date
    /// The first words of the last message.
    var preview = ""
    var messages = 0
    var options = ChatOptions()
}

struct Chat: Sendable, Equatable {
    var summary: ChatSummary
    /// The selected version of each message, oldest first.
    var messages: [MessageEntry]
}

struct MessageEntry: Identifiable, Sendable, Equatable {
    enum Author: Sendable { case user, model }

    let id: MessageID
    let author: Author
    var text = ""
    var reasoning = ""
    var reasoningSeconds = 0.0
    var citations: [Citation] = []
    var status = MessageStatus.done
    var receipt: AnswerReceipt?
    /// Number of earlier messages that the model was not sent, because its context cannot hold them.
    var omittedMessages = 0
    /// Ids of all versions, including this one, oldest first.
    var versions: [MessageID] = []
}

extension MessageEntry {
    /// Appends a chunk.
    mutating func append(_ chunk: AnswerChunk) {
        switch chunk {
        case .started(_, _, let omitted): (status, omittedMessages) = (.writing, omitted)
        case .reasoning(let more): reasoning += more
        case .text(let more): text += more
        case .citation(let citation): citations.append(citation)
        case .finished(let status, let receipt): (self.status, self.receipt) = (status, receipt)
        }
    }
}

enum MessageStatus: Sendable, Equatable {
    case writing
    case done
    case stopped
    /// The answer hit a limit (length, context or cost) or a filter.
    case cutShort
    /// The app was killed during the answer.
    case interrupted
    case failed(BrainError)
}

struct Citation: Hashable, Sendable {
    let url: String
    let title: String
}

struct ChatHit: Identifiable, Sendable, Equatable {
    let chat: ChatSummary
    let message: MessageID?
    let snippet: [SnippetRun]

    var id: String { "\(chat.id)-\(message ?? 0)" }
}

struct SnippetRun: Hashable, Sendable {
    let text: String
    let matched: Bool
}

enum ExportKind: String, CaseIterable, Sendable {
    case markdown = "md"
    case json
}

// MARK: - Answers

/// A request for the next answer.
struct AnswerRequest: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case send(String)
        /// A new version of a user message, to be answered.
        case edit(MessageID, String)
        /// A new version of an answer.
        case regenerate(MessageID)
        /// Continuation of the last answer where it was interrupted.
        case resume

        /// The user's new text.
        var text: String? {
            switch self {
            case .send(let text), .edit(_, let text): text
            case .regenerate, .resume: nil
            }
        }
    }

    var kind: Kind
    var options = ChatOptions()
    var mode = AnswerMode.preferOnDevice
    var privacy = PrivacyLevel.personal
    var webSearch = false
    /// Target that the user consented to.
    var consent: AnswerTarget?
}

enum AnswerMode: String, CaseIterable, Codable, Sendable {
    case onlyOnDevice, preferOnDevice, preferInCloud, onlyInCloud
}

enum PrivacyLevel: String, CaseIterable, Codable, Sendable {
    /// May be sent to any target that the policy allows, without consent.
    case open
    /// May be sent only where the policy allows and the user consented.
    case personal
    /// Never leaves the device.
    case secret
}

/// A model that can answer.
enum AnswerTarget: Hashable, Sendable {
    case device(model: String)
    case provider(name: String, model: String)
    case demo

    var isDevice: Bool { if case .provider = self { false } else { true } }
}

enum AnswerDecision: Sendable, Equatable {
    case route(AnswerTarget, reason: String)
    case needsConsent(ConsentPrompt)
    /// No target can answer; the text says how to change that.
    case noRoute(BrainError)
}

/// The content of the consent sheet: target, reason, data policy and cost.
struct ConsentPrompt: Identifiable, Sendable, Equatable {
    let target: AnswerTarget
    let reason: String
    let dataPolicy: DataPolicyInfo
    /// Upper bound in US dollars. `nil`: the price is unknown.
    let cost: Double?

    var id: String { reason + String(describing: target) }
}

/// Data policy of a target: region, retention and training.
struct DataPolicyInfo: Hashable, Sendable {
    /// `device`, `own server`, ISO 3166 codes, or `unknown`.
    var region = "device"
    var retained = false
    var trainedOn = false
    /// Date of the data; empty where the policy follows from the target itself.
    var asOf = ""
    var note = ""
}

enum AnswerChunk: Sendable, Equatable {
    /// `omitted`: the number of earlier messages that the target is not sent.
    case started(AnswerTarget, reason: String, omitted: Int = 0)
    case reasoning(String)
    case text(String)
    case citation(Citation)
    case finished(MessageStatus, AnswerReceipt)
}

/// Receipt shown under an answer.
struct AnswerReceipt: Hashable, Sendable {
    var target: AnswerTarget
    /// The upstream that ran the model, if the provider is an aggregator.
    var servedBy: String?
    var reason: String
    var rejected: [RejectedTarget] = []
    /// Further rejected targets, which are only counted.
    var rejectedMore: [RejectedCount] = []
    /// Number of earlier messages that the target was not sent.
    var omittedMessages = 0
    /// Why the conversation was read again; `nil` if it was not.
    var readAgain: ReadAgain?
    var dataPolicy = DataPolicyInfo()
    var cost = 0.0
    /// `false`: the cost is estimated or unknown.
    var costIsCertain = true
    var promptTokens = 0
    var answerTokens = 0
    var firstTokenSeconds = 0.0
    var tokensPerSecond = 0.0
    var preset: AnswerPreset?
    var temperature: Double?
    var topP: Double?
    var samplingReason = ""
}

/// What changed before a conversation, so that the model read it again.
enum ReadAgain: Hashable, Sendable {
    case systemPrompt
    case tools
}

struct RejectedTarget: Hashable, Sendable {
    let target: AnswerTarget
    let reason: String
}

struct RejectedCount: Hashable, Sendable {
    let rule: RoutingRule
    let count: Int
}

/// The rules that reject a target.
enum RoutingRule: String, CaseIterable, Sendable {
    case requestedTarget, onDeviceOnly, mode, capability, policy, reachability, budget, memory, preference,
        noCandidates, previousFailed
}

enum AnswerPreset: String, CaseIterable, Sendable { case precise, balanced, creative }

/// Sampling values that a preset has for one model.
struct PresetInfo: Hashable, Sendable {
    let preset: AnswerPreset
    let temperature: Double?
    let topP: Double?
    let reason: String
}

/// A row of the model picker.
struct ModelChoice: Identifiable, Hashable, Sendable {
    let target: AnswerTarget
    let name: String
    /// Only for models on this device.
    var verdict: FitLevel?
    /// US dollars per million prompt and answer tokens. `nil`: unknown, or free on this device.
    var dollarsIn: Double?
    var dollarsOut: Double?
    var region = "device"
    var searchesWeb = false

    var id: AnswerTarget { target }
}

struct CostLine: Identifiable, Hashable, Sendable {
    let target: AnswerTarget
    let isSetUp: Bool
    let dollars: Double?
    let asOf: String

    var id: AnswerTarget { target }
}

// MARK: - Models

enum FitLevel: String, Sendable { case fits, tight, tooLarge }

struct Fit: Sendable, Hashable {
    let reference: String
    let verdict: FitLevel
    let reason: String
    /// A limit that has nothing to do with memory.
    var note: String?
    let needBytes: UInt64
    let budgetBytes: UInt64
    let sizeBytes: UInt64
    var suggestions: [String] = []

    /// Reason and note.
    var reasons: [String] { [reason] + [note].compactMap(\.self) }
}

/// An installed model or one of the catalogue.
struct ModelEntry: Identifiable, Sendable, Hashable {
    /// The argument of `remove` and `ChatOptions.model`, for an installed model.
    let id: String
    /// The argument of `download` and `checkFit`.
    let reference: String
    let name: String
    var maker = ""
    var sizeBytes: UInt64
    var quantization = ""
    var license = ""
    var note = ""
    var reasons = false
    /// Whether it came from a file of the user, so that it cannot be downloaded again.
    var isImported = false
}

enum DownloadStep: Sendable, Equatable {
    case resolved(name: String, bytes: UInt64)
    case progress(done: UInt64, total: UInt64, bytesPerSecond: UInt64)
    case verifying
    case installed(ModelEntry)
}

// MARK: - Settings

struct Preferences: Codable, Equatable, Sendable {
    var mode: AnswerMode
    var privacy: PrivacyLevel
    var finishedFirstRun: Bool

    /// Reads the file; uses the defaults if it is missing or invalid.
    init(file: URL) {
        let saved = (try? Data(contentsOf: file)).flatMap { try? JSONDecoder().decode(Preferences.self, from: $0) }
        self = saved ?? Preferences()
    }

    init(mode: AnswerMode = .preferOnDevice, privacy: PrivacyLevel = .personal, finishedFirstRun: Bool = false) {
        (self.mode, self.privacy, self.finishedFirstRun) = (mode, privacy, finishedFirstRun)
    }

    func write(to file: URL) throws {
        try JSONEncoder().encode(self).write(to: file, options: .atomic)
    }
}

/// The routing policy that the user sets.
struct PolicySettings: Equatable, Sendable {
    /// ISO 3166 codes or `EU`. Empty: any.
    var regions: [String] = []
    var allowRetention = false
    var allowTraining = false
    var allowMetered = true
    var dollarsPerRequest: Double?
    var dollarsPerDay: Double?
    var dollarsPerMonth: Double?
}

struct ProviderInfo: Identifiable, Hashable, Sendable {
    let name: String
    let kind: ProviderType
    var address: String
    var hasKey: Bool
    var model: String?
    var dataPolicy: DataPolicyInfo
    var models: Int
    /// Remaining cooldown after repeated failures.
    var cooldownSeconds = 0

    var id: String { name }
}

enum ProviderType: String, CaseIterable, Sendable {
    case openRouter, deepSeek, groq, fireworks, openAI, ollama, llamaServer, compatible

    /// The provider's own spelling.
    var title: String {
        switch self {
        case .openRouter: "OpenRouter"
        case .deepSeek: "DeepSeek"
        case .groq: "Groq"
        case .fireworks: "Fireworks"
        case .openAI: "OpenAI"
        case .ollama: "Ollama"
        case .llamaServer: "llama.cpp"
        case .compatible: "OpenAI API"
        }
    }

    var needsAddress: Bool { self == .ollama || self == .llamaServer || self == .compatible }
}

/// A provider that the user adds. Never printed or stored by the app: the key goes to the keychain.
struct NewProvider: Sendable, Equatable {
    var kind = ProviderType.openRouter
    var address = ""
    var key = ""
    var model = ""

    /// The provider's name in receipts and reports.
    var name: String {
        kind.needsAddress ? URL(string: trimmed.address)?.host ?? kind.rawValue : kind.rawValue.lowercased()
    }

    /// The same without white space around the texts, which a paste often adds.
    var trimmed: NewProvider {
        let texts = [address, key, model].map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
        return NewProvider(kind: kind, address: texts[0], key: texts[1], model: texts[2])
    }
}

struct Spending: Equatable, Sendable {
    var today = 0.0
    var month = 0.0
    var byProvider: [SpendingLine] = []
}

struct SpendingLine: Identifiable, Hashable, Sendable {
    let name: String
    let answers: Int
    let dollars: Double

    var id: String { name }
}

// MARK: - The device

/// Conditions that a banner shows.
struct DeviceCondition: Equatable, Sendable {
    var isHot = false
    var isShortOfMemory = false
    /// Whether the folder of the data cannot be written: installed models answer, but nothing is stored.
    var isReadOnly = false
}
