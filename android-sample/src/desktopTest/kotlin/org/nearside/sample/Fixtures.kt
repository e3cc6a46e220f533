/*
 * Test fixtures: the app with `DemoBrain`, whose answers arrive at once or on demand.
 *
 * Models run unconfined: work that waits for nothing is done when the call returns, on the thread of the test.
 */
package org.nearside.sample

import java.nio.file.Path
import java.util.Locale
import kotlin.time.Duration
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking

/** 2026-11-22, 18:30 UTC. */
internal const val NOW = 1_795_372_200_000L

internal val english: Translation = Translation.of(Locale.ENGLISH)
internal val russian: Translation = Translation.of(Locale.forLanguageTag("ru"))

internal fun unconfined() = CoroutineScope(Dispatchers.Unconfined + SupervisorJob())

/** Waits until the job has ended. */
internal fun Job?.await() = runBlocking { this@await?.join() }

/** Lets the demo emit a number of words, then blocks it. */
internal class Pace(words: Int = 0) {
    private val allowed = Channel<Unit>(Channel.UNLIMITED)

    init {
        allow(words)
    }

    fun allow(words: Int) = repeat(words) { allowed.trySend(Unit) }

    suspend fun wait() = allowed.receive()
}

/** Creates the demo. With a [pace] its answers wait for it; without one they arrive at once. */
internal fun demo(
    pace: Pace? = null,
    russian: Boolean = false,
    fresh: Boolean = false,
    condition: DeviceCondition = DeviceCondition(),
    damaged: List<ModelEntry> = emptyList(),
) = DemoBrain(russian, fresh, condition, damaged, now = { NOW }) { pace?.wait() }

/** A model of the demo's catalogue that is not installed in the demo. */
internal fun demoModel(): ModelEntry = DemoContent.english.catalog[1]

/** Creates the app and starts it. Each chunk is a frame of its own. */
internal fun app(
    brain: Brain = demo(),
    startsInDemo: Boolean = false,
    localNetwork: LocalNetwork = LocalNetwork(),
): AppModel = AppModel(unconfined(), { brain }, { demo() }, startsInDemo, localNetwork, frame = Duration.ZERO)
    .also { it.start().await() }

/** A [Platform] that records its calls, and picks [picks] and [document]. */
internal class FakePlatform(private val picks: Path? = null, private val document: FakeDocument = FakeDocument()) :
    Platform {
    var results: PlatformResults? = null
    override val reducesMotion: Boolean = true
    var copied: String? = null
    var opened: String? = null
    var openedSettings = 0
    var requested: ExportRequest? = null
    val saved: String? get() = document.text

    override fun copy(text: String) {
        copied = text
    }

    override fun openPage(address: String) {
        opened = address
    }

    override fun openAppSettings() {
        openedSettings++
    }

    override fun chooseDocument(request: ExportRequest) {
        requested = request
        results?.onDocument(request, document)
    }

    override fun pickModel() {
        picks?.let { path -> results?.onModelPicked { import -> import(path) } }
    }
}

/** A document that keeps its text, or cannot be written because of [problem]. */
internal class FakeDocument(private val problem: Exception? = null) : ExportDocument {
    var text: String? = null
    var isRemoved = false

    override suspend fun write(text: String) {
        problem?.let { throw it }
        this.text = text
    }

    override suspend fun remove() {
        isRemoved = true
    }
}
