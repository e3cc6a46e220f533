/*
 * Device facts that only Android can report. The library uses them for the memory budget, routing and thermal limits.
 *
 * Each fact is read separately. If a service is missing, a permission was revoked or a system process has died, that
 * fact is unknown and the others are unaffected. Nothing is thrown, because the caller is Rust.
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
 * The device's state as Android reports it: `Nearside.open(directory, AndroidHost(context))`.
 *
 * Any context works; the application's context is stored.
 */
class AndroidHost(context: Context) : DeviceHost {
    private val context: Context = context.applicationContext ?: context

    init {
        NativeLibrary.chooseVariant()
    }

    override fun facts(): HostFacts {
        val memory = memory()
        return HostFacts(
            memoryAvailable = memory?.let(::availableBytes),
            network = factOrNull { network() } ?: Network.UNKNOWN,
            batteryPercent = factOrNull { batteryPercent() },
            lowPower = factOrNull { service<PowerManager>()?.isPowerSaveMode } ?: false,
            heat = factOrNull { heat() } ?: Heat.NOMINAL,
            memoryPressure = memory?.lowMemory ?: false,
        )
    }

    private fun memory(): ActivityManager.MemoryInfo? = factOrNull {
        service<ActivityManager>()?.let { manager -> ActivityManager.MemoryInfo().also(manager::getMemoryInfo) }
    }

    private fun network(): Network? {
        val manager = service<ConnectivityManager>() ?: return null
        val active = manager.activeNetwork ?: return Network.OFFLINE
        // Null for a network that was lost between the two calls.
        val capabilities = manager.getNetworkCapabilities(active) ?: return null
        return network(capabilities::hasCapability)
    }

    private fun batteryPercent(): UInt? = service<BatteryManager>()
        ?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        // A device without a battery returns Integer.MIN_VALUE.
        ?.takeIf { it in 0..100 }?.toUInt()

    private fun heat(): Heat? {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        return service<PowerManager>()?.currentThermalStatus?.let(::heat)
    }

    private inline fun <reified S> service(): S? = context.getSystemService(S::class.java)
}

/** Returns the bytes that the app can still allocate: below the threshold the system starts to kill processes. */
private fun availableBytes(memory: ActivityManager.MemoryInfo): ULong =
    (memory.availMem - memory.threshold).coerceAtLeast(0).toULong()

/** Returns the connectivity of a network with these capabilities. */
private fun network(has: (Int) -> Boolean): Network = when {
    // VALIDATED is not required: Android never sets it where Google is blocked.
    !has(NetworkCapabilities.NET_CAPABILITY_INTERNET) -> Network.OFFLINE
    has(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) -> Network.UNMETERED
    Build.VERSION.SDK_INT >= Build.VERSION_CODES.R &&
        has(NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED) -> Network.UNMETERED
    else -> Network.METERED
}

/** Maps Android's seven thermal levels to the library's four. */
private fun heat(status: Int): Heat = when {
    status <= PowerManager.THERMAL_STATUS_LIGHT -> Heat.NOMINAL
    status == PowerManager.THERMAL_STATUS_MODERATE -> Heat.FAIR
    status == PowerManager.THERMAL_STATUS_SEVERE -> Heat.SERIOUS
    else -> Heat.CRITICAL
}

/** Returns the fact; null if reading it throws. */
private inline fun <T> factOrNull(readFact: () -> T?): T? = try {
    readFact()
} catch (_: RuntimeException) {
    null
}
