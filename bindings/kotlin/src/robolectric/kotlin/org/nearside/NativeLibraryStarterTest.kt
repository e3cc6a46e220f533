package org.nearside

import android.content.Context
import java.nio.file.Files
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config as Device

/** The host that an app's process gets by itself. */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
class NativeLibraryStarterTest {
    private val context: Context = RuntimeEnvironment.getApplication()

    @Before
    @After
    fun forget() {
        PlatformHost.current = null
    }

    @Test
    fun theProviderMakesAndroidTheHostOfEveryLibrary() {
        Robolectric.buildContentProvider(NativeLibraryStarter::class.java).create()
        assertIs<AndroidHost>(PlatformHost.current)
        val directory = Files.createTempDirectory("nearside-host-").toString()
        Nearside(Config(directory)).use { assertEquals("host", it.device().memorySource) }
        runBlocking { Nearside.open(directory) }.use { assertEquals("host", it.device().memorySource) }
    }

    @Test
    fun aProcessWithoutTheProviderGetsItFromTheDirectoriesOfTheApp() {
        assertNull(PlatformHost.current)
        Config.forApp(context)
        val host = assertIs<AndroidHost>(PlatformHost.current)
        Config.forApp(context)
        assertSame(host, PlatformHost.current)
    }
}
