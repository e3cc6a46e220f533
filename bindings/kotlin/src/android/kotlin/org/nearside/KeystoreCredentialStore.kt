/*
 * Credentials on Android: encrypted with a key that stays in the system's keystore, in secure hardware if there is any.
 *
 * The keystore is a process of the system that may be busy, restarting or out of room: such a failure is repeated, then
 * thrown, and nothing is deleted. The key is deleted only if the system says that it is lost for good, or, since Android 13, that
 * the failure does not pass when a new credential is to be stored; and by `reset`.
 *
 * Adds the key to `SealedCredentialStore`, which the scenarios test. The tests here use a fake keystore (src/robolectric); it
 * has not run on a phone yet.
 */
package org.nearside

import android.os.Build
import android.security.KeyStoreException
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import java.nio.file.Path
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.ProviderException
import java.security.UnrecoverableKeyException
import javax.crypto.AEADBadTagException
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey

/**
 * A store in [directory], which belongs to the app, such as `context.noBackupFilesDir.toPath()`.
 *
 * With [authenticationSeconds] the key works only that long after the user has unlocked the device or confirmed who they
 * are (`BiometricPrompt`); before that a call throws a [CredentialStoreException] with `NOT_AUTHENTICATED`. It needs a
 * device with a screen lock. A new fingerprint or the removal of the lock ends the key, and the user enters the
 * credentials again.
 */
class KeystoreCredentialStore(directory: Path, private val authenticationSeconds: Int? = null) :
    CredentialStore by SealedCredentialStore(directory, KeystoreKey(authenticationSeconds)) {
    /**
     * Deletes the key, so that the next [save] makes a new one. All stored credentials are lost. For a keystore whose failures do
     * not pass, after the user has agreed.
     */
    fun reset(): Unit = KeystoreKey(authenticationSeconds).deleteKey()
}

/** The app's key. The keystore creates it at the first use and never reveals its bytes. */
private class KeystoreKey(private val authenticationSeconds: Int?) : SealingKey {
    // The two kinds are two keys, because a key keeps the conditions that it was created with.
    private val alias = if (authenticationSeconds == null) ALIAS else "$ALIAS.authenticated"

    override fun <T> use(mayReplace: Boolean, operation: (SecretKey) -> T): T = synchronized(lock) {
        var isReplaced = false
        var failures = 0
        while (true) {
            try {
                return operation(findKey() ?: createKey())
            } catch (otherKey: AEADBadTagException) {
                throw otherKey
            } catch (locked: UserNotAuthenticatedException) {
                throw CredentialStoreException(CredentialFailure.NOT_AUTHENTICATED, locked)
            } catch (failure: Exception) {
                // The keystore reports failures of its process as a `ProviderException`, too.
                if (failure !is GeneralSecurityException && failure !is ProviderException) throw failure
                failures++
                val isGone = failure is UnrecoverableKeyException && !isTransient(failure)
                val isGivenUp = mayReplace && isGone && failures == ATTEMPTS
                if ((isGivenUp || isPermanent(failure)) && !isReplaced) {
                    deleteKey()
                    isReplaced = true
                } else if (failures >= ATTEMPTS) {
                    throw CredentialStoreException(CredentialFailure.UNAVAILABLE, failure)
                } else {
                    Thread.sleep(PAUSE_MS * failures)
                }
            }
        }
        @Suppress("UNREACHABLE_CODE")
        error("the loop returns or throws")
    }

    private fun findKey(): SecretKey? = keystore().getKey(alias, null) as SecretKey?

    fun deleteKey(): Unit = try {
        keystore().deleteEntry(alias)
    } catch (failure: GeneralSecurityException) {
        throw CredentialStoreException(CredentialFailure.UNAVAILABLE, failure)
    }

    private fun keystore() = KeyStore.getInstance(STORE).apply { load(null) }

    private fun createKey(): SecretKey = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, STORE).run {
        val spec = KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT)
            .setKeySize(256)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
        authenticationSeconds?.let { spec.requireAuthentication(it) }
        init(spec.build())
        generateKey()
    }
}

private fun KeyGenParameterSpec.Builder.requireAuthentication(seconds: Int) {
    setUserAuthenticationRequired(true)
    if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
        val either = KeyProperties.AUTH_BIOMETRIC_STRONG or KeyProperties.AUTH_DEVICE_CREDENTIAL
        setUserAuthenticationParameters(seconds, either)
    } else {
        @Suppress("DEPRECATION")
        setUserAuthenticationValidityDurationSeconds(seconds)
    }
}

/** Returns whether the system says that the key is lost for good. */
private fun isPermanent(failure: Exception): Boolean =
    failure is KeyPermanentlyInvalidatedException || keystoreCause(failure)?.numericErrorCode in LOST

/** Returns whether the failure may pass. Before Android 13 the system says nothing about that, and nothing is forgotten. */
private fun isTransient(failure: Exception): Boolean =
    Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU || keystoreCause(failure)?.isTransientFailure ?: false

/** Returns the system's own description of the failure, which apps can read since Android 13. */
private fun keystoreCause(failure: Exception): KeyStoreException? =
    if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) {
        null
    } else {
        generateSequence<Throwable>(failure) { it.cause }.filterIsInstance<KeyStoreException>().firstOrNull()
    }

private const val ALIAS = "org.nearside.keys"
private const val STORE = "AndroidKeyStore"
private const val ATTEMPTS = 3
private const val PAUSE_MS = 50L
private val LOST = setOf(KeyStoreException.ERROR_KEY_CORRUPTED, KeyStoreException.ERROR_KEY_DOES_NOT_EXIST)
private val lock = Any()
