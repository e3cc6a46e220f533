/*
 * Structured output: an answer as a value of a class of the app's own, instead of words.
 *
 * The class's shape goes along with the request as a JSON Schema. On the device the model cannot write anything else; at
 * a provider it depends on the model (`Abilities.jsonSchema`).
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
 * Asks, and gives the answer as a [T], which is `@Serializable`: `val recipe: Recipe = nearside.generate(request)`.
 *
 * A [T] is a class of strings, numbers, booleans, enums, lists, maps with strings for keys, and such classes. Names are
 * those of `@SerialName`. A property with a default is filled in by the model all the same; one that may be missing is
 * nullable. The request's `output` is replaced. Say in the request what is wanted: most models do not see the schema.
 *
 * Cancelling the coroutine cancels the request.
 *
 * @throws NearsideException as [chat] does
 * @throws GenerateException where the answer is no [T], because it was cut off or the place did not keep to the schema
 * @throws IllegalArgumentException for a [T] that no model can be held to; nothing was sent
 */
suspend inline fun <reified T> Nearside.generate(request: ChatRequest): T = generate(request, serializer<T>())

/** The same for a [T] whose serializer is at hand. */
suspend fun <T> Nearside.generate(request: ChatRequest, deserializer: DeserializationStrategy<T>): T {
    val schema = Output.JsonSchema(jsonSchema(deserializer.descriptor))
    val text = StringBuilder()
    var done: Chunk.Done? = null
    chat(request.copy(output = schema)).collect { chunk ->
        when (chunk) {
            is Chunk.Text -> text.append(chunk.text)
            is Chunk.Done -> done = chunk
            else -> Unit
        }
    }
    val end = checkNotNull(done) { "an answer ends with `Done`" }
    if (end.stop != StopReason.END) throw GenerateException(end, brokenOff(end.stop))
    // Its message quotes the answer, which belongs into no log: it is neither repeated nor handed on as the cause.
    return try {
        json.decodeFromString(deserializer, text.toString())
    } catch (failure: SerializationException) {
        val lacks = (failure as? MissingFieldException)?.missingFields.orEmpty().joinToString("") { ", it lacks `$it`" }
        val name = deserializer.descriptor.serialName.substringAfterLast('.')
        throw GenerateException(end, "the answer is no `$name`$lacks; ask again, or another model")
    }
}

/** An answer that is no value of the class that was asked for. What it cost and who gave it is in [done]. */
class GenerateException internal constructor(
    /** How the answer ended. */
    val done: Chunk.Done,
    message: String,
) : Exception(message)

private fun brokenOff(stop: StopReason): String = when (stop) {
    StopReason.MAX_TOKENS -> "the answer was cut off at its limit of tokens; raise `limits.maxTokens`"
    StopReason.CONTEXT_FULL -> "the context is full; shorten the conversation, or raise `Config.context`"
    StopReason.COST_LIMIT -> "the answer was cut off at what it may cost; raise `limits.maxUsd` or the policy's caps"
    StopReason.STOP_SEQUENCE -> "the answer was cut off by one of the request's `stop` strings; leave them out"
    StopReason.TOOL_CALL -> "the model called a tool instead; leave `tools` out"
    StopReason.FILTERED -> "the provider's filter cut the answer off; ask otherwise, or another model"
    StopReason.CANCELLED, StopReason.END -> "the answer was cancelled"
}

/** A place that does not keep to the schema may add properties; that does no harm. */
private val json = Json { ignoreUnknownKeys = true }
