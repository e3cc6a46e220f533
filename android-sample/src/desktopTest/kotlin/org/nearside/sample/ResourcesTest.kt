/*
 * Android's resources, which no tool of Android has read here: they agree with the code that they must agree with.
 */
package org.nearside.sample

import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.toArgb
import java.io.File
import javax.xml.parsers.DocumentBuilderFactory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import org.w3c.dom.Element

class ResourcesTest {
    private val android = File("src/android")

    private fun elements(file: String, name: String): List<Element> {
        val root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(File(android, file)).documentElement
        val found = root.getElementsByTagName(name)
        return (0 until found.length).map { found.item(it) as Element }
    }

    private fun color(folder: String, name: String) =
        elements("res/$folder/colors.xml", "color").single { it.getAttribute("name") == name }.textContent

    private fun Color.hex() = "#%06X".format(toArgb() and 0xFFFFFF)

    @Test
    fun `the window has the theme's background before the first frame`() {
        assertEquals(dayColors.background.hex(), color("values", "window"))
        assertEquals(nightColors.background.hex(), color("values-night", "window"))
        assertEquals(dayColors.primary.hex(), color("values", "icon_background"))
    }

    @Test
    fun `the system offers the languages of the app`() = assertEquals(
        Translation.languages.sorted(),
        elements("res/xml/locales.xml", "locale").map { it.getAttribute("android:name") }.sorted(),
    )

    @Test
    fun `backups have the conversations and nothing else`() {
        val rules = listOf("cloud-backup", "device-transfer").map {
            elements("res/xml/data_extraction_rules.xml", it).single()
        }
        val includes = rules.map { rule ->
            val found = rule.getElementsByTagName("*")
            (0 until found.length).map { found.item(it) as Element }
        } + listOf(elements("res/xml/backup_rules.xml", "*"))
        for (rule in includes) {
            val include = rule.single()
            assertEquals("include", include.tagName)
            assertEquals("file" to "nearside/", include.run { getAttribute("domain") to getAttribute("path") })
        }
        // The folders of `Config.forApp`.
        val directories = File("../bindings/kotlin/src/android/kotlin/org/nearside/AppDirectories.kt").readText()
        assertTrue(Regex("""dataDirectory = File\(context\.filesDir, NAME\)""").containsMatchIn(directories))
        assertTrue(Regex("""directory = File\(context\.noBackupFilesDir, NAME\)""").containsMatchIn(directories))
        assertTrue("NAME = \"nearside\"" in directories)
    }

    @Test
    fun `every resource that the manifest names is there`() {
        val names = Regex("\"@(\\w+)/(\\w+)\"").findAll(File(android, "AndroidManifest.xml").readText())
            .map { it.groupValues[1] to it.groupValues[2] }.toList()
        assertTrue(names.size >= 6, "$names")
        for ((type, name) in names) {
            val isFile = File(android, "res").walk().any {
                it.parentFile.name.startsWith(type) &&
                    it.nameWithoutExtension == name
            }
            val values = File(android, "res/values").listFiles().orEmpty().map { it.readText() }
            assertTrue(isFile || values.any { "<$type name=\"$name\"" in it }, "$type/$name")
        }
    }
}
