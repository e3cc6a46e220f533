/*
 * The whole app with the real library and a real model, SmolLM2-135M: first run, a streamed answer, a stop, a restart,
 * and the stored history.
 *
 * The model is the file that `make models` fetches. No mocks and no network.
 */
package org.nearside.sample

import androidx.compose.runtime.snapshotFlow
import androidx.compose.runtime.snapshots.Snapshot
import java.nio.file.Path
import java.util.concurrent.Executors
import kotlin.io.path.createTempDirectory
import kotlin.io.path.isReadable
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeout

class EndToEndTest {
    private val directory = createTempDirectory("nearside-sample-")

    /** Stands for the main thread: models run only on it. */
    private val thread = Executors.newSingleThreadExecutor().asCoroutineDispatcher()

    @AfterTest
    fun clean() {
        thread.close()
        directory.toFile().deleteRecursively()
    }

    @Test
    fun `from the first run to an answer that is still there after a restart`() = runBlocking {
        withTimeout(4.minutes) {
            withContext(thread) {
                val written = firstStart()
                secondStart(written)
            }
        }
    }

    /** Imports the model, asks a question, and stops the answer. Returns the text generated until then. */
    private suspend fun firstStart(): String = started { app ->
        val run = assertNotNull(app.firstRun, "nothing is installed, so there is a first run")
        run.importModel { import -> import(smollm2) }.join()
        assertEquals(null, run.failure ?: run.models.failure)
        assertEquals(FirstRunModel.Step.Chat, run.step)

        val chat = assertNotNull(run.chat)
        chat.choose(AnswerPreset.Precise).join()
        chat.draft = "Tell a long story about the sea."
        chat.send()
        until { chat.messages.lastOrNull()?.text.orEmpty().length > 20 }
        assertTrue(chat.isAnswering)
        chat.stop()
        chat.work?.join()

        val answer = chat.messages.last()
        assertNull(chat.failure)
        assertEquals(MessageStatus.Stopped, answer.status)
        val receipt = assertNotNull(answer.receipt, "a stopped answer has its receipt")
        assertTrue(receipt.target is AnswerTarget.Device)
        assertEquals(0.0, receipt.cost)
        run.finish().join()
        until { app.firstRun == null }
        assertTrue(answer.text.isNotBlank())
        answer.text
    }

    private suspend fun secondStart(written: String) = started { app ->
        assertNull(app.firstRun)
        val summary = app.chats.chats.single()
        app.open(summary.id)
        val chat = assertNotNull(app.chat)
        until { chat.messages.size == 2 && chat.choices.isNotEmpty() }
        assertEquals("Tell a long story about the sea.", chat.messages.first().text)
        assertEquals(written, chat.messages.last().text)
        assertTrue(chat.canContinue)

        app.chats.search("sea").join()
        assertEquals(summary.id, app.chats.hits.first().chat.id)

        // Continue the answer.
        chat.resume()
        until { chat.messages.last().text.length > written.length }
        chat.stop()
        chat.work?.join()
        assertTrue(chat.messages.last().text.startsWith(written))
    }

    /** Starts an app, runs [act], and closes the app. */
    private suspend fun <T> started(act: suspend (AppModel) -> T): T {
        val scope = CoroutineScope(thread + SupervisorJob())
        val app = AppModel(scope, real = { NearsideBrain.onDesktop(directory) }, demo = { demo() })
        try {
            assertNull(app.failure)
            app.start().join()
            return act(app)
        } finally {
            withContext(NonCancellable) { app.shutDown() }
            scope.cancel()
        }
    }

    /** Waits until the condition holds. Nothing is drawn that would publish changes, so each write does. */
    private suspend fun until(condition: () -> Boolean) {
        val changes = Snapshot.registerGlobalWriteObserver { thread.executor.execute(Snapshot::sendApplyNotifications) }
        try {
            snapshotFlow(condition).first { it }
        } finally {
            changes.dispose()
        }
    }

    private companion object {
        val smollm2: Path by lazy {
            val models =
                System.getenv("NEARSIDE_MODELS") ?: (System.getProperty("user.home") + "/.cache/nearside/models")
            Path.of(models, "smollm2.gguf").also {
                check(it.isReadable()) { "no model at $it; `make models` fetches it" }
            }
        }
    }
}
