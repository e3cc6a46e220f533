/*
 * How the library is opened on a phone: what Android tells about the device, where keys are sealed, and what happens to the
 * app. Nothing else of the Android sources knows Nearside.
 */
package org.nearside.sample

import android.app.Application
import kotlin.io.path.createDirectories
import org.nearside.AndroidHost
import org.nearside.Config
import org.nearside.KeystoreCredentialStore
import org.nearside.Nearside
import org.nearside.followApp

/** Models and keys are not backed up: models can be had again, and keys cannot be opened elsewhere. */
fun androidBrain(application: Application): Brain {
    val directory = application.noBackupFilesDir.toPath()
    val library = directory.resolve("nearside").createDirectories()
    val host = AndroidHost(application)
    val nearside = Nearside.withHost(Config(library.toString()), host)
    // Memory warnings, going to the background, coming back.
    val following = nearside.followApp(application)
    val brain = NearsideBrain(nearside, KeystoreCredentialStore(directory.resolve("keys")), host, directory)
    return object : Brain by brain {
        override fun close() {
            following.close()
            brain.close()
        }
    }
}
