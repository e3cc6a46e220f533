/*
 * A user's way through every screen, in demo mode.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.material3.Icon
import androidx.compose.runtime.CompositionLocalProvider
import androidx.compose.ui.geometry.Size
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.toPixelMap
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.platform.LocalLayoutDirection
import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.assertIsDisplayed
import androidx.compose.ui.test.hasAnyDescendant
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasContentDescription
import androidx.compose.ui.test.hasScrollToNodeAction
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onAllNodesWithText
import androidx.compose.ui.test.onFirst
import androidx.compose.ui.test.onLast
import androidx.compose.ui.test.onNodeWithTag
import androidx.compose.ui.test.onNodeWithText
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performScrollTo
import androidx.compose.ui.test.performScrollToNode
import androidx.compose.ui.test.performTextInput
import androidx.compose.ui.test.performTextReplacement
import androidx.compose.ui.test.v2.runSkikoComposeUiTest
import androidx.compose.ui.unit.LayoutDirection
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

class UiTest {
    private val platform = FakePlatform(picks = Path.of("/models/own-model.gguf"))

    private fun play(app: AppModel = app(), act: SkikoComposeUiTest.() -> Unit) = play(app, platform, act)

    private fun SkikoComposeUiTest.say(text: String) {
        onNodeWithTag("draft").performTextReplacement(text)
        touchSymbol("Send")
    }

    @Test
    fun `search finds words in messages and opens their chat`() {
        val app = app()
        play(app) {
            onNodeWithTag("search").performTextInput("chickpeas")
            touch("Dinner from what is left")
            sees("Lemon chickpeas on rice")
            assertEquals("Dinner from what is left", app.chat?.title)
        }
    }

    @Test
    fun `a chat is renamed and pinned`() {
        val app = app()
        play(app) {
            touchSymbol("More actions for “Dinner")
            touch("Rename")
            onNodeWithTag("title").performTextReplacement("Chickpeas")
            touch("Save")
            sees("Chickpeas")
            touchSymbol("More actions for “Chickpeas”")
            touch("Pin")
            assertEquals(listOf("Chickpeas", "Tides, twice a day"), app.chats.pinned.map { it.title }.sorted())
        }
    }

    @Test
    fun `a deleted chat comes back by undo`() = play {
        touchSymbol("More actions for “A kind way")
        touch("Delete")
        sees("Deleted “A kind way to say no”")
        touch("Undo")
        doesNotSee("Deleted “")
        sees("A kind way to say no")
    }

    @Test
    fun `a chat is exported as Markdown and as JSON`() = play {
        touchSymbol("More actions for “A kind way")
        touch("Export as Markdown")
        waitForIdle()
        assertEquals("A-kind-way-to-say-no.md", platform.requested?.fileName)
        assertContains(platform.saved.orEmpty(), "# A kind way to say no")
        touchSymbol("More actions for “A kind way")
        touch("Export as JSON")
        waitForIdle()
        assertContains(platform.saved.orEmpty(), "\"role\": \"assistant\"")
    }

    @Test
    fun `an answer has its reasoning folded and its receipt below`() = play {
        touchSymbol("New chat")
        say("Why do the tides come twice a day?")
        sees("two")
        doesNotSee("The pull falls with distance")
        touch("Thought for")
        sees("The pull falls with distance")
        onNode(hasScrollToNodeAction() and hasAnyDescendant(hasText("Because the moon's", substring = true)))
            .performScrollToNode(hasContentDescription("Receipt", substring = true))
        touchSymbol("Receipt: Demo · 27\u00A0tok/s · $0")
        assertTrue(
            onAllNodes(
                hasContentDescription("Why: the demo answers, on this device"),
            ).fetchSemanticsNodes().isNotEmpty(),
        )
    }

    @Test
    fun `a code block is copied`() = play {
        touch("Deduplicate a list")
        touchSymbol("Copy code")
        assertEquals("def unique(items):\n    return list(dict.fromkeys(items))", platform.copied)
    }

    @Test
    fun `a stopped answer keeps its text and continues`() {
        val pace = Pace(words = 20)
        val app = app(demo(pace))
        play(app) {
            touchSymbol("New chat")
            say("Why do the tides come twice a day?")
            touchSymbol("Stop")
            pace.allow(1)
            waitForIdle()
            sees("Stopped")
            val written = checkNotNull(app.chat).messages.last().text
            pace.allow(200)
            touch("Continue")
            waitForIdle()
            assertTrue(checkNotNull(app.chat).messages.last().text.length > written.length)
            doesNotSee("Stopped")
        }
    }

    @Test
    fun `a stopped answer is continued in the cloud once the user consented`() {
        val pace = Pace(words = 20)
        val app = app(demo(pace))
        play(app) {
            touchSymbol("New chat")
            say("Why do the tides come twice a day?")
            touchSymbol("Stop")
            pace.allow(200)
            touch("Continue in the cloud")
            sees("Send this to openrouter?")
            touch("Send to openrouter")
            waitForIdle()
            val target = checkNotNull(app.chat).messages.last().receipt?.target
            assertEquals("openrouter", (target as AnswerTarget.Provider).name)
        }
    }

    @Test
    fun `a regenerated answer keeps both versions`() {
        val app = app()
        play(app) {
            touch("Tides, twice a day")
            checkNotNull(app.chat).let { it.regenerate(it.messages.last().id) }
            waitForIdle()
            scrollToEnd()
            sees("2 of 2")
            touchSymbol("Earlier version")
            waitForIdle()
            assertEquals(1, checkNotNull(app.chat).messages.last().run { versions.indexOf(id) } + 1)
        }
    }

    @Test
    fun `a question is edited and sent again`() {
        val app = app()
        play(app) {
            touch("A kind way")
            touchSymbol("Edit")
            sees("Editing")
            say("How do I write a function?")
            waitForIdle()
            val chat = checkNotNull(app.chat)
            assertEquals(2, chat.messages.first().versions.size)
            assertContains(chat.messages.last().text, "HashSet")
        }
    }

    @Test
    fun `the sheet asks before content leaves and a refusal keeps it`() {
        val app = app()
        play(app) {
            touchSymbol("New chat")
            val long = "Why do the tides come twice a day? ".repeat(60)
            say(long)
            sees("Send this to openrouter?")
            assertTrue(onAllNodes(hasContentDescription("Cost: $0.0004 at most")).fetchSemanticsNodes().isNotEmpty())
            touch("Keep on this device")
            waitForIdle()
            assertEquals(long.trim(), app.chat?.draft)
            assertEquals(emptyList(), app.chat?.messages)
            sees("Your consent is needed")
            touch("Ask me again")
            sees("Send this to openrouter?")
            touch("Send to openrouter")
            waitForIdle()
            assertEquals("US", app.chat?.messages?.last()?.receipt?.dataPolicy?.region)
        }
    }

    @Test
    fun `the picker shows verdict target and price and stores the choice`() {
        val app = app()
        play(app) {
            touch("Tides, twice a day")
            touchSymbol("Choose a model")
            sees("Fits")
            sees("$0.27 in, $0.40 out per million tokens")
            touch("More from openrouter")
            onNodeWithText("Qwen3 32B").performScrollTo()
            touch("Qwen3 32B")
            waitForIdle()
            assertEquals(ChatOptions(model = "qwen/qwen3-32b", provider = "openrouter"), app.chat?.options)
        }
    }

    @Test
    fun `a provider with hundreds of models shows a few and finds the others`() {
        val demo = demo()
        val app = app(
            object : Brain by demo {
                override suspend fun offers(provider: String) = List(400) {
                    ModelChoice(AnswerTarget.Provider(provider, "maker/model-$it"), "Model number $it")
                }
            },
        )
        play(app) {
            touch("Tides, twice a day")
            touchSymbol("Choose a model")
            touch("More from openrouter")
            waitForIdle()
            val shown = onAllNodesWithText("Model number", substring = true).fetchSemanticsNodes().size
            assertTrue(shown in 1..20, "$shown are shown")
            onNodeWithTag("search").performScrollTo().performTextInput("model-399")
            waitForIdle()
            touch("Model number 399")
            waitForIdle()
            assertEquals("maker/model-399", app.chat?.options?.model)
        }
    }

    @Test
    fun `a preset shows its temperature and web search is switched on`() {
        val app = app()
        play(app) {
            touch("Tides, twice a day")
            touchSymbol("Options")
            sees("Temperature 1.0")
            touch("Creative")
            touch("Web search")
            waitForIdle()
            assertEquals(AnswerPreset.Creative, app.chat?.options?.preset)
            assertTrue(app.chat?.webSearch == true)
            touch("Compare costs")
            sees("llama-3.3-70b-versatile")
        }
    }

    @Test
    fun `a download is paused resumed and installed`() {
        val pace = Pace(words = 8)
        val app = app(demo(pace))
        play(app) {
            touch("Models")
            waitForIdle()
            val entry = app.models.available.first()
            onNodeWithTag("models").performScrollToNode(hasText("Download, ", substring = true))
            touch("Download, ")
            waitForIdle()
            onNodeWithTag("models").performScrollToNode(hasContentDescription("Pause"))
            touchSymbol("Pause")
            sees("Paused at")
            pace.allow(100)
            touchSymbol("Continue")
            waitForIdle()
            assertTrue(app.models.installed.any { it.id == entry.id })
        }
    }

    @Test
    fun `a model is imported and removed`() {
        val app = app()
        play(app) {
            touch("Models")
            touchSymbol("Import a file")
            sees("own-model")
            onAllNodes(hasText("Remove") and hasClickAction()).onFirst().performClick()
            sees("Remove SmolLM2 360M from this device?")
            onAllNodes(hasText("Remove") and hasClickAction()).onLast().performClick()
            waitForIdle()
            assertEquals(listOf("own-model"), app.models.installed.map { it.id })
        }
    }

    @Test
    fun `a typed reference is checked before any download`() {
        val app = app()
        play(app) {
            touch("Models")
            onNodeWithTag("models").performScrollToNode(hasText("Does it fit?"))
            onNodeWithTag("reference").performTextInput("hf:unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:Q4_K_M")
            touch("Does it fit?")
            waitForIdle()
            assertEquals(FitLevel.TooLarge, app.models.typed?.verdict)
        }
    }

    @Test
    fun `the first run says once that there is no network`() {
        val demo = demo(fresh = true)
        var isOffline = true
        val app = app(
            object : Brain by demo {
                override suspend fun checkFit(reference: String): Fit = if (isOffline) {
                    throw BrainError(
                        "no connection",
                        FailureReason.Offline,
                    )
                } else {
                    demo.checkFit(reference)
                }
            },
        )
        play(app) {
            assertEquals(1, onAllNodesWithText("No connection", substring = true).fetchSemanticsNodes().size)
            doesNotSee("Checking whether it fits")
            sees("By its size: Fits")
            isOffline = false
            touch("Check again")
            waitForIdle()
            doesNotSee("By its size")
            doesNotSee("No connection")
        }
    }

    @Test
    fun `an answer that calls a tool shows the call`() {
        val demo = demo()
        val app = app(
            object : Brain by demo {
                override suspend fun open(chat: ChatId): Chat = demo.open(chat).run {
                    val call =
                        MessageEntry(99, Author.Model, toolCalls = listOf(ToolCall("weather", "{\"city\":\"Oslo\"}")))
                    copy(messages = messages.dropLast(1) + call)
                }
            },
        )
        play(app) {
            touch("Tides, twice a day")
            waitForIdle()
            sees("The model asks for the tool “weather”")
            sees("{\"city\":\"Oslo\"}")
        }
    }

    @Test
    fun `signs of direction are mirrored from right to left`() {
        fun pixels(symbol: ImageVector, direction: LayoutDirection): List<Color> {
            lateinit var pixels: List<Color>
            runSkikoComposeUiTest(Size(24f, 24f)) {
                setContent {
                    CompositionLocalProvider(LocalLayoutDirection provides direction) {
                        Icon(symbol, contentDescription = null, tint = Color.Black)
                    }
                }
                val image = captureToImage().toPixelMap()
                val isMirrored = direction == LayoutDirection.Rtl
                pixels = (0 until 24).flatMap { y -> (0 until 24).map { x -> image[if (isMirrored) 23 - x else x, y] } }
            }
            return pixels
        }
        for (symbol in listOf(Symbols.Back, Symbols.Next)) {
            assertEquals(pixels(symbol, LayoutDirection.Ltr), pixels(symbol, LayoutDirection.Rtl))
        }
    }

    @Test
    fun `the first run goes from a pick to a first answer`() {
        val app = app(demo(fresh = true))
        play(app) {
            sees("Choose a model")
            sees("Best for this device")
            touch("Download ")
            waitForIdle()
            say("Why do the tides come twice a day?")
            waitForIdle()
            sees("Spring tides come")
            touch("Done")
            waitForIdle()
            assertNull(app.firstRun)
            assertEquals(2, assertNotNull(app.chat).messages.size)
        }
    }

    @Test
    fun `the demo is entered from the first run and left from the settings`() {
        val app = app(demo(fresh = true))
        play(app) {
            touch("Try the demo")
            waitForIdle()
            assertTrue(app.isDemo)
            sees("Demo: no model is running")
            touch("Settings")
            onNodeWithText("Leave the demo").performScrollTo()
            touch("Leave the demo")
            waitForIdle()
            assertFalse(app.isDemo)
            sees("Choose a model")
        }
    }

    @Test
    fun `a hot device that is short of memory says so`() = play(app(demo(condition = DeviceCondition(true, true)))) {
        onNodeWithText("The device is hot", substring = true).assertIsDisplayed()
        onNodeWithText("Memory is low", substring = true).assertIsDisplayed()
    }

    private fun SkikoComposeUiTest.scrollToEnd() = scrollTo(hasContentDescription("Later version"))
}
