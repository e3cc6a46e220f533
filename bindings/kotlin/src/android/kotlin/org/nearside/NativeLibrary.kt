/*
 * Which build of the native library a device gets. The one for every 64-bit ARM processor decodes at half the speed that
 * most phones are capable of, and reads a prompt at a quarter of it; the ones for newer processors end the app on older
 * ones (SIGILL). So the AAR has all of them, and this chooses, before the first one is loaded.
 *
 * It happens by itself: when the app starts (NativeLibraryStarter, in the manifest), and again in `AndroidHost`, for
 * processes other than the app's first one.
 */
package org.nearside

import java.io.File
import java.io.IOException

/** A build of the native library. */
internal enum class CpuVariant(val library: String, private val needs: Set<String>) {
    // The names are the kernel's (Documentation/arch/arm64/elf_hwcaps), the order from the fastest to the plainest.
    /** armv8.2-a with dotprod, fp16 and i8mm: most phones of 2022 and later. */
    I8MM("nearside_ffi_i8mm", setOf("asimd", "asimdhp", "asimddp", "i8mm")),

    /** armv8.2-a with dotprod and fp16: most phones of 2019 and later. */
    DOTPROD("nearside_ffi_dotprod", setOf("asimd", "asimdhp", "asimddp")),

    /** armv8-a; also x86-64, of which there is only one. */
    BASELINE("nearside_ffi", emptySet()),
    ;

    fun runsOn(features: Set<String>): Boolean = features.containsAll(needs)
}

/** The fastest build that runs on the processor of which the kernel says this, in the words of `/proc/cpuinfo`. */
internal fun variantFor(cpuinfo: String): CpuVariant {
    val cores = cpuinfo.lines()
        .filter { it.substringBefore(':').trim() == "Features" }
        .map { it.substringAfter(':').split(' ').toSet() }
    // A thread may run on any core, so only features that all cores have count.
    val everywhere = cores.reduceOrNull(Set<String>::intersect).orEmpty()
    return CpuVariant.entries.first { it.runsOn(everywhere) }
}

/** Chooses the native library, once for each process. */
internal object NativeLibrary {
    /** Where the generated code looks for another name. */
    const val OVERRIDE = "uniffi.component.nearside.libraryOverride"

    /** Chooses, unless the app or an earlier call has chosen. */
    @Synchronized
    fun choose() {
        if (System.getProperty(OVERRIDE) == null) System.setProperty(OVERRIDE, variantFor(cpuinfo()).library)
    }

    // Not /proc/self/auxv, which says the same in bits: a released app may not read its own.
    private fun cpuinfo() = try {
        File("/proc/cpuinfo").readText()
    } catch (_: IOException) {
        ""
    }
}
