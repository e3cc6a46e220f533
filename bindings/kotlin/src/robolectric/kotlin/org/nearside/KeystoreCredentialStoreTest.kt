package org.nearside

import android.security.KeyStoreException
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.UserNotAuthenticatedException
import java.io.InputStream
import java.io.OutputStream
import java.nio.file.Files
import java.nio.file.Path
import java.security.InvalidKeyException
import java.security.Key
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.ProviderException
import java.security.SecureRandom
import java.security.Security
import java.security.UnrecoverableKeyException
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGenerator
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.readText
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertNull
import org.junit.After
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config as Device

/**
 * Credentials encrypted with a key of Android's keystore. Robolectric has no keystore: a fake under its name holds keys
 * in memory. The tests see the calls to it, not the behaviour of the real one.
 */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
class KeystoreCredentialStoreTest {
    private val directory: Path = Files.createTempDirectory("nearside-keys-")

    @Before
    fun install() {
        held.clear()
        asked.clear()
        failures.clear()
        Security.addProvider(FakeKeystore())
    }

    @After
    fun remove() {
        Security.removeProvider(KEYSTORE)
        directory.toFile().deleteRecursively()
    }

    @Test
    fun aCredentialIsSealedAndComesBackAfterARestart() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        assertEquals(CREDENTIAL, KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
        assertNull(KeystoreCredentialStore(directory).load("groq", ORIGIN))
        assertFalse(directory.listDirectoryEntries().any { CREDENTIAL in it.readText(Charsets.ISO_8859_1) })

        KeystoreCredentialStore(directory).remove("openrouter")
        assertNull(KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
    }

    @Test
    fun aCredentialIsOfOneServer() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        assertNull(KeystoreCredentialStore(directory).load("openrouter", "https://other.example.org"))
        assertNull(KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
    }

    @Test
    fun oneKeyIsMadeAndItServesOnlyForThis() {
        val keys = KeystoreCredentialStore(directory)
        keys.save("openrouter", ORIGIN, CREDENTIAL)
        keys.save("groq", ORIGIN, CREDENTIAL)

        val spec = asked.single()
        assertEquals(KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT, spec.purposes)
        assertEquals(listOf(KeyProperties.BLOCK_MODE_GCM), spec.blockModes.toList())
        assertEquals(listOf(KeyProperties.ENCRYPTION_PADDING_NONE), spec.encryptionPaddings.toList())
        assertEquals(256, spec.keySize)
        assertEquals(setOf(spec.keystoreAlias), held.keys)
    }

    @Test
    fun aRestoredBackupWithoutItsKeyIsAsIfNothingWereKept() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        held.clear()
        assertNull(KeystoreCredentialStore(directory).load("openrouter", ORIGIN))

        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, "anew")
        assertEquals("anew", KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
    }

