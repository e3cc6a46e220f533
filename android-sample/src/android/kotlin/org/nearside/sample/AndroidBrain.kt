/*
 * Opens the library on a phone: device readings, keystore and app lifecycle. The only file of the Android sources that
 * imports Nearside.
 */
package org.nearside.sample

import android.app.Application
import kotlin.io.path.createDirectories
import org.nearside.AndroidHost
import org.nearside.Config
import org.nearside.KeystoreCredentialStore
import org.nearside.Nearside
import org.nearside.followApp

/** Creates the brain. Models and keys are not backed up: keys cannot be decrypted elsewhere. */
fun androidBrain(application: Application): Brain {
    val directory = application.noBackupFilesDir.toPath()
    val library = directory.resolve("nearside").createDirectories()
    val host = AndroidHost(application)
    val nearside = Nearside.withHost(Config(library.toString()), host)
    // Forwards memory warnings and changes between background and foreground.
    val following = nearside.followApp(application)
    val brain = NearsideBrain(nearside, KeystoreCredentialStore(directory.resolve("keys")), host, directory)
    return object : Brain by brain {
        override fun close() {
            following.close()
            brain.close()
        }
    }
}
