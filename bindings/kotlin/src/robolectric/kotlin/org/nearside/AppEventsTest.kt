package org.nearside

import android.app.Activity
import android.app.Application
import android.content.ComponentCallbacks
import android.content.ComponentCallbacks2
import kotlin.test.assertEquals
import kotlin.test.assertNull
import org.junit.Test
import org.junit.runner.RunWith
import org.nearside.testing.scripted
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config as Device

/** App events that are forwarded to the library. */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
@Suppress("DEPRECATION")
class AppEventsTest {
    private val application: Application = RuntimeEnvironment.getApplication()
    private val received = mutableListOf<AppEvent>()
    private val events = AppEvents(received::add)

    @Test
    fun aTrimLevelIsAnEventOrNothing() {
        assertNull(appEventOf(ComponentCallbacks2.TRIM_MEMORY_RUNNING_MODERATE))
        assertEquals(AppEvent.MEMORY_LOW, appEventOf(ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW))
        assertEquals(AppEvent.MEMORY_CRITICAL, appEventOf(ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL))
        assertNull(appEventOf(ComponentCallbacks2.TRIM_MEMORY_UI_HIDDEN), "reported by the activities")
        assertEquals(AppEvent.MEMORY_LOW, appEventOf(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND))
        assertEquals(AppEvent.MEMORY_LOW, appEventOf(ComponentCallbacks2.TRIM_MEMORY_MODERATE))
        assertEquals(AppEvent.MEMORY_CRITICAL, appEventOf(ComponentCallbacks2.TRIM_MEMORY_COMPLETE))
    }

    @Test
    fun memoryWarningsArriveWhileFollowed() {
        application.registerComponentCallbacks(events)
        application.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        application.onLowMemory()
        assertEquals(listOf(AppEvent.MEMORY_LOW, AppEvent.MEMORY_CRITICAL), received)

        application.unregisterComponentCallbacks(events)
        application.onLowMemory()
        assertEquals(2, received.size)
    }

    @Test
    fun theFirstActivityBringsTheAppToTheFrontAndTheLastTakesItAway() {
        application.registerActivityLifecycleCallbacks(events)
        val first = Robolectric.buildActivity(Activity::class.java).create().start()
        val second = Robolectric.buildActivity(Activity::class.java).create().start()
        first.stop()
        assertEquals(listOf(AppEvent.FOREGROUND), received, "another activity is still there")
        second.stop()
        assertEquals(listOf(AppEvent.FOREGROUND, AppEvent.BACKGROUND), received)
        second.restart().start()
        assertEquals(listOf(AppEvent.FOREGROUND, AppEvent.BACKGROUND, AppEvent.FOREGROUND), received)
    }

    @Test
    fun turningTheDeviceIsNotLeaving() {
        application.registerActivityLifecycleCallbacks(events)
        val activity = Robolectric.buildActivity(Activity::class.java).setup()
        activity.recreate()
        assertEquals(listOf(AppEvent.FOREGROUND), received)
    }

    @Test
    fun anAppThatStartsInTheForegroundReportsOnlyLeaving() {
        events.readInitialState()
        application.registerActivityLifecycleCallbacks(events)
        Robolectric.buildActivity(Activity::class.java).setup().stop()
        assertEquals(listOf(AppEvent.BACKGROUND), received)
    }

    @Test
    fun followingIsOneLineAndEndsWhenItIsClosed() {
        val app = RecordingApplication()
        scripted { text("Because of the moon.") }.use { nearside ->
            nearside.followApp(app).use {
                assertEquals(app.components, app.activities)
                val follower = app.components.single() as AppEvents
                follower.onLowMemory()
                follower.onActivityStarted(Activity())
            }
        }
        assertEquals(emptySet<Any>(), app.components + app.activities)
    }

    @Test
    fun aLibraryThatIsClosedDoesNotEndTheApp() {
        val closed = AppEvents { error("closed") }
        closed.onLowMemory()
        closed.onTrimMemory(ComponentCallbacks2.TRIM_MEMORY_BACKGROUND)
        closed.onActivityStarted(Activity())
    }

    /** An application that records its registered callbacks. */
    private class RecordingApplication : Application() {
        val components = mutableSetOf<Any>()
        val activities = mutableSetOf<Any>()

        override fun registerComponentCallbacks(callback: ComponentCallbacks) {
            components += callback
        }

        override fun unregisterComponentCallbacks(callback: ComponentCallbacks) {
            components -= callback
        }

        override fun registerActivityLifecycleCallbacks(callback: ActivityLifecycleCallbacks) {
            activities += callback
        }

        override fun unregisterActivityLifecycleCallbacks(callback: ActivityLifecycleCallbacks) {
            activities -= callback
        }
    }
}
