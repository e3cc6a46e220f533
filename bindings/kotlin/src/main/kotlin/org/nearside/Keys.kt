/*
 * Where an app keeps the credentials of its providers between two starts. The library keeps none: it is given them, holds
 * them in memory, and prints them nowhere.
 *
 * Here are the interface and files that only this user may read, for desktops and servers. On Android it is
 * `KeystoreKeys`, in src/android.
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

/** Keeps one credential for each provider. */
interface Keys {
    /** The credential of the provider of this name, if one is kept. */
    fun load(provider: String): String?

    /** Keeps a credential, in place of the one before. */
    fun save(provider: String, key: String)

    /** Forgets a credential, if one is kept. */
    fun remove(provider: String)
}

/** Sets the stored credential of every configured provider. */
suspend fun Nearside.useKeys(keys: Keys) {
    for (provider in providers().map { it.settings.name }) keys.load(provider)?.let { setKey(provider, it) }
}

/** Keeps credentials in a directory, a file each that only this user may read. */
class FileKeys(directory: Path) : Keys {
    private val files = KeyFiles(directory)

    override fun load(provider: String): String? = files.read(provider)?.decodeToString()

    override fun save(provider: String, key: String) = files.write(provider, key.toByteArray())

    override fun remove(provider: String) = files.remove(provider)
}

/**
 * Keeps credentials in files that a secret key seals (AES in Galois counter mode, bound to the provider's name). What
 * cannot be opened, because another key sealed it, is as good as not kept: a backup brings the files back, not the key.
 */
internal class SealedKeys(directory: Path, private val secret: () -> SecretKey) : Keys {
    private val files = KeyFiles(directory)

    override fun load(provider: String): String? {
        val sealed = files.read(provider)?.takeIf { it.size > NONCE_BYTES } ?: return null
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
        // Android's keystore insists on making the nonce itself; others do it unasked.
        val cipher = Cipher.getInstance(CIPHER).apply { init(Cipher.ENCRYPT_MODE, secret()) }
        cipher.updateAAD(provider.toByteArray())
        files.write(provider, cipher.iv + cipher.doFinal(key.toByteArray()))
    }

    override fun remove(provider: String) = files.remove(provider)

    private companion object {
        const val CIPHER = "AES/GCM/NoPadding"
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}

/** A file for each provider, readable by this user alone. */
private class KeyFiles(private val directory: Path) {
    fun read(provider: String): ByteArray? = file(provider).takeIf(Files::exists)?.readBytes()

    fun write(provider: String, bytes: ByteArray) {
        directory.createDirectories()
        // A temporary file is its owner's alone from the first moment, and a move is whole or not at all.
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

    /** A name that is one on every file system, whatever the provider is called: `..`, `a/b`, or `A` beside `a`. */
    private fun file(provider: String) = directory.resolve(provider.toByteArray().toHexString() + ".key")
}
