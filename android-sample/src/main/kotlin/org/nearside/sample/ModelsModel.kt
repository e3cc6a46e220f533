/*
 * Models and downloads: installed models, the catalogue with verdicts, any other model by reference, and downloads that
 * can be paused and resumed.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** Progress of a download. [failure]: the error, in [Phase.Failed]. */
data class DownloadState(
    val name: String,
    val phase: Phase = Phase.Resolving,
    val done: Long = 0,
    val total: Long = 0,
    val bytesPerSecond: Long = 0,
    val failure: Failure? = null,
) {
    enum class Phase { Resolving, Loading, Verifying, Paused, Failed }

    val fraction: Float get() = if (total == 0L) 0f else (done.toDouble() / total).toFloat()
    val isRunning: Boolean get() = phase != Phase.Paused && phase != Phase.Failed

    /** `null` while unknown. */
    val secondsLeft: Double?
        get() = if (bytesPerSecond == 0L || total <= done) null else (total - done).toDouble() / bytesPerSecond
}

/** Work runs in [scope], on the UI thread. */
class ModelsModel(private val brain: Brain, private val scope: CoroutineScope) {
    var installed by mutableStateOf(emptyList<ModelEntry>())
        private set

    /** Installed models that cannot answer: remove them, or download them again. */
    var damaged by mutableStateOf(emptyList<ModelEntry>())
        private set
    var catalogModels by mutableStateOf(emptyList<ModelEntry>())
        private set

    /** Fit by reference; missing while the check runs, or if it failed. */
    var fits by mutableStateOf(emptyMap<String, Fit>())
        private set

    /** Why the checks ended early: nothing could be reached. [checkAllFits] checks again. */
    var offline by mutableStateOf<Failure?>(null)
        private set

    /** Verdicts by file size alone, of models that were not checked. */
    var guesses by mutableStateOf(emptyMap<String, FitLevel>())
        private set

    /** Why a check failed, by reference. */
    var unjudged by mutableStateOf(emptyMap<String, String>())
        private set
    var downloads by mutableStateOf(emptyMap<String, DownloadState>())
        private set

    /** Reference typed by the user. */
    var reference by mutableStateOf("")

    /** Result of the check of [reference]. */
    var typed by mutableStateOf<Fit?>(null)
        private set
    var isJudging by mutableStateOf(false)
        private set
    var isImporting by mutableStateOf(false)
        private set
    var failure by mutableStateOf<Failure?>(null)

    /** Running downloads; tests wait for them. */
    var work: Map<String, Job> = emptyMap()
        private set
    private var judging: Job? = null

    val usedBytes: Long get() = installed.sumOf { it.sizeBytes }

    /** The largest model that fits, or else probably does: the catalogue is sorted by size. */
    val recommended: ModelEntry?
        get() = catalogModels.lastOrNull { fits[it.reference]?.verdict == FitLevel.Fits }
            ?: catalogModels.lastOrNull { fits[it.reference] == null && guesses[it.reference] == FitLevel.Fits }

    /** Whether a check of the model is to come. */
    fun isChecking(entry: ModelEntry): Boolean =
        offline == null && fits[entry.reference] == null && unjudged[entry.reference] == null

    /** The models of the catalogue that are not installed, damaged or not. */
    val available: List<ModelEntry>
        get() {
            val present = installed + damaged
            return catalogModels.filter { item -> present.none { it.id == item.id || it.reference == item.reference } }
        }

    fun load(): Job = attempt { read() }

    private suspend fun read() {
        readInstalled()
        catalogModels = brain.catalogModels().sortedBy { it.sizeBytes }
    }

    private suspend fun readInstalled() {
        installed = brain.installed()
        damaged = brain.damagedModels()
    }

