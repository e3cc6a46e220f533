/*
 * Selects the native library build for the device's processor. The build for every 64-bit ARM processor decodes at half
 * the speed that most phones can reach, and prefills at a quarter; builds for newer processors crash on older ones
 * (SIGILL). So the AAR contains all of them, and this selects one before the first is loaded.
 *
 * Runs automatically: when the app starts (NativeLibraryStarter, in the manifest), and again in `AndroidHost`, for
 * processes other than the app's main one. The names are those of bindings/kotlin/natives.txt. Only on Android: on a host,
 * where unit tests run, there is one build, whatever the processor has.
 */
package org.nearside

import java.io.File
import java.io.IOException

/** A build of the native library. */
internal enum class CpuVariant(val library: String, private val needs: Set<String>) {
    // Feature names as in the kernel's Documentation/arch/arm64/elf_hwcaps; fastest build first.
    /** armv8.2-a with dotprod, fp16 and i8mm: most phones of 2022 and later. */
    I8MM("nearside_ffi_i8mm", setOf("asimd", "asimdhp", "asimddp", "i8mm")),

    /** armv8.2-a with dotprod and fp16: most phones of 2019 and later. */
    DOTPROD("nearside_ffi_dotprod", setOf("asimd", "asimdhp", "asimddp")),

    /** armv8-a, and the only build for x86-64. */
    BASELINE("nearside_ffi", emptySet()),
    ;

    fun runsOn(features: Set<String>): Boolean = features.containsAll(needs)
}

/** Returns the fastest build that runs on the processor described by [cpuinfo], the text of `/proc/cpuinfo`. */
internal fun variantFor(cpuinfo: String): CpuVariant {
    val cores = cpuinfo.lines()
        .filter { it.substringBefore(':').trim() == "Features" }
        .map { it.substringAfter(':').split(' ').toSet() }
    // A thread may run on any core, so only features common to all cores count.
    val everywhere = cores.reduceOrNull(Set<String>::intersect).orEmpty()
    return CpuVariant.entries.first { it.runsOn(everywhere) }
}

/** The native library of this process. */
internal object NativeLibrary {
    /** System property from which the generated code takes the library's name. */
    const val OVERRIDE = "uniffi.component.nearside.libraryOverride"

    /** Selects the build, unless the app or an earlier call has already set [OVERRIDE]. Does nothing outside of Android. */
    @Synchronized
    fun chooseVariant(cpuinfo: () -> String = ::readCpuinfo) {
        if (System.getProperty("java.vm.name") != ANDROID_VM) return
        if (System.getProperty(OVERRIDE) == null) System.setProperty(OVERRIDE, variantFor(cpuinfo()).library)
    }

    /** The name that Android's virtual machine gives itself, ART as its predecessor. */
    private const val ANDROID_VM = "Dalvik"

    // Not /proc/self/auxv, which has the same features as bits: a release build may not read its own.
    private fun readCpuinfo() = try {
        File("/proc/cpuinfo").readText()
    } catch (_: IOException) {
        ""
    }
}
