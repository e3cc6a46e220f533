/*
 * The services that the app needs, in the app's own types.
 *
 * Models and screens use only these types. There are two implementations: `NearsideBrain`, the one file that calls
 * the library, and `DemoBrain`, which needs no model and no network. Both promise:
 *
 * - The brain stores a chat, chunk by chunk, while the answer is generated. The app stores nothing.
 * - Nothing leaves the device that `decide` did not announce: `AnswerDecision.NeedsConsent` means that the app asks the
 *   user first.
 * - An answer begins with `Started` and ends with `Finished` or an exception, also after a stop.
 */
package org.nearside.sample

import java.nio.file.Path
import kotlinx.coroutines.flow.Flow

/** Services of the app. Called only from the UI thread; no function blocks it. */
interface Brain {
    // Chats

    suspend fun chats(): List<ChatSummary>

    suspend fun newChat(options: ChatOptions): ChatSummary

    suspend fun open(chat: ChatId): Chat

    /** Renames a chat. `null`: its first words become the title. */
    suspend fun rename(chat: ChatId, title: String?)

    suspend fun setPinned(chat: ChatId, pinned: Boolean)

    suspend fun configure(chat: ChatId, options: ChatOptions)

    /** Deletes a chat. [restore] can undo it until the next start of the app. */
    suspend fun delete(chat: ChatId)

    suspend fun restore(chat: ChatId)

    suspend fun search(text: String): List<ChatHit>

    suspend fun export(chat: ChatId, kind: ExportKind): String

    /** Selects another version of a message and the messages that follow it. */
    suspend fun selectVersion(message: MessageId, chat: ChatId): Chat

    // Answers

    /** Decides without sending anything. [chat]: `null` for the first message of a new one. */
    suspend fun decide(request: AnswerRequest, chat: ChatId?): AnswerDecision

    fun answer(request: AnswerRequest, chat: ChatId): AnswerStream

    /** Returns the cost of the message for each model, cheapest first. [chat]: as in [decide]. */
    suspend fun costs(request: AnswerRequest, chat: ChatId?): List<CostLine>

    suspend fun presets(options: ChatOptions): List<PresetInfo>

    /** Returns the models that can answer in a chat, for the picker. */
    suspend fun choices(): List<ModelChoice>

    /** Fetches all models of a provider. */
    suspend fun offers(provider: String): List<ModelChoice>

    // Models

    suspend fun installed(): List<ModelEntry>

    suspend fun catalogModels(): List<ModelEntry>

    /** Checks whether the model of any reference fits, before a download. */
    suspend fun checkFit(reference: String): Fit

    /** Returns the bytes of memory that a model may take now, for a guess without a check. */
    suspend fun freeMemory(): Long

    /** Downloads a model. Cancelling the collection pauses the download; the next call resumes it. */
    fun download(reference: String): Flow<DownloadStep>

    suspend fun importModel(file: Path): ModelEntry

    suspend fun remove(model: String)

    /** Returns the installed models that cannot answer, because their file is missing or incomplete. */
    suspend fun damagedModels(): List<ModelEntry>

    // Settings

    suspend fun preferences(): Preferences

    suspend fun setPreferences(preferences: Preferences)

    suspend fun policy(): PolicySettings

    suspend fun setPolicy(policy: PolicySettings)

    suspend fun providers(): List<ProviderInfo>

    suspend fun addProvider(provider: NewProvider)

    suspend fun removeProvider(name: String)

    /** Starts a sign-in and returns the page to open in a browser; it shows a code. */
    suspend fun beginSignIn(provider: String): String

    suspend fun finishSignIn(provider: String, code: String)

    suspend fun spending(): Spending

    // The device

    suspend fun condition(): DeviceCondition

    /** Ends active answers, waits until everything is stored, and releases the brain. It cannot be used afterwards. */
    suspend fun shutDown()
}

/** An answer in progress. After [stop] its last chunk, with the receipt, still arrives. */
class AnswerStream(val chunks: Flow<AnswerChunk>, val stop: () -> Unit)

typealias ChatId = Long
typealias MessageId = Long

