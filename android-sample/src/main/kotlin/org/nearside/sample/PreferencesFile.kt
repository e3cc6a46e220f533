/*
 * The app's own preferences in a file, replaced atomically.
 */
package org.nearside.sample

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.util.Properties
import kotlin.io.path.bufferedReader
import kotlin.io.path.bufferedWriter
import kotlin.io.path.createDirectories
import kotlin.io.path.deleteIfExists
import kotlin.io.path.exists

/** Blocks on disk access: not for the UI thread. */
internal class PreferencesFile(private val file: Path) {
    /** Reads the file; uses the default for a missing or unknown value. */
    fun read(): Preferences {
        val properties = Properties()
        if (file.exists()) file.bufferedReader().use(properties::load)
        val first = Preferences()
        return Preferences(
            mode = AnswerMode.entries.firstOrNull { it.name == properties.getProperty(MODE) } ?: first.mode,
            privacy = PrivacyLevel.entries.firstOrNull { it.name == properties.getProperty(PRIVACY) } ?: first.privacy,
            finishedFirstRun = properties.getProperty(FIRST_RUN)?.toBoolean() ?: first.finishedFirstRun,
        )
    }

    fun write(preferences: Preferences) {
        val properties = Properties()
        properties.setProperty(MODE, preferences.mode.name)
        properties.setProperty(PRIVACY, preferences.privacy.name)
        properties.setProperty(FIRST_RUN, preferences.finishedFirstRun.toString())
        val fresh = Files.createTempFile(file.parent.createDirectories(), null, null)
        try {
            fresh.bufferedWriter().use { properties.store(it, null) }
            Files.move(fresh, file, ATOMIC_MOVE)
        } finally {
            fresh.deleteIfExists()
        }
    }

    private companion object {
        const val MODE = "mode"
        const val PRIVACY = "privacy"
        const val FIRST_RUN = "first-run-finished"
    }
}
