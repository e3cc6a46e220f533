/*
 * The only file of models and screens that imports Nearside. It maps between the types of the library and of the app,
 * and contains no logic of its own. (AndroidBrain.kt in src/android opens the library on a phone.)
 *
 * The app decides here which folder is used, where credentials are stored, and that the user is always asked before
 * personal content leaves the device.
 */
package org.nearside.sample

import java.nio.file.Path
import java.time.Instant
import kotlin.io.path.createDirectories
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import org.nearside.CatalogEntry
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.Config
import org.nearside.ConsentPolicy
import org.nearside.Conversation
import org.nearside.ConversationSettings
import org.nearside.ConversationSummary
import org.nearside.ConversationTurn
import org.nearside.CostSource
import org.nearside.CredentialStore
import org.nearside.DataPolicy
import org.nearside.DeviceHost
import org.nearside.DownloadEvent
import org.nearside.ExportFormat
import org.nearside.FileCredentialStore
import org.nearside.FitReport
import org.nearside.FitVerdict
import org.nearside.InstalledModel
import org.nearside.MessageRole
import org.nearside.MessageState
import org.nearside.ModelRef
import org.nearside.Nearside
import org.nearside.ProviderKind
import org.nearside.ProviderSettings
import org.nearside.ProviderStatus
import org.nearside.Receipt
import org.nearside.RemoteModel
import org.nearside.RouteDecision
import org.nearside.RouteTarget
import org.nearside.RoutingMode
import org.nearside.SamplingOptions
import org.nearside.SamplingPreset
import org.nearside.Sensitivity
import org.nearside.SignIn
import org.nearside.SpendingGroup
import org.nearside.StopReason
import org.nearside.StoredMessage
import org.nearside.ThermalState
import org.nearside.Timings
import org.nearside.TokenUsage
import org.nearside.addProvider
import org.nearside.download
import org.nearside.invoke
import org.nearside.loadCredentials
import org.nearside.parse
import org.nearside.saveCredential
import org.nearside.user

