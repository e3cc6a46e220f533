/*
 * Measures the Kotlin library. Started by `scripts/measure.sh kotlin`; a measurement prints lines of JSON.
 *
 *   chunks [N]                a scripted answer of N words (20,000) at full speed through a Flow
 *   cancels [N]               N streams (1,000) cancelled at random times: threads, objects, memory before and after
 *   cancel-phases MODEL [N]   from a cancel to the end of the answer, N times (200) in each phase
 *   speed MODEL [N]           prefill and decoding of N answers (5, at most 24) of a real model, by Kotlin's clock
 */
package org.nearside.bench

import kotlin.io.path.createTempDirectory
import kotlin.system.exitProcess
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.JsonObjectBuilder
import kotlinx.serialization.json.buildJsonObject
import kotlinx.serialization.json.put
import org.nearside.Config
import org.nearside.Nearside

fun main(arguments: Array<String>) = runBlocking(Dispatchers.Default) {
    fun model() = arguments.getOrNull(1) ?: usage()
    fun count(at: Int, default: Int) = arguments.getOrNull(at)?.toInt() ?: default
    when (arguments.firstOrNull()) {
        "chunks" -> measureChunks(count(at = 1, default = 20_000))
        "cancels" -> measureCancels(count(at = 1, default = 1_000))
        "cancel-phases" -> measureCancelPhases(model(), count(at = 2, default = 200))
        "speed" -> measureSpeed(model(), count(at = 2, default = 5))
        else -> usage()
    }
}

private fun usage(): Nothing {
    System.err.println("error: no such measurement")
    System.err.println("help: use `chunks`, `cancels`, `cancel-phases MODEL` or `speed MODEL`")
    exitProcess(2)
}

/** Opens the library in a new directory, which it deletes afterwards. */
internal suspend fun withLibrary(context: UInt? = null, measure: suspend (Nearside) -> Unit) {
    val directory = createTempDirectory("nearside-bench-").toFile()
    Nearside(Config(directory.path, context = context)).use { measure(it) }
    directory.deleteRecursively()
}

internal fun report(name: String, values: JsonObjectBuilder.() -> Unit) = println(
    buildJsonObject {
        put("measured", "kotlin $name")
        values()
    },
)
