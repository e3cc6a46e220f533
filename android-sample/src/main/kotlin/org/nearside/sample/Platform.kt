/*
 * Services of the system that the screens need, so that the same screens run on Android and on a desktop. MainActivity,
 * the desktop's Main and the tests implement it.
 *
 * A picker may outlive the screen that opened it, and on Android even the process. Therefore its result goes to
 * `PlatformResults`, not to a callback.
 */
package org.nearside.sample

import androidx.compose.runtime.staticCompositionLocalOf
import java.nio.file.Path

interface Platform {
    /** The user prefers reduced motion. */
    val reducesMotion: Boolean

    fun copy(text: String)

    fun openPage(address: String)

    /** Opens the system's settings of this app, where permissions are granted. */
    fun openAppSettings()

    /** Lets the user choose where an export goes; the place reaches [PlatformResults.onDocument] unless the user cancels. */
    fun chooseDocument(request: ExportRequest)

    /** Lets the user choose a model file, which reaches [PlatformResults.onModelPicked] unless the user cancels. */
    fun pickModel()
}

/** Receives what the user picked. */
interface PlatformResults {
    fun onModelPicked(file: PickedModel)

    fun onDocument(request: ExportRequest, document: ExportDocument)
}

/** A model file that the user picked, which may be in no folder that this app can read. */
fun interface PickedModel {
    /** Calls [import] with a path that is readable during the call. Leaves no copy behind. */
    suspend fun read(import: suspend (Path) -> ModelEntry): ModelEntry
}

/** What the user exports; can be stored while the system asks for the place. */
data class ExportRequest(val chat: ChatId, val kind: ExportKind, val fileName: String)

/** The empty file that the system created for an export. */
interface ExportDocument {
    suspend fun write(text: String)

    /** Removes the file if it could not be filled. */
    suspend fun remove()
}

val LocalPlatform = staticCompositionLocalOf<Platform> { error("`Sample` provides the platform") }