/** [host] provides the device readings; with `null` the library asks the system. [directory] holds the preferences. */
class NearsideBrain(
    private val nearside: Nearside,
    private val keys: CredentialStore,
    private val host: DeviceHost?,
    directory: Path,
) : Brain {
    private val conversations = nearside.conversations()
    private val catalog = nearside.catalog()
    private val preferencesFile = PreferencesFile(directory.resolve("preferences.properties"))
    private val unlocking = Mutex()
    private var unlocked = false

    /** Models of each provider, as last fetched. */
    private val offers = HashMap<String, List<RemoteModel>>()
    private val signIns = HashMap<String, SignIn>()

    override suspend fun chats(): List<ChatSummary> = conversations.list().map { it.summary() }

    override suspend fun newChat(options: ChatOptions): ChatSummary = conversations.create(options.settings()).summary()

    override suspend fun open(chat: ChatId): Chat = conversations.open(chat.toULong()).chat()

    override suspend fun rename(chat: ChatId, title: String?) = conversations.rename(chat.toULong(), title)

    override suspend fun setPinned(chat: ChatId, pinned: Boolean) = conversations.setPinned(chat.toULong(), pinned)

    override suspend fun configure(chat: ChatId, options: ChatOptions) =
        conversations.configure(chat.toULong(), options.settings())

    override suspend fun delete(chat: ChatId) = conversations.delete(chat.toULong())

    override suspend fun restore(chat: ChatId) = conversations.restore(chat.toULong())

    override suspend fun search(text: String): List<ChatHit> = conversations.search(text).map { hit ->
        ChatHit(hit.conversation.summary(), hit.message?.toLong(), hit.snippet.map { SnippetRun(it.text, it.matched) })
    }

    override suspend fun export(chat: ChatId, kind: ExportKind): String {
        val format = if (kind == ExportKind.Markdown) ExportFormat.MARKDOWN else ExportFormat.JSON
        return conversations.export(chat.toULong(), format)
    }

    override suspend fun selectVersion(message: MessageId, chat: ChatId): Chat =
        conversations.choose(chat.toULong(), message.toULong()).chat()

    override suspend fun decide(request: AnswerRequest, chat: ChatId): AnswerDecision {
        unlock()
        return when (val decision = conversations.route(chat.toULong(), request.chatRequest(), request.turn())) {
            is RouteDecision.Route -> AnswerDecision.Route(decision.route.target.answerTarget(), decision.route.reason)
            is RouteDecision.NeedsConsent -> decision.question.run {
                AnswerDecision.NeedsConsent(ConsentPrompt(target.answerTarget(), reason, dataPolicy.info(), costUsd))
            }
            is RouteDecision.NoRoute -> decision.run {
                AnswerDecision.NoRoute(Failure(detail, reason.failureReason()))
            }
        }
    }

    override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream {
        val (id, body) = chat.toULong() to request.chatRequest()
        // Use the stream instead of the Flow of `conversations.send`: a stopped answer must still deliver its last
        // chunk.
        val stream = when (val kind = request.kind) {
            is RequestKind.Send -> conversations.startSend(id, body)
            is RequestKind.Edit -> conversations.startEdit(id, kind.message.toULong(), body)
            is RequestKind.Regenerate -> conversations.startRegenerate(id, kind.message.toULong(), body)
            RequestKind.Resume -> conversations.startResume(id, body)
        }
        val chunks = flow {
            stream.use {
                while (true) {
                    val batch = stream.nextBatch()
                    if (batch.isEmpty()) break
                    batch.mapNotNull { it.answerChunk() }.forEach { emit(it) }
                }
            }
        }
        return AnswerStream(chunks, stream::cancel)
    }

    override suspend fun costs(request: AnswerRequest, chat: ChatId): List<CostLine> =
        conversations.cost(chat.toULong(), request.chatRequest(), request.turn()).map {
            CostLine(it.target.answerTarget(), it.setUp, it.usdTotal, it.asOf)
        }

    override suspend fun presets(options: ChatOptions): List<PresetInfo> =
        nearside.presets(options.model, options.provider).map {
            PresetInfo(it.preset.preset(), it.temperature?.rounded(), it.topP?.rounded(), it.reason)
        }

    override suspend fun choices(): List<ModelChoice> {
        val local = installed().map { model ->
            var fit: Fit? = null
            // A failed check leaves the model selectable: the library checks again before it loads.
            failureOf { fit = checkFit(model.id) }
            ModelChoice(AnswerTarget.Device(model.id), model.name, fit?.verdict)
        }
        unlock()
        val remote = nearside.providers().filter { it.hasKey }.mapNotNull { status ->
            val model = status.defaultModel ?: return@mapNotNull null
            status.choice(model, offers[status.settings.name]?.firstOrNull { it.id == model })
        }
        return local + remote
    }

    override suspend fun offers(provider: String): List<ModelChoice> {
        unlock()
        val status = nearside.providers().firstOrNull { it.settings.name == provider } ?: return emptyList()
        return nearside.providerModels(provider).also { offers[provider] = it }.map { status.choice(it.id, it) }
    }

    override suspend fun installed(): List<ModelEntry> = nearside.models().map { it.entry(catalog) }

    override suspend fun catalogModels(): List<ModelEntry> = catalog.map { it.entry() }

    override suspend fun checkFit(reference: String): Fit = nearside.fit(model(reference)).fit(reference)

    override fun download(reference: String): Flow<DownloadStep> = flow {
        nearside.download(model(reference)).map { it.step(catalog) }.collect { emit(it) }
    }

    /** Resolves an id of the catalogue, or parses any other reference. */
    private fun model(reference: String): ModelRef =
        catalog.firstOrNull { it.id == reference }?.model ?: ModelRef.parse(reference)

    override suspend fun importModel(file: Path): ModelEntry = nearside.import(file.toString()).entry(catalog)

    override suspend fun remove(model: String) {
        nearside.remove(ModelRef.parse(model))
    }

    override suspend fun preferences(): Preferences = withContext(Dispatchers.IO) { preferencesFile.read() }

    override suspend fun setPreferences(preferences: Preferences) =
        withContext(Dispatchers.IO) { preferencesFile.write(preferences) }

    override suspend fun policy(): PolicySettings = nearside.policy().run {
        PolicySettings(regions, allowRetention, allowTraining, allowMetered, maxUsdRequest, maxUsdDay, maxUsdMonth)
    }

    override suspend fun setPolicy(policy: PolicySettings) = nearside.setPolicy(
        nearside.policy().copy(
            // Receipts name the version of the policy that applied.
            version = "app-${Instant.now()}",
            regions = policy.regions,
            allowRetention = policy.allowRetention,
            allowTraining = policy.allowTraining,
            allowMetered = policy.allowMetered,
            maxUsdRequest = policy.dollarsPerRequest,
            maxUsdDay = policy.dollarsPerDay,
            maxUsdMonth = policy.dollarsPerMonth,
            consent = ConsentPolicy.ASK,
        ),
    )

    override suspend fun providers(): List<ProviderInfo> {
        unlock()
        return nearside.providers().map { it.info() }
    }

    override suspend fun addProvider(provider: NewProvider) {
        val settings = ProviderSettings(
            name = provider.name,
            kind = provider.kind.kind(),
            baseUrl = provider.address.ifEmpty { null },
            model = provider.model.trim().ifEmpty { null },
            // Allow plain HTTP only if the user typed such an address, as for a server of their own.
            allowHttp = provider.address.startsWith("http://"),
        )
        // A key that is loaded later would replace the new one.
        unlock()
        withContext(Dispatchers.IO) { nearside.addProvider(settings, keys) }
        if (provider.key.isNotBlank()) keep(provider.key.trim(), provider.name)
    }

    override suspend fun removeProvider(name: String) {
        nearside.removeProvider(name)
        offers -= name
        withContext(Dispatchers.IO) { keys.remove(name) }
    }

    override suspend fun beginSignIn(provider: String): String =
        nearside.signIn(provider).also { signIns[provider] = it }.url()

    override suspend fun finishSignIn(provider: String, code: String) {
        val signIn = signIns[provider] ?: throw BrainError("the sign-in is not active; start it again")
        keep(nearside.finishSignIn(provider, signIn, code), provider)
        signIns -= provider
    }

    private suspend fun keep(key: String, provider: String) =
        withContext(Dispatchers.IO) { nearside.saveCredential(provider, key, keys) }

    /** Loads the stored credentials once. An unreadable one counts as missing; its provider reports that. */
    private suspend fun unlock() = unlocking.withLock {
        if (!unlocked) failureOf { withContext(Dispatchers.IO) { nearside.loadCredentials(keys) } }
        unlocked = true
    }

    override suspend fun spending(): Spending {
        val spent = nearside.spent()
        val lines = nearside.spending(SpendingGroup.PROVIDER).map { SpendingLine(it.key, it.requests.toInt(), it.usd) }
        return Spending(spent.day, spent.month, lines)
    }

    override suspend fun condition(): DeviceCondition {
        val facts = host?.let { withContext(Dispatchers.IO) { it.facts() } } ?: return DeviceCondition()
        return DeviceCondition(
            facts.heat == ThermalState.SERIOUS || facts.heat == ThermalState.CRITICAL,
            facts.memoryPressure,
        )
    }

    override fun close() = nearside.close()

    companion object {
        /** Opens the library on a desktop. [hub]: a mirror or test server instead of Hugging Face. */
        suspend fun onDesktop(directory: Path, hub: String? = null): NearsideBrain {
            val models = directory.resolve("nearside").toString()
            val data = directory.resolve("nearside-data").createDirectories().toString()
            val nearside = Nearside.open(Config(models, data, hub = hub))
            return NearsideBrain(nearside, FileCredentialStore(directory.resolve("keys")), host = null, directory)
        }
    }
}

