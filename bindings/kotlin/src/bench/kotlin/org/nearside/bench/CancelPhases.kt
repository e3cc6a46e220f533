/*
 * Measures the time from a cancel to the end of the answer: in the queue, while the model loads, in the prefill, while it
 * decodes. Phases, questions and moments are those of `nearside-cancel`, which measures the same from Rust.
 *
 * An app can cancel in two ways:
 * - `stream`: `ChatStream.cancel`, until `Done` arrives with `CANCELLED`, as in `nearside-cancel`. The engine sends it when
 *   it is free for the next answer.
 * - `flow`: cancels the coroutine that collects the Flow, until it has ended. It receives no `Done`. In the prefill and
 *   while decoding, where the engine has to stop, the end is not before `Nearside.loaded` reports the model as not in use,
 *   asked each millisecond.
 *
 * Only the cancelled answer may end. In the queue, another one runs before it. In a tenth as many further rounds, which are
 * not timed, another one waits behind it, in each phase. They must reach their last token; `others_whole` is their number.
 */
package org.nearside.bench

import kotlin.math.roundToInt
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.DurationUnit
import kotlin.time.TimeSource
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.toList
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.serialization.json.put
import org.nearside.AnswerSummary
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.ChatStream
import org.nearside.Chunk
import org.nearside.Nearside
import org.nearside.RequestLimits
import org.nearside.SamplingOptions
import org.nearside.StopReason
import org.nearside.chat
import org.nearside.invoke
import org.nearside.user

internal suspend fun measureCancelPhases(model: String, cancels: Int) = withLibrary(context = 8192u) { nearside ->
    for (phase in CancelPhase.entries) {
        for (way in CancelWay.entries) CancelRounds(nearside, model, phase, way).measure(cancels)
    }
}

/** What the engine does for the answer when it is cancelled. */
private enum class CancelPhase { QUEUE, LOAD, PREFILL, DECODE }

/** How the app cancels. */
private enum class CancelWay { STREAM, FLOW }

