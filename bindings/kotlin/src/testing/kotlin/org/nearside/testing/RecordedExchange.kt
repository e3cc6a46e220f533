/*
 * One request to a provider and its response: written by hand for a test, or read from a tape.
 */
package org.nearside.testing

import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.addJsonObject
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonArray
import kotlinx.serialization.json.putJsonObject

/** A request that a provider received. Headers are not recorded, and so no key. */
public data class RecordedRequest(
    val method: String,
    /** Includes the query. */
    val path: String,
    /** As received; empty if there was none. */
    val body: String = "",
)

/** A request and its response. */
public class RecordedExchange(
    public val request: RecordedRequest,
    /** The response body, split as it was received. */
    public val pieces: List<ByteArray>,
    public val status: Int = 200,
    public val headers: List<Pair<String, String>> = emptyList(),
    /** Whether the body is complete; false if the connection broke. */
    public val isWhole: Boolean = true,
) {
    public companion object {
        /**
         * Returns a chat whose response streams [text] word by word, in the shape of OpenAI's API. The connection
         * breaks after it unless [isWhole].
         */
        public fun chat(
            text: String,
            model: String = "recorded",
            path: String = "/v1/chat/completions",
            isWhole: Boolean = true,
        ): RecordedExchange {
            val words = text.split(' ').mapIndexed { index, word -> if (index == 0) word else " $word" }
            val pieces = words.map { event(model, content = it) }
            val end = listOf(event(model, tokens = words.size), "data: [DONE]\n\n".toByteArray())
            return RecordedExchange(
                RecordedRequest("POST", path),
                if (isWhole) pieces + end else pieces,
                headers = listOf("content-type" to "text/event-stream"),
                isWhole = isWhole,
            )
        }

        /** Returns a chat that the provider rejects with this HTTP status. */
        public fun refusal(
            status: Int,
            message: String = "recorded",
            path: String = "/v1/chat/completions",
        ): RecordedExchange = json(RecordedRequest("POST", path), status) {
            putJsonObject("error") { put("message", message) }
        }

        /** Returns a request for the model list and its response. */
        public fun models(vararg ids: String, path: String = "/v1/models"): RecordedExchange =
            json(RecordedRequest("GET", path)) {
                put("object", "list")
                putJsonArray("data") {
                    for (id in ids) {
                        addJsonObject {
                            put("id", id)
                            put("object", "model")
                        }
                    }
                }
            }

        internal fun json(
            request: RecordedRequest,
            status: Int = 200,
            body: JsonObjectBuilder.() -> Unit,
        ): RecordedExchange {
            val bytes = buildJsonObject(body).toString().toByteArray()
            return RecordedExchange(request, listOf(bytes), status, listOf("content-type" to "application/json"))
        }

        /** Encodes one event of the stream: a word, or the end with its usage. */
        private fun event(model: String, content: String? = null, tokens: Int = 0): ByteArray {
            val event = buildJsonObject {
                put("id", "recorded")
                put("object", "chat.completion.chunk")
                put("created", 0)
                put("model", model)
                putJsonArray("choices") {
                    addJsonObject {
                        put("index", 0)
                        putJsonObject("delta") { content?.let { put("content", it) } }
                        put("finish_reason", if (content == null) "stop" else null)
                    }
                }
                if (content == null) {
                    putJsonObject("usage") {
                        put("prompt_tokens", tokens)
                        put("completion_tokens", tokens)
                        put("total_tokens", 2 * tokens)
                    }
                }
            }
            return "data: $event\n\n".toByteArray()
        }
    }
}