    @Test
    fun aFailureThatPassesForgetsNothing() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        val key = held.values.single()
        for (failure in passingFailures()) {
            failures += listOf(failure, failure)
            assertEquals(CREDENTIAL, KeystoreCredentialStore(directory).load("openrouter", ORIGIN), "$failure")
        }
        assertEquals(listOf(key), held.values.toList())
    }

    @Test
    fun aFailureThatStaysIsThrownAndForgetsNothing() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        val key = held.values.single()
        for (failure in passingFailures()) {
            repeat(ATTEMPTS) { failures += failure }
            val thrown = assertFailsWith<CredentialStoreException> {
                KeystoreCredentialStore(directory).load("openrouter", ORIGIN)
            }
            assertEquals(CredentialFailure.UNAVAILABLE, thrown.failure)
            assertFalse(CREDENTIAL in thrown.stackTraceToString())
            assertEquals(CREDENTIAL, KeystoreCredentialStore(directory).load("openrouter", ORIGIN), "$failure")
        }
        assertEquals(listOf(key), held.values.toList())
    }

    @Test
    fun aKeyThatIsLostForGoodIsReplaced() {
        val lost = listOf(
            KeyPermanentlyInvalidatedException(),
            UnrecoverableKeyException("corrupt").initCause(systemFailure(KeyStoreException.ERROR_KEY_CORRUPTED)),
            ProviderException(systemFailure(KeyStoreException.ERROR_KEY_DOES_NOT_EXIST)),
        )
        for (failure in lost) {
            KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
            val key = held.values.single()
            failures += failure as Exception
            assertNull(KeystoreCredentialStore(directory).load("openrouter", ORIGIN), "$failure")
            assertNotEquals(key, held.values.single())
        }
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, "anew")
        assertEquals("anew", KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
    }

    @Test
    fun aKeyThatDoesNotComeBackIsReplacedWhenACredentialIsEnteredAnew() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        repeat(ATTEMPTS) { failures += UnrecoverableKeyException("the system lost it") }
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, "anew")
        assertEquals("anew", KeystoreCredentialStore(directory).load("openrouter", ORIGIN))

        // Not if the system says that it will come back.
        val key = held.values.single()
        repeat(ATTEMPTS) { failures += transientFailure() }
        assertFailsWith<CredentialStoreException> {
            KeystoreCredentialStore(directory).save("openrouter", ORIGIN, "newer")
        }
        assertEquals("anew", KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
        assertEquals(listOf(key), held.values.toList())
    }

    @Test
    fun aLockedKeyAsksForTheUserAndIsKept() {
        val keys = KeystoreCredentialStore(directory, authenticationSeconds = 30)
        keys.save("openrouter", ORIGIN, CREDENTIAL)
        failures += UserNotAuthenticatedException()
        val thrown = assertFailsWith<CredentialStoreException> { keys.load("openrouter", ORIGIN) }
        assertEquals(CredentialFailure.NOT_AUTHENTICATED, thrown.failure)
        assertEquals(CREDENTIAL, keys.load("openrouter", ORIGIN))
    }

    @Test
    fun onlyAStoreThatAsksForItHasAKeyThatIsLocked() {
        KeystoreCredentialStore(directory).save("openrouter", ORIGIN, CREDENTIAL)
        KeystoreCredentialStore(directory, authenticationSeconds = 30).save("groq", ORIGIN, CREDENTIAL)
        assertEquals(listOf(false, true), asked.map { it.isUserAuthenticationRequired })
        assertEquals(30, asked.last().userAuthenticationValidityDurationSeconds)
        assertEquals(2, asked.map { it.keystoreAlias }.toSet().size)
        assertEquals(CREDENTIAL, KeystoreCredentialStore(directory).load("openrouter", ORIGIN))
    }

    private fun passingFailures(): List<Exception> = listOf(
        UnrecoverableKeyException("the keystore restarts"),
        transientFailure(),
        ProviderException("the keystore died"),
        InvalidKeyException("no operation is free"),
        java.security.KeyStoreException("not loaded"),
    )

    private fun transientFailure(): Exception =
        UnrecoverableKeyException("busy").apply { initCause(systemFailure(code = 0, passes = true)) }

    /** A failure as the system describes it since Android 13. */
    private fun systemFailure(code: Int, passes: Boolean = false): KeyStoreException =
        object : KeyStoreException(0, "as the test says") {
            override fun getNumericErrorCode(): Int = code

            override fun isTransientFailure(): Boolean = passes
        }

    private class FakeKeystore : Provider(KEYSTORE, "1", "stands in for Android's keystore") {
        init {
            put("KeyStore.$KEYSTORE", Store::class.java.name)
            put("KeyGenerator.AES", Generator::class.java.name)
        }
    }

    /** The operations that [KeyStore][java.security.KeyStore] needs; all others throw. */
    class Store : KeyStoreSpi() {
        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit

        override fun engineGetKey(alias: String, password: CharArray?): Key? =
            failures.removeFirstOrNull()?.let { throw it } ?: held[alias]

        override fun engineDeleteEntry(alias: String) {
            held -= alias
        }

        override fun engineContainsAlias(alias: String): Boolean = alias in held

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(held.keys)

        override fun engineSize(): Int = held.size

        override fun engineIsKeyEntry(alias: String): Boolean = alias in held

        override fun engineIsCertificateEntry(alias: String): Boolean = false

        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null

        override fun engineGetCertificate(alias: String): Certificate? = null

        override fun engineGetCreationDate(alias: String): Date? = null

        override fun engineGetCertificateAlias(certificate: Certificate): String? = null

        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) =
            unsupported()

        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = unsupported()

        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) = unsupported()

        override fun engineStore(stream: OutputStream?, password: CharArray?) = unsupported()

        private fun unsupported(): Nothing = throw UnsupportedOperationException()
    }

    class Generator : KeyGeneratorSpi() {
        override fun engineInit(spec: AlgorithmParameterSpec, random: SecureRandom?) {
            asked += spec as KeyGenParameterSpec
        }

        override fun engineInit(random: SecureRandom?) = throw UnsupportedOperationException()

        override fun engineInit(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()

        override fun engineGenerateKey(): SecretKey {
            val elsewhere = Security.getProviders("KeyGenerator.AES").first { it.name != KEYSTORE }
            return KeyGenerator.getInstance("AES", elsewhere).run {
                init(asked.last().keySize)
                generateKey().also { held[asked.last().keystoreAlias] = it }
            }
        }
    }

    private companion object {
        const val KEYSTORE = "AndroidKeyStore"
        const val CREDENTIAL = "sk-canary-1f00d"
        const val ORIGIN = "https://llm.example.org"
        val held = mutableMapOf<String, SecretKey>()
        val asked = mutableListOf<KeyGenParameterSpec>()

        /** Thrown instead of the key, one for each attempt. */
        val failures = ArrayDeque<Exception>()
        const val ATTEMPTS = 3
    }
}
