/*
 * What the screens need of the system they run on, so that the same screens run on Android and on a desktop: MainActivity
 * has one, the desktop's Main another, tests a third.
 */
package org.nearside.sample

import androidx.compose.runtime.staticCompositionLocalOf
import java.nio.file.Path

interface Platform {
    /** The person asked for less motion. */
    val reducesMotion: Boolean

    fun copy(text: String)

    fun openPage(address: String)

    /** Lets the person choose a place and writes the file there. */
    fun save(file: ExportedChat)

    /** Lets the person choose a model file; hears of it if they did. */
    fun pickModel(onPicked: (Path) -> Unit)
}

val LocalPlatform = staticCompositionLocalOf<Platform> { error("`Sample` provides the platform") }
