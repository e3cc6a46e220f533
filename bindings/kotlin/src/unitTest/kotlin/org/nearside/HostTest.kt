package org.nearside

import java.io.IOException
import java.util.concurrent.Executors
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.withContext

/** The host that the library uses without one from the caller, and stores that are slow. */
class HostTest {
    @AfterTest
    fun forget() {
        PlatformHost.current = null
    }

    @Test
    fun aJvmHasNoHostOfItsOwn() = scenario {
        Nearside.open(freshDirectory()).use { assertFalse(it.isReportedByHost()) }
        Nearside(Config(freshDirectory())).use { assertFalse(it.isReportedByHost()) }
    }

    @Test
    fun everyWayToOpenTheLibraryTakesTheHostOfTheProcess() = scenario {
        PlatformHost.current = host(memory = 123_456_789uL)
        val opened = listOf(
            Nearside.open(freshDirectory()),
            Nearside.open(Config(freshDirectory())),
            Nearside(Config(freshDirectory())),
        )
        for (nearside in opened) nearside.use { assertEquals(123_456_789uL, it.device().memoryAvailable) }
    }

    @Test
    fun theHostOfTheCallerComesFirstAndNullIsNone() = scenario {
        PlatformHost.current = host(memory = 1_000uL)
        val own = host(memory = 987_654_321uL)
        for (nearside in listOf(
            Nearside.open(Config(freshDirectory()), own),
            Nearside(Config(freshDirectory()), own),
        )) {
            nearside.use { assertEquals(987_654_321uL, it.device().memoryAvailable) }
        }
        Nearside.open(Config(freshDirectory()), host = null).use { assertFalse(it.isReportedByHost()) }
    }

    @Test
    fun aStoreIsNeverReadOnTheThreadOfTheCaller() = scenario {
        val threads = mutableSetOf<Thread>()
        val store = object : CredentialStore {
            override fun load(provider: String, origin: String): String? =
                null.also { threads += Thread.currentThread() }

            override fun save(provider: String, origin: String, key: String) {
                threads += Thread.currentThread()
            }

            override fun remove(provider: String) {
                threads += Thread.currentThread()
            }
        }
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            withContext(main) {
                library().use { nearside ->
                    nearside.loadCredentials(store)
                    nearside.saveCredential("groq", "sk-1", store)
                    nearside.saveCredential("groq", "", store)
                    nearside.addProvider(settings("https://other.example.org"), store)
                    assertTrue(threads.isNotEmpty() && Thread.currentThread() !in threads, "$threads")
                }
            }
        }
    }

    @Test
    fun aCancelEndsTheLoadingOfCredentialsAtOnce() = scenario {
        var calls = 0
        val store = object : CredentialStore {
            override fun load(provider: String, origin: String): String? {
                calls++
                throw CancellationException("cancelled")
            }

            override fun save(provider: String, origin: String, key: String) = throw IOException("unused")

            override fun remove(provider: String) = throw IOException("unused")
        }
        library().use { nearside ->
            nearside.addProvider(settings("https://llm.example.org").copy(name = "another"))
            assertFailsWith<CancellationException> { nearside.loadCredentials(store) }
        }
        assertEquals(1, calls)
    }

    private fun settings(url: String) = ProviderSettings("groq", ProviderKind.COMPATIBLE, baseUrl = url, model = "m")

    private suspend fun library(): Nearside =
        Nearside.open(freshDirectory()).also { it.addProvider(settings("https://llm.example.org")) }

    private fun host(memory: ULong) = object : DeviceHost {
        override fun facts() =
            DeviceFacts(memoryAvailable = memory, network = Connectivity.UNMETERED, heat = ThermalState.NOMINAL)
    }

    private fun Nearside.isReportedByHost(): Boolean = device().memorySource == "host"
}
