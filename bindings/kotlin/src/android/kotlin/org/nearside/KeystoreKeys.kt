/*
 * Credentials on Android: sealed with a key that stays inside the system's keystore, in the secure hardware where there
 * is some.
 *
 * What this adds to `SealedKeys`, which the scenarios play, is where the key comes from. Its tests run with a stand-in for
 * the keystore (src/robolectric); no phone has run it yet.
 */
package org.nearside

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.nio.file.Path
import java.security.KeyStore
import java.security.UnrecoverableKeyException
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey

/** Keeps credentials in a directory of the app, such as `context.noBackupFilesDir.toPath()`. */
class KeystoreKeys(directory: Path) : Keys by SealedKeys(directory, ::appKey)

/** The app's key; the keystore makes it at the first use and never hands it out. */
@Synchronized
private fun appKey(): SecretKey {
    val store = KeyStore.getInstance(STORE).apply { load(null) }
    try {
        (store.getKey(ALIAS, null) as SecretKey?)?.let { return it }
    } catch (_: UnrecoverableKeyException) {
        // Some phones lose keys when the system is updated. What it sealed is gone; the next one can be made.
        store.deleteEntry(ALIAS)
    }
    return KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, STORE).run {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        init(
            KeyGenParameterSpec.Builder(ALIAS, purposes)
                .setKeySize(256)
                .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
                .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
                .build(),
        )
        generateKey()
    }
}

private const val ALIAS = "org.nearside.keys"
private const val STORE = "AndroidKeyStore"