// From the library

private fun ConversationSummary.summary() = ChatSummary(
    id = id.toLong(),
    title = title,
    pinned = pinned,
    updated = updatedAtMs.toLong(),
    preview = preview,
    messages = messages.toInt(),
    options = ChatOptions(settings.model, settings.provider, settings.preset?.preset(), settings.system),
)

/** Omits system and tool messages, which this app does not show. */
private fun Conversation.chat() = Chat(
    summary.summary(),
    messages.filter { it.role == MessageRole.USER || it.role == MessageRole.ASSISTANT }.map { it.message() },
)

private fun StoredMessage.message() = MessageEntry(
    id = id.toLong(),
    author = if (role == MessageRole.USER) Author.User else Author.Model,
    text = text,
    reasoning = reasoning,
    reasoningSeconds = reasoningMs.toLong() / 1000.0,
    citations = citations.map { Citation(it.url, it.title) },
    status = when (val state = state) {
        MessageState.Writing -> MessageStatus.Writing
        is MessageState.Done -> state.stop.status()
        MessageState.Interrupted -> MessageStatus.Interrupted
        is MessageState.Failed -> MessageStatus.Failed(Failure(state.error, state.reason?.failureReason()))
    },
    receipt = receipt?.receipt(usage, timings),
    versions = versions.map { it.toLong() },
)