/** Options stored with a chat; they apply from its next message on. */
data class ChatOptions(
    /** `null`: the router chooses. */
    val model: String? = null,
    val provider: String? = null,
    val preset: AnswerPreset? = null,
    /** Instructions for the whole chat. */
    val system: String? = null,
)

data class ChatSummary(
    val id: ChatId,
    val title: String,
    val pinned: Boolean = false,
    /** Milliseconds since 1970. */
    val updated: Long = 0,
    /** The first words of the last message. */
    val preview: String = "",
    val messages: Int = 0,
    val options: ChatOptions = ChatOptions(),
)

/** [messages]: the selected version of each message, oldest first. */
data class Chat(val summary: ChatSummary, val messages: List<MessageEntry>)

enum class Author { User, Model }

data class MessageEntry(
    val id: MessageId,
    val author: Author,
    val text: String = "",
    val reasoning: String = "",
    val reasoningSeconds: Double = 0.0,
    val citations: List<Citation> = emptyList(),
    val toolCalls: List<ToolCall> = emptyList(),
    val status: MessageStatus = MessageStatus.Done,
    val receipt: AnswerReceipt? = null,
    /** Number of earlier messages that the model was not sent, because its context cannot hold them. */
    val omittedMessages: Int = 0,
    /** Ids of all versions, including this one, oldest first. */
    val versions: List<MessageId> = emptyList(),
) {
    /** Returns a copy with the chunk appended. */
    fun with(chunk: AnswerChunk): MessageEntry = when (chunk) {
        is AnswerChunk.Started -> copy(status = MessageStatus.Writing, omittedMessages = chunk.omitted)
        is AnswerChunk.ReasoningText -> copy(reasoning = reasoning + chunk.text)
        is AnswerChunk.Text -> copy(text = text + chunk.text)
        is AnswerChunk.Cited -> copy(citations = citations + chunk.citation)
        is AnswerChunk.ToolCalled -> copy(toolCalls = toolCalls + chunk.call)
        is AnswerChunk.Finished -> copy(status = chunk.status, receipt = chunk.receipt)
    }
}

sealed interface MessageStatus {
    data object Writing : MessageStatus

    data object Done : MessageStatus

    data object Stopped : MessageStatus

    /** The answer hit a limit (length, context or cost) or a filter. */
    data object CutShort : MessageStatus

    /** The app was killed during the answer. */
    data object Interrupted : MessageStatus

    data class Failed(val failure: Failure) : MessageStatus
}

data class Citation(val url: String, val title: String)

/** A call of a tool that a model asked for. This app has none, so that nothing answers it. [arguments]: JSON. */
data class ToolCall(val name: String, val arguments: String)

data class ChatHit(val chat: ChatSummary, val message: MessageId?, val snippet: List<SnippetRun>)

data class SnippetRun(val text: String, val matched: Boolean)

enum class ExportKind(val ending: String) { Markdown("md"), Json("json") }

/** A request for the next answer. */
data class AnswerRequest(
    val kind: RequestKind,
    val options: ChatOptions = ChatOptions(),
    val mode: AnswerMode = AnswerMode.PreferOnDevice,
    val privacy: PrivacyLevel = PrivacyLevel.Personal,
    val webSearch: Boolean = false,
    /** Target that the user consented to. */
    val consent: AnswerTarget? = null,
)

sealed interface RequestKind {
    /** The user's new text. */
    val text: String? get() = null

    data class Send(override val text: String) : RequestKind

    /** A new version of a user message, to be answered. */
    data class Edit(val message: MessageId, override val text: String) : RequestKind

    /** A new version of an answer. */
    data class Regenerate(val message: MessageId) : RequestKind

    /** Continuation of the last answer where it was interrupted. */
    data object Resume : RequestKind
}

enum class AnswerMode { OnlyOnDevice, PreferOnDevice, PreferInCloud, OnlyInCloud }

enum class PrivacyLevel {
    /** May be sent to any target that the policy allows, without consent. */
    Open,

    /** May be sent only where the policy allows and the user consented. */
    Personal,

