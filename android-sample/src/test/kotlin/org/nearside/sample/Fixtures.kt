/*
 * What the tests share: the app with the demo's brain, on a stage where everything happens at once, or waits for a word.
 *
 * Models run unconfined: whatever does not wait for something is done when the call returns, on the thread of the test.
 */
package org.nearside.sample

import java.nio.file.Path
import java.util.Locale
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

/** Waits for what was begun. */
internal fun Job?.await() = runBlocking { this@await?.join() }

/** Lets the demo say so many words, and holds it before the next. */
internal class Pace(words: Int = 0) {
    private val allowed = Channel<Unit>(Channel.UNLIMITED)

    init {
        allow(words)
    }

    fun allow(words: Int) = repeat(words) { allowed.trySend(Unit) }

    suspend fun wait() = allowed.receive()
}

/** The demo; with a [pace] its answers wait, without one they come at once. */
internal fun demo(
    pace: Pace? = null,
    russian: Boolean = false,
    fresh: Boolean = false,
    condition: DeviceCondition = DeviceCondition(),
) = DemoBrain(russian, fresh, condition, now = { NOW }) { pace?.wait() }

/** The app as it is after its start. */
internal fun app(brain: Brain = demo(), startsInDemo: Boolean = false): AppModel =
    AppModel(unconfined(), real = { brain }, demo = { demo() }, startsInDemo = startsInDemo).also { it.start().await() }

/** A system that writes down what was asked of it. */
internal class FakePlatform(private val picks: Path? = null) : Platform {
    override val reducesMotion: Boolean = true
    var copied: String? = null
    var opened: String? = null
    var saved: ExportedChat? = null

    override fun copy(text: String) {
        copied = text
    }

    override fun openPage(address: String) {
        opened = address
    }

    override fun save(file: ExportedChat) {
        saved = file
    }

    override fun pickModel(onPicked: (Path) -> Unit) {
        picks?.let(onPicked)
    }
}