private fun StopReason.status(): MessageStatus = when (this) {
    StopReason.END, StopReason.STOP_SEQUENCE, StopReason.TOOL_CALL -> MessageStatus.Done
    StopReason.CANCELLED -> MessageStatus.Stopped
    StopReason.MAX_TOKENS, StopReason.CONTEXT_FULL, StopReason.COST_LIMIT, StopReason.FILTERED -> MessageStatus.CutShort
}

/** Returns `null` for tool calls: this app defines no tools. */
private fun Chunk.answerChunk(): AnswerChunk? = when (this) {
    is Chunk.Started -> AnswerChunk.Started(route.target.answerTarget(), route.reason)
    is Chunk.Reasoning -> AnswerChunk.ReasoningText(text)
    is Chunk.Text -> AnswerChunk.Text(text)
    is Chunk.Citation -> AnswerChunk.Cited(Citation(url, title))
    is Chunk.ToolCall -> null
    is Chunk.Done -> summary.run { AnswerChunk.Finished(stop.status(), receipt.receipt(usage, timings)) }
}

private fun RouteTarget.answerTarget(): AnswerTarget = when (this) {
    is RouteTarget.Local -> AnswerTarget.Device(model)
    is RouteTarget.Remote -> AnswerTarget.Provider(provider, model)
    RouteTarget.Scripted -> AnswerTarget.Demo
}

private fun Receipt.receipt(usage: TokenUsage?, timings: Timings?) = AnswerReceipt(
    target = target.answerTarget(),
    servedBy = servedBy,
    reason = reason,
    rejected = skipped.map { RejectedTarget(it.target.answerTarget(), it.reason) },
    dataPolicy = dataPolicy.info(),
    cost = costUsd,
    costIsCertain = costSource != CostSource.ESTIMATED && costSource != CostSource.UNKNOWN,
    promptTokens = usage?.promptTokens?.toInt() ?: 0,
    answerTokens = usage?.completionTokens?.toInt() ?: 0,
    firstTokenSeconds = (timings?.firstTokenMs ?: 0.0) / 1000,
    tokensPerSecond = timings?.tokensPerSecond ?: 0.0,
    preset = sampling.preset?.preset(),
    temperature = sampling.temperature?.rounded(),
    topP = sampling.topP?.rounded(),
    samplingReason = sampling.reason,
)

private fun DataPolicy.info() = DataPolicyInfo(region, retained, trainedOn, asOf, note)

private fun FitReport.fit(reference: String) = Fit(
    reference = reference,
    verdict = when (verdict) {
        FitVerdict.FITS -> FitLevel.Fits
        FitVerdict.TIGHT -> FitLevel.Tight
        FitVerdict.TOO_LARGE -> FitLevel.TooLarge
    },
    reason = note ?: reason,
    needBytes = need.total.toLong(),
    budgetBytes = budget.bytes.toLong(),
    sizeBytes = sizeBytes.toLong(),
    suggestions = suggestions.map { it.text },
)

private fun CatalogEntry.entry() =
    ModelEntry(id, id, name, maker, sizeBytes.toLong(), quantization, license, note, reasoning)

/** Maps an installed model. Takes name and notes from the catalogue if it came from there. */
private fun InstalledModel.entry(catalog: List<CatalogEntry>): ModelEntry {
    val known = catalog.firstOrNull { entry ->
        val model = entry.model
        model is ModelRef.Hub && entry.quantization == quantization && source.startsWith("hf:${model.repo}")
    }
    val bytes = sizeBytes.toLong()
    return known?.entry()?.copy(id = id, sizeBytes = bytes)
        ?: ModelEntry(id, source, name = id, sizeBytes = bytes, quantization = quantization)
}

private fun DownloadEvent.step(catalog: List<CatalogEntry>): DownloadStep = when (this) {
    is DownloadEvent.Resolved -> DownloadStep.Resolved(file.name, file.sizeBytes.toLong())
    is DownloadEvent.Progress -> DownloadStep.Progress(done.toLong(), total.toLong(), bytesPerSecond.toLong())
    DownloadEvent.Verifying -> DownloadStep.Verifying
    is DownloadEvent.Installed -> DownloadStep.Installed(model.entry(catalog))
}

