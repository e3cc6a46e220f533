/*
 * Structured output: an answer as a value of one of the app's own classes.
 *
 * The request contains the class's JSON Schema. On the device a grammar enforces it; at a provider that depends on the
 * model (`ModelCapabilities.jsonSchema`).
 */
@file:OptIn(ExperimentalSerializationApi::class)

package org.nearside

import kotlinx.serialization.DeserializationStrategy
import kotlinx.serialization.ExperimentalSerializationApi
import kotlinx.serialization.MissingFieldException
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.serializer

/**
 * Sends the request and returns the answer as a `@Serializable` [T]: `val recipe: Recipe = nearside.generate(request)`.
 *
 * A [T] is a class of strings, numbers, booleans, enums, lists, maps with string keys, and such classes. Property names
 * follow `@SerialName`. The model fills in a property even if it has a default; make an optional one nullable.
 * Replaces the request's `output`. Describe the wanted result in the prompt too: most models do not see the schema.
 *
 * Cancelling the coroutine cancels the request.
 *
 * @throws NearsideException as [chat] does
 * @throws GenerateException if the answer is not a [T]: it was cut off, or the target did not follow the schema
 * @throws IllegalArgumentException for a [T] that no schema can describe; nothing was sent
 */
suspend inline fun <reified T> Nearside.generate(request: ChatRequest): T = generate(request, serializer<T>())

/** Sends the request and returns the answer as the type of [deserializer], for code without a reified type. */
suspend fun <T> Nearside.generate(request: ChatRequest, deserializer: DeserializationStrategy<T>): T {
    val schema = OutputFormat.JsonSchema(jsonSchema(deserializer.descriptor))
    val text = StringBuilder()
    var summary: AnswerSummary? = null
    chat(request.copy(output = schema)).collect { chunk ->
        when (chunk) {
            is Chunk.Text -> text.append(chunk.text)
            is Chunk.Done -> summary = chunk.summary
            else -> Unit
        }
    }
    val end = checkNotNull(summary) { "an answer ends with `Done`" }
    if (end.stop != StopReason.END) throw GenerateException(end, incompleteReason(end.stop))
    // The exception quotes the answer, which must not reach a log: keep neither its message nor the cause.
    return try {
        json.decodeFromString(deserializer, text.toString())
    } catch (failure: SerializationException) {
        val lacks = (failure as? MissingFieldException)?.missingFields.orEmpty().joinToString("") { ", it lacks `$it`" }
        val name = deserializer.descriptor.serialName.substringAfterLast('.')
        throw GenerateException(end, "the answer is not a `$name`$lacks; try again, or use another model")
    }
}

/** An answer that is not a value of the requested class. Its cost and target are in [summary]. */
class GenerateException internal constructor(
    /** The end of the answer, with stop reason, usage and receipt. */
    val summary: AnswerSummary,
    message: String,
) : Exception(message)

private fun incompleteReason(stop: StopReason): String = when (stop) {
    StopReason.MAX_TOKENS -> "the answer was cut off at its limit of tokens; allow more tokens, or ask for less"
    StopReason.CONTEXT_FULL -> "the context is full; shorten the conversation, or use a larger context"
    StopReason.COST_LIMIT -> "the answer was cut off at its cost limit; raise the limit, or ask for less"
    StopReason.STOP_SEQUENCE -> "the answer was cut off by one of the texts that end an answer; leave them out"
    StopReason.TOOL_CALL -> "the model called a tool instead; ask without tools"
    StopReason.FILTERED -> "the provider's filter cut the answer off; rephrase the request, or use another model"
    StopReason.MEMORY_CRITICAL -> "the system needed the memory; close other apps, or use a smaller model"
    StopReason.CANCELLED, StopReason.END -> "the answer was cancelled"
}

/** Ignores unknown keys: a target that does not enforce the schema may add properties. */
private val json = Json { ignoreUnknownKeys = true }
