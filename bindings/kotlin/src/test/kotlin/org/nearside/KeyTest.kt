package org.nearside

import java.io.IOException
import java.net.HttpURLConnection
import java.net.URI
import java.nio.file.Path
import java.nio.file.attribute.PosixFilePermissions
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import kotlin.io.path.createDirectory
import kotlin.io.path.deleteExisting
import kotlin.io.path.getPosixFilePermissions
import kotlin.io.path.listDirectoryEntries
import kotlin.io.path.readText
import kotlin.io.path.writeText
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList

/** Credentials: set, stored, obtained by sign-in, and never printed. */
class KeyTest {
    @Test
    fun aKeyIsInNoException() = scenario {
        val canary = "sk-canary-1f00d"
        val provider = Provider("openrouter")
        nearside(provider).use { nearside ->
            nearside.setKey("openrouter", canary)
            val failures = listOf<suspend () -> Unit>(
                { nearside.chat(tides(RoutingMode.ONLY_IN_CLOUD)).toList() },
                { nearside.finishSignIn("openrouter", nearside.signIn("openrouter"), canary) },
                { nearside.setHubToken("$canary\n") },
                { nearside.signIn("openrouter", "ftp://$canary") },
            ).map { assertFailsWith<NearsideException> { it() } }

            assertIs<NearsideException.Unauthorized>(failures.first())
            for (failure in failures) assertFalse("canary" in failure.stackTraceToString(), failure.message)
            val status = nearside.providers().single()
            assertTrue(status.hasKey)
            assertFalse("canary" in "$status ${nearside.policy()}")
        }
    }

    @Test
    fun keysAreKeptForTheNextStart() = scenario {
        val directory = Path.of(freshDirectory(), "keys")
        // Stands for the key in Android's keystore.
        val (secret, another) = List(2) { KeyGenerator.getInstance("AES").generateKey() }
        val sealed = Path.of(freshDirectory(), "sealed")
        assertStoresKeys(directory) { FileCredentialStore(directory) }
        assertStoresKeys(sealed) { SealedCredentialStore(sealed, OneKey(secret)) }
        assertFalse(sealed.listDirectoryEntries().any { Provider.KEY in it.readText(Charsets.ISO_8859_1) })
        assertNull(SealedCredentialStore(sealed, OneKey(another)).load("groq", ORIGIN))

        val keys = FileCredentialStore(directory)
        val provider = Provider("groq")
        val config = Config(freshDirectory())
        nearside(provider, config = config).use { it.saveCredential("groq", Provider.KEY, keys) }
        Nearside(config).use { nearside ->
            assertFalse(nearside.providers().single().hasKey)
            nearside.loadCredentials(keys)
            assertTrue(nearside.providers().single().hasKey)
            assertEquals(listOf(provider.target), nearside.chat(tides()).toList().targets())
        }
        keys.remove("groq")
        keys.remove("groq")
        assertNull(keys.load("groq", ORIGIN))
    }

    @Test
    fun aKeyDoesNotFollowANameToAnotherServer() = scenario {
        val directory = Path.of(freshDirectory(), "keys")
        val keys = FileCredentialStore(directory)
        val (old, new) = List(2) { Provider("groq") }
        val config = Config(freshDirectory())
        val origin = nearside(old, config = config).use { nearside ->
            nearside.saveCredential("groq", Provider.KEY, keys)
            // The same server: the key stays.
            nearside.addProvider(old.settings.copy(model = "m"), keys)
            val origin = nearside.providers().single().origin
            assertEquals(Provider.KEY, keys.load("groq", origin))
            // Another one, by an app that does not delete the key.
            nearside.addProvider(new.settings)
            origin
        }
        Nearside(config).use { nearside ->
            nearside.loadCredentials(keys)
            assertFalse(nearside.providers().single().hasKey)
            assertNull(keys.load("groq", origin))
            // By one that deletes it.
            nearside.saveCredential("groq", Provider.KEY, keys)
            nearside.addProvider(old.settings, keys)
            assertEquals(emptyList(), directory.listDirectoryEntries())
        }
    }

    @Test
    fun aKeyThatWasStoredWithoutAServerIsDeleted() = scenario {
        val directory = Path.of(freshDirectory())
        // As an earlier release did: the provider may have moved since.
        directory.resolve("67726f71.key").writeText(Provider.KEY)
        nearside(Provider("groq")).use { nearside ->
            nearside.setKey("groq", "")
            nearside.loadCredentials(FileCredentialStore(directory))
            assertFalse(nearside.providers().single().hasKey)
        }
        assertEquals(emptyList(), directory.listDirectoryEntries())
    }

    @Test
    fun aKeyThatCannotBeReadDoesNotHideTheOthers() = scenario {
        val directory = Path.of(freshDirectory(), "keys")
        val keys = FileCredentialStore(directory)
        nearside(Provider("groq"), Provider("openrouter")).use { nearside ->
            val names = nearside.providers().map { it.settings.name }
            for (name in names) {
                nearside.saveCredential(name, Provider.KEY, keys)
                nearside.setKey(name, "")
            }
            // A directory in place of the first one's file.
            val file = directory.resolve(names.first().toByteArray().toHexString() + ".key")
            file.deleteExisting()
            file.createDirectory()
            assertFailsWith<IOException> { nearside.loadCredentials(keys) }
            assertEquals(listOf(false, true), nearside.providers().map { it.hasKey })
        }
    }

    @Test
    fun signingInBringsAKey() = scenario {
        val provider = Provider("openrouter")
        nearside(provider).use { nearside ->
            nearside.setKey("openrouter", "")
            val signIn = nearside.signIn("openrouter", callback = "${provider.url}/callback")
            val code = browse(signIn.url()).substringAfter("code=")

            assertEquals(Provider.KEY, nearside.finishSignIn("openrouter", signIn, code))
            assertEquals(listOf(provider.target), nearside.chat(tides()).toList().targets())
            assertFailsWith<NearsideException.Unauthorized> { nearside.finishSignIn("openrouter", signIn, code) }
        }
    }

    /** Asserts that credentials survive a restart: each [open] returns a new object. */
    private fun assertStoresKeys(directory: Path, open: () -> CredentialStore) {
        assertNull(open().load("groq", ORIGIN))
        for (name in listOf("groq", "Groq", "..", "a/b", "größe 🌊")) open().save(name, ORIGIN, "key of $name")
        open().save("groq", ORIGIN, Provider.KEY)
        assertEquals(Provider.KEY, open().load("groq", ORIGIN))
        for (name in listOf("Groq", "..", "a/b", "größe 🌊")) {
            assertEquals("key of $name", open().load(name, ORIGIN))
        }
        val files = directory.listDirectoryEntries()
        assertEquals(5, files.size, "$files")
        for (file in files) assertEquals("rw-------", PosixFilePermissions.toString(file.getPosixFilePermissions()))
    }

    /** Follows the redirects of [url] and returns the final address. */
    private fun browse(url: String): String {
        val connection = URI(url).toURL().openConnection() as HttpURLConnection
        connection.responseCode
        return "${connection.url}"
    }

    /** A key that the program holds itself. */
    private class OneKey(private val key: SecretKey) : SealingKey {
        override fun <T> use(mayReplace: Boolean, operation: (SecretKey) -> T): T = operation(key)
    }

    private companion object {
        const val ORIGIN = "https://llm.example.org"
    }
}