    /** Checks the fit of each model, one at a time: each check fetches a few megabytes. Ends where nothing is reachable. */
    fun checkAllFits(): Job {
        judging?.takeIf { it.isActive }?.let { return it }
        return attempt {
            if (catalogModels.isEmpty()) read()
            offline = null
            for (reference in catalogModels.map { it.reference } - fits.keys) {
                val failure = failureOf { fits += reference to brain.checkFit(reference) }
                if (failure?.reason in NO_NETWORK) {
                    // Each of the others would wait as long to fail as this one.
                    guess()
                    offline = failure
                    break
                }
                if (failure == null) unjudged -= reference else unjudged += reference to failure.text
            }
        }.also { judging = it }
    }

    /** Compares file sizes with the free memory; the memory beside the weights is taken as a quarter of them. */
    private suspend fun guess() {
        val free = brain.freeMemory()
        guesses = catalogModels.filter { it.reference !in fits }.associate { entry ->
            entry.reference to when {
                entry.sizeBytes > free -> FitLevel.TooLarge
                entry.sizeBytes + entry.sizeBytes / 4 > free -> FitLevel.Tight
                else -> FitLevel.Fits
            }
        }
    }

    /** Checks the fit of the typed reference. */
    fun checkTypedFit(): Job {
        val requested = reference.trim()
        typed = null
        isJudging = requested.isNotEmpty()
        return attempt {
            try {
                if (requested.isNotEmpty()) typed = brain.checkFit(requested)
            } finally {
                isJudging = false
            }
        }
    }

    /** Starts or resumes a download. */
    fun download(reference: String, name: String) {
        if (downloads[reference]?.isRunning == true) return
        val before = downloads[reference] ?: DownloadState(name)
        downloads += reference to before.copy(phase = DownloadState.Phase.Resolving)
        // A paused download may still be ending; two at once would conflict.
        val earlier = work[reference]
        val job = scope.launch(start = CoroutineStart.LAZY) {
            earlier?.join()
            run(reference)
        }
        work += reference to job
        job.start()
    }

    /** Pauses a download; the partial file remains. */
    fun pause(reference: String) {
        if (downloads[reference]?.isRunning != true) return
        change(reference) { copy(phase = DownloadState.Phase.Paused) }
        work[reference]?.cancel()
    }

    /** Removes a download from the list; the partial file remains, and a later download resumes it. */
    fun dismiss(reference: String) {
        pause(reference)
        downloads -= reference
    }

    private suspend fun run(reference: String) {
        val failure = failureOf { brain.download(reference).collect { take(it, reference) } } ?: return
        change(reference) { copy(phase = DownloadState.Phase.Failed, failure = failure) }
    }

    private suspend fun take(step: DownloadStep, reference: String) {
        when (step) {
            is DownloadStep.Resolved ->
                change(reference) { copy(name = step.name, total = step.bytes, phase = DownloadState.Phase.Loading) }
            is DownloadStep.Progress -> change(reference) {
                copy(
                    done = step.done,
                    total = step.total,
                    bytesPerSecond = step.bytesPerSecond,
                    phase = DownloadState.Phase.Loading,
                )
            }
            DownloadStep.Verifying -> change(reference) { copy(phase = DownloadState.Phase.Verifying) }
            is DownloadStep.Installed -> {
                readInstalled()
                downloads -= reference
            }
        }
    }

    /** Keeps the catalogue's name: the library resolves to a file name. */
    private fun change(reference: String, change: DownloadState.() -> DownloadState) {
        val state = downloads[reference] ?: return
        downloads += reference to state.change().copy(name = state.name)
    }

    fun importModel(file: PickedModel): Job {
        isImporting = true
        return attempt {
            try {
                file.read(brain::importModel)
                readInstalled()
            } finally {
                isImporting = false
            }
        }
    }

    fun remove(model: String): Job = attempt {
        brain.remove(model)
        readInstalled()
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }

    private companion object {
        val NO_NETWORK = setOf(FailureReason.Offline, FailureReason.Unreachable, FailureReason.NoResponse)
    }
}
