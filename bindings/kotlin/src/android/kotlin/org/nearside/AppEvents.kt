/*
 * Forwards app events to the library: `val following = nearside.followApp(application)`. The library then frees memory
 * under pressure and knows whether the app is in the foreground.
 */
package org.nearside

import android.app.Activity
import android.app.ActivityManager
import android.app.Application
import android.content.ComponentCallbacks2
import android.content.res.Configuration
import android.os.Bundle

/**
 * Forwards memory warnings and changes between foreground and background to the library until the result is closed.
 * Call it once, after creation. An app that never closes its [Nearside] need not close the result.
 */
fun Nearside.followApp(application: Application): AutoCloseable {
    val events = AppEvents(::notify)
    events.readInitialState()
    application.registerComponentCallbacks(events)
    application.registerActivityLifecycleCallbacks(events)
    return AutoCloseable {
        application.unregisterComponentCallbacks(events)
        application.unregisterActivityLifecycleCallbacks(events)
    }
}

/**
 * Maps a trim level to an event; null for a level that needs none. Since Android 14 apps receive only two levels:
 * `TRIM_MEMORY_UI_HIDDEN`, which the activity callbacks report as well, and `TRIM_MEMORY_BACKGROUND`.
 */
@Suppress("DEPRECATION")
internal fun appEventOf(trimLevel: Int): AppEvent? = when {
    // The numbers are not ordered by urgency: up to 15 the app is in the foreground, from 40 on in the background.
    trimLevel >= ComponentCallbacks2.TRIM_MEMORY_COMPLETE -> AppEvent.MEMORY_CRITICAL
    trimLevel >= ComponentCallbacks2.TRIM_MEMORY_BACKGROUND -> AppEvent.MEMORY_LOW
    trimLevel == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL -> AppEvent.MEMORY_CRITICAL
    trimLevel == ComponentCallbacks2.TRIM_MEMORY_RUNNING_LOW -> AppEvent.MEMORY_LOW
    else -> null
}

/** Android callbacks as library events. All run on the main thread. */
internal class AppEvents(private val notify: (AppEvent) -> Unit) :
    ComponentCallbacks2,
    Application.ActivityLifecycleCallbacks {
    private val started = mutableSetOf<Activity>()
    private var isInForeground = false

    /** Reads whether the app is in the foreground now: the first activity may have started already. */
    fun readInitialState() {
        val process = ActivityManager.RunningAppProcessInfo().also(ActivityManager::getMyMemoryState)
        isInForeground = process.importance <= ActivityManager.RunningAppProcessInfo.IMPORTANCE_VISIBLE
    }

    override fun onTrimMemory(level: Int) {
        appEventOf(level)?.let(::forward)
    }

    @Deprecated("Deprecated by Android, but called before Android 14")
    override fun onLowMemory() = forward(AppEvent.MEMORY_CRITICAL)

    override fun onActivityStarted(activity: Activity) {
        started += activity
        if (!isInForeground) forward(AppEvent.FOREGROUND)
        isInForeground = true
    }

    override fun onActivityStopped(activity: Activity) {
        started -= activity
        // During a rotation the old activity stops before the new one starts.
        if (started.isNotEmpty() || activity.isChangingConfigurations) return
        if (isInForeground) forward(AppEvent.BACKGROUND)
        isInForeground = false
    }

    private fun forward(event: AppEvent) = try {
        notify(event)
    } catch (_: Exception) {
        // The library was closed before this observer. An exception here would crash the app.
    }

    override fun onConfigurationChanged(configuration: Configuration) = Unit

    override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit

    override fun onActivityResumed(activity: Activity) = Unit

    override fun onActivityPaused(activity: Activity) = Unit

    override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit

    override fun onActivityDestroyed(activity: Activity) = Unit
}
