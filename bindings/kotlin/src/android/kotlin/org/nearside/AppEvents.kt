/*
 * Tells the library what happens to the app, in one line: `val following = nearside.follow(application)`. Under memory
 * pressure it gives memory back, and it knows whether a person is looking.
 */
package org.nearside

import android.app.Activity
import android.app.ActivityManager
import android.app.Application
import android.content.ComponentCallbacks2
import android.content.res.Configuration
import android.os.Bundle

/**
 * Hands the app's memory warnings, and its coming to the front and leaving it, to the library until the result is closed.
 * Call it once, where the library is made; an app that keeps its [Nearside] for life need not close the result.
 */
fun Nearside.follow(application: Application): AutoCloseable {
    val events = AppEvents(::notify)
    events.begin()
    application.registerComponentCallbacks(events)
    application.registerActivityLifecycleCallbacks(events)
    return AutoCloseable {
        application.unregisterComponentCallbacks(events)
        application.unregisterActivityLifecycleCallbacks(events)
    }
}

/**
 * What a trim level means to the library; nothing where it means nothing. Since Android 14 apps get two of them only:
 * `TRIM_MEMORY_UI_HIDDEN`, which the activities tell as well, and `TRIM_MEMORY_BACKGROUND`.
 */
@Suppress("DEPRECATION")
internal fun appEvent(trimLevel: Int): AppEvent? = when {
    // The numbers are not in the order of urgency: up to 15 the app is in front, from 40 on it is behind others.
    trimLevel >= ComponentCallbacks2.TRIM_MEMORY_COMPLETE -> AppEvent.MEMORY_CRITICAL
    trimLevel >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND -> AppEvent.MEMORY_LOW
    trimLevel == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL -> AppEvent.MEMORY_CRITICAL
    trimLevel == ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW -> AppEvent.MEMORY_LOW
    else -> null
}

/** Turns what Android calls into events; all of it on the main thread. */
internal class AppEvents(private val notify: (AppEvent) -> Unit) :
    ComponentCallbacks2,
    Application.ActivityLifecycleCallbacks {
    private val started = mutableSetOf<Activity>()
    private var inFront = false

    /** Says where the app is now: it may be called before the first activity starts, or long after. */
    fun begin() {
        val process = ActivityManager.RunningAppProcessInfo().also(ActivityManager::getMyMemoryState)
        inFront = process.importance <= ActivityManager.RunningAppProcessInfo.IMPORTANCE_VISIBLE
    }

    override fun onTrimMemory(level: Int) {
        appEvent(level)?.let(::tell)
    }

    @Deprecated("Deprecated by Android, and still called before Android 14")
    override fun onLowMemory() = tell(AppEvent.MEMORY_CRITICAL)

    override fun onActivityStarted(activity: Activity) {
        started += activity
        if (!inFront) tell(AppEvent.FOREGROUND)
        inFront = true
    }

    override fun onActivityStopped(activity: Activity) {
        started -= activity
        // While the device is turned the old activity stops, and the new one has not started yet.
        if (started.isNotEmpty() || activity.isChangingConfigurations) return
        if (inFront) tell(AppEvent.BACKGROUND)
        inFront = false
    }

    private fun tell(event: AppEvent) = try {
        notify(event)
    } catch (_: Exception) {
        // The library was closed before the observer. An exception from here would crash the app.
    }

    override fun onConfigurationChanged(configuration: Configuration) = Unit

    override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit

    override fun onActivityResumed(activity: Activity) = Unit

    override fun onActivityPaused(activity: Activity) = Unit

    override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit

    override fun onActivityDestroyed(activity: Activity) = Unit
}
