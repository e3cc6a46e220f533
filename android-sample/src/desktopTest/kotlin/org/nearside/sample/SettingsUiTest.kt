/*
 * A user's way through the settings, in demo mode.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onLast
import androidx.compose.ui.test.onNodeWithTag
import androidx.compose.ui.test.onNodeWithText
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performImeAction
import androidx.compose.ui.test.performScrollTo
import androidx.compose.ui.test.performTextInput
import androidx.compose.ui.test.performTextReplacement
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

class SettingsUiTest {
    private val platform = FakePlatform()

    private fun play(app: AppModel = app(), act: SkikoComposeUiTest.() -> Unit) = play(app, platform, act)

    @Test
    fun `mode sensitivity and policy are changed in the settings`() {
        val app = app()
        play(app) {
            touch("Settings")
            touch("Where answers come from")
            touch("Device only")
            touch("Never send")
            onNodeWithText("Providers that keep messages").performScrollTo()
            touch("Providers that keep messages")
            onNodeWithTag("regions").performScrollTo().performTextInput("eu, us")
            waitForIdle()
            assertEquals(AnswerMode.OnlyOnDevice, app.settings.preferences.mode)
            assertEquals(PrivacyLevel.Secret, app.settings.preferences.privacy)
            assertTrue(app.settings.policy.allowRetention)
            assertEquals(listOf("EU", "US"), app.settings.policy.regions)
            touchSymbol("Back")
            touch("Privacy")
            sees("Your messages stay on this device")
        }
    }

    @Test
    fun `a typed cap applies and invalid text changes nothing`() {
        val app = app()
        play(app) {
            touch("Settings")
            touch("Limits and spending")
            sees("$0.31")
            onNodeWithTag("cap day").performScrollTo().performTextReplacement("1,25")
            onNodeWithTag("cap month").performScrollTo().performTextReplacement("much")
            sees("Not an amount")
            waitForIdle()
            assertEquals(1.25, app.settings.policy.dollarsPerDay)
            assertEquals(5.0, app.settings.policy.dollarsPerMonth)
        }
    }

    @Test
    fun `a cap of a thousand survives a visit and applies when the field is left`() {
        val app = app()
        app.settings.setPolicy { copy(dollarsPerDay = 1_000.0, dollarsPerMonth = 0.00005) }.await()
        play(app) {
            touch("Settings")
            touch("Limits and spending")
            sees("1,000.00")
            val day = onNodeWithTag("cap day").performScrollTo()
            day.performClick()
            onNodeWithTag("cap month").performScrollTo().performClick()
            day.performClick()
            waitForIdle()
            assertEquals(1_000.0 to 0.00005, app.settings.policy.run { dollarsPerDay to dollarsPerMonth })
            // Typed again as it is shown, which is rounded.
            onNodeWithTag("cap month").performScrollTo().performTextReplacement("0.00")
            day.performClick()
            waitForIdle()
            assertEquals(0.00005, app.settings.policy.dollarsPerMonth)
            day.performTextReplacement("2,000.5")
            waitForIdle()
            assertEquals(1_000.0, app.settings.policy.dollarsPerDay)
            touchSymbol("Back")
            waitForIdle()
            assertEquals(2_000.5, app.settings.policy.dollarsPerDay)
        }
    }

    @Test
    fun `an emptied cap is removed when the user confirms`() {
        val app = app()
        play(app) {
            touch("Settings")
            touch("Limits and spending")
            onNodeWithTag("cap day").performScrollTo().performTextReplacement("")
            assertEquals(0.5, app.settings.policy.dollarsPerDay)
            onNodeWithTag("cap day").performImeAction()
            waitForIdle()
            assertNull(app.settings.policy.dollarsPerDay)
        }
    }

    @Test
    fun `costs are compared without an open chat`() {
        val app = app()
        play(app) {
            touch("Settings")
            touch("Compare costs")
            waitForIdle()
            sees("llama-3.3-70b-versatile")
            sees("For the first message of a new chat")
        }
        assertEquals(runBlocking { demo().chats().size }, app.chats.chats.size)
    }

    @Test
    fun `a provider is added and removed and a sign-in opens its page`() {
        val app = app()
        play(app) {
            touch("Settings")
            touch("Providers")
            touch("Add a provider")
            touch("Groq")
            onNodeWithTag("key").performScrollTo().performTextInput("gsk-secret")
            onAllNodes(hasText("Add") and hasClickAction()).onLast().performScrollTo().performClick()
            waitForIdle()
            assertEquals(listOf("openrouter", "groq"), app.settings.providers.map { it.name })
            touchSymbol("Remove Groq")
            waitForIdle()
            assertEquals(listOf("openrouter"), app.settings.providers.map { it.name })
            touch("Sign in at OpenRouter")
            waitForIdle()
            assertEquals("https://openrouter.ai/auth", platform.opened)
            onNodeWithTag("code").performScrollTo().performTextInput("abc")
            touch("Finish signing in")
            waitForIdle()
            assertNull(app.settings.signIn)
        }
    }
}
