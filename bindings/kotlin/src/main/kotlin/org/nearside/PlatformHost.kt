/*
 * The device host that the library uses if the caller names none. It is set on Android only (src/android), where the core
 * cannot read the limits of an app by itself; on a desktop or a server the core reads the system.
 */
package org.nearside

/** The host of this process. The default of every function that opens the library (scripts/patch-bindings.py). */
internal object PlatformHost {
    /** Unset: the core reads the system's facts itself. */
    @Volatile
    var current: DeviceHost? = null
}
