/*
 * Models from documents: by the path of their descriptor without a copy, or else by a copy that is removed again.
 */
package org.nearside.sample

import java.io.ByteArrayInputStream
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.nio.file.Path
import kotlin.io.path.Path
import kotlin.io.path.createDirectories
import kotlin.io.path.createTempDirectory
import kotlin.io.path.exists
import kotlin.io.path.name
import kotlin.io.path.readText
import kotlin.io.path.writeText
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

class ModelImportTest {
    private val folder = createTempDirectory("nearside-import-")
    private val scratch = folder.resolve("scratch")
    private val entry = ModelEntry("own", "own", "own", sizeBytes = 4)

    @AfterTest
    fun clean() {
        folder.toFile().deleteRecursively()
    }

    private fun stream(text: String): InputStream = ByteArrayInputStream(text.toByteArray())

    /** Returns the path of an open descriptor of the file. */
    private fun descriptor(file: Path, act: (Path) -> Unit) = RandomAccessFile(file.toFile(), "r").use {
        val open = Path("/proc/self/fd").toFile().listFiles().orEmpty()
            .first { link -> runCatching { link.canonicalFile == file.toFile().canonicalFile }.getOrDefault(false) }
        act(open.toPath())
    }

    @Test
    fun `an open descriptor is read without a copy`() {
        val file = folder.resolve("own.gguf").also { it.writeText("GGUF") }
        descriptor(file) { path ->
            var text = ""
            runBlocking {
                ModelImport("own.gguf", path, scratch) { error("not streamed") }.read {
                    text = it.readText()
                    assertFalse(scratch.exists())
                    entry
                }
            }
            assertEquals("GGUF", text)
        }
    }

    @Test
    fun `a descriptor of another name or of nothing is streamed under the document's name`() = runBlocking {
        val other = folder.resolve("a1b2.tmp").also { it.writeText("GGUF") }
        for (path in listOf(other, folder.resolve("missing"), null)) {
            var seen = ""
            ModelImport("docs/own.gguf", path, scratch) { stream("GGUF") }.read {
                seen = it.name + " " + it.readText()
                entry
            }
            assertEquals("own.gguf GGUF", seen)
            assertFalse(scratch.exists())
        }
    }

    @Test
    fun `nothing is left of an import that fails`() = runBlocking {
        val failing = ModelImport("own.gguf", null, scratch) { stream("GGUF") }
        assertFailsWith<BrainError> { failing.read { throw BrainError("it is no model", FailureReason.Damaged) } }
        assertFalse(scratch.exists())
        val broken = object : InputStream() {
            override fun read(): Int = throw IOException("write failed: ENOSPC (No space left on device)")
        }
        val model = ModelsModel(demo(), unconfined())
        model.importModel(ModelImport("own.gguf", null, scratch) { broken }).join()
        assertEquals(FailureReason.DiskFull, model.failure?.reason)
        assertFalse(scratch.exists())
        assertFalse(model.isImporting)
    }

    @Test
    fun `nothing is left of an import that is cancelled`() = runBlocking {
        val isRead = CompletableDeferred<Unit>()
        val import = launch {
            ModelImport("own.gguf", null, scratch) { stream("GGUF") }.read {
                assertTrue(it.exists())
                isRead.complete(Unit)
                CompletableDeferred<ModelEntry>().await()
            }
        }
        isRead.await()
        import.cancel()
        import.join()
        assertFalse(scratch.exists())
    }

    @Test
    fun `what a killed process left is removed`() {
        scratch.createDirectories().resolve("own.gguf").writeText("GGUF")
        ModelImport.clear(scratch)
        assertFalse(scratch.exists())
    }
}
