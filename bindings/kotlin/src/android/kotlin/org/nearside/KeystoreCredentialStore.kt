/*
 * Credentials on Android: encrypted with a key that stays in the system's keystore, in secure hardware if there is any.
 *
 * Adds the key to `SealedCredentialStore`, which the scenarios test. The tests here use a fake keystore
 * (src/robolectric); it has not run on a phone yet.
 */
package org.nearside

import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.nio.file.Path
import java.security.KeyStore
import java.security.UnrecoverableKeyException
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey

/** A store in [directory], which belongs to the app, such as `context.noBackupFilesDir.toPath()`. */
class KeystoreCredentialStore(directory: Path) : CredentialStore by SealedCredentialStore(directory, ::loadOrCreateKey)

/** Returns the app's key. The keystore creates it at the first use and never reveals its bytes. */
@Synchronized
private fun loadOrCreateKey(): SecretKey {
    val store = KeyStore.getInstance(STORE).apply { load(null) }
    try {
        (store.getKey(ALIAS, null) as SecretKey?)?.let { return it }
    } catch (_: UnrecoverableKeyException) {
        // Some phones lose keys in a system update. Files encrypted with it are lost; create a new one.
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
