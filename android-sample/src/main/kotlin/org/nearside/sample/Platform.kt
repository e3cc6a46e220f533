/*
 * Services of the system that the screens need, so that the same screens run on Android and on a desktop. MainActivity,
 * the desktop's Main and the tests implement it.
 */
package org.nearside.sample

import androidx.compose.runtime.staticCompositionLocalOf
import java.nio.file.Path

interface Platform {
    /** The user prefers reduced motion. */
    val reducesMotion: Boolean

    fun copy(text: String)

    fun openPage(address: String)

    /** Lets the user choose a file name and writes the file; calls [onFailure] if it cannot be written. */
    fun save(file: ExportedChat, onFailure: (Failure) -> Unit)

    /**
     * Lets the user choose a model file; calls [onPicked] unless the user cancels. Its argument returns the file, which may
     * have to be copied first, or throws.
     */
    fun pickModel(onPicked: (suspend () -> Path) -> Unit)
}

val LocalPlatform = staticCompositionLocalOf<Platform> { error("`Sample` provides the platform") }
