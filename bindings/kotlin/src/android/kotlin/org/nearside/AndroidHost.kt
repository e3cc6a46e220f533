/*
 * What only Android can tell about the device, for the library to decide by: whether a model fits, whether words may
 * travel, whether it is too hot.
 *
 * Every fact is looked up by itself. A service that is missing, a permission that was taken away, a system process that
 * has just died: the fact is unknown, and the others stand. Nothing is thrown, for it would be thrown at Rust.
 */
package org.nearside

import android.app.ActivityManager
import android.content.Context
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager

/**
 * The device as Android sees it: `Nearside.withHost(Config(directory), AndroidHost(context))`.
 *
 * Any context will do; the application's is kept.
 */
class AndroidHost(context: Context) : DeviceHost {
    private val context: Context = context.applicationContext ?: context

    init {
        NativeLibrary.choose()
    }

    override fun facts(): HostFacts {
        val memory = memory()
        return HostFacts(
            memoryAvailable = memory?.let(::bytesToTake),
            network = known { network() } ?: Network.UNKNOWN,
            batteryPercent = known { batteryPercent() },
            lowPower = known { service<PowerManager>()?.isPowerSaveMode } ?: false,
            heat = known { heat() } ?: Heat.NOMINAL,
            memoryPressure = memory?.lowMemory ?: false,
        )
    }

    private fun memory(): ActivityManager.MemoryInfo? = known {
        service<ActivityManager>()?.let { manager -> ActivityManager.MemoryInfo().also(manager::getMemoryInfo) }
    }

    private fun network(): Network? {
        val manager = service<ConnectivityManager>() ?: return null
        val active = manager.activeNetwork ?: return Network.OFFLINE
        // Unset for a network that was lost between the two calls.
        val capabilities = manager.getNetworkCapabilities(active) ?: return null
        return network(capabilities::hasCapability)
    }

    private fun batteryPercent(): UInt? = service<BatteryManager>()
        ?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        // A device without a battery says Integer.MIN_VALUE.
        ?.takeIf { it in 0..100 }?.toUInt()

    private fun heat(): Heat? {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        return service<PowerManager>()?.currentThermalStatus?.let(::heat)
    }

    private inline fun <reified S> service(): S? = context.getSystemService(S::class.java)
}

/** What an app may still take: below the threshold the system begins to end processes, this one perhaps. */
private fun bytesToTake(memory: ActivityManager.MemoryInfo): ULong =
    (memory.availMem - memory.threshold).coerceAtLeast(0).toULong()

/** How a network with these capabilities connects. */
private fun network(has: (Int) -> Boolean): Network = when {
    // Whether it was seen to reach the internet (VALIDATED) is left out: where Google is blocked, it never is.
    !has(NetworkCapabilities.NET_CAPABILITY_INTERNET) -> Network.OFFLINE
    has(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) -> Network.UNMETERED
    Build.VERSION.SDK_INT >= Build.VERSION_CODES.R &&
        has(NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED) -> Network.UNMETERED
    else -> Network.METERED
}

/** Android's seven steps in the library's four. */
private fun heat(status: Int): Heat = when {
    status <= PowerManager.THERMAL_STATUS_LIGHT -> Heat.NOMINAL
    status == PowerManager.THERMAL_STATUS_MODERATE -> Heat.FAIR
    status == PowerManager.THERMAL_STATUS_SEVERE -> Heat.SERIOUS
    else -> Heat.CRITICAL
}

/** The fact, or nothing where looking it up fails, for whatever reason. */
private inline fun <T> known(look: () -> T?): T? = try {
    look()
} catch (_: RuntimeException) {
    null
}
