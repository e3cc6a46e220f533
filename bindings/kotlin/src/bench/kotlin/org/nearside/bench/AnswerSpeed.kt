/*
 * Measures how fast a real model answers an app, by Kotlin's clock on the chunks of the Flow.
 *
 * - Prefill: tokens of the prompt per second, from the request to the first chunk of the answer. So it includes the route,
 *   the template, tokenizing, and sampling the first token. The prompt has 512 tokens behind the beginning that the
 *   template puts before every prompt, which is in the cache, and which does not count.
 * - Decoding: tokens after the first one per second, from the first text to the last one, of an answer of 129 tokens behind
 *   a short prompt. So it includes sampling, parsing and every step between the engine and the collector.
 *
 * The line has the names of `nearside bench --json`, so that scripts/bench.py compares it with llama-bench, and beside each
 * rate the one that the library reports.
 */
package org.nearside.bench

import kotlin.time.Duration
import kotlin.time.DurationUnit
import kotlin.time.TimeSource
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.add
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import kotlinx.serialization.json.putJsonObject
import org.nearside.AnswerSummary
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.Nearside
import org.nearside.RequestLimits
import org.nearside.SamplingOptions
import org.nearside.chat
import org.nearside.invoke
import org.nearside.user

internal suspend fun measureSpeed(model: String, answers: Int) = withLibrary { nearside ->
    val rounds = SpeedRounds(nearside, model)
    // The first answers load the model, warm up, and adjust the prompt: to the template, then to the part that is cached.
    repeat(2) { rounds.adjust() }
    rounds.decode()
    val (prompts, decoded) = List(answers) { rounds.prefill() to rounds.decode() }.unzip()
    report("speed") {
        put("threads", nearside.loaded().single().threads.toInt())
        putRates("prompt", prompts)
        putRates("generate", decoded)
    }
}

/** Tokens per second, as the collector sees them and as the library reports them. */
private class MeasuredRate(val tokens: Int, val seen: Double, val reported: Double)

private class SpeedRounds(private val nearside: Nearside, private val model: String) {
    // Another one for each prompt, so that none continues an earlier one, which the library may have kept.
    private val letters = ('a'..'z').iterator()
    private var promptWords = PROMPT_TOKENS

    suspend fun adjust() {
        promptWords += PROMPT_TOKENS - prefill().tokens
    }

    suspend fun prefill(): MeasuredRate {
        val letter = letters.next()
        val answer = answer(List(promptWords) { letter }.joinToString(" "), maxTokens = 1u)
        val tokens = (answer.summary.usage.promptTokens - answer.summary.usage.cachedTokens).toInt()
        return MeasuredRate(tokens, rate(tokens, answer.first), answer.summary.timings.promptTokensPerSecond)
    }

    suspend fun decode(): MeasuredRate {
        val answer = answer("Count from one to a hundred, in words.", maxTokens = 1u + GENERATED_TOKENS)
        val tokens = answer.summary.usage.completionTokens.toInt() - 1
        return MeasuredRate(tokens, rate(tokens, answer.last - answer.first), answer.summary.timings.tokensPerSecond)
    }

    private suspend fun answer(text: String, maxTokens: UInt): TimedAnswer {
        val request = ChatRequest(
            messages = listOf(ChatMessage.user(text)),
            model = model,
            sampling = SamplingOptions(temperature = 0f, seed = 1u),
            limits = RequestLimits(maxTokens = maxTokens),
        )
        var first: Duration? = null
        var last = Duration.ZERO
        var summary: AnswerSummary? = null
        val asked = TimeSource.Monotonic.markNow()
        nearside.chat(request).collect { chunk ->
            if (chunk !is Chunk.Done) last = asked.elapsedNow()
            if (chunk !is Chunk.Started) first = first ?: asked.elapsedNow()
            if (chunk is Chunk.Done) summary = chunk.summary
        }
        return TimedAnswer(checkNotNull(first), last, checkNotNull(summary))
    }
}

/** An answer, and the times from the request to its first and to its last chunk before `Done`. */
private class TimedAnswer(val first: Duration, val last: Duration, val summary: AnswerSummary)

private fun rate(tokens: Int, time: Duration) = tokens / time.toDouble(DurationUnit.SECONDS)

private fun JsonObjectBuilder.putRates(name: String, rates: List<MeasuredRate>) = putJsonObject(name) {
    put("tokens", rates.first().tokens)
    putJsonArray("tokens_per_second") { rates.forEach { add(it.seen) } }
    putJsonArray("reported_tokens_per_second") { rates.forEach { add(it.reported) } }
}

private const val PROMPT_TOKENS = 512
private const val GENERATED_TOKENS = 128u