private class CancelRounds(
    private val nearside: Nearside,
    private val model: String,
    private val phase: CancelPhase,
    private val way: CancelWay,
) {
    private var load = Duration.ZERO
    private var prompts = 0
    private var othersWhole = 0

    suspend fun measure(cancels: Int) {
        load = timeLoad()
        val times = List(cancels) { cancelOne(moment = it.toDouble() / cancels, isAlone = true) }.sorted()
        val further = cancels / 10
        repeat(further) { cancelOne(moment = it.toDouble() / further, isAlone = false) }
        fun quantile(share: Double) = times[(times.lastIndex * share).roundToInt()].milliseconds
        report("cancel-phases") {
            put("phase", phase.name.lowercase())
            put("way", way.name.lowercase())
            put("cancels", cancels)
            put("p50_ms", quantile(0.5))
            put("p99_ms", quantile(0.99))
            put("max_ms", quantile(1.0))
            put("others_whole", othersWhole)
        }
    }

    /** Loads the model, and returns the time from a request to its first text. */
    private suspend fun timeLoad(): Duration {
        nearside.unload()
        val asked = TimeSource.Monotonic.markNow()
        nearside.chat(request(LONG_QUESTION)).first { it is Chunk.Text }
        return asked.elapsedNow()
    }

    /** Cancels an answer at a moment of the phase, from 0 to 1, and returns the time to its end. */
    private suspend fun cancelOne(moment: Double, isAlone: Boolean): Duration = coroutineScope {
        if (phase == CancelPhase.LOAD) nearside.unload()
        val running = if (phase == CancelPhase.QUEUE) startOther() else null
        running?.await { it is Chunk.Text }
        val answer = when (way) {
            CancelWay.STREAM -> StreamedAnswer(nearside.startChat(request(question())))
            CancelWay.FLOW -> CollectedAnswer(this, nearside.chat(request(question())))
        }
        answer.await { if (phase == CancelPhase.DECODE) it is Chunk.Text else it is Chunk.Started }
        val waiting = if (isAlone) null else startOther()
        delay(pause(moment))

        val cancelled = TimeSource.Monotonic.markNow()
        answer.cancel()
        if (way == CancelWay.FLOW && isAlone) awaitIdle()
        val time = cancelled.elapsedNow()

        check(running?.isActive != false) { "the answer was not in the queue" }
        for (other in listOfNotNull(running, waiting)) checkWhole(other.awaitEnd())
        time
    }

    private fun question() = when (phase) {
        CancelPhase.QUEUE -> "Hello"
        CancelPhase.LOAD, CancelPhase.DECODE -> LONG_QUESTION
        // Thousands of tokens, and another beginning each time: nothing of it is in the cache.
        CancelPhase.PREFILL -> {
            prompts++
            (0..<450).joinToString("") { "item $it of $way $prompts is here; " }
        }
    }

    /** Spreads the moments over the load, over a part of the prefill, and over a token or two. */
    private fun pause(moment: Double) = when (phase) {
        CancelPhase.QUEUE -> 2.milliseconds
        CancelPhase.LOAD -> load * (0.8 * moment)
        CancelPhase.PREFILL -> 20.milliseconds + 100.milliseconds * moment
        CancelPhase.DECODE -> 20.milliseconds * moment
    }

    private suspend fun awaitIdle() {
        if (phase != CancelPhase.PREFILL && phase != CancelPhase.DECODE) return
        while (nearside.loaded().any { it.inUse }) delay(1.milliseconds)
    }

    private fun CoroutineScope.startOther() =
        CollectedAnswer(this, nearside.chat(request(LONG_QUESTION, RequestLimits(maxTokens = OTHER_TOKENS))))

    private fun checkWhole(summary: AnswerSummary) {
        check(summary.stop == StopReason.MAX_TOKENS && summary.usage.completionTokens == OTHER_TOKENS) {
            "another answer ended with ${summary.stop} after ${summary.usage.completionTokens} tokens"
        }
        othersWhole++
    }

    private fun request(text: String, limits: RequestLimits = RequestLimits()) = ChatRequest(
        messages = listOf(ChatMessage.user(text)),
        model = model,
        sampling = SamplingOptions(temperature = 0f),
        limits = limits,
    )
}

/** An answer that is to be cancelled. */
private interface CancellableAnswer {
    suspend fun await(isAwaited: (Chunk) -> Boolean)

    /** Cancels the answer and waits for its end. */
    suspend fun cancel()
}

private class StreamedAnswer(private val stream: ChatStream) : CancellableAnswer {
    override suspend fun await(isAwaited: (Chunk) -> Boolean) {
        do {
            val batch = stream.nextBatch()
            check(batch.isNotEmpty()) { ENDED_BEFORE }
        } while (batch.none(isAwaited))
    }

    override suspend fun cancel() {
        stream.cancel()
        var last: Chunk?
        do last = stream.nextBatch().lastOrNull() while (last != null && last !is Chunk.Done)
        check((last as? Chunk.Done)?.summary?.stop == StopReason.CANCELLED) { ENDED_BEFORE }
        stream.close()
    }
}

private class CollectedAnswer(scope: CoroutineScope, chunks: Flow<Chunk>) : CancellableAnswer {
    private val seen = Channel<Chunk>(Channel.UNLIMITED)
    private val job = scope.launch { chunks.collect { seen.send(it) } }

    init {
        job.invokeOnCompletion { seen.close() }
    }

    val isActive get() = job.isActive

    override suspend fun await(isAwaited: (Chunk) -> Boolean) {
        do {
            val chunk = seen.receive()
        } while (!isAwaited(chunk))
    }

    override suspend fun cancel() {
        job.cancelAndJoin()
        check(seen.toList().none { it is Chunk.Done }) { ENDED_BEFORE }
    }

    suspend fun awaitEnd(): AnswerSummary = (seen.toList().last() as Chunk.Done).summary
}

private val Duration.milliseconds get() = toDouble(DurationUnit.MILLISECONDS)

private const val ENDED_BEFORE = "the answer ended before it was cancelled"
private const val LONG_QUESTION = "Tell a long story about the sea."
private const val OTHER_TOKENS = 12u
