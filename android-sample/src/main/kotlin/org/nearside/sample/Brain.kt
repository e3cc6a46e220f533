/*
 * What the app needs of whoever answers, in the app's own words.
 *
 * Everything beyond this file (models, screens) knows only these types. Two kinds of brain exist: `NearsideBrain`, the one
 * file that imports the library, and `DemoBrain`, which needs no model and no network. Both keep the same promises:
 *
 * - A chat is stored by the brain, piece by piece, while it is written. The app stores nothing.
 * - Nothing leaves the device that `decide` did not announce: `Judgement.Ask` means that the person is asked first.
 * - An answer begins with `Started`, and ends with `Finished` or with an exception, also when it is stopped.
 */
package org.nearside.sample

import java.nio.file.Path
import kotlinx.coroutines.flow.Flow

/** Called from one thread at a time, the one that the screens are drawn on; none of its functions keeps that busy. */
interface Brain : AutoCloseable {
    // Chats

    suspend fun chats(): List<ChatSummary>

    suspend fun newChat(options: ChatOptions): ChatSummary

    suspend fun open(chat: ChatId): Chat

    /** Nothing: the chat is called by its first words again. */
    suspend fun rename(chat: ChatId, title: String?)

    suspend fun setPinned(chat: ChatId, pinned: Boolean)

    suspend fun configure(chat: ChatId, options: ChatOptions)

    /** Can be undone by [restore] until the app starts anew. */
    suspend fun delete(chat: ChatId)

    suspend fun restore(chat: ChatId)

    suspend fun search(text: String): List<ChatHit>

    suspend fun export(chat: ChatId, kind: ExportKind): String

    /** Shows another version of a message, and what followed it. */
    suspend fun selectVersion(message: MessageId, chat: ChatId): Chat

    // Answers

    suspend fun decide(request: AnswerRequest, chat: ChatId): AnswerDecision

    fun answer(request: AnswerRequest, chat: ChatId): AnswerStream

    /** What such a message would cost, here and everywhere; the cheapest first. */
    suspend fun costs(request: AnswerRequest, chat: ChatId): List<CostLine>

    suspend fun presets(options: ChatOptions): List<PresetInfo>

    /** Who may answer in a chat, for the picker. */
    suspend fun choices(): List<ModelChoice>

    /** Everything that a provider offers; asks it. */
    suspend fun offers(provider: String): List<ModelChoice>

    // Models

    suspend fun installed(): List<ModelEntry>

    suspend fun catalogModels(): List<ModelEntry>

    /** Reads any reference and says whether it fits, before any download. */
    suspend fun checkFit(reference: String): Fit

    /** Whoever stops collecting pauses it; the next one goes on from there. */
    fun download(reference: String): Flow<DownloadStep>

    suspend fun importModel(file: Path): ModelEntry

    suspend fun remove(model: String)

    // Settings

    suspend fun preferences(): Preferences

    suspend fun setPreferences(preferences: Preferences)

    suspend fun policy(): PolicySettings

    suspend fun setPolicy(policy: PolicySettings)

    suspend fun providers(): List<ProviderInfo>

    suspend fun addProvider(provider: NewProvider)

    suspend fun removeProvider(name: String)

    /** The page to open in a browser; it shows a code. */
    suspend fun beginSignIn(provider: String): String

    suspend fun finishSignIn(provider: String, code: String)

    suspend fun spending(): Spending

    // The device

    suspend fun condition(): DeviceCondition
}

/** What goes wrong, in words that say what helps: screens show the message of any exception. */
class BrainError(message: String) : Exception(message)

/** An answer that is being written. After [stop] its last piece, with its receipt, still arrives. */
class AnswerStream(val chunks: Flow<AnswerChunk>, val stop: () -> Unit)

typealias ChatId = Long
typealias MessageId = Long

/** What is kept with a chat and holds for its next message. */
data class ChatOptions(
    /** Nothing: the router chooses. */
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

/** [messages]: oldest first, one version of each. */
data class Chat(val summary: ChatSummary, val messages: List<MessageEntry>)

enum class Author { User, Model }

data class MessageEntry(
    val id: MessageId,
    val author: Author,
    val text: String = "",
    val reasoning: String = "",
    val reasoningSeconds: Double = 0.0,
    val citations: List<Citation> = emptyList(),
    val status: MessageStatus = MessageStatus.Done,
    val receipt: AnswerReceipt? = null,
    /** The ids of all versions, this one included, oldest first. */
    val versions: List<MessageId> = emptyList(),
) {
    /** With what came next. */
    fun with(chunk: AnswerChunk): MessageEntry = when (chunk) {
        is AnswerChunk.Started -> copy(status = MessageStatus.Writing)
        is AnswerChunk.ReasoningText -> copy(reasoning = reasoning + chunk.text)
        is AnswerChunk.Text -> copy(text = text + chunk.text)
        is AnswerChunk.Cited -> copy(citations = citations + chunk.citation)
        is AnswerChunk.Finished -> copy(status = chunk.status, receipt = chunk.receipt)
    }
}

sealed interface MessageStatus {
    data object Writing : MessageStatus

    data object Done : MessageStatus

    data object Stopped : MessageStatus

    /** It ended before its end: the limit of its length, of the context or of what it may cost. */
    data object CutShort : MessageStatus

    /** The app died in mid-answer. */
    data object Interrupted : MessageStatus

    data class Failed(val text: String) : MessageStatus
}

data class Citation(val url: String, val title: String)

data class ChatHit(val chat: ChatSummary, val message: MessageId?, val snippet: List<SnippetRun>)

data class SnippetRun(val text: String, val matched: Boolean)

enum class ExportKind(val ending: String) { Markdown("md"), Json("json") }

/** What is asked next. */
data class AnswerRequest(
    val kind: RequestKind,
    val options: ChatOptions = ChatOptions(),
    val mode: AnswerMode = AnswerMode.PreferOnDevice,
    val privacy: PrivacyLevel = PrivacyLevel.Personal,
    val webSearch: Boolean = false,
    /** What the person agreed to when they were asked. */
    val consent: AnswerTarget? = null,
)

sealed interface RequestKind {
    data class Send(val text: String) : RequestKind

    /** A new version of what the person said, answered. */
    data class Edit(val message: MessageId, val text: String) : RequestKind

    /** A new version of an answer. */
    data class Regenerate(val message: MessageId) : RequestKind

    /** Goes on with the last answer where it broke off. */
    data object Resume : RequestKind
}

enum class AnswerMode { OnlyOnDevice, PreferOnDevice, PreferInCloud, OnlyInCloud }

enum class PrivacyLevel {
    /** May go wherever the rules allow, unasked. */
    Open,

    /** Leaves only where the rules allow and the person agreed. */
    Personal,

    /** Never leaves. */
    Secret,
}

/** Who answers. */
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

    /** No target can answer; the text says what would change that. */
    data class NoRoute(val reason: String) : AnswerDecision
}

