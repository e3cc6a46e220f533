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
import java.net.URI
import java.nio.file.Path
import kotlin.io.path.Path
import kotlin.io.path.writeText
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

class DesktopPlatform(private val window: Frame, private val results: PlatformResults) : Platform {
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

    /** A desktop grants nothing to single apps. */
    override fun openAppSettings() = Unit

    override fun chooseDocument(request: ExportRequest) {
        val dialog = FileDialog(window, request.fileName, FileDialog.SAVE).apply { file = request.fileName }
        chosen(dialog)?.let { results.onDocument(request, FileDocument(it)) }
    }

    override fun pickModel() {
        val dialog = FileDialog(window, "GGUF", FileDialog.LOAD).apply { file = "*.gguf" }
        chosen(dialog)?.let { path -> results.onModelPicked { import -> import(path) } }
    }

    private fun chosen(dialog: FileDialog): Path? {
        dialog.isVisible = true
        return dialog.file?.let { Path(dialog.directory, it) }
    }
}

/** A file that exists only once it is written: nothing is to be removed, least of all an older file of that name. */
private class FileDocument(private val path: Path) : ExportDocument {
    override suspend fun write(text: String) = withContext(Dispatchers.IO) { path.writeText(text) }

    override suspend fun remove() = Unit
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
