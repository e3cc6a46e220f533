/*
 * What a user does and sees in a test of the screens.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.geometry.Size
import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SemanticsMatcher
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasContentDescription
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onAllNodesWithText
import androidx.compose.ui.test.onFirst
import androidx.compose.ui.test.onNodeWithTag
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performScrollToNode
import androidx.compose.ui.test.v2.runSkikoComposeUiTest
import kotlin.test.assertEquals
import kotlin.test.assertTrue

internal fun play(app: AppModel, platform: FakePlatform, act: SkikoComposeUiTest.() -> Unit) =
    runSkikoComposeUiTest(Size(411f, 891f)) {
        platform.results = app
        setContent { Sample(app, platform, english, dark = false, now = { NOW }) }
        act()
    }

internal fun SkikoComposeUiTest.touch(text: String) =
    onAllNodes(hasText(text, substring = true) and hasClickAction()).onFirst().performClick()

internal fun SkikoComposeUiTest.touchSymbol(name: String) =
    onAllNodes(hasContentDescription(name, substring = true) and hasClickAction()).onFirst().performClick()

internal fun SkikoComposeUiTest.sees(text: String) =
    assertTrue(onAllNodesWithText(text, substring = true).fetchSemanticsNodes().isNotEmpty(), "not shown: $text")

internal fun SkikoComposeUiTest.doesNotSee(text: String) =
    assertEquals(0, onAllNodesWithText(text, substring = true).fetchSemanticsNodes().size, "still shown: $text")

internal fun SkikoComposeUiTest.scrollTo(node: SemanticsMatcher) {
    onNodeWithTag("transcript").performScrollToNode(node)
}
