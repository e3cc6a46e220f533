/*
 * Desktop implementation of `Platform`: clipboard, browser, file dialogs, and fonts as on Android.
 */
package org.nearside.sample

import androidx.compose.ui.text.ExperimentalTextApi
import androidx.compose.ui.text.font.Font
import androidx.compose.ui.text.font.FontFamily
import androidx.compose.ui.text.font.FontStyle
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.text.platform.SystemFont
import java.awt.Desktop
import java.awt.FileDialog
import java.awt.Frame
import java.awt.GraphicsEnvironment
import java.awt.Toolkit
import java.awt.datatransfer.StringSelection
import java.io.IOException
import java.net.URI
import java.nio.file.Path
import kotlin.io.path.Path
import kotlin.io.path.writeText

class DesktopPlatform(private val window: Frame) : Platform {
    /** `false`: Java cannot read this setting of the desktop. */
    override val reducesMotion: Boolean get() = System.getenv("NEARSIDE_REDUCED_MOTION") != null

    override fun copy(text: String) =
        Toolkit.getDefaultToolkit().systemClipboard.setContents(StringSelection(text), null)

    override fun openPage(address: String) {
        if (Desktop.isDesktopSupported() && Desktop.getDesktop().isSupported(Desktop.Action.BROWSE)) {
            Desktop.getDesktop().browse(URI(address))
        } else {
            copy(address)
        }
    }

    override fun save(file: ExportedChat, onFailure: (Failure) -> Unit) {
        val dialog = FileDialog(window, file.fileName, FileDialog.SAVE).apply { this.file = file.fileName }
        try {
            chosen(dialog)?.writeText(file.text)
        } catch (error: IOException) {
            onFailure(error.failure())
        }
    }

    override fun pickModel(onPicked: (suspend () -> Path) -> Unit) {
        val dialog = FileDialog(window, "GGUF", FileDialog.LOAD).apply { file = "*.gguf" }
        chosen(dialog)?.let { onPicked { it } }
    }

    private fun chosen(dialog: FileDialog): Path? {
        dialog.isVisible = true
        return dialog.file?.let { Path(dialog.directory, it) }
    }
}

/** Returns Roboto if it is installed (Debian: fonts-roboto-unhinted), else the default fonts. */
fun desktopFonts(): Fonts {
    val installed = GraphicsEnvironment.getLocalGraphicsEnvironment().availableFontFamilyNames
    return if ("Roboto" in installed) Fonts(roboto) else Fonts()
}

private val roboto: FontFamily = FontFamily(
    listOf(FontWeight.Normal, FontWeight.Medium, FontWeight.Bold).flatMap { weight ->
        listOf(FontStyle.Normal, FontStyle.Italic).map { style -> systemFont(weight, style) }
    },
)

@OptIn(ExperimentalTextApi::class)
private fun systemFont(weight: FontWeight, style: FontStyle): Font = SystemFont("Roboto", weight, style)
