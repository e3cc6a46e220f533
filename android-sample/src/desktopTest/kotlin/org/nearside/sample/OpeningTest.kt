/*
 * How the app opens: the first frame before the library is open, a library that does not open, and results of pickers that
 * arrive before it is.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import java.io.IOException
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineExceptionHandler
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.runBlocking

class OpeningTest {
    private val platform = FakePlatform()

    private fun opening(real: suspend () -> Brain) = AppModel(unconfined(), real, { demo() }, frame = Duration.ZERO)

    @Test
    fun `the first frame does not wait for the library`() {
        val gate = CompletableDeferred<Brain>()
        val app = opening { gate.await() }
        app.start()
        play(app, platform) {
            sees("Opening…")
            gate.complete(demo())
            waitForIdle()
            doesNotSee("Opening…")
            sees("Tides, twice a day")
        }
    }

    @Test
    fun `a native library that is missing is told and opened again when asked`() {
        var attempts = 0
        val app = opening {
            attempts++
            if (attempts == 1) throw UnsatisfiedLinkError("dlopen failed: library not found")
            if (attempts == 2) throw NoClassDefFoundError("Could not initialize class")
            demo()
        }
        app.start()
        assertFalse(app.isDemo)
        play(app, platform) {
            sees("The app could not be opened")
            sees("Dlopen failed")
            touch("Try again")
            sees("Could not initialize class")
            touch("Try again")
            waitForIdle()
            sees("Tides, twice a day")
            assertNull(app.openingFailure)
        }
    }

    @Test
    fun `the demo is offered where the library does not open`() {
        val app = opening { throw BrainError("the data is from a newer version", FailureReason.NewerVersion) }
        app.start()
        play(app, platform) {
            sees("The data is from a newer version")
            touch("Try the demo")
            waitForIdle()
            assertTrue(app.isDemo)
            sees("Tides, twice a day")
        }
    }

    @Test
    fun `an error of the machine is no failure to open`() {
        var thrown: Throwable? = null
        val handler = CoroutineExceptionHandler { _, error -> thrown = error }
        val scope = CoroutineScope(Dispatchers.Unconfined + SupervisorJob() + handler)
        val app = AppModel(scope, { throw OutOfMemoryError("heap") }, { demo() })
        app.start().await()
        assertNull(app.openingFailure)
        assertFailsWith<OutOfMemoryError> { thrown?.let { throw it } }
    }

    @Test
    fun `two starts at once open the library once`() {
        val gate = CompletableDeferred<Brain>()
        var attempts = 0
        val app = opening {
            attempts++
            gate.await()
        }
        app.start()
        app.start()
        gate.complete(demo())
        assertEquals(1, attempts)
        assertTrue(app.isLoaded)
    }

    @Test
    fun `a model that was picked before a process ended is imported once the library is open`() {
        val gate = CompletableDeferred<Brain>()
        val app = opening { gate.await() }
        app.start()
        app.onModelPicked { import -> import(Path.of("/own-model.gguf")) }
        gate.complete(demo())
        assertTrue(app.models.installed.any { it.id == "own-model" })
        assertEquals(Tab.Models, app.tab)
    }

    @Test
    fun `a document is filled once the library is open`() {
        val gate = CompletableDeferred<Brain>()
        val app = opening { gate.await() }
        val document = FakeDocument()
        app.start()
        app.onDocument(ExportRequest(1, ExportKind.Markdown, "Tides.md"), document)
        assertNull(document.text)
        gate.complete(demo())
        assertTrue(document.text.orEmpty().startsWith("# Tides"))
        assertFalse(document.isRemoved)
    }

    @Test
    fun `a document that cannot be filled is removed and its failure is told`() {
        for (problem in listOf(IOException("write failed: ENOSPC"), SecurityException("permission denied"))) {
            val app = app()
            val document = FakeDocument(problem)
            app.onDocument(ExportRequest(1, ExportKind.Json, "Tides.json"), document)
            assertTrue(document.isRemoved)
            val reason = if (problem is IOException) FailureReason.DiskFull else FailureReason.AccessDenied
            assertEquals(reason, app.chats.failure?.reason)
        }
        val gone = FakeDocument()
        app().onDocument(ExportRequest(999, ExportKind.Json, "Tides.json"), gone)
        assertTrue(gone.isRemoved)
    }

    @Test
    fun `empty chats of a killed process are deleted at the start`() = runBlocking {
        val brain = demo()
        val count = brain.chats().size
        brain.newChat(ChatOptions())
        opening { brain }.start().join()
        assertEquals(count, brain.chats().size)
    }
}