    /** Never leaves the device. */
    Secret,
}

/** A model that can answer. */
sealed interface AnswerTarget {
    val model: String

    data class Device(override val model: String) : AnswerTarget

    data class Provider(val name: String, override val model: String) : AnswerTarget

    data object Demo : AnswerTarget {
        override val model: String get() = ""
    }

    val isDevice: Boolean get() = this !is Provider
}

sealed interface AnswerDecision {
    data class Route(val target: AnswerTarget, val reason: String) : AnswerDecision

    data class NeedsConsent(val prompt: ConsentPrompt) : AnswerDecision

    /** No target can answer; the text says how to change that. */
    data class NoRoute(val failure: Failure) : AnswerDecision
}

/** The content of the consent sheet: target, reason, data policy and cost. */
data class ConsentPrompt(
    val target: AnswerTarget,
    val reason: String,
    val dataPolicy: DataPolicyInfo,
    /** Upper bound in US dollars. `null`: the price is unknown. */
    val cost: Double?,
)

/** Data policy of a target: region, retention and training. */
data class DataPolicyInfo(
    /** `device`, `own server`, ISO 3166 codes, or `unknown`. */
    val region: String = "device",
    val retained: Boolean = false,
    val trainedOn: Boolean = false,
    /** Date of the data; empty where the policy follows from the target itself. */
    val asOf: String = "",
    val note: String = "",
)

sealed interface AnswerChunk {
    /** [omitted]: the number of earlier messages that the target is not sent. */
    data class Started(val target: AnswerTarget, val reason: String, val omitted: Int = 0) : AnswerChunk

    data class ReasoningText(val text: String) : AnswerChunk

    data class Text(val text: String) : AnswerChunk

    data class Cited(val citation: Citation) : AnswerChunk

    data class ToolCalled(val call: ToolCall) : AnswerChunk

    data class Finished(val status: MessageStatus, val receipt: AnswerReceipt) : AnswerChunk
}

/** Receipt shown under an answer. */
data class AnswerReceipt(
    val target: AnswerTarget,
    /** The upstream that ran the model, if the provider is an aggregator. */
    val servedBy: String? = null,
    val reason: String,
    val rejected: List<RejectedTarget> = emptyList(),
    /** Further rejected targets, which are only counted. */
    val rejectedMore: List<RejectedCount> = emptyList(),
    /** Number of earlier messages that the target was not sent. */
    val omittedMessages: Int = 0,
    /** Why the conversation was read again; `null` if it was not. */
    val readAgain: ReadAgain? = null,
    val dataPolicy: DataPolicyInfo = DataPolicyInfo(),
    val cost: Double = 0.0,
    /** `false`: the cost is estimated or unknown. */
    val costIsCertain: Boolean = true,
    val promptTokens: Int = 0,
    val answerTokens: Int = 0,
    val firstTokenSeconds: Double = 0.0,
    val tokensPerSecond: Double = 0.0,
    val preset: AnswerPreset? = null,
    val temperature: Double? = null,
    val topP: Double? = null,
    val samplingReason: String = "",
)

/** What changed before a conversation, so that the model read it again. */
enum class ReadAgain { SystemPrompt, Tools }

data class RejectedTarget(val target: AnswerTarget, val reason: String)

data class RejectedCount(val rule: RoutingRule, val count: Int)

/** The rules that reject a target. */
enum class RoutingRule {
    RequestedTarget,
    OnDeviceOnly,
    Mode,
    Capability,
    Policy,
    Reachability,
    Budget,
    Memory,
    Preference,
    NoCandidates,
    PreviousFailed,
}

enum class AnswerPreset { Precise, Balanced, Creative }

/** Sampling values that a preset has for one model. */
data class PresetInfo(val preset: AnswerPreset, val temperature: Double?, val topP: Double?, val reason: String)

/** A row of the model picker. */
data class ModelChoice(
    val target: AnswerTarget,
    val name: String,
    /** Only for models on this device. */
    val verdict: FitLevel? = null,
    /** US dollars per million prompt and answer tokens. `null`: unknown, or free on this device. */
    val dollarsIn: Double? = null,
    val dollarsOut: Double? = null,
    val region: String = "device",
    val searchesWeb: Boolean = false,
)

