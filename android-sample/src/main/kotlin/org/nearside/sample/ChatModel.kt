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
    /** Nothing until something was said. */
    var chatId by mutableStateOf(chat)
        private set
    var title by mutableStateOf("")
        private set
    var messages by mutableStateOf(emptyList<ChatMessage>())
        private set
    var options by mutableStateOf(ChatOptions())
        private set
    var isAnswering by mutableStateOf(false)
        private set

    /** Who is answering now. */
    var place by mutableStateOf<Place?>(null)
        private set

    /** What is typed and not sent. */
    var draft by mutableStateOf("")

    /** The message that [draft] will replace. */
    var editing by mutableStateOf<MessageId?>(null)
        private set
    var webSearch by mutableStateOf(false)

    /** Asked before words leave the device. */
    var question by mutableStateOf<AskQuestion?>(null)
        private set
    var failure by mutableStateOf<String?>(null)
    var choices by mutableStateOf(emptyList<ModelChoice>())
        private set

    /** By provider, once the picker asked for it; and why it could not be had. */
    var offers by mutableStateOf(emptyMap<String, List<ModelChoice>>())
        private set
    var unoffered by mutableStateOf(emptyMap<String, String>())
        private set
    var presets by mutableStateOf(emptyList<PresetInfo>())
        private set
    var costs by mutableStateOf(emptyList<CostLine>())
        private set

    /** The answer under way, or the last one: tests wait for it. */
    var work: Job? = null
        private set
    private var asked: Turn? = null
    private var answer: Answer? = null
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
    val canContinueRemotely: Boolean get() = canContinue && choices.any { !it.place.isDevice }

    val canSearchWeb: Boolean get() = chosen?.searchesWeb ?: choices.any { it.searchesWeb }

    /** The line of the picker that is chosen; nothing where the router chooses. */
    val chosen: ModelChoice?
        get() = (choices + offers.values.flatten()).firstOrNull { choice ->
            when (val place = choice.place) {
                is Place.Device -> options.provider == null && options.model == place.model
                is Place.Provider -> options.provider == place.name && options.model == place.model
                Place.Demo -> false
            }
        }

    val presetInfo: PresetInfo? get() = presets.firstOrNull { it.preset == (options.preset ?: AnswerPreset.Balanced) }

    fun send() {
        if (!canSend) return
        val text = draft.trim()
        val kind = editing?.let { TurnKind.Edit(it, text) } ?: TurnKind.Send(text)
        cancelEdit()
        ask(kind)
    }

    fun regenerate(message: MessageId) = ask(TurnKind.Regenerate(message))

    /** Goes on where the last answer broke off. */
    fun resume() = ask(TurnKind.Resume)

    /** The same, elsewhere; the person is asked if the rules say so. */
    fun continueRemotely() = ask(TurnKind.Resume) { turn ->
        val anyModel = if (turn.options.provider == null) turn.options.copy(model = null) else turn.options
        turn.copy(mode = AnswerMode.OnlyInCloud, options = anyModel)
    }

    /** What was written so far stays, and so does its receipt. */
    fun stop() {
        stopped = true
        answer?.stop?.invoke()
    }

    fun accept() {
        val turn = asked?.copy(consent = question?.place) ?: return
        question = null
        asked = null
        run(turn)
    }

    /** What was typed comes back, to be changed or sent elsewhere. */
    fun refuse() {
        question = null
        val kind = asked?.kind
        asked = null
        when (kind) {
            is TurnKind.Send -> draft = kind.text
            is TurnKind.Edit -> {
                editing = kind.message
                draft = kind.text
            }
            is TurnKind.Regenerate, TurnKind.Resume, null -> Unit
        }
    }

    fun beginEdit(message: MessageId) {
        val said = messages.firstOrNull { it.id == message && it.author == Author.Person }
        if (isAnswering || said == null) return
        editing = said.id
        draft = said.text
    }

    fun cancelEdit() {
        editing = null
        draft = ""
    }

    /** Shows the version before or after this one. */
    fun show(offset: Int, from: ChatMessage): Job = attempt {
        val other = from.versions.getOrNull(from.versions.indexOf(from.id) + offset)
        val chat = chatId
        if (!isAnswering && chat != null && other != null) take(brain.show(other, chat))
    }

    /** Nothing: the router chooses. */
    fun choose(choice: ModelChoice?): Job {
        val place = choice?.place
        options = options.copy(model = place?.model, provider = (place as? Place.Provider)?.name)
        if (!canSearchWeb) webSearch = false
        return configure()
    }

    fun choose(preset: AnswerPreset): Job {
        options = options.copy(preset = preset)
        return configure()
    }

    /** Everything that the providers offer, for the picker; asks them. */
    fun loadOffers(): Job = attempt {
        for (provider in choices.mapNotNull { (it.place as? Place.Provider)?.name } - offers.keys) {
            val failure = failureOf { offers += provider to brain.offers(provider) }
            if (failure == null) unoffered -= provider else unoffered += provider to failure
        }
        // The prices that came with them.
        choices = brain.choices()
    }

    /** What the draft, or else the next message, would cost everywhere. */
    fun loadCosts(): Job = attempt {
        val chat = ensureChat()
        costs = brain.costs(turn(TurnKind.Send(draft.ifBlank { "…" })), chat)
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
    private suspend fun turn(kind: TurnKind): Turn {
        val preferences = brain.preferences()
        return Turn(kind, options, preferences.mode, preferences.privacy, webSearch && canSearchWeb)
    }

    private fun ask(kind: TurnKind, change: (Turn) -> Turn = { it }) = begin { change(turn(kind)) }

    private fun run(turn: Turn) = begin { turn }

    private fun begin(turn: suspend () -> Turn) {
        if (isAnswering) return
        isAnswering = true
        stopped = false
        failure = null
        // Kept before it runs: a brain that answers at once is through before `launch` returns.
        work = scope.launch(start = CoroutineStart.LAZY) {
            try {
                failure = failureOf { answer(turn()) } ?: failure
            } finally {
                isAnswering = false
                place = null
                answer = null
            }
            onChange()
        }.also { it.start() }
    }

    private suspend fun answer(turn: Turn) {
        val chat = ensureChat()
        when (val judgement = brain.decide(turn, chat)) {
            is Judgement.Go -> stream(turn, chat)
            is Judgement.Ask -> {
                asked = turn
                question = judgement.question
            }
            is Judgement.Nowhere -> {
                asked = turn
                refuse()
                failure = judgement.reason
            }
        }
    }

    private suspend fun stream(turn: Turn, chat: ChatId) {
        layOut(turn.kind)
        var thinkingSince = 0L
        try {
            val answer = brain.answer(turn, chat).also { this.answer = it }
            if (stopped) answer.stop()
            answer.pieces.collect { piece ->
                if (piece is AnswerPiece.Started) place = piece.place
                if (piece is AnswerPiece.Reasoning && thinkingSince == 0L) thinkingSince = System.nanoTime()
                val last = messages.last().with(piece)
                val thinks = thinkingSince != 0L && last.text.isEmpty()
                val seconds = if (thinks) (System.nanoTime() - thinkingSince) / 1e9 else last.reasoningSeconds
                messages = messages.dropLast(1) + last.copy(reasoningSeconds = seconds)
            }
        } finally {
            reload()
        }
    }

    /** What the chat looks like at once, before the brain has stored anything. These ids live until it is read again. */
    private fun layOut(kind: TurnKind) {
        val said = when (kind) {
            is TurnKind.Send -> messages + ChatMessage(Long.MAX_VALUE - 1, Author.Person, kind.text)
            is TurnKind.Edit -> before(kind.message) + ChatMessage(Long.MAX_VALUE - 1, Author.Person, kind.text)
            is TurnKind.Regenerate -> before(kind.message)
            TurnKind.Resume -> messages.dropLast(1)
        }
        val unfinished = messages.lastOrNull()?.takeIf { kind == TurnKind.Resume }
        messages = said + (unfinished ?: ChatMessage(Long.MAX_VALUE, Author.Model)).copy(status = MessageStatus.Writing)
    }

    private fun before(message: MessageId) = messages.takeWhile { it.id != message }

    private suspend fun ensureChat(): ChatId = chatId ?: brain.newChat(options).id.also { chatId = it }

    private suspend fun reload() {
        chatId?.let { take(brain.open(it)) }
    }

    private fun take(chat: Chat) {
        title = chat.summary.title
        options = chat.summary.options
        messages = chat.messages
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }
}
