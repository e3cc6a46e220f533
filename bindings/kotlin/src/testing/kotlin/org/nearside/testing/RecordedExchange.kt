/*
 * One request to a provider and its response: written by hand for a test, or read from a tape.
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.testing

import org.nearside.NearsideTestingApi
import org.nearside.TestExchange
import org.nearside.TestHeader
import org.nearside.testChat
import org.nearside.testModels
import org.nearside.testRefusal

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
    internal constructor(exchange: TestExchange) : this(
        RecordedRequest(exchange.method, exchange.path, exchange.body),
        exchange.pieces,
        exchange.status.toInt(),
        exchange.headers.map { it.name to it.value },
        exchange.isWhole,
    )

    internal fun toTestExchange(): TestExchange = TestExchange(
        request.method,
        request.path,
        request.body,
        status.coerceIn(100, 599).toUShort(),
        headers.map { (name, value) -> TestHeader(name, value) },
        pieces,
        isWhole,
    )

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
        ): RecordedExchange = RecordedExchange(testChat(text, model, path, isWhole))

        /** Returns a chat that the provider rejects with this HTTP status. */
        public fun refusal(
            status: Int,
            message: String = "recorded",
            path: String = "/v1/chat/completions",
        ): RecordedExchange = RecordedExchange(testRefusal(status.coerceIn(100, 599).toUShort(), message, path))

        /** Returns a request for the model list and its response. */
        public fun models(vararg ids: String, path: String = "/v1/models"): RecordedExchange =
            RecordedExchange(testModels(ids.toList(), path))
    }
}
