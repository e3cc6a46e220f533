/*
 * Device facts that only Android can report. The library uses them for the memory budget, routing and thermal limits.
 *
 * Each fact is read separately. If a service is missing, a permission was revoked or a system process has died, that
 * fact is unknown and the others are unaffected. Nothing is thrown, because the caller is Rust.
 */
package org.nearside

import android.app.ActivityManager
import android.content.Context
import android.content.pm.PackageManager
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager

/**
 * The device's state as Android reports it. The library uses one by itself: an app creates none, except to read [facts], or
 * to pass it on from a [DeviceHost] of its own.
 *
 * Any context works; the application's context is stored.
 */
class AndroidHost(context: Context) : DeviceHost {
    private val context: Context = context.applicationContext ?: context

    init {
        NativeLibrary.chooseVariant()
    }

    override fun facts(): DeviceFacts {
        val memory = memory()
        return DeviceFacts(
            memoryAvailable = memory?.let(::availableBytes),
            network = factOrNull { network() } ?: Connectivity.UNKNOWN,
            localNetworkAllowed = factOrNull { isLocalNetworkAllowed() },
            batteryPercent = factOrNull { batteryPercent() },
            lowPower = factOrNull { service<PowerManager>()?.isPowerSaveMode } ?: false,
            heat = factOrNull { heat() } ?: ThermalState.NOMINAL,
            memoryPressure = memory?.lowMemory ?: false,
        )
    }

    private fun memory(): ActivityManager.MemoryInfo? = factOrNull {
        service<ActivityManager>()?.let { manager -> ActivityManager.MemoryInfo().also(manager::getMemoryInfo) }
    }

    private fun network(): Connectivity? {
        val manager = service<ConnectivityManager>() ?: return null
        val active = manager.activeNetwork ?: return Connectivity.OFFLINE
        // Null for a network that was lost between the two calls.
        val capabilities = manager.getNetworkCapabilities(active) ?: return null
        return network(capabilities::hasCapability)
    }

    /**
     * Null if there is no such permission: before Android 17, and for an app that targets an earlier one. Without the permission
     * a connection to the local network times out instead of failing.
     */
    private fun isLocalNetworkAllowed(): Boolean? {
        if (minOf(Build.VERSION.SDK_INT, context.applicationInfo.targetSdkVersion) < ANDROID_17) return null
        // Private addresses behind a VPN or in a mobile network need no permission.
        val manager = service<ConnectivityManager>()
        val active = manager?.getNetworkCapabilities(manager.activeNetwork)
        if (active != null && FREE_TRANSPORTS.any(active::hasTransport)) return null
        return context.checkSelfPermission(ACCESS_LOCAL_NETWORK) == PackageManager.PERMISSION_GRANTED
    }

    private fun batteryPercent(): UInt? = service<BatteryManager>()
        ?.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY)
        // A device without a battery returns Integer.MIN_VALUE.
        ?.takeIf { it in 0..100 }?.toUInt()

    private fun heat(): ThermalState? {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) return null
        return service<PowerManager>()?.currentThermalStatus?.let(::heat)
    }

    private inline fun <reified S> service(): S? = context.getSystemService(S::class.java)
}

// Not in the SDK that the library is compiled with.
private const val ANDROID_17 = 37
private val FREE_TRANSPORTS = listOf(NetworkCapabilities.TRANSPORT_VPN, NetworkCapabilities.TRANSPORT_CELLULAR)
private const val ACCESS_LOCAL_NETWORK = "android.permission.ACCESS_LOCAL_NETWORK"

/** Returns the bytes that the app can still allocate: below the threshold the system kills processes. Never 0, which is "not known". */
private fun availableBytes(memory: ActivityManager.MemoryInfo): ULong =
    (memory.availMem - memory.threshold).coerceAtLeast(1).toULong()

/** Returns the connectivity of a network with these capabilities. */
private fun network(has: (Int) -> Boolean): Connectivity = when {
    // VALIDATED is not required: Android never sets it where Google is blocked.
    !has(NetworkCapabilities.NET_CAPABILITY_INTERNET) -> Connectivity.OFFLINE
    has(NetworkCapabilities.NET_CAPABILITY_NOT_METERED) -> Connectivity.UNMETERED
    Build.VERSION.SDK_INT >= Build.VERSION_CODES.R &&
        has(NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED) -> Connectivity.UNMETERED
    else -> Connectivity.METERED
}

/** Maps Android's seven thermal levels to the library's four. */
private fun heat(status: Int): ThermalState = when {
    status <= PowerManager.THERMAL_STATUS_LIGHT -> ThermalState.NOMINAL
    status == PowerManager.THERMAL_STATUS_MODERATE -> ThermalState.FAIR
    status == PowerManager.THERMAL_STATUS_SEVERE -> ThermalState.SERIOUS
    else -> ThermalState.CRITICAL
}

/** Returns the fact; null if reading it throws. */
private inline fun <T> factOrNull(readFact: () -> T?): T? = try {
    readFact()
} catch (_: RuntimeException) {
    null
}
