/*
 * Maps between the types of the library and of the app, and contains no logic.
 */
package org.nearside.sample

import org.nearside.CacheMiss
import org.nearside.CatalogEntry
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.ContentPart
import org.nearside.Conversation
import org.nearside.ConversationSettings
import org.nearside.ConversationSummary
import org.nearside.ConversationTurn
import org.nearside.CostSource
import org.nearside.DataPolicy
import org.nearside.DownloadEvent
import org.nearside.FitReport
import org.nearside.FitVerdict
import org.nearside.InstalledModel
import org.nearside.MessageRole
import org.nearside.MessageState
import org.nearside.ModelRef
import org.nearside.ProviderKind
import org.nearside.ProviderStatus
import org.nearside.Receipt
import org.nearside.RemoteModel
import org.nearside.RouteDecision
import org.nearside.RouteRule
import org.nearside.RouteTarget
import org.nearside.RoutingMode
import org.nearside.SamplingOptions
import org.nearside.SamplingPreset
import org.nearside.Sensitivity
import org.nearside.StopReason
import org.nearside.StoredMessage
import org.nearside.Timings
import org.nearside.TokenUsage
import org.nearside.invoke
import org.nearside.system
import org.nearside.user

// From the library

internal fun ConversationSummary.summary() = ChatSummary(
    id = id.toLong(),
    title = title,
    pinned = pinned,
    updated = updatedAtMs.toLong(),
    preview = preview,
    messages = messages.toInt(),
    options = ChatOptions(settings.model, settings.provider, settings.preset?.preset(), settings.system),
)

/** Omits system and tool messages, which this app does not show. */
internal fun Conversation.chat() = Chat(
    summary.summary(),
    messages.filter { it.role == MessageRole.USER || it.role == MessageRole.ASSISTANT }.map { it.message() },
)

internal fun StoredMessage.message() = MessageEntry(
    id = id.toLong(),
    author = if (role == MessageRole.USER) Author.User else Author.Model,
    text = text,
    reasoning = reasoning,
    reasoningSeconds = reasoningMs.toLong() / 1000.0,
    citations = citations.map { Citation(it.url, it.title) },
    toolCalls = parts.filterIsInstance<ContentPart.ToolCall>().map { ToolCall(it.name, it.arguments) },
    status = when (val state = state) {
        MessageState.Writing -> MessageStatus.Writing
        is MessageState.Done -> state.stop.status()
        MessageState.Interrupted -> MessageStatus.Interrupted
        is MessageState.Failed -> MessageStatus.Failed(Failure(state.error, state.reason?.failureReason()))
    },
    receipt = receipt?.receipt(usage, timings),
    omittedMessages = omittedMessages.toInt(),
    versions = versions.map { it.toLong() },
)

internal fun StopReason.status(): MessageStatus = when (this) {
    StopReason.END, StopReason.STOP_SEQUENCE, StopReason.TOOL_CALL -> MessageStatus.Done
    StopReason.CANCELLED -> MessageStatus.Stopped
    StopReason.MAX_TOKENS, StopReason.CONTEXT_FULL, StopReason.COST_LIMIT, StopReason.FILTERED,
    StopReason.MEMORY_CRITICAL,
    -> MessageStatus.CutShort
}

internal fun Chunk.answerChunk(): AnswerChunk = when (this) {
    is Chunk.Started -> route.run { AnswerChunk.Started(target.answerTarget(), reason, omittedMessages.toInt()) }
    is Chunk.Reasoning -> AnswerChunk.ReasoningText(text)
    is Chunk.Text -> AnswerChunk.Text(text)
    is Chunk.Citation -> AnswerChunk.Cited(Citation(url, title))
    is Chunk.ToolCall -> AnswerChunk.ToolCalled(ToolCall(name, arguments))
    is Chunk.Done -> summary.run { AnswerChunk.Finished(stop.status(), receipt.receipt(usage, timings)) }
}

