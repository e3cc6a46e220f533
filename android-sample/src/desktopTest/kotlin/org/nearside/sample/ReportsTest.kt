/*
 * What the library reports beside an answer, on its screens in demo mode: what was not sent, what was not used, what is
 * damaged, and where the cause of a failure is removed.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.assertIsDisplayed
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasContentDescription
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onLast
import androidx.compose.ui.test.onNodeWithTag
import androidx.compose.ui.test.onNodeWithText
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performScrollToNode
import androidx.compose.ui.test.performTextInput
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

class ReportsTest {
    private val platform = FakePlatform(picks = Path.of("/models/own-model.gguf"))

    private fun play(app: AppModel = app(), act: SkikoComposeUiTest.() -> Unit) = play(app, platform, act)

    @Test
    fun `messages that were not sent are told under the answer and in its receipt`() {
        val app = app()
        app.newChat()
        repeat(5) { app.ask("Why do the tides come twice a day?") }
        play(app) {
            scrollTo(hasText("Earlier messages not sent: 2. The model’s context cannot hold them."))
            scrollTo(hasContentDescription("Regenerate"))
            onAllNodes(hasContentDescription("Receipt", substring = true) and hasClickAction()).onLast().performClick()
            scrollTo(hasContentDescription("Earlier messages not sent: 2"))
        }
    }

    @Test
    fun `targets that are only counted are in the receipt with their rule`() {
        val app = app()
        app.newChat()
        app.settings.setPrivacy(PrivacyLevel.Open).await()
        app.settings.setMode(AnswerMode.OnlyInCloud).await()
        app.ask("Hello")
        play(app) {
            scrollTo(hasContentDescription("Receipt", substring = true))
            touchSymbol("Receipt")
            scrollTo(hasContentDescription("Not used: 3 more: your settings do not allow them"))
            scrollTo(hasContentDescription("Not used: 12 more: over your limits"))
        }
    }

    @Test
    fun `a note is shown with the reason of the verdict`() = play {
        touch("Models")
        touchSymbol("Import a file")
        onNodeWithTag("models").performScrollToNode(hasText("Does it fit?"))
        onNodeWithTag("reference").performTextInput("own-model")
        touch("Does it fit?")
        waitForIdle()
        onNodeWithTag("models").performScrollToNode(hasText("It has no chat template", substring = true))
        sees("The whole model fits in memory. It has no chat template")
    }

    @Test
    fun `a damaged model is shown with what helps`() {
        val entry = demoModel()
        val app = app(demo(damaged = listOf(entry)))
        play(app) {
            touch("Models")
            onNodeWithTag("models").performScrollToNode(hasText("A file is missing or incomplete", substring = true))
            onNodeWithTag("models").performScrollToNode(hasText("Download again"))
            touch("Download again")
            waitForIdle()
            doesNotSee("Download again")
            assertTrue(entry in app.models.installed)
        }
    }

    @Test
    fun `data that cannot be written is told`() = play(app(demo(condition = DeviceCondition(isReadOnly = true)))) {
        onNodeWithText("nothing is saved", substring = true).assertIsDisplayed()
    }

    @Test
    fun `a failure has a button to the screen where its cause is removed`() {
        val app = app()
        play(app) {
            for ((reason, button, shown) in listOf(
                Triple(FailureReason.KeyRejected, "Show providers", "Add a provider"),
                Triple(FailureReason.PolicyForbids, "Show what is allowed", "What is allowed"),
                Triple(FailureReason.CostCap, "Show limits", "Spent so far"),
                Triple(FailureReason.DiskFull, "Show models", "On this device"),
            )) {
                app.newChat()
                app.chat?.failure = Failure("a failure", reason)
                waitForIdle()
                touch(button)
                waitForIdle()
                sees(shown)
                doesNotSee(button)
            }
            app.settings.failure = Failure("a failure", FailureReason.NoCredit, page = "https://example.org")
            app.tab = Tab.Settings
            waitForIdle()
            touch("Open the page")
            assertEquals("https://example.org", platform.opened)
        }
    }

    @Test
    fun `the first run offers no other screen`() {
        val app = app(demo(fresh = true))
        app.models.failure = Failure("a failure", FailureReason.CostCap)
        play(app) {
            sees("A failure")
            doesNotSee("Show limits")
        }
    }

    private fun AppModel.ask(question: String) {
        checkNotNull(chat).draft = question
        checkNotNull(chat).send()
    }
}