data class CostLine(val target: AnswerTarget, val isSetUp: Boolean, val dollars: Double?, val asOf: String)

enum class FitLevel { Fits, Tight, TooLarge }

data class Fit(
    val reference: String,
    val verdict: FitLevel,
    val reason: String,
    /** A limit that has nothing to do with memory. */
    val note: String? = null,
    val needBytes: Long,
    val budgetBytes: Long,
    val sizeBytes: Long,
    val suggestions: List<String> = emptyList(),
) {
    /** Reason and note. */
    val reasons: List<String> get() = listOfNotNull(reason, note)
}

/** An installed model or one of the catalogue. */
data class ModelEntry(
    /** The argument of `remove` and [ChatOptions.model], for an installed model. */
    val id: String,
    /** The argument of `download` and `checkFit`. */
    val reference: String,
    val name: String,
    val maker: String = "",
    val sizeBytes: Long,
    val quantization: String = "",
    val license: String = "",
    val note: String = "",
    val reasons: Boolean = false,
    /** Whether it came from a file of the user, so that it cannot be downloaded again. */
    val isImported: Boolean = false,
)

sealed interface DownloadStep {
    data class Resolved(val name: String, val bytes: Long) : DownloadStep

    data class Progress(val done: Long, val total: Long, val bytesPerSecond: Long) : DownloadStep

    data object Verifying : DownloadStep

    data class Installed(val model: ModelEntry) : DownloadStep
}

/** Choices of the user that hold for the whole app. */
data class Preferences(
    val mode: AnswerMode = AnswerMode.PreferOnDevice,
    val privacy: PrivacyLevel = PrivacyLevel.Personal,
    val finishedFirstRun: Boolean = false,
)

/** The routing policy that the user sets. */
data class PolicySettings(
    /** ISO 3166 codes or `EU`. Empty: any. */
    val regions: List<String> = emptyList(),
    val allowRetention: Boolean = false,
    val allowTraining: Boolean = false,
    val allowMetered: Boolean = true,
    val dollarsPerRequest: Double? = null,
    val dollarsPerDay: Double? = null,
    val dollarsPerMonth: Double? = null,
)

data class ProviderInfo(
    val name: String,
    val kind: ProviderType,
    val address: String,
    val hasKey: Boolean,
    val model: String?,
    val dataPolicy: DataPolicyInfo,
    val models: Int,
    /** Remaining cooldown after repeated failures. */
    val cooldownSeconds: Int = 0,
)

/** [title]: the provider's own spelling. */
enum class ProviderType(val title: String) {
    OpenRouter("OpenRouter"),
    DeepSeek("DeepSeek"),
    Groq("Groq"),
    Fireworks("Fireworks"),
    OpenAi("OpenAI"),
    Ollama("Ollama"),
    LlamaServer("llama.cpp"),
    Compatible("OpenAI API"),
    ;

    val needsAddress: Boolean get() = this == Ollama || this == LlamaServer || this == Compatible
}

/** A provider to add. Not a data class, so that the key is never printed; the keystore holds it. */
class NewProvider(val kind: ProviderType, address: String, val key: String, val model: String) {
    val address: String = address.trim()

    /** The provider's name in receipts and reports. */
    val name: String = when {
        kind.needsAddress -> this.address.substringAfter("://").takeWhile { it != '/' && it != ':' }
        else -> kind.name.lowercase()
    }
}

data class Spending(val today: Double = 0.0, val month: Double = 0.0, val byProvider: List<SpendingLine> = emptyList())

data class SpendingLine(val name: String, val answers: Int, val dollars: Double)

/** Conditions that a banner shows. */
data class DeviceCondition(
    val isHot: Boolean = false,
    val isShortOfMemory: Boolean = false,
    /** Whether the folder of the data cannot be written: installed models answer, but nothing is stored. */
    val isReadOnly: Boolean = false,
)