internal fun RouteDecision.decision(): AnswerDecision = when (this) {
    is RouteDecision.Route -> AnswerDecision.Route(route.target.answerTarget(), route.reason)
    is RouteDecision.NeedsConsent -> question.run {
        AnswerDecision.NeedsConsent(ConsentPrompt(target.answerTarget(), reason, dataPolicy.info(), costUsd))
    }
    is RouteDecision.NoRoute -> AnswerDecision.NoRoute(failure(detail, reason, retryAfterMs))
}

internal fun RouteTarget.answerTarget(): AnswerTarget = when (this) {
    is RouteTarget.Local -> AnswerTarget.Device(model)
    is RouteTarget.Remote -> AnswerTarget.Provider(provider, model)
    RouteTarget.Scripted -> AnswerTarget.Demo
}

internal fun Receipt.receipt(usage: TokenUsage?, timings: Timings?) = AnswerReceipt(
    target = target.answerTarget(),
    servedBy = servedBy,
    reason = reason,
    rejected = skipped.map { RejectedTarget(it.target.answerTarget(), it.reason) },
    rejectedMore = skippedMore.map { RejectedCount(it.rule.routingRule(), it.count.toInt()) },
    omittedMessages = omittedMessages.toInt(),
    readAgain = when (cacheMiss) {
        CacheMiss.SYSTEM_PROMPT_CHANGED -> ReadAgain.SystemPrompt
        CacheMiss.TOOLS_CHANGED -> ReadAgain.Tools
        null -> null
    },
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

/** Exhaustive: a new rule of the library does not compile until it is mapped. */
internal fun RouteRule.routingRule(): RoutingRule = when (this) {
    RouteRule.REQUESTED_TARGET -> RoutingRule.RequestedTarget
    RouteRule.ON_DEVICE_ONLY -> RoutingRule.OnDeviceOnly
    RouteRule.MODE -> RoutingRule.Mode
    RouteRule.CAPABILITY -> RoutingRule.Capability
    RouteRule.POLICY -> RoutingRule.Policy
    RouteRule.REACHABILITY -> RoutingRule.Reachability
    RouteRule.BUDGET -> RoutingRule.Budget
    RouteRule.MEMORY -> RoutingRule.Memory
    RouteRule.PREFERENCE -> RoutingRule.Preference
    RouteRule.NO_CANDIDATES -> RoutingRule.NoCandidates
    RouteRule.PREVIOUS_FAILED -> RoutingRule.PreviousFailed
}

internal fun DataPolicy.info() = DataPolicyInfo(region, retained, trainedOn, asOf, note)

internal fun FitReport.fit(reference: String) = Fit(
    reference = reference,
    verdict = when (verdict) {
        FitVerdict.FITS -> FitLevel.Fits
        FitVerdict.TIGHT -> FitLevel.Tight
        FitVerdict.TOO_LARGE -> FitLevel.TooLarge
    },
    reason = reason,
    note = note,
    needBytes = need.total.toLong(),
    budgetBytes = budget.bytes.toLong(),
    sizeBytes = sizeBytes.toLong(),
    suggestions = suggestions.map { it.text },
)

internal fun CatalogEntry.entry() =
    ModelEntry(id, id, name, maker, sizeBytes.toLong(), quantization, license, note, reasoning)

/** Maps an installed model. Takes name and notes from the catalogue if it came from there. */
internal fun InstalledModel.entry(catalog: List<CatalogEntry>): ModelEntry {
    val known = catalog.firstOrNull { entry ->
        val model = entry.model
        model is ModelRef.Hub && entry.quantization == quantization && source.startsWith("hf:${model.repo}")
    }
    val bytes = sizeBytes.toLong()
    val isImported = !source.startsWith("hf:") && !source.startsWith("http")
    return known?.entry()?.copy(id = id, sizeBytes = bytes)
        ?: ModelEntry(id, source, id, sizeBytes = bytes, quantization = quantization, isImported = isImported)
}

internal fun DownloadEvent.step(catalog: List<CatalogEntry>): DownloadStep = when (this) {
    is DownloadEvent.Resolved -> DownloadStep.Resolved(file.name, file.sizeBytes.toLong())
    is DownloadEvent.Progress -> DownloadStep.Progress(done.toLong(), total.toLong(), bytesPerSecond.toLong())
    DownloadEvent.Verifying -> DownloadStep.Verifying
    is DownloadEvent.Installed -> DownloadStep.Installed(model.entry(catalog))
}

internal fun ProviderStatus.info() = ProviderInfo(
    name = settings.name,
    kind = ProviderType.entries.first { it.kind() == settings.kind },
    address = baseUrl,
    hasKey = hasKey,
    model = defaultModel,
    dataPolicy = dataPolicy.info(),
    models = models.toInt(),
    cooldownSeconds = restingSeconds.toInt(),
)

internal fun ProviderStatus.choice(model: String, offer: RemoteModel?) = ModelChoice(
    target = AnswerTarget.Provider(settings.name, model),
    name = offer?.name ?: model,
    dollarsIn = offer?.price?.usdIn,
    dollarsOut = offer?.price?.usdOut,
    region = dataPolicy.region,
    searchesWeb = offer?.abilities?.webSearch ?: (settings.kind == ProviderKind.OPEN_ROUTER),
)

internal fun SamplingPreset.preset(): AnswerPreset = when (this) {
    SamplingPreset.PRECISE -> AnswerPreset.Precise
    SamplingPreset.BALANCED -> AnswerPreset.Balanced
    SamplingPreset.CREATIVE -> AnswerPreset.Creative
}

/** Rounds to three digits, so that 0.69999999 becomes 0.7. */
internal fun Float.rounded(): Double = Math.round(this * 1000.0) / 1000.0

// To the library

internal fun ChatOptions.settings() = ConversationSettings(system, model, provider, preset?.preset())

internal fun AnswerRequest.turn(): ConversationTurn = when (kind) {
    is RequestKind.Send -> ConversationTurn.Next
    is RequestKind.Edit -> ConversationTurn.Edit(kind.message.toULong())
    is RequestKind.Regenerate -> ConversationTurn.Regenerate(kind.message.toULong())
    RequestKind.Resume -> ConversationTurn.Resume
}

/** Builds the first request of a new chat, which has its instructions, too. */
internal fun AnswerRequest.firstRequest(): ChatRequest = chatRequest().run {
    copy(messages = listOfNotNull(options.system?.let { ChatMessage.system(it) }) + messages)
}

/** Builds a request with the new message only: the library adds the history. */
internal fun AnswerRequest.chatRequest(): ChatRequest = ChatRequest(
    messages = listOfNotNull(kind.text?.let { ChatMessage.user(it) }),
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

internal fun AnswerTarget.routeTarget(): RouteTarget = when (this) {
    is AnswerTarget.Device -> RouteTarget.Local(model)
    is AnswerTarget.Provider -> RouteTarget.Remote(name, model)
    AnswerTarget.Demo -> RouteTarget.Scripted
}

internal fun AnswerPreset.preset(): SamplingPreset = when (this) {
    AnswerPreset.Precise -> SamplingPreset.PRECISE
    AnswerPreset.Balanced -> SamplingPreset.BALANCED
    AnswerPreset.Creative -> SamplingPreset.CREATIVE
}

internal fun ProviderType.kind(): ProviderKind = when (this) {
    ProviderType.OpenRouter -> ProviderKind.OPEN_ROUTER
    ProviderType.DeepSeek -> ProviderKind.DEEP_SEEK
    ProviderType.Groq -> ProviderKind.GROQ
    ProviderType.Fireworks -> ProviderKind.FIREWORKS
    ProviderType.OpenAi -> ProviderKind.OPEN_AI
    ProviderType.Ollama -> ProviderKind.OLLAMA
    ProviderType.LlamaServer -> ProviderKind.LLAMA_SERVER
    ProviderType.Compatible -> ProviderKind.COMPATIBLE
}
