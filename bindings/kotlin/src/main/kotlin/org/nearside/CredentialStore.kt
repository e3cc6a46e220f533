/*
 * Storage for provider credentials between app starts. The library itself stores none: it holds them in memory and
 * never prints them.
 *
 * The interface, and an implementation in files for desktops and servers. Android has `KeystoreCredentialStore`, in
 * src/android.
 */
package org.nearside

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.security.GeneralSecurityException
import javax.crypto.Cipher
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec
import kotlin.io.path.createDirectories
import kotlin.io.path.deleteIfExists
import kotlin.io.path.readBytes
import kotlin.io.path.writeBytes

/**
 * A store of one credential for each provider, each with the server that it was set for.
 *
 * A provider's name may get another address, and a key must not follow it there. Therefore a credential is stored with
 * the origin of the address, [ProviderStatus.origin], and given back for that origin only.
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

/**
 * Sets the stored credential of every configured provider. If one cannot be read, the others are set all the same; then
 * the first failure is thrown.
 *
 * A credential that an earlier release stored without an origin is deleted, and the user enters it again: the provider
 * may have got another address since.
 */
suspend fun Nearside.loadCredentials(store: CredentialStore) {
    val failures = providers().mapNotNull { provider ->
        val name = provider.settings.name
        runCatching { store.load(name, provider.origin)?.let { setKey(name, it) } }.exceptionOrNull()
    }
    failures.firstOrNull()?.let { throw it }
}

/**
 * Sets the credential of a configured provider, and stores it for the server at its present address. An empty [key]
 * removes it.
 */
suspend fun Nearside.saveCredential(provider: String, key: String, store: CredentialStore) {
    val origin = originOf(provider)
    setKey(provider, key)
    if (origin == null || key.isEmpty()) store.remove(provider) else store.save(provider, origin, key)
}

/** Adds a provider, or replaces the one of this name. Deletes its stored credential if that was for another server. */
suspend fun Nearside.addProvider(settings: ProviderSettings, credentials: CredentialStore) {
    val before = originOf(settings.name)
    addProvider(settings)
    if (originOf(settings.name) != before) credentials.remove(settings.name)
}

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

/**
 * A store in files that are encrypted with [secret] (AES-GCM, with the provider's name as associated data). [load]
 * returns null for a file that another key encrypted: a backup restores the files, not the key.
 */
internal class SealedCredentialStore(directory: Path, private val secret: () -> SecretKey) : CredentialStore {
    private val files = CredentialFiles(directory)

    override fun load(provider: String, origin: String): String? {
        val entry = open(provider) ?: return null
        return keyIn(entry, origin) ?: null.also { remove(provider) }
    }

    private fun open(provider: String): String? {
        val sealed = files.readBytes(provider)?.takeIf { it.size > NONCE_BYTES } ?: return null
        return try {
            val nonce = GCMParameterSpec(TAG_BITS, sealed, 0, NONCE_BYTES)
            val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.DECRYPT_MODE, secret(), nonce) }
            cipher.updateAAD(provider.toByteArray())
            cipher.doFinal(sealed, NONCE_BYTES, sealed.size - NONCE_BYTES).decodeToString()
        } catch (_: GeneralSecurityException) {
            null
        }
    }

    override fun save(provider: String, origin: String, key: String) {
        // Android's keystore requires that it generates the nonce; other providers do so by default.
        val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.ENCRYPT_MODE, secret()) }
        cipher.updateAAD(provider.toByteArray())
        files.writeAtomic(provider, cipher.iv + cipher.doFinal(entryOf(origin, key).toByteArray()))
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
