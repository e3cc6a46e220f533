// What the app needs of whoever answers, in the app's own words.
//
// Everything above this file (models, screens) knows only these types. Two kinds of brain exist: `NearsideBrain`, the one
// file that imports the library, and `DemoBrain`, which needs no model and no network. Both keep the same promises:
//
// - A chat is stored by the brain, piece by piece, while it is written. The app stores nothing.
// - Nothing leaves the device that `decide` did not announce: `.ask` means that the person is asked first.
// - An answer begins with `.started`, and ends with `.finished` or with a thrown `BrainError`, also when it is stopped.

import Foundation

protocol Brain: Sendable {
    // Chats
    func chats() async throws -> [ChatSummary]
    func newChat(_ options: ChatOptions) async throws -> ChatSummary
    func open(_ chat: ChatID) async throws -> Chat
    /// Nothing: the chat is called by its first words again.
    func rename(_ chat: ChatID, to title: String?) async throws
    func setPinned(_ chat: ChatID, _ pinned: Bool) async throws
    func configure(_ chat: ChatID, _ options: ChatOptions) async throws
    /// Can be undone by `restore` until the app starts anew.
    func delete(_ chat: ChatID) async throws
    func restore(_ chat: ChatID) async throws
    func search(_ text: String) async throws -> [ChatHit]
    func export(_ chat: ChatID, as kind: ExportKind) async throws -> String
    /// Shows another version of a message, and what followed it.
    func selectVersion(_ message: MessageID, in chat: ChatID) async throws -> Chat

    // Answers
    func decide(_ request: AnswerRequest, in chat: ChatID) async throws -> AnswerDecision
    func answer(_ request: AnswerRequest, in chat: ChatID) -> PullStream<AnswerChunk>
    /// What such a message would cost, here and everywhere; the cheapest first.
    func costs(of request: AnswerRequest, in chat: ChatID?) async throws -> [CostLine]
    func presets(for options: ChatOptions) async throws -> [PresetInfo]
    /// Who may answer in this chat, for the picker.
    func choices() async throws -> [ModelChoice]
    /// Everything that a provider offers; asks it.
    func offers(of provider: String) async throws -> [ModelChoice]

    // Models
    func installed() async throws -> [ModelEntry]
    func catalogModels() async throws -> [ModelEntry]
    /// Reads any reference and says whether it fits, before any download.
    func checkFit(_ reference: String) async throws -> Fit
    func download(_ reference: String) -> PullStream<DownloadStep>
    func importModel(_ file: URL) async throws -> ModelEntry
    func remove(_ model: String) async throws

    // Settings
    func preferences() async throws -> Preferences
    func setPreferences(_ preferences: Preferences) async throws
    func policy() async throws -> PolicySettings
    func setPolicy(_ policy: PolicySettings) async throws
    func providers() async throws -> [ProviderInfo]
    func addProvider(_ provider: NewProvider) async throws
    func removeProvider(_ name: String) async throws
    /// The page to open in a browser; it shows a code.
    func beginSignIn(_ provider: String) async throws -> URL
    func finishSignIn(_ provider: String, code: String) async throws
    func spending() async throws -> Spending

    // The device
    func condition() async -> DeviceCondition
}

/// What goes wrong, in words that say what helps. The only error that reaches a screen.
struct BrainError: LocalizedError, Equatable {
    let text: String

    var errorDescription: String? { text }

    init(_ text: String) { self.text = text }

    init(_ error: any Error) { text = (error as? LocalizedError)?.errorDescription ?? error.localizedDescription }
}

/// A stream that is pulled. Unlike an `AsyncThrowingStream` it does not end by itself when its task is cancelled, so that
/// the last piece of a stopped answer, with its receipt, still arrives.
struct PullStream<Element: Sendable>: AsyncSequence, Sendable {
    typealias Next = () async throws -> Element?

    let start: @Sendable () -> Next

    func makeAsyncIterator() -> Iterator { Iterator(pull: start()) }

    struct Iterator: AsyncIteratorProtocol {
        let pull: Next

        func next() async throws -> Element? { try await pull() }
    }
}

// MARK: - Chats

typealias ChatID = UInt64
typealias MessageID = UInt64

/// What is kept with a chat and holds for its next message.
struct ChatOptions: Hashable, Sendable {
    /// Nothing: the router chooses.
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
    /// Oldest first; one version of each.
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
    /// The ids of all versions, this one included, oldest first.
    var versions: [MessageID] = []
}

