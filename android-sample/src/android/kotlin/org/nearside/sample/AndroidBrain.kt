/*
 * Opens the library on a phone: device readings, keystore and app lifecycle. The only file of the Android sources that
 * imports Nearside.
 */
package org.nearside.sample

import android.app.Application
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import org.nearside.AndroidHost
import org.nearside.Config
import org.nearside.KeystoreCredentialStore
import org.nearside.Nearside
import org.nearside.followApp
import org.nearside.forApp

/**
 * Creates the brain. Chats are backed up (res/xml/data_extraction_rules.xml). Models are not, because they can be downloaded
 * again, nor are keys, because they cannot be decrypted elsewhere.
 *
 * Call it on the main thread; loading the native library and opening the database happen on others.
 */
suspend fun androidBrain(application: Application): Brain {
    val (nearside, brain) = withContext(Dispatchers.IO) {
        ModelImport.clear(importFolder(application))
        val directory = application.noBackupFilesDir.toPath()
        val host = AndroidHost(application)
        val nearside = Nearside.open(Config.forApp(application), host)
        nearside to NearsideBrain(nearside, KeystoreCredentialStore(directory.resolve("keys")), host, directory)
    }
    // Forwards memory warnings and changes between background and foreground. Android reports both on the main thread.
    val following = nearside.followApp(application)
    return object : Brain by brain {
        override suspend fun shutDown() {
            following.close()
            brain.shutDown()
        }
    }
}
