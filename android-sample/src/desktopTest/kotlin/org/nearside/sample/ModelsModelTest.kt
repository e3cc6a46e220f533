/*
 * Downloads and settings without a screen.
 */
package org.nearside.sample

import java.io.IOException
import java.nio.file.Path
import kotlin.io.path.createTempDirectory
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred

class ModelsModelTest {
    private fun models(pace: Pace? = null) = ModelsModel(demo(pace), unconfined()).also { it.checkAllFits().await() }

    @Test
    fun `the largest that fits is recommended`() {
        val model = models()
        assertEquals("qwen2.5-1.5b", model.recommended?.id)
        assertEquals(listOf("qwen2.5-3b", "deepseek-r1-7b"), model.catalogModels.takeLast(2).map { it.id })
        assertEquals(FitLevel.TooLarge, model.fits[model.catalogModels.last().reference]?.verdict)
    }

    @Test
    fun `a paused download keeps its partial file`() {
        val pace = Pace(words = 10)
        val model = models(pace)
        val entry = model.available.first()
        model.download(entry.reference, entry.name)
        model.pause(entry.reference)
        assertEquals(DownloadState.Phase.Paused, model.downloads[entry.reference]?.phase)
        val done = checkNotNull(model.downloads[entry.reference]).done
        assertTrue(done > 0)
        pace.allow(100)
        model.download(entry.reference, entry.name)
        model.work[entry.reference].await()
        assertNull(model.downloads[entry.reference])
        assertTrue(entry in model.installed)
        assertFalse(entry in model.available)
    }

    @Test
    fun `a wrong reference says what helps`() {
        val model = models()
        model.reference = "hf:missing/model"
        model.checkTypedFit().await()
        assertEquals("there is no model at this reference; check the spelling", model.failure?.text)
        assertNull(model.typed)
    }

    @Test
    fun `a verdict has its reason and its note`() {
        val model = models()
        model.importModel { import -> import(Path.of("/own-model.gguf")) }.await()
        model.reference = "own-model"
        model.checkTypedFit().await()
        assertEquals(
            listOf(
                "the whole model fits in memory",
                "it has no chat template, so it cannot hold a conversation",
            ),
            model.typed?.reasons,
        )
    }

    @Test
    fun `a file that cannot be read is a failure and no crash`() {
        val model = models()
        model.importModel { throw IOException("no space left on device") }.await()
        assertEquals("no space left on device", model.failure?.text)
        assertFalse(model.isImporting)
    }

    @Test
    fun `without a network the checks end at once and sizes are a guess until the user checks again`() {
        var checks = 0
        var isOffline = true
        val demo = demo(fresh = true)
        val brain = object : Brain by demo {
            override suspend fun checkFit(reference: String): Fit {
                checks++
                return if (isOffline) {
                    throw BrainError(
                        "no connection",
                        FailureReason.Offline,
                    )
                } else {
                    demo.checkFit(reference)
                }
            }
        }
        val model = ModelsModel(brain, unconfined()).also { it.checkAllFits().await() }
        assertEquals(1, checks)
        assertEquals("no connection", model.offline?.text)
        assertNull(model.failure)
        assertEquals(emptyMap(), model.unjudged)
        assertFalse(model.catalogModels.any(model::isChecking))
        assertEquals(model.catalogModels.map { it.reference }.toSet(), model.guesses.keys)
        assertEquals("qwen2.5-1.5b", model.recommended?.id)
        assertEquals(FitLevel.TooLarge, model.guesses[model.catalogModels.last().reference])
        isOffline = false
        model.checkAllFits().await()
        assertNull(model.offline)
        assertEquals(model.catalogModels.size, model.fits.size)
    }

    @Test
    fun `a damaged model is downloaded again or removed`() {
        val known = demoModel()
        val file = ModelEntry("own", "/own.gguf", "own", sizeBytes = 1, isImported = true)
        val model = ModelsModel(demo(damaged = listOf(known, file)), unconfined()).also { it.load().await() }
        assertEquals(listOf(known, file), model.damaged)
        assertFalse(known in model.available, "it is offered once")
        model.download(known.reference, known.name)
        model.work[known.reference].await()
        assertEquals(listOf(file), model.damaged)
        assertTrue(known in model.installed)
        model.remove(file.id).await()
        assertEquals(emptyList(), model.damaged)
    }

    @Test
    fun `preferences survive a restart and a file that makes no sense`() {
        val file = createTempDirectory().resolve("preferences.properties")
        val saved = Preferences(AnswerMode.OnlyInCloud, PrivacyLevel.Secret, finishedFirstRun = true)
        PreferencesFile(file).write(saved)
        assertEquals(saved, PreferencesFile(file).read())
        file.writeText("mode=Somewhere\nprivacy=Secret\n")
        assertEquals(Preferences(privacy = PrivacyLevel.Secret), PreferencesFile(file).read())
    }

    @Test
    fun `two changes at once are both kept`() {
        val gate = CompletableDeferred<Unit>()
        val demo = demo()
        val brain = object : Brain by demo {
            override suspend fun setPolicy(policy: PolicySettings) = demo.setPolicy(policy).also { gate.await() }

            override suspend fun setPreferences(preferences: Preferences) {
                gate.await()
                demo.setPreferences(preferences)
            }
        }
        val model = SettingsModel(brain, unconfined()).also { it.load().await() }
        val changes = listOf(
            model.setPolicy { copy(allowRetention = true) },
            model.setPolicy { copy(allowTraining = true) },
            model.setMode(AnswerMode.OnlyInCloud),
            model.setPrivacy(PrivacyLevel.Secret),
        )
        gate.complete(Unit)
        changes.forEach { it.await() }
        assertTrue(model.policy.allowRetention && model.policy.allowTraining)
        assertEquals(AnswerMode.OnlyInCloud to PrivacyLevel.Secret, model.preferences.run { mode to privacy })
    }
}