/** "This does not fit here; send it to X in region Y for about Z?" */
data class ConsentPrompt(
    val target: AnswerTarget,
    val reason: String,
    val dataPolicy: DataPolicyInfo,
    /** US dollars at most. Nothing: no price is known. */
    val cost: Double?,
)

/** What happens to words at a place. */
data class DataPolicyInfo(
    /** `device`, `own server`, ISO 3166 codes, or `unknown`. */
    val region: String = "device",
    val retained: Boolean = false,
    val trainedOn: Boolean = false,
    /** The day on which it was read; empty where it follows from the place. */
    val asOf: String = "",
    val note: String = "",
)

sealed interface AnswerChunk {
    data class Started(val target: AnswerTarget, val reason: String) : AnswerChunk

    data class ReasoningText(val text: String) : AnswerChunk

    data class Text(val text: String) : AnswerChunk

    data class Cited(val citation: Citation) : AnswerChunk

    data class Finished(val status: MessageStatus, val receipt: AnswerReceipt) : AnswerChunk
}

/** What stands under an answer. */
data class AnswerReceipt(
    val target: AnswerTarget,
    /** Who really ran the model, where a provider passes requests on. */
    val servedBy: String? = null,
    val reason: String,
    val rejected: List<RejectedTarget> = emptyList(),
    val dataPolicy: DataPolicyInfo = DataPolicyInfo(),
    val cost: Double = 0.0,
    /** Otherwise the figure is a guess, or nothing is known. */
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

data class RejectedTarget(val target: AnswerTarget, val reason: String)

enum class AnswerPreset { Precise, Balanced, Creative }

/** What stands behind a preset for one model. */
data class PresetInfo(val preset: AnswerPreset, val temperature: Double?, val topP: Double?, val reason: String)

/** A line of the picker. */
data class ModelChoice(
    val target: AnswerTarget,
    val name: String,
    /** Only for models on this device. */
    val verdict: FitLevel? = null,
    /** US dollars for a million tokens of prompt and answer. Nothing: no price is known; on the device it is free. */
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
    val needBytes: Long,
    val budgetBytes: Long,
    val sizeBytes: Long,
    val suggestions: List<String> = emptyList(),
)

/** A model that is here, or that is worth having. */
data class ModelEntry(
    /** What `remove` and [ChatOptions.model] take, for one that is here. */
    val id: String,
    /** What `download` and `judge` take. */
    val reference: String,
    val name: String,
    val maker: String = "",
    val sizeBytes: Long,
    val quantization: String = "",
    val license: String = "",
    val note: String = "",
    val reasons: Boolean = false,
)

sealed interface DownloadStep {
    data class Resolved(val name: String, val bytes: Long) : DownloadStep

    data class Progress(val done: Long, val total: Long, val bytesPerSecond: Long) : DownloadStep

    data object Verifying : DownloadStep

    data class Installed(val model: ModelEntry) : DownloadStep
}

/** What the person chose once and for all. */
data class Preferences(
    val mode: AnswerMode = AnswerMode.PreferOnDevice,
    val privacy: PrivacyLevel = PrivacyLevel.Personal,
    val finishedFirstRun: Boolean = false,
)

/** What the person allows. */
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
    /** It failed again and again, and is left alone for so long. */
    val cooldownSeconds: Int = 0,
)

/** [title]: as it calls itself. */
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

/** A provider as the person sets it up. Not stored by the app: the key goes to the keystore. No data class: it prints no key. */
class NewProvider(val kind: ProviderType, address: String, val key: String, val model: String) {
    val address: String = address.trim()

    /** What receipts and reports will call it. */
    val name: String = when {
        kind.needsAddress -> this.address.substringAfter("://").takeWhile { it != '/' && it != ':' }
        else -> kind.name.lowercase()
    }
}

data class Spending(val today: Double = 0.0, val month: Double = 0.0, val byProvider: List<SpendingLine> = emptyList())

data class SpendingLine(val name: String, val answers: Int, val dollars: Double)

/** What a banner tells. */
data class DeviceCondition(val isHot: Boolean = false, val isShortOfMemory: Boolean = false)
