/*
 * Opens the library on a phone: device readings, keystore and app lifecycle. The only file of the Android sources that
 * imports Nearside.
 */
package org.nearside.sample

import android.app.Application
import org.nearside.AndroidHost
import org.nearside.Config
import org.nearside.KeystoreCredentialStore
import org.nearside.Nearside
import org.nearside.followApp
import org.nearside.forApp

/**
 * Creates the brain. Chats are backed up. Models are not, because they can be downloaded again, nor are keys, because they
 * cannot be decrypted elsewhere.
 */
suspend fun androidBrain(application: Application): Brain {
    val directory = application.noBackupFilesDir.toPath()
    val host = AndroidHost(application)
    val nearside = Nearside.open(Config.forApp(application), host)
    // Forwards memory warnings and changes between background and foreground.
    val following = nearside.followApp(application)
    val brain = NearsideBrain(nearside, KeystoreCredentialStore(directory.resolve("keys")), host, directory)
    return object : Brain by brain {
        override suspend fun shutDown() {
            following.close()
            brain.shutDown()
        }
    }
}
