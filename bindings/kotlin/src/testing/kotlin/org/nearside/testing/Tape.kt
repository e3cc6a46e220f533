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
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** Reads a tape. */
internal fun readTape(tape: Path): List<RecordedExchange> =
    tape.readLines().filter(String::isNotBlank).mapIndexed { index, line ->
        try {
            exchange(Json.parseToJsonElement(line).jsonObject)
        } catch (_: RuntimeException) {
            // Its message would quote the line.
            throw IllegalArgumentException("line ${index + 1} of the tape `$tape` is no exchange; record it anew")
        }
    }

private fun exchange(line: JsonObject): RecordedExchange {
    val request = line.getValue("request").jsonObject
    val response = line.getValue("response").jsonObject
    return RecordedExchange(
        RecordedRequest(
            method = request.text("method"),
            path = request.text("path"),
            body = request["body"].takeIf { it !is JsonNull }?.toString().orEmpty(),
        ),
        pieces = response.array("pieces").map { bytes(it.jsonObject) },
        status = response.getValue("status").jsonPrimitive.int,
        headers = response.array("headers").map { header ->
            header.jsonArray.let { (name, value) -> name.jsonPrimitive.content to value.jsonPrimitive.content }
        },
        isWhole = response.getValue("whole").jsonPrimitive.boolean,
    )
}

/** A piece is text, or base64 where it is none by itself. */
private fun bytes(piece: JsonObject): ByteArray =
    piece["text"]?.jsonPrimitive?.content?.toByteArray() ?: Base64.getDecoder().decode(piece.text("base64"))

private fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

private fun JsonObject.array(name: String): JsonArray = getValue(name).jsonArray
