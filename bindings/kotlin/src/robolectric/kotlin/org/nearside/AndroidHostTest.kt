package org.nearside

import android.app.ActivityManager
import android.content.Context
import android.content.ContextWrapper
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.os.BatteryManager
import android.os.Build
import android.os.PowerManager
import kotlin.test.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config as Device
import org.robolectric.shadows.ShadowNetworkCapabilities
import org.robolectric.util.ReflectionHelpers

/** Device facts as Android reports them. */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
class AndroidHostTest {
    private val context: Context = RuntimeEnvironment.getApplication()
    private val host = AndroidHost(context)

    @Test
    fun memoryIsWhatIsLeftAboveTheThreshold() {
        memory(available = 3_000_000_000, threshold = 400_000_000, low = false)
        assertEquals(2_600_000_000uL, host.facts().memoryAvailable)
        assertEquals(false, host.facts().memoryPressure)

        memory(available = 300_000_000, threshold = 400_000_000, low = true)
        assertEquals(1uL, host.facts().memoryAvailable)
        assertEquals(true, host.facts().memoryPressure)
    }

    @Test
    fun aNetworkIsOfflineMeteredOrFree() {
        network(NetworkCapabilities.NET_CAPABILITY_INTERNET, NetworkCapabilities.NET_CAPABILITY_NOT_METERED)
        assertEquals(Connectivity.UNMETERED, host.facts().network)
        network(NetworkCapabilities.NET_CAPABILITY_INTERNET)
        assertEquals(Connectivity.METERED, host.facts().network)
        network(
            NetworkCapabilities.NET_CAPABILITY_INTERNET,
            NetworkCapabilities.NET_CAPABILITY_TEMPORARILY_NOT_METERED,
        )
        assertEquals(Connectivity.UNMETERED, host.facts().network)
        network(NetworkCapabilities.NET_CAPABILITY_NOT_METERED)
        assertEquals(Connectivity.OFFLINE, host.facts().network, "a network without the internet is none")

        shadowOf(connectivity).setDefaultNetworkActive(false)
        shadowOf(connectivity).setActiveNetworkInfo(null)
        assertEquals(Connectivity.OFFLINE, host.facts().network)
    }

    @Test
    fun theLocalNetworkNeedsAPermissionSinceAndroid17() {
        val permission = "android.permission.ACCESS_LOCAL_NETWORK"
        assertEquals(null, host.facts().localNetworkAllowed)
        val before = Build.VERSION.SDK_INT
        try {
            ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", 37)
            assertEquals(null, host.facts().localNetworkAllowed, "the app targets an earlier version")
            context.applicationInfo.targetSdkVersion = 37
            for (free in listOf(NetworkCapabilities.TRANSPORT_CELLULAR, NetworkCapabilities.TRANSPORT_VPN)) {
                transport(free)
                assertEquals(null, host.facts().localNetworkAllowed, "there it is not needed")
            }
            transport(NetworkCapabilities.TRANSPORT_WIFI)
            assertEquals(false, host.facts().localNetworkAllowed)
            shadowOf(RuntimeEnvironment.getApplication()).grantPermissions(permission)
            assertEquals(true, host.facts().localNetworkAllowed)
        } finally {
            ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", before)
        }
    }

    @Test
    fun theSevenThermalStepsAreFour() {
        val heats = (PowerManager.THERMAL_STATUS_NONE..PowerManager.THERMAL_STATUS_SHUTDOWN).map { status ->
            shadowOf(power).setCurrentThermalStatus(status)
            host.facts().heat
        }
        val critical = List(3) { ThermalState.CRITICAL }
        assertEquals(
            listOf(ThermalState.NOMINAL, ThermalState.NOMINAL, ThermalState.FAIR, ThermalState.SERIOUS) + critical,
            heats,
        )
    }

    @Test
    fun anAndroidThatCannotTellItsHeatIsNotHot() {
        shadowOf(power).setCurrentThermalStatus(PowerManager.THERMAL_STATUS_SEVERE)
        val system = Build.VERSION.SDK_INT
        ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", Build.VERSION_CODES.P)
        try {
            assertEquals(ThermalState.NOMINAL, host.facts().heat)
        } finally {
            ReflectionHelpers.setStaticField(Build.VERSION::class.java, "SDK_INT", system)
        }
    }

    @Test
    fun batteryAndPowerSavingAreTold() {
        val battery = shadowOf(context.getSystemService(BatteryManager::class.java))
        battery.setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, 42)
        shadowOf(power).setIsPowerSaveMode(true)
        assertEquals(42u, host.facts().batteryPercent)
        assertEquals(true, host.facts().lowPower)

        battery.setIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY, Integer.MIN_VALUE)
        shadowOf(power).setIsPowerSaveMode(false)
        assertEquals(null, host.facts().batteryPercent, "no battery")
        assertEquals(false, host.facts().lowPower)
    }

    @Test
    fun whatCannotBeLookedUpIsUnknown() {
        val unknown = DeviceFacts(network = Connectivity.UNKNOWN, heat = ThermalState.NOMINAL)
        assertEquals(unknown, AndroidHost(ContextWithServices { null }).facts(), "no service at all")
        assertEquals(unknown, AndroidHost(ContextWithServices { throw SecurityException(it) }).facts(), "no permission")
    }

    @Test
    fun oneFactThatFailsTakesNoOtherAlong() {
        memory(available = 3_000_000_000, threshold = 400_000_000, low = false)
        val host = AndroidHost(
            ContextWithServices { name ->
                if (name == Context.CONNECTIVITY_SERVICE) throw SecurityException(name)
                context.getSystemService(name)
            },
        )
        assertEquals(Connectivity.UNKNOWN, host.facts().network)
        assertEquals(2_600_000_000uL, host.facts().memoryAvailable)
    }

    private val connectivity get() = context.getSystemService(ConnectivityManager::class.java)
    private val power get() = context.getSystemService(PowerManager::class.java)

    private fun memory(available: Long, threshold: Long, low: Boolean) {
        val memory = ActivityManager.MemoryInfo()
        memory.availMem = available
        memory.threshold = threshold
        memory.lowMemory = low
        shadowOf(context.getSystemService(ActivityManager::class.java)).setMemoryInfo(memory)
    }

    private fun transport(type: Int) {
        val capabilities = ShadowNetworkCapabilities.newInstance()
        shadowOf(capabilities).addTransportType(type)
        shadowOf(connectivity).setNetworkCapabilities(connectivity.activeNetwork, capabilities)
    }

    private fun network(vararg has: Int) {
        val capabilities = ShadowNetworkCapabilities.newInstance()
        val can = shadowOf(capabilities)
        capabilities.capabilities.forEach(can::removeCapability)
        has.forEach(can::addCapability)
        shadowOf(connectivity).setNetworkCapabilities(connectivity.activeNetwork, capabilities)
    }

    /** A context with a replaced service lookup. */
    private inner class ContextWithServices(private val service: (String) -> Any?) : ContextWrapper(context) {
        override fun getApplicationContext(): Context = this

        override fun getSystemService(name: String): Any? = service(name)
    }
}
