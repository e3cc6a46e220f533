/*
 * State of the whole app: the brain, the open screen and chat, and the condition of the device.
 *
 * State flows down and events flow up. `AppModel` creates the other models and passes each the brain: there is no
 * container and no global state.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlin.coroutines.cancellation.CancellationException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** The tabs of the app. */
enum class Tab { Chats, Models, Settings }

/** The pages of the settings. */
enum class SettingsPage { Answers, Providers, Caps, Costs, Privacy }

/**
 * Runs in [scope], on the UI thread. [real] opens the real brain; it must not block the thread. [startsInDemo]: for UI tests,
 * and for users who choose the demo. [frame]: see [ChatModel].
 */
class AppModel(
    private val scope: CoroutineScope,
    private val real: suspend () -> Brain,
    private val demo: () -> Brain,
    startsInDemo: Boolean = false,
    val localNetwork: LocalNetwork = LocalNetwork(),
    private val frame: Duration = Frames.INTERVAL,
) : PlatformResults {
    var isDemo by mutableStateOf(startsInDemo)
        private set
    var failure by mutableStateOf<Failure?>(null)

    /** Why the real brain could not be opened: the user tries again or takes the demo. */
    var openingFailure by mutableStateOf<Failure?>(null)
        private set

    /** A demo stands in until the real brain is open. */
    private var brain: Brain = demo()
    private var awaitsReal = !startsInDemo
    private var starting: Job? = null
    var chats by mutableStateOf(makeChats())
        private set
    var models by mutableStateOf(ModelsModel(brain, scope))
        private set
    var settings by mutableStateOf(makeSettings())
        private set

    /** A chat that is not begun, whose costs are shown while no chat is open. */
    private var spareChat by mutableStateOf(makeChat(null))

    /** Present during the first run. */
    var firstRun by mutableStateOf<FirstRunModel?>(null)
        private set

    /** The open chat. */
    var chat by mutableStateOf<ChatModel?>(null)
        private set

    /** Closed chats that are unfinished. Another model of such a chat would not have the draft or the rest of the answer. */
    private var unfinished = emptyList<ChatModel>()
    var tab by mutableStateOf(Tab.Chats)
    var page by mutableStateOf<SettingsPage?>(null)
    var condition by mutableStateOf(DeviceCondition())
        private set
    var isLoaded by mutableStateOf(false)
        private set

    /** Opens the real brain if it is not open, loads the stored state, and begins the first run if there is none. */
    fun start(): Job = starting?.takeIf { it.isActive && awaitsReal } ?: scope.launch {
        if (awaitsReal) {
            openingFailure = null
            val opened = openReal() ?: return@launch
            awaitsReal = false
            adopt(opened)
            chats.deleteEmpty().join()
        }
        listOf(chats.load(), models.load(), settings.load()).forEach { it.join() }
        failure = failureOf {
            refreshCondition()
            if (!brain.preferences().finishedFirstRun && firstRun == null) beginFirstRun()
        } ?: failure
        isLoaded = true
    }.also { starting = it }

    private suspend fun openReal(): Brain? = try {
        real()
    } catch (error: CancellationException) {
        throw error
    } catch (error: Exception) {
        openingFailure = error.failure()
        null
    } catch (error: LinkageError) {
        // The native library is missing or does not run on this processor.
        openingFailure = Failure(error.message ?: error.toString())
        null
    }

    /** Polls the device for the banner; the library itself is notified of heat and memory pressure. */
    fun watchCondition(): Job = scope.launch {
        while (true) {
            failureOf { refreshCondition() }
            delay(5.seconds)
        }
    }

    private suspend fun refreshCondition() {
        condition = brain.condition()
    }

    // Navigation

    /** Opens a new chat, or that which has a draft and no message. */
    fun newChat() {
        tab = Tab.Chats
        val begun = (unfinished + listOfNotNull(chat)).firstOrNull { it.isUnfinished && it.messages.isEmpty() }
        show(begun ?: makeChat(null).also { it.load() })
    }

    /** Moves the draft of the open chat into a new one. */
    private fun moveDraft() {
        tab = Tab.Chats
        val draft = chat?.draft.orEmpty()
        chat?.draft = ""
        show(makeChat(null).also { it.load() })
        chat?.draft = draft
    }

    fun open(id: ChatId) {
        tab = Tab.Chats
        if (chat?.chatId != id) show(left(id) ?: makeChat(id).also { it.load() })
    }

    /** Shows a chat, or none. The answer of the one before goes on. */
    private fun show(next: ChatModel?) {
        unfinished = (unfinished + listOfNotNull(chat)).filter { it.isUnfinished && it !== next }
        chat = next
    }

    private fun left(id: ChatId): ChatModel? = unfinished.firstOrNull { it.chatId == id }?.also { it.refresh() }

    /** Deletes a chat. Closes it first if it is open, after its answer has ended. */
    fun delete(id: ChatId): Job = scope.launch {
        val models = (unfinished + listOfNotNull(chat)).filter { it.chatId == id }
        if (chat in models) show(null)
        unfinished = unfinished - models
        for (model in models) {
            model.stop()
            model.work?.join()
        }
        chats.delete(id).join()
    }

    val canGoBack: Boolean
        get() = (tab == Tab.Chats && chat != null) || (tab == Tab.Settings && page != null) ||
            firstRun?.step == FirstRunModel.Step.Download

    fun back() {
        when {
            firstRun != null -> firstRun?.back()
            tab == Tab.Chats -> show(null)
            tab == Tab.Settings -> page = null
        }
    }

    private fun makeChats() = ChatsModel(brain, scope) { chat?.refresh() }

    private fun makeChat(id: ChatId?) = ChatModel(brain, scope, id, frame) {
        chats.load()
        settings.load()
    }

    private fun makeSettings() = SettingsModel(brain, scope, localNetwork)

    /** The chat whose costs are compared: the open one, or a new one. */
    val costsChat: ChatModel get() = chat ?: spareChat

    // What the user picked

    override fun onModelPicked(file: PickedModel) {
        scope.launch {
            starting?.join()
            if (!isLoaded) return@launch
            val run = firstRun
            if (run == null) tab = Tab.Models
            (run?.importModel(file) ?: models.importModel(file)).join()
        }
    }

    /** Fills the document or removes it. */
    override fun onDocument(request: ExportRequest, document: ExportDocument) {
        scope.launch {
            var isWritten = false
            try {
                starting?.join()
                chats.failure = failureOf {
                    document.write(brain.export(request.chat, request.kind))
                    isWritten = true
                } ?: chats.failure
            } finally {
                if (!isWritten) withContext(NonCancellable) { failureOf { document.remove() } }
            }
        }
    }

    // Brains

    /** Switches to the demo. Nothing in it is stored. */
    fun enterDemo(): Job {
        isDemo = true
        awaitsReal = false
        openingFailure = null
        close()
        adopt(demo())
        return start()
    }

    fun leaveDemo(): Job {
        isDemo = false
        awaitsReal = true
        close()
        return start()
    }

    private fun close() {
        (unfinished + listOfNotNull(chat)).forEach { it.stop() }
        chat = null
        unfinished = emptyList()
        page = null
        firstRun = null
        isLoaded = false
        tab = Tab.Chats
    }

    private fun adopt(other: Brain) {
        val earlier = brain
        brain = LocalNetworkBrain(other, localNetwork)
        chats = makeChats()
        models = ModelsModel(brain, scope)
        settings = makeSettings()
        spareChat = makeChat(null)
        scope.launch { failureOf { earlier.shutDown() } }
    }

    /** Ends the brain in order. A failure means that something is not stored; there is nothing else to do about it. */
    suspend fun shutDown() {
        failureOf { brain.shutDown() }
    }

    // Actions after a failure

    /**
     * Returns what opens the screen of an action; `null` for an action without one, in the first run, and where the
     * screen is open already.
     */
    fun opener(action: FailureAction): (() -> Unit)? {
        val (target, page) = action.destination ?: return null
        if (firstRun != null || !isLoaded) return null
        if (action == FailureAction.StartNewChat) return ::moveDraft
        val isOpen = tab == target && (target != Tab.Settings || this.page == page)
        return if (isOpen) null else ({ show(target, page) })
    }

    private fun show(target: Tab, page: SettingsPage?) {
        tab = target
        if (target == Tab.Settings) this.page = page
    }

    private fun beginFirstRun() {
        firstRun = FirstRunModel(brain, scope, models, { makeChat(null) }) { begun ->
            firstRun = null
            start()
            chat = begun?.takeIf { it.chatId != null }
        }
    }
}
