/*
 * Imports a model from a document of the system, which has an open descriptor or only a stream.
 *
 * The library reads files by their path. Linux has one for an open descriptor; so a file of gigabytes is copied once, by the
 * library. Where the system does not let the app open that path again (the shared storage of newer Android versions), or
 * the content has no file (a cloud), the content is streamed into a scratch folder, which is deleted in any case.
 */
package org.nearside.sample

import java.io.IOException
import java.io.InputStream
import java.nio.file.Files
import java.nio.file.Path
import kotlin.io.path.createDirectories
import kotlin.io.path.inputStream
import kotlin.io.path.isRegularFile
import kotlin.io.path.name
import kotlin.io.path.outputStream
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.withContext

/**
 * [name]: the document's name, which becomes the model's. [descriptor]: the path of its open descriptor, if it has one.
 * [open] opens its content. [scratch]: the folder for a copy.
 */
class ModelImport(
    private val name: String,
    private val descriptor: Path?,
    private val scratch: Path,
    private val open: () -> InputStream,
) : PickedModel {
    override suspend fun read(import: suspend (Path) -> ModelEntry): ModelEntry {
        val direct = withContext(Dispatchers.IO) { descriptor?.takeIf(::canBeReopened) }
        if (direct != null) return import(direct)
        try {
            return import(withContext(Dispatchers.IO) { copy() })
        } finally {
            withContext(NonCancellable + Dispatchers.IO) { clear(scratch) }
        }
    }

    /** Whether the path leads to a file with the document's name: the library names the model after it. */
    private fun canBeReopened(path: Path): Boolean = try {
        val real = path.toRealPath()
        real.name == fileName && real.isRegularFile() && path.inputStream().use { it.read() >= 0 }
    } catch (_: IOException) {
        false
    } catch (_: SecurityException) {
        false
    }

    private suspend fun copy(): Path {
        val file = scratch.createDirectories().resolve(fileName)
        open().use { input ->
            file.outputStream().use { output ->
                val buffer = ByteArray(BUFFER_BYTES)
                while (true) {
                    currentCoroutineContext().ensureActive()
                    val count = input.read(buffer)
                    if (count < 0) break
                    output.write(buffer, 0, count)
                }
            }
        }
        return file
    }

    private val fileName: String get() = name.substringAfterLast('/').ifEmpty { "model.gguf" }

    companion object {
        private const val BUFFER_BYTES = 1 shl 18

        /** Deletes what an import left, also one of a process that was killed. */
        fun clear(scratch: Path) {
            scratch.toFile().deleteRecursively()
        }
    }
}
