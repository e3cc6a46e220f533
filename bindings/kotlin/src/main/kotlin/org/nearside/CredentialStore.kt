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

/** A store of one credential for each provider. */
interface CredentialStore {
    /** Returns the credential of the provider of this name; null if none is stored. */
    fun load(provider: String): String?

    /** Stores a credential. Replaces the previous one. */
    fun save(provider: String, key: String)

    /** Deletes the stored credential, if there is one. */
    fun remove(provider: String)
}

/** Sets the stored credential of every configured provider. */
suspend fun Nearside.loadCredentials(store: CredentialStore) {
    for (provider in providers().map { it.settings.name }) store.load(provider)?.let { setKey(provider, it) }
}

/** A store in [directory]: one file for each credential, readable only by the current user. */
class FileCredentialStore(directory: Path) : CredentialStore {
    private val files = CredentialFiles(directory)

    override fun load(provider: String): String? = files.readBytes(provider)?.decodeToString()

    override fun save(provider: String, key: String) = files.writeAtomic(provider, key.toByteArray())

    override fun remove(provider: String) = files.remove(provider)
}

/**
 * A store in files that are encrypted with [secret] (AES-GCM, with the provider's name as associated data). [load]
 * returns null for a file that another key encrypted: a backup restores the files, not the key.
 */
internal class SealedCredentialStore(directory: Path, private val secret: () -> SecretKey) : CredentialStore {
    private val files = CredentialFiles(directory)

    override fun load(provider: String): String? {
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

    override fun save(provider: String, key: String) {
        // Android's keystore requires that it generates the nonce; other providers do so by default.
        val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.ENCRYPT_MODE, secret()) }
        cipher.updateAAD(provider.toByteArray())
        files.writeAtomic(provider, cipher.iv + cipher.doFinal(key.toByteArray()))
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
