/*
 * The whole app: which brain answers, where the person is, which chat is open, what the device is doing.
 *
 * State goes down from here and events come back up; nothing else is shared. `AppModel` makes the other models and hands
 * each the brain, so that there is no container and nothing global.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch

/** The three rooms of the app. */
enum class Tab { Chats, Models, Settings }

/** What a line of the settings opens. */
enum class SettingsPage { Answers, Providers, Caps, Costs, Privacy }

/**
 * Lives as long as [scope], on the thread that draws. [startsInDemo]: as UI tests want it, and whoever looks at the app
 * first.
 */
class AppModel(
    private val scope: CoroutineScope,
    private val real: () -> Brain,
    private val demo: () -> Brain,
    startsInDemo: Boolean = false,
) {
    var isDemo by mutableStateOf(startsInDemo)
        private set

    /** Why the real brain could not be had; the demo answers instead. */
    var failure by mutableStateOf<String?>(null)
    private var brain: Brain = if (startsInDemo) demo() else realOrDemo()
    var chats by mutableStateOf(ChatsModel(brain, scope))
        private set
    var models by mutableStateOf(ModelsModel(brain, scope))
        private set
    var settings by mutableStateOf(SettingsModel(brain, scope))
        private set

    /** There while the first run is not over. */
    var firstRun by mutableStateOf<FirstRunModel?>(null)
        private set

    /** The chat that is open. */
    var chat by mutableStateOf<ChatModel?>(null)
        private set
    var tab by mutableStateOf(Tab.Chats)
    var page by mutableStateOf<SettingsPage?>(null)
    var condition by mutableStateOf(DeviceCondition())
        private set
    var isLoaded by mutableStateOf(false)
        private set

    private fun realOrDemo(): Brain = try {
        real()
    } catch (error: Exception) {
        failure = error.message
        isDemo = true
        demo()
    }

    /** Reads what is there, and begins the first run where nothing is. */
    fun start(): Job = scope.launch {
        listOf(chats.load(), models.load(), settings.load()).forEach { it.join() }
        failure = failureOf {
            refreshCondition()
            if (!brain.preferences().finishedFirstRun && firstRun == null) beginFirstRun()
        } ?: failure
        isLoaded = true
    }

    /** Looks at the device from time to time; the library itself hears of heat and memory at once. */
    fun watchCondition(): Job = scope.launch {
        while (true) {
            failureOf { refreshCondition() }
            delay(5.seconds)
        }
    }

    private suspend fun refreshCondition() {
        condition = brain.condition()
    }

    // Where the person is

    fun newChat() {
        tab = Tab.Chats
        chat = makeChat(null).also { it.load() }
    }

    fun open(id: ChatId) {
        tab = Tab.Chats
        if (chat?.chatId != id) chat = makeChat(id).also { it.load() }
    }

    /** Deletes a chat; if it is the open one, it closes, and its answer ends first. */
    fun delete(id: ChatId): Job = scope.launch {
        val open = chat?.takeIf { it.chatId == id }
        if (open != null) {
            chat = null
            open.stop()
            open.work?.join()
        }
        chats.delete(id).join()
    }

    val canGoBack: Boolean
        get() = (tab == Tab.Chats && chat != null) || (tab == Tab.Settings && page != null) ||
            firstRun?.step == FirstRunModel.Step.Download

    fun back() {
        when {
            firstRun != null -> firstRun?.back()
            tab == Tab.Chats -> chat = null
            tab == Tab.Settings -> page = null
        }
    }

    private fun makeChat(id: ChatId?) = ChatModel(brain, scope, id) {
        chats.load()
        settings.load()
    }

    // Brains

    /** The app without a model and without a network. Nothing of it is kept. */
    fun enterDemo(): Job {
        isDemo = true
        return use(demo())
    }

    fun leaveDemo(): Job {
        isDemo = false
        return use(realOrDemo())
    }

    private fun use(other: Brain): Job {
        chat?.stop()
        chat = null
        page = null
        firstRun = null
        isLoaded = false
        tab = Tab.Chats
        brain.close()
        brain = other
        chats = ChatsModel(brain, scope)
        models = ModelsModel(brain, scope)
        settings = SettingsModel(brain, scope)
        return start()
    }

    /** Gives back what the brain holds. */
    fun close() = brain.close()

    private fun beginFirstRun() {
        firstRun = FirstRunModel(brain, scope, models, { makeChat(null) }) { begun ->
            firstRun = null
            start()
            chat = begun?.takeIf { it.chatId != null }
        }
    }
}