extension MessageEntry {
    /// Takes in what came next.
    mutating func append(_ chunk: AnswerChunk) {
        switch chunk {
        case .started: status = .writing
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
    /// It ended before its end: the limit of its length, of the context or of what it may cost.
    case cutShort
    /// The app died in mid-answer.
    case interrupted
    case failed(String)
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

/// What is asked next.
struct AnswerRequest: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case send(String)
        /// A new version of what the person said, answered.
        case edit(MessageID, String)
        /// A new version of an answer.
        case regenerate(MessageID)
        /// Goes on with the last answer where it broke off.
        case resume
    }

    var kind: Kind
    var options = ChatOptions()
    var mode = AnswerMode.preferOnDevice
    var privacy = PrivacyLevel.personal
    var webSearch = false
    /// What the person agreed to when they were asked.
    var consent: AnswerTarget?
}

enum AnswerMode: String, CaseIterable, Codable, Sendable {
    case onlyOnDevice, preferOnDevice, preferInCloud, onlyInCloud
}

enum PrivacyLevel: String, CaseIterable, Codable, Sendable {
    /// May go wherever the rules allow, unasked.
    case open
    /// Leaves only where the rules allow and the person agreed.
    case personal
    /// Never leaves.
    case secret
}

/// Who answers.
enum AnswerTarget: Hashable, Sendable {
    case device(model: String)
    case provider(name: String, model: String)
    case demo

    var isDevice: Bool { if case .provider = self { false } else { true } }
}

enum AnswerDecision: Sendable, Equatable {
    case route(AnswerTarget, reason: String)
    case needsConsent(ConsentPrompt)
    /// No target can answer; the text says what would change that.
    case noRoute(String)
}

/// "This does not fit here; send it to X in region Y for about Z?"
struct ConsentPrompt: Identifiable, Sendable, Equatable {
    let target: AnswerTarget
    let reason: String
    let dataPolicy: DataPolicyInfo
    /// US dollars at most. Nothing: no price is known.
    let cost: Double?

    var id: String { reason + String(describing: target) }
}

/// What happens to words at a place.
struct DataPolicyInfo: Hashable, Sendable {
    /// `device`, `own server`, ISO 3166 codes, or `unknown`.
    var region = "device"
    var retained = false
    var trainedOn = false
    /// The day on which it was read; empty where it follows from the place.
    var asOf = ""
    var note = ""
}

enum AnswerChunk: Sendable, Equatable {
    case started(AnswerTarget, reason: String)
    case reasoning(String)
    case text(String)
    case citation(Citation)
    case finished(MessageStatus, AnswerReceipt)
}

/// What stands under an answer.
struct AnswerReceipt: Hashable, Sendable {
    var target: AnswerTarget
    /// Who really ran the model, where a provider passes requests on.
    var servedBy: String?
    var reason: String
    var rejected: [RejectedTarget] = []
    var dataPolicy = DataPolicyInfo()
    var cost = 0.0
    /// The figure is a guess, or nothing is known.
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

struct RejectedTarget: Hashable, Sendable {
    let target: AnswerTarget
    let reason: String
}

enum AnswerPreset: String, CaseIterable, Sendable { case precise, balanced, creative }

/// What stands behind a preset for one model.
struct PresetInfo: Hashable, Sendable {
    let preset: AnswerPreset
    let temperature: Double?
    let topP: Double?
    let reason: String
}

/// A line of the picker.
struct ModelChoice: Identifiable, Hashable, Sendable {
    let target: AnswerTarget
    let name: String
    /// Only for models on this device.
    var verdict: FitLevel?
    /// US dollars for a million tokens of prompt and answer. Nothing: no price is known; on the device it is free.
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
    let needBytes: UInt64
    let budgetBytes: UInt64
    let sizeBytes: UInt64
    var suggestions: [String] = []
}

/// A model that is here, or that is worth having.
struct ModelEntry: Identifiable, Sendable, Hashable {
    /// What `remove` and `ChatOptions.model` take, for one that is here.
    let id: String
    /// What `download` and `judge` take.
    let reference: String
    let name: String
    var maker = ""
    var sizeBytes: UInt64
    var quantization = ""
    var license = ""
    var note = ""
    var reasons = false
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

    /// As it was kept, or as it is at first.
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

extension URL {
    /// A folder in this one, made if it is missing, that no backup holds.
    func folderWithoutBackup(_ name: String) throws -> URL {
        var folder = appendingPathComponent(name, isDirectory: true)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        return folder
    }
}

/// What the person allows.
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
    /// It failed again and again, and is left alone for so long.
    var cooldownSeconds = 0

    var id: String { name }
}

enum ProviderType: String, CaseIterable, Sendable {
    case openRouter, deepSeek, groq, fireworks, openAI, ollama, llamaServer, compatible

    /// As it calls itself.
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

/// A provider as the person sets it up. Not printed and not stored by the app: the key goes to the keychain.
struct NewProvider: Sendable, Equatable {
    var kind = ProviderType.openRouter
    var address = ""
    var key = ""
    var model = ""

    /// What receipts and reports will call it.
    var name: String {
        kind.needsAddress ? URL(string: address)?.host ?? kind.rawValue : kind.rawValue.lowercased()
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

/// What a banner tells.
struct DeviceCondition: Equatable, Sendable {
    var isHot = false
    var isShortOfMemory = false
}
