/*
 * State of one chat and the actions on it.
 *
 * The brain stores the chat from its first answer on: a question that is refused, and costs that are only looked at, leave
 * no empty chat. During an answer `live` shows the chunks as they arrive; afterwards the stored chat is read again, so that
 * the screen shows what is stored.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlin.time.Duration
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** [onChange] is called when the list of chats must be read again. [frame]: the least time between two changes of [live]. */
class ChatModel(
    private val brain: Brain,
    private val scope: CoroutineScope,
    chat: ChatId? = null,
    private val frame: Duration = Frames.INTERVAL,
    private val time: TimeSource.WithComparableMarks = TimeSource.Monotonic,
    private val onChange: () -> Unit = {},
) {
    /** `null` until the first message. */
    var chatId by mutableStateOf(chat)
        private set
    var title by mutableStateOf("")
        private set

    /** The messages without the one that is being written. */
    var history by mutableStateOf(emptyList<MessageEntry>())
        private set

    /** The message that is being written, as of the last frame. */
    var live by mutableStateOf<LiveMessage?>(null)
        private set
    private var writing: LiveAnswer? = null

    /** All messages. Copies the text of the last one: not for every frame. */
    val messages: List<MessageEntry>
        get() = if (live == null) history else history + listOfNotNull(writing?.message())
    val isEmpty: Boolean get() = history.isEmpty() && live == null
    var options by mutableStateOf(ChatOptions())
        private set
    var isAnswering by mutableStateOf(false)
        private set

    /** Target of the current answer. */
    var target by mutableStateOf<AnswerTarget?>(null)
        private set

    /** Text typed but not sent. */
    var draft by mutableStateOf("")

    /** The message that [draft] will replace. */
    var editing by mutableStateOf<MessageId?>(null)
        private set

    /** The draft of before an edit. */
    private var setAside = ""
    var webSearch by mutableStateOf(false)

    /** Pending consent request; shown before content leaves the device. */
    var consentPrompt by mutableStateOf<ConsentPrompt?>(null)
        private set
    var failure by mutableStateOf<Failure?>(null)
    var choices by mutableStateOf(emptyList<ModelChoice>())
        private set

    /** Models by provider, once the picker fetched them, and the failures of those fetches. */
    var offers by mutableStateOf(emptyMap<String, List<ModelChoice>>())
        private set
    var offerErrors by mutableStateOf(emptyMap<String, Failure>())
        private set
    var presets by mutableStateOf(emptyList<PresetInfo>())
        private set
    var costs by mutableStateOf(emptyList<CostLine>())
        private set

    /** The current or last answer; tests wait for it. */
    var work: Job? = null
        private set
    private var pendingRequest: AnswerRequest? = null

    /** Repeats the last question that was refused or failed. */
    private var again: (() -> Unit)? = null
    private var answer: AnswerStream? = null
    private var stopped = false

    /** Whether the chat was created here and nothing is known to be stored in it. */
    private var isUnused = false

    fun load(): Job = attempt {
        readStored()
        readChoices()
    }

    /** Reads the stored chat again, after a change elsewhere. */
    fun refresh(): Job = attempt { readStored() }

    private suspend fun readStored() {
        val stored = chatId?.let { brain.open(it) }
        // During an answer the messages here are newer than the stored ones.
        if (stored != null && !isAnswering) update(stored)
    }

    /** Whether something would be lost without this object: an answer in progress, a question to the user, a draft. */
    val isUnfinished: Boolean get() = isAnswering || consentPrompt != null || draft.isNotBlank() ||
        setAside.isNotBlank()

    val canSend: Boolean get() = !isAnswering && draft.isNotBlank()

    /** Whether the last answer is incomplete and can be continued. */
    val canContinue: Boolean
        get() {
            val last = messages.lastOrNull()
            if (isAnswering || last?.author != Author.Model) return false
            return last.status != MessageStatus.Done && last.status != MessageStatus.Writing
        }

    /** Whether a remote target could continue it. */
    val canContinueRemotely: Boolean get() = canContinue && choices.any { !it.target.isDevice }

    val canSearchWeb: Boolean get() = chosen?.searchesWeb ?: choices.any { it.searchesWeb }

    /** The selected row of the picker; `null` if the router chooses. */
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

    /** Continues the last answer where it was interrupted. */
    fun resume() = ask(RequestKind.Resume)

    /** Continues it on a remote target; the user is asked if the policy requires it. */
    fun continueRemotely() = ask(RequestKind.Resume) { request ->
        val anyModel = if (request.options.provider == null) request.options.copy(model = null) else request.options
        request.copy(mode = AnswerMode.OnlyInCloud, options = anyModel)
    }

    /** Stops the answer. The text so far and its receipt remain. */
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

    /** Refuses consent, puts the text back into the draft, and says so: [retry] asks again. */
    fun refuse() {
        val request = pendingRequest ?: return
        val prompt = consentPrompt ?: return
        consentPrompt = null
        pendingRequest = null
        giveBack(request.kind)
        failure = Failure(prompt.reason, FailureReason.ConsentRequired)
    }

    val canRetry: Boolean get() = failure != null && again != null && !isAnswering

    /** Repeats the question that was refused or failed: asks for consent again if the policy requires it. */
    fun retry() {
        if (!canRetry) return
        failure = null
        again?.invoke()
    }

    fun beginEdit(message: MessageId) {
        val original = messages.firstOrNull { it.id == message && it.author == Author.User }
        if (isAnswering || original == null) return
        if (editing == null) setAside = draft
        editing = original.id
        draft = original.text
    }

    /** Ends an edit and brings the draft of before back. */
    fun cancelEdit() {
        editing = null
        draft = setAside
        setAside = ""
    }

    /** Selects the version at an offset from this one. */
    fun selectVersion(offset: Int, from: MessageEntry): Job = attempt {
        val other = from.versions.getOrNull(from.versions.indexOf(from.id) + offset)
        val chat = chatId
        if (!isAnswering && chat != null && other != null) update(brain.selectVersion(other, chat))
    }

    /** `null`: the router chooses. */
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

    /** Fetches all models of the providers for the picker. */
    fun loadOffers(): Job = attempt {
        for (provider in choices.mapNotNull { (it.target as? AnswerTarget.Provider)?.name } - offers.keys) {
            val failure = failureOf { offers += provider to brain.offers(provider) }
            if (failure == null) offerErrors -= provider else offerErrors += provider to failure
        }
        // Update the prices of the choices.
        choices = brain.choices()
    }

    /** Loads the cost of the draft, or of the next message, for each model. */
    fun loadCosts(): Job = attempt {
        costs = brain.costs(makeRequest(RequestKind.Send(draft.ifBlank { "…" })), chatId)
    }

    private fun configure(): Job = attempt {
        chatId?.let { brain.configure(it, options) }
        presets = brain.presets(options)
    }

    private suspend fun readChoices() {
        choices = brain.choices()
        presets = brain.presets(options)
    }

    /** Builds a request. Reads the settings each time: they may have changed since the chat was opened. */
    private suspend fun makeRequest(kind: RequestKind): AnswerRequest {
        val preferences = brain.preferences()
        return AnswerRequest(kind, options, preferences.mode, preferences.privacy, webSearch && canSearchWeb)
    }

    private fun ask(kind: RequestKind, change: (AnswerRequest) -> AnswerRequest = { it }) {
        if (isAnswering) return
        // A text is in the draft again, and may be changed there.
        again = if (kind.text == null) ({ ask(kind, change) }) else ::send
        begin(kind) { change(makeRequest(kind)) }
    }

    private fun run(request: AnswerRequest) = begin(request.kind) { request }

    private fun begin(kind: RequestKind, request: suspend () -> AnswerRequest) {
        if (isAnswering) return
        isAnswering = true
        stopped = false
        failure = null
        val known = messages.mapTo(HashSet()) { it.id }
        // Assign before starting: with a synchronous brain the work ends before `launch` returns.
        work = scope.launch(start = CoroutineStart.LAZY) {
            try {
                val failed = failureOf { answer(request()) }
                if (failed != null) {
                    failure = failed
                    recover(kind, known)
                    deleteUnused()
                } else if (consentPrompt == null) {
                    // A later failure of other work must not repeat a question that was answered.
                    again = null
                }
            } finally {
                isAnswering = false
                target = null
                answer = null
            }
            onChange()
        }.also { it.start() }
    }

    private suspend fun answer(request: AnswerRequest) {
        when (val decision = brain.decide(request, chatId)) {
            is AnswerDecision.Route -> stream(request, ensureChat())
            is AnswerDecision.NeedsConsent -> {
                pendingRequest = request
                consentPrompt = decision.prompt
            }
            is AnswerDecision.NoRoute -> throw BrainError(decision.failure)
        }
    }

    /** After a failure: puts a text that was not stored back into the draft; a stored answer can be continued. */
    private fun recover(kind: RequestKind, known: Set<MessageId>) {
        val isStored = messages.any { it.id !in known && it.id < PENDING_QUESTION }
        if (isStored) again = ::resume else giveBack(kind)
    }

    /** Puts the text of a question back into the draft, before a text that the user typed meanwhile. */
    private fun giveBack(kind: RequestKind) {
        val text = kind.text ?: return
        if (kind is RequestKind.Edit) {
            if (editing == null) setAside = draft
            editing = kind.message
            draft = text
            return
        }
        draft = listOf(text, draft).filter { it.isNotBlank() }.joinToString("\n\n")
    }

    private suspend fun stream(request: AnswerRequest, chat: ChatId) {
        val written = showPending(request.kind)
        val frames = Frames(scope, frame, time) { live = written.shown() }
        frames.request()
        val failure = failureOf {
            val answer = brain.answer(request, chat).also { this.answer = it }
            if (stopped) answer.stop()
            answer.chunks.collect { chunk ->
                if (chunk is AnswerChunk.Started) target = chunk.target
                written.add(chunk)
                frames.request()
            }
        }
        frames.stop()
        history += written.message()
        live = null
        writing = null
        // The answer's own failure says more than that of the reload.
        val unread = failureOf { reload() }
        (failure ?: unread)?.let { throw BrainError(it) }
    }

    /** Shows the new messages before the brain stores them. Their ids are temporary until the reload. */
    private fun showPending(kind: RequestKind): LiveAnswer {
        val last = history.lastOrNull()?.takeIf { kind == RequestKind.Resume }
        history = when (kind) {
            is RequestKind.Send -> history + MessageEntry(PENDING_QUESTION, Author.User, kind.text)
            is RequestKind.Edit -> before(kind.message) + MessageEntry(PENDING_QUESTION, Author.User, kind.text)
            is RequestKind.Regenerate -> before(kind.message)
            RequestKind.Resume -> history.dropLast(1)
        }
        return LiveAnswer(last ?: MessageEntry(PENDING_ANSWER, Author.Model)).also { writing = it }
    }

    private fun before(message: MessageId) = history.takeWhile { it.id != message }

    private suspend fun ensureChat(): ChatId = chatId ?: brain.newChat(options).id.also {
        chatId = it
        isUnused = true
    }

    /** Deletes a chat that was created here if nothing was stored in it. */
    private suspend fun deleteUnused() {
        val chat = chatId?.takeIf { isUnused && history.isEmpty() } ?: return
        failureOf {
            brain.delete(chat)
            chatId = null
        }
    }

    private suspend fun reload() {
        chatId?.let { update(brain.open(it)) }
    }

    private fun update(chat: Chat) {
        title = chat.summary.title
        options = chat.summary.options
        history = chat.messages
        if (history.isNotEmpty()) isUnused = false
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }

    private companion object {
        /** Ids of messages that the brain has not stored yet. */
        const val PENDING_QUESTION = Long.MAX_VALUE - 1
        const val PENDING_ANSWER = Long.MAX_VALUE
    }
}
