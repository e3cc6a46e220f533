/*
 * The two directories of an Android app: models, which can be downloaded again, outside of backups; conversations, providers,
 * policy and spending, which cannot, in them.
 */
package org.nearside

import android.content.Context
import java.io.File

/**
 * Returns the default settings with the directories of an app: models in `noBackupFilesDir`, the rest in `filesDir`, which
 * Android backs up (unless the manifest says otherwise) and encrypts with the user's lock.
 *
 * An app that kept everything in one directory keeps that as `directory`; the library moves the rest to `dataDirectory`, once,
 * at the next start.
 *
 * Also makes [AndroidHost] the host of this process, in case that no content provider did it (see [NativeLibraryStarter]).
 */
fun Config.Companion.forApp(context: Context): Config {
    startLibrary(context)
    return Config(
        directory = File(context.noBackupFilesDir, NAME).path,
        dataDirectory = File(context.filesDir, NAME).path,
    )
}

private const val NAME = "nearside"
