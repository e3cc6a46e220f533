package org.nearside

import java.nio.file.Path
import kotlin.io.path.readLines
import kotlin.test.assertEquals
import kotlin.test.assertNull
import org.junit.After
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config as Device

/** Selection of the native library build. The `cpuinfo` texts were recorded on the named devices. */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
class NativeLibraryTest {
    private val before = listOf(NativeLibrary.OVERRIDE, VM).associateWith(System::getProperty)

    @After
    fun restore() {
        for ((name, value) in before) if (value == null) System.clearProperty(name) else System.setProperty(name, value)
    }

    @Test
    fun newPhonesGetTheFastestBuild() {
        assertEquals(CpuVariant.I8MM, variantFor(armCpuinfo(PIXEL_8)))
        assertEquals(CpuVariant.I8MM, variantFor(armCpuinfo(SNAPDRAGON_8_GEN_2)))
    }

    @Test
    fun aPhoneWithDotprodAndNoI8mmGetsDotprod() {
        assertEquals(CpuVariant.DOTPROD, variantFor(armCpuinfo(SNAPDRAGON_720G)))
    }

    @Test
    fun fp16WithoutDotprodIsNotEnough() {
        assertEquals(CpuVariant.BASELINE, variantFor(armCpuinfo(SNAPDRAGON_845, rev = 12)))
    }

    @Test
    fun aPhoneWithNothingButCortexA53GetsTheBaseline() {
        assertEquals(CpuVariant.BASELINE, variantFor(armCpuinfo(CORTEX_A53, rev = 4)))
    }

    @Test
    fun theWeakestCoreDecides() {
        assertEquals(CpuVariant.DOTPROD, variantFor(armCpuinfo(PIXEL_8) + armCpuinfo(SNAPDRAGON_720G)))
        assertEquals(CpuVariant.BASELINE, variantFor(armCpuinfo(CORTEX_A53) + armCpuinfo(PIXEL_8)))
    }

    @Test
    fun anEmulatorAndAKernelThatSaysNothingGetTheBaseline() {
        assertEquals(CpuVariant.BASELINE, variantFor(EMULATOR_X86_64))
        assertEquals(CpuVariant.BASELINE, variantFor(ARM_32))
        assertEquals(CpuVariant.BASELINE, variantFor(""))
    }

    @Test
    fun itIsChosenOnAndroidAndTheAppsOwnChoiceStays() {
        System.setProperty(VM, "Dalvik")
        System.clearProperty(NativeLibrary.OVERRIDE)
        NativeLibrary.chooseVariant { armCpuinfo(PIXEL_8) }
        assertEquals(CpuVariant.I8MM.library, System.getProperty(NativeLibrary.OVERRIDE))

        System.setProperty(NativeLibrary.OVERRIDE, "of_my_own")
        NativeLibrary.chooseVariant()
        assertEquals("of_my_own", System.getProperty(NativeLibrary.OVERRIDE))
    }

    @Test
    fun aHostHasOneBuildWhateverItsProcessor() {
        System.clearProperty(NativeLibrary.OVERRIDE)
        NativeLibrary.chooseVariant { armCpuinfo(PIXEL_8) }
        assertNull(System.getProperty(NativeLibrary.OVERRIDE))
    }

    @Test
    fun theNamesAreThoseThatAreBuilt() {
        val rows = Path.of("natives.txt").readLines().filterNot { it.startsWith("#") }.map { it.split(Regex(" +")) }
        val built = rows.groupBy({ it[1] }, { it[0] })
        assertEquals(CpuVariant.entries.map { it.library }, built["arm64-v8a"])
        assertEquals(listOf(CpuVariant.BASELINE.library), built["x86_64"])
    }

    /** Returns `/proc/cpuinfo` of two such cores; older kernels start with a line with the [rev]ision. */
    private fun armCpuinfo(features: String, rev: Int? = null): String {
        val head = rev?.let { "Processor\t: AArch64 Processor rev $it (aarch64)\n" }.orEmpty()
        return head + (0..1).joinToString("") { core ->
            "processor\t: $core\nBogoMIPS\t: 38.40\nFeatures\t: $features\nCPU implementer\t: 0x41\n\n"
        }
    }

    private companion object {
        const val VM = "java.vm.name"
        const val PIXEL_8 =
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop " +
                "sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg dcpodp sve2 " +
                "sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svebf16 i8mm bti"

        /** Xiaomi 13 Pro. */
        const val SNAPDRAGON_8_GEN_2 =
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop " +
                "sha3 sm3 sm4 asimddp sha512 asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg dcpodp flagm2 frint " +
                "i8mm bf16 bti"

        /** Galaxy A52. */
        const val SNAPDRAGON_720G =
            "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"

        /** Xiaomi Mi 8. */
        const val SNAPDRAGON_845 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp"

        /** Eight cores of CPU part 0xd03. */
        const val CORTEX_A53 = "fp asimd evtstrm aes pmull sha1 sha2 crc32"

        /** Moto G5 with a 32-bit kernel. */
        const val ARM_32 =
            "processor\t: 0\nmodel name\t: ARMv7 Processor rev 4 (v7l)\nBogoMIPS\t: 38.00\nFeatures\t: half thumb " +
                "fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm aes pmull sha1 sha2 crc32 \n" +
                "CPU implementer\t: 0x41\nCPU architecture: 7\n"

        /** `sdk_gphone64_x86_64` on an AMD processor. */
        const val EMULATOR_X86_64 =
            "processor       : 0\nvendor_id       : AuthenticAMD\ncpu family      : 6\nmodel           : 6\n" +
                "model name      : Android virtual processor\ncpuid level     : 16\nflags           : fpu de pse " +
                "tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx lm " +
                "nopl cpuid tsc_known_freq pni ssse3 cx16 sse4_1 sse4_2 x2apic popcnt tsc_deadline_timer " +
                "hypervisor lahf_lm cmp_legacy abm 3dnowprefetch vmmcall\n"
    }
}
