/*
 * Renders every screen in its states: on a phone and a tablet, light and dark, in English and Russian, and with text
 * twice as large. `scripts/app.sh screenshots` writes them to target/screenshots for review; the test only checks that
 * each picture is not empty.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.geometry.Size
import androidx.compose.ui.graphics.ImageBitmap
import androidx.compose.ui.graphics.asSkiaBitmap
import androidx.compose.ui.graphics.toPixelMap
import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.v2.runSkikoComposeUiTest
import androidx.compose.ui.unit.Density
import java.io.File
import kotlin.test.Test
import kotlin.test.assertTrue
import org.jetbrains.skia.EncodedImageFormat
import org.jetbrains.skia.Image

class ScreenshotTest {
    @Test
    fun `every screen has its picture on a phone`() = pictures(Format("phone", 411, 891))

    @Test
    fun `every screen has its picture on a tablet`() = pictures(Format("tablet", 1280, 800))

    @Test
    fun `every screen has its picture with letters twice as large`() {
        for (scenario in scenarios(
            isRussian = false,
        )) {
            picture(scenario, Format("large", 411, 891, fontScale = 2f), english, dark = false)
        }
    }

    private fun pictures(format: Format) {
        for (language in listOf(english, russian)) {
            for (dark in listOf(false, true)) {
                for (scenario in scenarios(language === russian)) picture(scenario, format, language, dark)
            }
        }
    }

    private fun picture(scenario: Scenario, format: Format, language: Translation, dark: Boolean) {
        val name = "${scenario.name}-${format.name}-${language.locale.language}-${if (dark) "dark" else "light"}.png"
        val file = File(System.getProperty("screenshots.dir"), name)
        val only = System.getProperty("screenshots.only").orEmpty()
        if (only.isNotEmpty() && !Regex(only).containsMatchIn(name)) return
        runSkikoComposeUiTest(format.size, format.density) {
            val app = scenario.app()
            setContent { Sample(app, FakePlatform(), language, dark, desktopFonts(), now = { NOW }) }
            waitForIdle()
            scenario.act(this, app)
            waitForIdle()
            val image = captureToImage()
            assertTrue(colors(image) > 8, "$name shows nothing")
            file.parentFile.mkdirs()
            val png = Image.makeFromBitmap(image.asSkiaBitmap()).encodeToData(EncodedImageFormat.PNG)
            file.writeBytes(checkNotNull(png).bytes)
        }
    }

    private fun colors(image: ImageBitmap): Int {
        val pixels = image.toPixelMap()
        return (0 until image.height step 7).flatMap { y ->
            (0 until image.width step 7).map { pixels[it, y] }
        }.toSet().size
    }
}

private class Format(val name: String, width: Int, height: Int, fontScale: Float = 1f) {
    val size = Size(width.toFloat(), height.toFloat())
    val density = Density(1f, fontScale)
}

/** A state of the app: [app] creates it, [act] performs the gestures that follow. */
internal class Scenario(val name: String, val app: () -> AppModel, val act: SkikoComposeUiTest.(AppModel) -> Unit = {})
