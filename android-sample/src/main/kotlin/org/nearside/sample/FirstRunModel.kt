/*
 * The first run: choose a model that fits, download it, ask a question.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** [makeChat] creates the first chat; [onFinish] receives it and keeps it open. */
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

    /** The first chat; present from the third step on. */
    var chat by mutableStateOf<ChatModel?>(null)
        private set
    var failure by mutableStateOf<Failure?>(null)

    /** The download and the work that follows it; tests wait for it. */
    var work: Job? = null
        private set

    val download: DownloadState? get() = picked?.let { models.downloads[it.reference] }

    /** Loads the catalogue, checks each model, and selects the largest that fits unless one is picked. */
    fun load(): Job = scope.launch {
        isJudging = true
        models.checkAllFits().join()
        isJudging = false
        if (picked == null) picked = models.recommended
    }

    fun pick(entry: ModelEntry) {
        if (models.fits[entry.reference]?.verdict != FitLevel.TooLarge) picked = entry
    }

    /** Starts or resumes the download; the chat begins once it is complete. */
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

    /** Imports a file instead of a download. */
    fun importModel(file: PickedModel): Job = scope.launch {
        models.failure = null
        models.importModel(file).join()
        if (models.failure == null && models.installed.isNotEmpty()) beginChat()
    }

    /** Ends the first run. */
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
