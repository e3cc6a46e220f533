/*
 * The app without model and network: for users before their first download, screenshots, UI tests, and the tests of the
 * models.
 *
 * It behaves as the real one does: answers arrive word by word, a stopped answer keeps its text, an edit adds a
 * version, a download can be paused and resumed, and consent is requested before content leaves the device. Nothing is
 * stored.
 */
package org.nearside.sample

import java.nio.file.Path
import kotlin.io.path.extension
import kotlin.io.path.nameWithoutExtension
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/**
 * [fresh]: no chats and no models, as on the first start. [pace] is called before every word: a test that returns at
 * once from it gets whole answers, one that blocks it gets a partial answer. [damaged]: models whose file is incomplete.
 */
class DemoBrain(
    russian: Boolean = false,
    fresh: Boolean = false,
    private val condition: DeviceCondition = DeviceCondition(),
    damaged: List<ModelEntry> = emptyList(),
    private val now: () -> Long = System::currentTimeMillis,
    private val pace: suspend () -> Unit = { delay(35.milliseconds) },
) : Brain {
    private val content = if (russian) DemoContent.russian else DemoContent.english
    private val models = DemoModels(content, fresh, damaged, pace)
    private val stores = LinkedHashMap<ChatId, DemoStore>()
    private val deleted = HashMap<ChatId, DemoStore>()
    private var lastId = 0L
    private var preferences = Preferences(finishedFirstRun = !fresh)
    private var policy = PolicySettings(dollarsPerDay = 0.5, dollarsPerMonth = 5.0)
    private var providers = listOf(
        ProviderInfo(
            name = "openrouter",
            kind = ProviderType.OpenRouter,
            address = "https://openrouter.ai/api/v1",
            hasKey = true,
            model = DemoContent.REMOTE_MODEL,
            dataPolicy = DemoContent.remoteDataPolicy,
            models = 342,
        ),
    )

    init {
        if (!fresh) content.chats.forEachIndexed(::add)
    }

    private fun add(index: Int, chat: DemoChat) {
        val age = index * index * 17_000_000L + 240_000L
        val store = DemoStore(ChatSummary(++lastId, chat.title, pinned = index == 0, updated = now() - age))
        var parent = 0L
        for (demo in chat.turns) {
            parent = store.append(MessageEntry(++lastId, Author.User, demo.question), parent)
            parent = store.append(demo.answer(++lastId), parent)
        }
        stores[store.summary.id] = store
    }

    override suspend fun chats(): List<ChatSummary> = stores.values.map { it.chat().summary }
        .sortedWith(compareByDescending<ChatSummary> { it.pinned }.thenByDescending { it.updated })

    override suspend fun newChat(options: ChatOptions): ChatSummary {
        val summary = ChatSummary(++lastId, "", updated = now(), options = options)
        stores[summary.id] = DemoStore(summary)
        return summary
    }

    override suspend fun open(chat: ChatId): Chat = store(chat).chat()

    override suspend fun rename(chat: ChatId, title: String?) = change(chat) { copy(title = title.orEmpty()) }

    override suspend fun setPinned(chat: ChatId, pinned: Boolean) = change(chat) { copy(pinned = pinned) }

    override suspend fun configure(chat: ChatId, options: ChatOptions) = change(chat) { copy(options = options) }

    override suspend fun delete(chat: ChatId) {
        deleted[chat] = store(chat)
        stores -= chat
    }

    override suspend fun restore(chat: ChatId) {
        stores[chat] = deleted.remove(chat) ?: throw BrainError(content.missingChat, FailureReason.NotFound)
    }

    override suspend fun search(text: String): List<ChatHit> = chats().flatMap { summary ->
        val title = listOfNotNull(snippet(summary.title, text)?.let { ChatHit(summary, null, it) })
        title + open(summary.id).messages.mapNotNull { message ->
            snippet(message.text, text)?.let { ChatHit(summary, message.id, it) }
        }
    }

    override suspend fun export(chat: ChatId, kind: ExportKind): String {
        val (summary, messages) = open(chat)
        return when (kind) {
            ExportKind.Markdown -> messages.joinToString("\n", "# ${summary.title}\n\n") {
                "**${if (it.author == Author.User) content.me else content.model}**\n\n${it.text}\n"
            }
            ExportKind.Json -> messages.joinToString(",\n", "[\n", "\n]\n") {
                val role = if (it.author == Author.User) "user" else "assistant"
                "  {\"role\": \"$role\", \"text\": ${quoted(it.text)}}"
            }
        }
    }

    override suspend fun selectVersion(message: MessageId, chat: ChatId): Chat =
        store(chat).apply { select(message) }.chat()

    override suspend fun decide(request: AnswerRequest, chat: ChatId?): AnswerDecision {
        val prefersCloud = request.mode in setOf(AnswerMode.OnlyInCloud, AnswerMode.PreferInCloud)
        val remote = prefersCloud || request.options.provider != null
        val tooLong = request.kind is RequestKind.Send && request.kind.text.length > DemoContent.FITS
        if (!remote && !tooLong) return AnswerDecision.Route(AnswerTarget.Demo, content.localReason)
        val mayLeave = request.mode != AnswerMode.OnlyOnDevice && request.privacy != PrivacyLevel.Secret
        val provider = providers.firstOrNull { it.name == request.options.provider } ?: providers.firstOrNull()
        if (!mayLeave || provider == null) {
            return AnswerDecision.NoRoute(
                if (tooLong) {
                    Failure(content.tooLong, FailureReason.ContextExceeded)
                } else {
                    Failure(content.staysHere, FailureReason.PolicyForbids)
                },
            )
        }
        val model = request.options.model?.takeIf { request.options.provider != null } ?: DemoContent.REMOTE_MODEL
        val target = AnswerTarget.Provider(provider.name, model)
        if (request.privacy == PrivacyLevel.Open || request.consent == target) {
            return AnswerDecision.Route(target, content.consentReason)
        }
        val reason = if (tooLong) content.tooLong else content.requestReason
        return AnswerDecision.NeedsConsent(ConsentPrompt(target, reason, DemoContent.remoteDataPolicy, cost = 0.0004))
    }

    override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream {
        var stopped = false
        val chunks = flow {
            val store = store(chat)
            val target = when (val decision = decide(request, chat)) {
                is AnswerDecision.Route -> decision.target
                is AnswerDecision.NeedsConsent -> throw BrainError(content.notAgreed, FailureReason.ConsentRequired)
                is AnswerDecision.NoRoute -> throw BrainError(decision.failure)
            }
            val (id, words) = begin(request, store)
            val omitted = (store.path().size - 2 - DemoContent.CONTEXT_MESSAGES).coerceAtLeast(0)
            val script = script(words, target, request, omitted)
            for (chunk in script) {
                pace()
                val last = script.last() as AnswerChunk.Finished
                val next = if (stopped) last.copy(status = MessageStatus.Stopped) else chunk
                store.change(id) { it.with(next) }
                store.summary = store.summary.copy(updated = now())
                emit(next)
                if (stopped) break
            }
        }
        return AnswerStream(chunks) { stopped = true }
    }

    /** Stores the question and an empty answer, and returns the answer's id and content. */
    private fun begin(request: AnswerRequest, store: DemoStore): Pair<MessageId, DemoAnswer> {
        val kind = request.kind
        if (kind == RequestKind.Resume) {
            val last = store.path().last()
            val written = store.message(last).text
            val whole = content.answer(store.questionBefore(last)).text
            val rest = if (whole.startsWith(written)) whole.drop(written.length) else " " + content.fallback.text
            return last to DemoAnswer(text = rest)
        }
        val question = when (kind) {
            is RequestKind.Send -> store.append(
                MessageEntry(++lastId, Author.User, kind.text),
                store.path().lastOrNull() ?: 0,
            )
            is RequestKind.Edit -> store.append(
                MessageEntry(++lastId, Author.User, kind.text),
                store.parent(kind.message),
            )
            is RequestKind.Regenerate -> store.parent(kind.message)
            RequestKind.Resume -> error("handled above")
        }
        val answer = MessageEntry(++lastId, Author.Model, status = MessageStatus.Writing)
        return store.append(answer, question) to content.answer(store.message(question).text)
    }

    private fun script(answer: DemoAnswer, target: AnswerTarget, request: AnswerRequest, omitted: Int) =
        buildList<AnswerChunk> {
            val remote = !target.isDevice
            val preset = presetList().first { it.preset == (request.options.preset ?: AnswerPreset.Balanced) }
            val receipt = AnswerReceipt(
                target = target,
                servedBy = "Fireworks".takeIf { remote },
                reason = if (remote) content.consentReason else content.localReason,
                rejectedMore = DemoContent.rejectedMore.filter { remote },
                omittedMessages = omitted,
                dataPolicy = if (remote) DemoContent.remoteDataPolicy else DataPolicyInfo(),
                cost = if (remote) 0.00018 else 0.0,
                promptTokens = 41,
                answerTokens = answer.text.length / 4,
                firstTokenSeconds = 0.31,
                tokensPerSecond = if (remote) 61.0 else 27.4,
                preset = request.options.preset,
                temperature = preset.temperature,
                topP = preset.topP,
                samplingReason = content.presetReason,
            )
            add(AnswerChunk.Started(target, receipt.reason, omitted))
            words(answer.reasoning).mapTo(this) { AnswerChunk.ReasoningText(it) }
            words(answer.text).mapTo(this) { AnswerChunk.Text(it) }
            if (request.webSearch && remote) add(AnswerChunk.Cited(DemoContent.citation))
            add(AnswerChunk.Finished(MessageStatus.Done, receipt))
        }

    override suspend fun costs(request: AnswerRequest, chat: ChatId?): List<CostLine> = DemoContent.costs

    override suspend fun presets(options: ChatOptions): List<PresetInfo> = presetList()

    private fun presetList() = AnswerPreset.entries.zip(listOf(0.0, 0.7, 1.0)) { preset, temperature ->
        PresetInfo(preset, temperature, topP = 0.95, reason = content.presetReason)
    }

    override suspend fun choices(): List<ModelChoice> =
        models.installed.map { ModelChoice(AnswerTarget.Device(it.id), it.name, models.verdict(it)) } +
            providers.map { offer(it.name, DemoContent.offers.first()) }

    override suspend fun offers(provider: String): List<ModelChoice> = DemoContent.offers.map { offer(provider, it) }

    private fun offer(provider: String, offer: DemoOffer) = ModelChoice(
        target = AnswerTarget.Provider(provider, offer.id),
        name = offer.name,
        dollarsIn = offer.dollarsIn,
        dollarsOut = offer.dollarsOut,
        region = DemoContent.remoteDataPolicy.region,
        searchesWeb = true,
    )

    override suspend fun installed(): List<ModelEntry> = models.installed

    override suspend fun catalogModels(): List<ModelEntry> = content.catalog

    override suspend fun checkFit(reference: String): Fit = models.checkFit(reference)

    override suspend fun freeMemory(): Long = DemoContent.BUDGET

    override fun download(reference: String): Flow<DownloadStep> = models.download(reference)

    override suspend fun importModel(file: Path): ModelEntry {
        if (!file.extension.equals("gguf", ignoreCase = true)) {
            throw BrainError(content.notAModel, FailureReason.Damaged)
        }
        return models.add(file.nameWithoutExtension)
    }

    override suspend fun remove(model: String) = models.remove(model)

    override suspend fun damagedModels(): List<ModelEntry> = models.damaged

    override suspend fun preferences(): Preferences = preferences

    override suspend fun setPreferences(preferences: Preferences) {
        this.preferences = preferences
    }

    override suspend fun policy(): PolicySettings = policy

    override suspend fun setPolicy(policy: PolicySettings) {
        this.policy = policy
    }

    override suspend fun providers(): List<ProviderInfo> = providers

    override suspend fun addProvider(provider: NewProvider) {
        val info = ProviderInfo(
            name = provider.name,
            kind = provider.kind,
            address = provider.address,
            hasKey = provider.key.isNotEmpty(),
            model = provider.model.ifEmpty { null },
            dataPolicy = DemoContent.remoteDataPolicy,
            models = 12,
        )
        providers = providers.filter { it.name != info.name } + info
    }

    override suspend fun removeProvider(name: String) {
        providers = providers.filter { it.name != name }
    }

    override suspend fun beginSignIn(provider: String): String = "https://openrouter.ai/auth"

    override suspend fun finishSignIn(provider: String, code: String) {
        providers = providers.map { if (it.name == provider) it.copy(hasKey = true) else it }
    }

    override suspend fun spending(): Spending =
        Spending(today = 0.0127, month = 0.3104, byProvider = listOf(SpendingLine("openrouter", 148, 0.3104)))

    override suspend fun condition(): DeviceCondition = condition

    override suspend fun shutDown() = Unit

    private fun store(chat: ChatId): DemoStore =
        stores[chat] ?: throw BrainError(content.missingChat, FailureReason.NotFound)

    private fun change(chat: ChatId, change: ChatSummary.() -> ChatSummary) {
        store(chat).run { summary = summary.change() }
    }
}

/** Splits a text into words, each with the space before it. */
private fun words(text: String): List<String> = Regex("\\s*\\S+|\\s+$").findAll(text).map { it.value }.toList()

private fun snippet(text: String, query: String): List<SnippetRun>? {
    val start = text.indexOf(query, ignoreCase = true)
    if (start < 0) return null
    val end = start + query.length
    return listOf(
        SnippetRun(text.take(start).takeLast(32).replace('\n', ' '), matched = false),
        SnippetRun(text.substring(start, end), matched = true),
        SnippetRun(text.drop(end).take(64).replace('\n', ' '), matched = false),
    )
}

private fun quoted(text: String): String = buildString {
    append('"')
    for (character in text) {
        when (character) {
            '"', '\\' -> append('\\').append(character)
            '\n' -> append("\\n")
            else -> append(character)
        }
    }
    append('"')
}
