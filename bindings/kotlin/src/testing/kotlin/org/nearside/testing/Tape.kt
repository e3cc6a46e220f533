/*
 * Tapes: conversations with a real provider, recorded once by `nearside-provider record`, which leaves keys and cookies
 * out. One exchange a line, as JSON.
 */
package org.nearside.testing

import java.nio.file.Path
import java.util.Base64
import kotlin.io.path.readLines
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long

/** A question and its answer. */
internal class Exchange(line: JsonObject) {
    private val request = line.getValue("request").jsonObject
    private val response = line.getValue("response").jsonObject
    val method: String = request.text("method")
    val path: String = request.text("path")
    val body: JsonElement = request["body"] ?: JsonNull
    val status: Int = response.getValue("status").jsonPrimitive.int

    /** Names in lower case, without those of HTTP's framing. */
    val headers: List<Pair<String, String>> = response.array("headers").map { header ->
        header.jsonArray.let { (name, value) -> name.jsonPrimitive.content to value.jsonPrimitive.content }
    }

    /** The body as it came. */
    val pieces: List<Piece> = response.array("pieces").map { Piece(it.jsonObject) }

    /** Whether the body ended as HTTP wants it, and not in the middle. */
    val whole: Boolean = response.getValue("whole").jsonPrimitive.boolean
}

/** Bytes that came at once, so many milliseconds after those before. */
internal class Piece(line: JsonObject) {
    val milliseconds: Long = line.getValue("ms").jsonPrimitive.long
    val bytes: ByteArray =
        line["text"]?.jsonPrimitive?.content?.toByteArray() ?: Base64.getDecoder().decode(line.text("base64"))
}

/** Reads a tape. */
internal fun readTape(tape: Path): List<Exchange> =
    tape.readLines().filter(String::isNotBlank).mapIndexed { index, line ->
        try {
            Exchange(Json.parseToJsonElement(line).jsonObject)
        } catch (_: RuntimeException) {
            // Its message would quote the line.
            throw IllegalArgumentException("line ${index + 1} of the tape `$tape` is no exchange; record it anew")
        }
    }

private fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

private fun JsonObject.array(name: String): JsonArray = getValue(name).jsonArray
