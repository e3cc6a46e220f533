/*
 * Storage for provider credentials between app starts. The library itself stores none: it holds them in memory and
 * never prints them.
 *
 * The interface, and an implementation in files for desktops and servers. Android has `KeystoreCredentialStore`, in
 * src/android.
 */
package org.nearside

import java.io.IOException
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec
import kotlin.io.path.createDirectories
import kotlin.io.path.deleteIfExists
import kotlin.io.path.readBytes
import kotlin.io.path.writeBytes
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/**
 * A store of one credential for each provider, each with the server that it was set for.
 *
 * A provider's name may get another address, and a key must not follow it there. Therefore a credential is stored with
 * the origin of the address, [ProviderStatus.origin], and given back for that origin only.
 *
 * The methods wait for the disk, and on Android for the keystore. An app calls [loadCredentials], [saveCredential] and
 * [addProvider] instead, which do so on a thread for it. A failure that passes forgets nothing: it is thrown, as an
 * [IOException], and the credential is there at the next call.
 */
interface CredentialStore {
    /**
     * Returns the credential that is stored for the provider at this origin. Null if there is none, also if the stored
     * one is of another origin or has none; such a one is deleted.
     */
    fun load(provider: String, origin: String): String?

    /** Stores a credential. Replaces the previous one, whatever its origin. */
    fun save(provider: String, origin: String, key: String)

    /** Deletes the stored credential, whatever its origin, if there is one. */
    fun remove(provider: String)
}

/** Why a store in the keystore could not be used; nothing that it holds is lost. */
enum class CredentialFailure {
    /** The system's keystore does not answer; a later call can succeed. */
    UNAVAILABLE,

    /** The user must unlock the device or confirm who they are first; the store was created with that wish. */
    NOT_AUTHENTICATED,
}

/** The keystore could not be used. Contains no credential. */
class CredentialStoreException internal constructor(val failure: CredentialFailure, cause: Throwable) :
    IOException("the keystore cannot be used (${failure.name.lowercase()}); try again", cause)

/**
 * Sets the stored credential of every configured provider. If one cannot be read, the others are set all the same; then
 * the first failure is thrown. Reads on a thread for it, so that it may be called from the main thread.
 *
 * A credential that an earlier release stored without an origin is deleted, and the user enters it again: the provider
 * may have got another address since.
 */
suspend fun Nearside.loadCredentials(store: CredentialStore) {
    var failure: Exception? = null
    for (provider in providers()) {
        val name = provider.settings.name
        try {
            onDisk { store.load(name, provider.origin) }?.let { setKey(name, it) }
        } catch (cancelled: CancellationException) {
            throw cancelled
        } catch (cause: Exception) {
            failure = failure ?: cause
        }
    }
    failure?.let { throw it }
}

/**
 * Sets the credential of a configured provider, and stores it for the server at its present address, on a thread for it.
 * An empty [key] removes it.
 */
suspend fun Nearside.saveCredential(provider: String, key: String, store: CredentialStore) {
    val origin = originOf(provider)
    setKey(provider, key)
    onDisk { if (origin == null || key.isEmpty()) store.remove(provider) else store.save(provider, origin, key) }
}

/** Adds a provider, or replaces the one of this name. Deletes its stored credential if that was for another server. */
suspend fun Nearside.addProvider(settings: ProviderSettings, credentials: CredentialStore) {
    val before = originOf(settings.name)
    addProvider(settings)
    if (originOf(settings.name) != before) onDisk { credentials.remove(settings.name) }
}

private suspend fun <T> onDisk(body: () -> T): T = withContext(Dispatchers.IO) { body() }

private suspend fun Nearside.originOf(provider: String) =
    providers().firstOrNull { it.settings.name == provider }?.origin

/** Returns the text that is stored: the origin, a line feed, and the key. */
private fun entryOf(origin: String, key: String) = "$origin\n$key"

/** Returns the key in a stored text; null if it is of another origin or has none. */
private fun keyIn(entry: String, origin: String): String? =
    entry.takeIf { it.startsWith("$origin\n") }?.substring(origin.length + 1)

/** A store in [directory]: one file for each credential, readable only by the current user. */
class FileCredentialStore(directory: Path) : CredentialStore {
    private val files = CredentialFiles(directory)

    override fun load(provider: String, origin: String): String? {
        val entry = files.readBytes(provider)?.decodeToString() ?: return null
        return keyIn(entry, origin) ?: null.also { remove(provider) }
    }

    override fun save(provider: String, origin: String, key: String) =
        files.writeAtomic(provider, entryOf(origin, key).toByteArray())

    override fun remove(provider: String) = files.remove(provider)
}

/** A key for [SealedCredentialStore]. */
internal interface SealingKey {
    /**
     * Runs [operation] with the key, again after a failure that passes. [mayReplace]: a key that the system does not give
     * back at all may be replaced, because the credentials that it sealed are entered anew.
     */
    fun <T> use(mayReplace: Boolean, operation: (SecretKey) -> T): T
}

/**
 * A store in files that are encrypted with [secret] (AES-GCM, with the provider's name as associated data). [load]
 * returns null for a file that another key encrypted: a backup restores the files, not the key.
 */
internal class SealedCredentialStore(directory: Path, private val secret: SealingKey) : CredentialStore {
    private val files = CredentialFiles(directory)

    override fun load(provider: String, origin: String): String? {
        val entry = open(provider) ?: return null
        return keyIn(entry, origin) ?: null.also { remove(provider) }
    }

    private fun open(provider: String): String? {
        val sealed = files.readBytes(provider)?.takeIf { it.size > NONCE_BYTES } ?: return null
        return try {
            secret.use(mayReplace = false) { key ->
                val nonce = GCMParameterSpec(TAG_BITS, sealed, 0, NONCE_BYTES)
                val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.DECRYPT_MODE, key, nonce) }
                cipher.updateAAD(provider.toByteArray())
                cipher.doFinal(sealed, NONCE_BYTES, sealed.size - NONCE_BYTES).decodeToString()
            }
        } catch (_: AEADBadTagException) {
            null
        }
    }

    override fun save(provider: String, origin: String, key: String) {
        val sealed = secret.use(mayReplace = true) { secret ->
            // Android's keystore requires that it generates the nonce; other providers do so by default.
            val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.ENCRYPT_MODE, secret) }
            cipher.updateAAD(provider.toByteArray())
            cipher.iv + cipher.doFinal(entryOf(origin, key).toByteArray())
        }
        files.writeAtomic(provider, sealed)
    }

    override fun remove(provider: String) = files.remove(provider)

    private companion object {
        const val CIPHER = "AES/GCM/NoPadding"
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}

/** A file for each provider, readable only by the current user. */
private class CredentialFiles(private val directory: Path) {
    fun readBytes(provider: String): ByteArray? = file(provider).takeIf(Files::exists)?.readBytes()

    fun writeAtomic(provider: String, bytes: ByteArray) {
        directory.createDirectories()
        // A temporary file is private to its owner from its creation, and the move is atomic.
        val file = Files.createTempFile(directory, null, null)
        try {
            file.writeBytes(bytes)
            Files.move(file, file(provider), ATOMIC_MOVE)
        } finally {
            file.deleteIfExists()
        }
    }

    fun remove(provider: String) {
        file(provider).deleteIfExists()
    }

    /** Returns the path for a provider. Hex, so that every name is valid and unique: `..`, `a/b`, or `A` beside `a`. */
    private fun file(provider: String) = directory.resolve(provider.toByteArray().toHexString() + ".key")
}
