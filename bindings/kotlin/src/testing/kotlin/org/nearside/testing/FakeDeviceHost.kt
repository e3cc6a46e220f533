/*
 * A device host whose facts a test sets: an app's behaviour without a network, on a hot phone or under memory pressure,
 * without such a phone. The library asks the host before each decision, so that a change applies to the next one.
 */
package org.nearside.testing

import java.util.concurrent.atomic.AtomicReference
import org.nearside.AppEvent
import org.nearside.Connectivity
import org.nearside.DeviceFacts
import org.nearside.DeviceHost
import org.nearside.Nearside
import org.nearside.ThermalState

/**
 * A device of a test. Its facts are those of a cool phone with an unmetered network, until the test changes them:
 *
 *     val host = FakeDeviceHost(network = Connectivity.METERED)
 *     val nearside = Nearside.open(config, host)
 *     host.simulateNetwork(Connectivity.OFFLINE)
 *
 * All methods may be called from any thread. Those that take the library also report the event to it, as `followApp` does
 * on a phone. Without [memoryAvailable] the library uses the free memory of this machine.
 */
public class FakeDeviceHost(
    memoryAvailable: ULong? = null,
    network: Connectivity = Connectivity.UNMETERED,
    batteryPercent: UInt? = null,
    lowPower: Boolean = false,
    heat: ThermalState = ThermalState.NOMINAL,
    memoryPressure: Boolean = false,
) : DeviceHost {
    private val current =
        AtomicReference(DeviceFacts(memoryAvailable, network, null, batteryPercent, lowPower, heat, memoryPressure))

    override fun facts(): DeviceFacts = current.get()

    /** Sets the bytes that the app may still allocate. Null: the free memory of this machine. */
    public fun simulateMemoryAvailable(bytes: ULong?): Unit = update { it.copy(memoryAvailable = bytes) }

    /** Sets the connection: `OFFLINE` when it is lost, `METERED` for mobile data. */
    public fun simulateNetwork(network: Connectivity): Unit = update { it.copy(network = network) }

    /** Sets whether the user lets the app use the local network; null: there is no such permission. */
    public fun simulateLocalNetwork(allowed: Boolean?): Unit = update { it.copy(localNetworkAllowed = allowed) }

    /** Sets the charge of the battery. Null: none, or unknown. */
    public fun simulateBattery(percent: UInt?): Unit = update { it.copy(batteryPercent = percent) }

    /** Turns the low-power mode on or off. */
    public fun simulateLowPower(isOn: Boolean): Unit = update { it.copy(lowPower = isOn) }

    /** Sets the thermal state. */
    public fun simulateHeat(heat: ThermalState): Unit = update { it.copy(heat = heat) }

    /** Begins or ends memory pressure, as the system reports it beside its warnings. */
    public fun simulateMemoryPressure(isOn: Boolean): Unit = update { it.copy(memoryPressure = isOn) }

    /** Sends a memory warning to the library, and begins memory pressure. */
    public fun simulateMemoryWarning(nearside: Nearside) {
        simulateMemoryPressure(true)
        nearside.notify(AppEvent.MEMORY_LOW)
    }

    /** Moves the app to the background. */
    public fun simulateBackground(nearside: Nearside): Unit = nearside.notify(AppEvent.BACKGROUND)

    /** Moves the app back to the foreground. */
    public fun simulateForeground(nearside: Nearside): Unit = nearside.notify(AppEvent.FOREGROUND)

    private fun update(change: (DeviceFacts) -> DeviceFacts) {
        current.updateAndGet(change)
    }
}
