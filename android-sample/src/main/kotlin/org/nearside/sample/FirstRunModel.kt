/*
 * Three steps to a first answer: pick a model that fits, download it, say something.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import java.nio.file.Path
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** [makeChat] makes the first chat; [onFinish] gets it, and it stays open. */
class FirstRunModel(
    private val brain: Brain,
    private val scope: CoroutineScope,
    val models: ModelsModel,
    private val makeChat: () -> ChatModel,
    private val onFinish: (ChatModel?) -> Unit = {},
) {
    enum class Step { Pick, Download, Chat }

    var step by mutableStateOf(Step.Pick)
        private set
    var picked by mutableStateOf<ModelEntry?>(null)
        private set
    var isJudging by mutableStateOf(false)
        private set

    /** The first chat; there from the third step on. */
    var chat by mutableStateOf<ChatModel?>(null)
        private set
    var failure by mutableStateOf<String?>(null)

    /** The download and what follows it: tests wait for it. */
    var work: Job? = null
        private set

    val download: DownloadState? get() = picked?.let { models.downloads[it.reference] }

    /** Reads what is worth having, judges it, and picks the best that fits unless the person already picked. */
    fun load(): Job = scope.launch {
        isJudging = true
        models.checkAllFits().join()
        isJudging = false
        if (picked == null) picked = models.recommended
    }

    fun pick(entry: ModelEntry) {
        if (models.fits[entry.reference]?.verdict != FitLevel.TooLarge) picked = entry
    }

    /** Begins the download, or goes on with it; when it is through, the chat begins. */
    fun startDownload() {
        val entry = picked ?: return
        step = Step.Download
        models.download(entry.reference, entry.name)
        work = scope.launch {
            models.work[entry.reference]?.join()
            if (models.installed.any { it.id == entry.id || it.reference == entry.reference }) beginChat()
        }
    }

    fun pauseDownload() {
        picked?.let { models.pause(it.reference) }
    }

    fun back() {
        if (step != Step.Download) return
        pauseDownload()
        step = Step.Pick
    }

    /** Instead of a download: a file that is here already. */
    fun importModel(file: Path): Job = scope.launch {
        models.failure = null
        models.importModel(file).join()
        if (models.failure == null && models.installed.isNotEmpty()) beginChat()
    }

    /** Leaves the first run for good. */
    fun finish(): Job = scope.launch {
        failure = failureOf {
            brain.setPreferences(brain.preferences().copy(finishedFirstRun = true))
            onFinish(chat)
        }
    }

    private suspend fun beginChat() {
        chat = makeChat().also { it.load().join() }
        step = Step.Chat
    }
}
