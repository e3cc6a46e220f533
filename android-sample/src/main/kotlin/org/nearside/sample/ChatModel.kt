/*
 * One chat: what was said, what is being said, and everything a person can do about it.
 *
 * The chat exists in the brain's store from its first message on. While an answer comes, `messages` shows it as it grows;
 * when it is over the stored chat is read again, so that what is shown is what is kept.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** [onChange] is told when the list of chats has to be read again. */
class ChatModel(
    private val brain: Brain,
    private val scope: CoroutineScope,
    chat: ChatId? = null,
    private val onChange: () -> Unit = {},
) {
    /** Nothing until something was original. */
    var chatId by mutableStateOf(chat)
        private set
    var title by mutableStateOf("")
        private set
    var messages by mutableStateOf(emptyList<MessageEntry>())
        private set
    var options by mutableStateOf(ChatOptions())
        private set
    var isAnswering by mutableStateOf(false)
        private set

    /** Who is answering now. */
    var target by mutableStateOf<AnswerTarget?>(null)
        private set

    /** What is typed and not sent. */
    var draft by mutableStateOf("")

    /** The message that [draft] will replace. */
    var editing by mutableStateOf<MessageId?>(null)
        private set
    var webSearch by mutableStateOf(false)

    /** Asked before words leave the device. */
    var consentPrompt by mutableStateOf<ConsentPrompt?>(null)
        private set
    var failure by mutableStateOf<String?>(null)
    var choices by mutableStateOf(emptyList<ModelChoice>())
        private set

    /** By provider, once the picker asked for it; and why it could not be had. */
    var offers by mutableStateOf(emptyMap<String, List<ModelChoice>>())
        private set
    var offerFailures by mutableStateOf(emptyMap<String, String>())
        private set
    var presets by mutableStateOf(emptyList<PresetInfo>())
        private set
    var costs by mutableStateOf(emptyList<CostLine>())
        private set

    /** The answer under way, or the last one: tests wait for it. */
    var work: Job? = null
        private set
    private var pendingRequest: AnswerRequest? = null
    private var answer: AnswerStream? = null
    private var stopped = false

    fun load(): Job = attempt {
        reload()
        readChoices()
    }

    val canSend: Boolean get() = !isAnswering && draft.isNotBlank()

    /** The last answer ended before its end, so that it can go on. */
    val canContinue: Boolean
        get() {
            val last = messages.lastOrNull()
            if (isAnswering || last?.author != Author.Model) return false
            return last.status != MessageStatus.Done && last.status != MessageStatus.Writing
        }

    /** Whether a remote target could continue it. */
    val canContinueRemotely: Boolean get() = canContinue && choices.any { !it.target.isDevice }

    val canSearchWeb: Boolean get() = chosen?.searchesWeb ?: choices.any { it.searchesWeb }

    /** The line of the picker that is chosen; nothing where the router chooses. */
    val chosen: ModelChoice?
        get() = (choices + offers.values.flatten()).firstOrNull { choice ->
            when (val target = choice.target) {
                is AnswerTarget.Device -> options.provider == null && options.model == target.model
                is AnswerTarget.Provider -> options.provider == target.name && options.model == target.model
                AnswerTarget.Demo -> false
            }
        }

    val presetInfo: PresetInfo? get() = presets.firstOrNull { it.preset == (options.preset ?: AnswerPreset.Balanced) }

    fun send() {
        if (!canSend) return
        val text = draft.trim()
        val kind = editing?.let { RequestKind.Edit(it, text) } ?: RequestKind.Send(text)
        cancelEdit()
        ask(kind)
    }

    fun regenerate(message: MessageId) = ask(RequestKind.Regenerate(message))

    /** Goes on where the last answer broke off. */
    fun resume() = ask(RequestKind.Resume)

    /** The same, elsewhere; the person is asked if the rules say so. */
    fun continueRemotely() = ask(RequestKind.Resume) { request ->
        val anyModel = if (request.options.provider == null) request.options.copy(model = null) else request.options
        request.copy(mode = AnswerMode.OnlyInCloud, options = anyModel)
    }

    /** What was written so far stays, and so does its receipt. */
    fun stop() {
        stopped = true
        answer?.stop?.invoke()
    }

    fun accept() {
        val request = pendingRequest?.copy(consent = consentPrompt?.target) ?: return
        consentPrompt = null
        pendingRequest = null
        run(request)
    }

    /** What was typed comes back, to be changed or sent elsewhere. */
    fun refuse() {
        consentPrompt = null
        val kind = pendingRequest?.kind
        pendingRequest = null
        when (kind) {
            is RequestKind.Send -> draft = kind.text
            is RequestKind.Edit -> {
                editing = kind.message
                draft = kind.text
            }
            is RequestKind.Regenerate, RequestKind.Resume, null -> Unit
        }
    }

    fun beginEdit(message: MessageId) {
        val original = messages.firstOrNull { it.id == message && it.author == Author.User }
        if (isAnswering || original == null) return
        editing = original.id
        draft = original.text
    }

    fun cancelEdit() {
        editing = null
        draft = ""
    }

    /** Shows the version before or after this one. */
    fun selectVersion(offset: Int, from: MessageEntry): Job = attempt {
        val other = from.versions.getOrNull(from.versions.indexOf(from.id) + offset)
        val chat = chatId
        if (!isAnswering && chat != null && other != null) apply(brain.selectVersion(other, chat))
    }

    /** Nothing: the router chooses. */
    fun choose(choice: ModelChoice?): Job {
        val target = choice?.target
        options = options.copy(model = target?.model, provider = (target as? AnswerTarget.Provider)?.name)
        if (!canSearchWeb) webSearch = false
        return configure()
    }

    fun choose(preset: AnswerPreset): Job {
        options = options.copy(preset = preset)
        return configure()
    }

    /** Everything that the providers offer, for the picker; asks them. */
    fun loadOffers(): Job = attempt {
        for (provider in choices.mapNotNull { (it.target as? AnswerTarget.Provider)?.name } - offers.keys) {
            val failure = failureOf { offers += provider to brain.offers(provider) }
            if (failure == null) offerFailures -= provider else offerFailures += provider to failure
        }
        // The prices that came with them.
        choices = brain.choices()
    }

    /** What the draft, or else the next message, would cost everywhere. */
    fun loadCosts(): Job = attempt {
        val chat = ensureChat()
        costs = brain.costs(makeRequest(RequestKind.Send(draft.ifBlank { "…" })), chat)
    }

    private fun configure(): Job = attempt {
        chatId?.let { brain.configure(it, options) }
        presets = brain.presets(options)
    }

    private suspend fun readChoices() {
        choices = brain.choices()
        presets = brain.presets(options)
    }

    /** The settings are read anew for each message: they may have changed since the chat was opened. */
    private suspend fun makeRequest(kind: RequestKind): AnswerRequest {
        val preferences = brain.preferences()
        return AnswerRequest(kind, options, preferences.mode, preferences.privacy, webSearch && canSearchWeb)
    }

    private fun ask(kind: RequestKind, change: (AnswerRequest) -> AnswerRequest = { it }) =
        begin { change(makeRequest(kind)) }

    private fun run(request: AnswerRequest) = begin { request }

    private fun begin(request: suspend () -> AnswerRequest) {
        if (isAnswering) return
        isAnswering = true
        stopped = false
        failure = null
        // Kept before it runs: a brain that answers at once is through before `launch` returns.
        work = scope.launch(start = CoroutineStart.LAZY) {
            try {
                failure = failureOf { answer(request()) } ?: failure
            } finally {
                isAnswering = false
                target = null
                answer = null
            }
            onChange()
        }.also { it.start() }
    }

    private suspend fun answer(request: AnswerRequest) {
        val chat = ensureChat()
        when (val decision = brain.decide(request, chat)) {
            is AnswerDecision.Route -> stream(request, chat)
            is AnswerDecision.NeedsConsent -> {
                pendingRequest = request
                consentPrompt = decision.prompt
            }
            is AnswerDecision.NoRoute -> {
                pendingRequest = request
                refuse()
                failure = decision.reason
            }
        }
    }

    private suspend fun stream(request: AnswerRequest, chat: ChatId) {
        showPending(request.kind)
        var thinkingSince = 0L
        try {
            val answer = brain.answer(request, chat).also { this.answer = it }
            if (stopped) answer.stop()
            answer.chunks.collect { chunk ->
                if (chunk is AnswerChunk.Started) target = chunk.target
                if (chunk is AnswerChunk.ReasoningText && thinkingSince == 0L) thinkingSince = System.nanoTime()
                val last = messages.last().with(chunk)
                val thinks = thinkingSince != 0L && last.text.isEmpty()
                val seconds = if (thinks) (System.nanoTime() - thinkingSince) / 1e9 else last.reasoningSeconds
                messages = messages.dropLast(1) + last.copy(reasoningSeconds = seconds)
            }
        } finally {
            reload()
        }
    }

    /** What the chat looks like at once, before the brain has stored anything. These ids live until it is read again. */
    private fun showPending(kind: RequestKind) {
        val history = when (kind) {
            is RequestKind.Send -> messages + MessageEntry(Long.MAX_VALUE - 1, Author.User, kind.text)
            is RequestKind.Edit -> before(kind.message) + MessageEntry(Long.MAX_VALUE - 1, Author.User, kind.text)
            is RequestKind.Regenerate -> before(kind.message)
            RequestKind.Resume -> messages.dropLast(1)
        }
        val last = messages.lastOrNull()?.takeIf { kind == RequestKind.Resume }
        messages = history + (last ?: MessageEntry(Long.MAX_VALUE, Author.Model)).copy(status = MessageStatus.Writing)
    }

    private fun before(message: MessageId) = messages.takeWhile { it.id != message }

    private suspend fun ensureChat(): ChatId = chatId ?: brain.newChat(options).id.also { chatId = it }

    private suspend fun reload() {
        chatId?.let { apply(brain.open(it)) }
    }

    private fun apply(chat: Chat) {
        title = chat.summary.title
        options = chat.summary.options
        messages = chat.messages
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }
}