private fun ProviderStatus.info() = ProviderInfo(
    name = settings.name,
    kind = ProviderType.entries.first { it.kind() == settings.kind },
    address = baseUrl,
    hasKey = hasKey,
    model = defaultModel,
    dataPolicy = dataPolicy.info(),
    models = models.toInt(),
    cooldownSeconds = restingSeconds.toInt(),
)

private fun ProviderStatus.choice(model: String, offer: RemoteModel?) = ModelChoice(
    target = AnswerTarget.Provider(settings.name, model),
    name = offer?.name ?: model,
    dollarsIn = offer?.price?.usdIn,
    dollarsOut = offer?.price?.usdOut,
    region = dataPolicy.region,
    searchesWeb = offer?.abilities?.webSearch ?: (settings.kind == ProviderKind.OPEN_ROUTER),
)

private fun SamplingPreset.preset(): AnswerPreset = when (this) {
    SamplingPreset.PRECISE -> AnswerPreset.Precise
    SamplingPreset.BALANCED -> AnswerPreset.Balanced
    SamplingPreset.CREATIVE -> AnswerPreset.Creative
}

/** Rounds to three digits, so that 0.69999999 becomes 0.7. */
private fun Float.rounded(): Double = Math.round(this * 1000.0) / 1000.0

// To the library

private fun ChatOptions.settings() = ConversationSettings(system, model, provider, preset?.preset())

private fun AnswerRequest.turn(): ConversationTurn = when (kind) {
    is RequestKind.Send -> ConversationTurn.Next
    is RequestKind.Edit -> ConversationTurn.Edit(kind.message.toULong())
    is RequestKind.Regenerate -> ConversationTurn.Regenerate(kind.message.toULong())
    RequestKind.Resume -> ConversationTurn.Resume
}

/** Builds a request with the new message only: the library adds the history. */
private fun AnswerRequest.chatRequest(): ChatRequest {
    val messages: List<ChatMessage> = when (kind) {
        is RequestKind.Send -> listOf(ChatMessage.user(kind.text))
        is RequestKind.Edit -> listOf(ChatMessage.user(kind.text))
        is RequestKind.Regenerate, RequestKind.Resume -> emptyList()
    }
    return ChatRequest(
        messages = messages,
        model = options.model,
        provider = options.provider,
        mode = when (mode) {
            AnswerMode.OnlyOnDevice -> RoutingMode.ONLY_ON_DEVICE
            AnswerMode.PreferOnDevice -> RoutingMode.PREFER_ON_DEVICE
            AnswerMode.PreferInCloud -> RoutingMode.PREFER_IN_CLOUD
            AnswerMode.OnlyInCloud -> RoutingMode.ONLY_IN_CLOUD
        },
        sensitivity = when (privacy) {
            PrivacyLevel.Open -> Sensitivity.PUBLIC
            PrivacyLevel.Personal -> Sensitivity.PERSONAL
            PrivacyLevel.Secret -> Sensitivity.SENSITIVE
        },
        sampling = SamplingOptions(preset = options.preset?.preset()),
        webSearch = webSearch,
        consent = consent?.routeTarget(),
    )
}

private fun AnswerTarget.routeTarget(): RouteTarget = when (this) {
    is AnswerTarget.Device -> RouteTarget.Local(model)
    is AnswerTarget.Provider -> RouteTarget.Remote(name, model)
    AnswerTarget.Demo -> RouteTarget.Scripted
}

private fun AnswerPreset.preset(): SamplingPreset = when (this) {
    AnswerPreset.Precise -> SamplingPreset.PRECISE
    AnswerPreset.Balanced -> SamplingPreset.BALANCED
    AnswerPreset.Creative -> SamplingPreset.CREATIVE
}

private fun ProviderType.kind(): ProviderKind = when (this) {
    ProviderType.OpenRouter -> ProviderKind.OPEN_ROUTER
    ProviderType.DeepSeek -> ProviderKind.DEEP_SEEK
    ProviderType.Groq -> ProviderKind.GROQ
    ProviderType.Fireworks -> ProviderKind.FIREWORKS
    ProviderType.OpenAi -> ProviderKind.OPEN_AI
    ProviderType.Ollama -> ProviderKind.OLLAMA
    ProviderType.LlamaServer -> ProviderKind.LLAMA_SERVER
    ProviderType.Compatible -> ProviderKind.COMPATIBLE
}
