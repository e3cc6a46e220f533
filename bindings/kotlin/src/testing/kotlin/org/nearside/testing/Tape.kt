/*
 * Tapes: exchanges with a real provider, recorded by `nearside-provider record`, which omits keys and cookies. One
 * exchange per line, as JSON.
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

/** Reads a tape. Throws [IllegalArgumentException] for a line that is not an exchange. */
internal fun readTape(tape: Path): List<RecordedExchange> =
    tape.readLines().filter(String::isNotBlank).mapIndexed { index, line ->
        try {
            parseExchange(Json.parseToJsonElement(line).jsonObject)
        } catch (_: RuntimeException) {
            // The cause's message would quote the line.
            throw IllegalArgumentException("line ${index + 1} of the tape `$tape` is not an exchange; record it again")
        }
    }

private fun parseExchange(line: JsonObject): RecordedExchange {
    val request = line.getValue("request").jsonObject
    val response = line.getValue("response").jsonObject
    return RecordedExchange(
        RecordedRequest(
            method = request.text("method"),
            path = request.text("path"),
            body = request["body"].takeIf { it !is JsonNull }?.toString().orEmpty(),
        ),
        pieces = response.array("pieces").map { decodePiece(it.jsonObject) },
        status = response.getValue("status").jsonPrimitive.int,
        headers = response.array("headers").map { header ->
            header.jsonArray.let { (name, value) -> name.jsonPrimitive.content to value.jsonPrimitive.content }
        },
        isWhole = response.getValue("whole").jsonPrimitive.boolean,
    )
}

/** Decodes a piece: text, or base64 if it is not valid text on its own. */
private fun decodePiece(piece: JsonObject): ByteArray =
    piece["text"]?.jsonPrimitive?.content?.toByteArray() ?: Base64.getDecoder().decode(piece.text("base64"))

private fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

private fun JsonObject.array(name: String): JsonArray = getValue(name).jsonArray
