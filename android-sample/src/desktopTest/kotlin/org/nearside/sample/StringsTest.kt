/*
 * Each language has all texts with the same placeholders; colours have enough contrast.
 */
package org.nearside.sample

import androidx.compose.material3.ColorScheme
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.luminance
import java.time.ZoneOffset
import java.util.Locale
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

class StringsTest {
    @Test
    fun `every language has every text and no other`() {
        for (language in Translation.languages) {
            assertEquals(
                Strings.entries.map {
                    it.key
                }.toSet(),
                Translation.of(Locale.forLanguageTag(language)).keys,
                language,
            )
        }
    }

    @Test
    fun `a text takes the same values in every language`() {
        val values = { text: String -> Regex("%\\d").findAll(text).map { it.value }.toSet() }
        for (name in Strings.entries) assertEquals(values(english.text(name)), values(russian.text(name)), name.key)
    }

    @Test
    fun `numbers follow the locale`() {
        assertEquals("$0", english.dollars(0.0))
        assertEquals("$0.0004", english.dollars(0.0004))
        assertEquals("$0,31", russian.dollars(0.3104))
        assertEquals("1.12\u00A0GB", english.bytes(1_117_320_736))
        assertEquals("386\u00A0МБ", russian.bytes(386_404_992))
        assertEquals("4.2\u00A0s", english.seconds(4.2))
    }

    @Test
    fun `a chat is dated by its distance from today`() {
        val day = 86_400_000L
        assertEquals("Yesterday", english.day(NOW - day, NOW, ZoneOffset.UTC))
        assertEquals("12 Nov", english.day(NOW - 10 * day, NOW, ZoneOffset.UTC))
    }

    @Test
    fun `text can be read on each of its surfaces in both schemes`() {
        for (colors in listOf(dayColors, nightColors)) {
            for ((content, container) in pairs(colors)) {
                assertTrue(
                    contrast(content, container) >= 4.5,
                    "$content on $container: ${contrast(content, container)}",
                )
            }
        }
    }

    private fun pairs(colors: ColorScheme): List<Pair<Color, Color>> = with(colors) {
        val surfaces = listOf(background, surfaceContainerLow, surfaceContainer, surfaceContainerHigh)
        surfaces.flatMap { listOf(onSurface to it, onSurfaceVariant to it) } +
            listOf(background, surfaceContainerLow).flatMap { listOf(primary to it, error to it) } +
            listOf(caution, onDevice, remote, failed, plain).map { it.content to it.container } +
            listOf(
                onPrimary to primary,
                onSecondaryContainer to secondaryContainer,
                inverseOnSurface to inverseSurface,
            ) +
            listOf(onSurfaceVariant to secondaryContainer, inversePrimary to inverseSurface)
    }

    private fun contrast(one: Color, other: Color): Float {
        val (dark, light) = listOf(one.luminance(), other.luminance()).sorted()
        return (light + 0.05f) / (dark + 0.05f)
    }
}
