/*
 * What a process holds at a moment: what it must hold again when everything was given back.
 */
package org.nearside.bench

import java.nio.file.Path
import kotlin.io.path.readLines
import org.nearside.liveObjects

/** Threads of the process, the library's included; objects of the library's that are alive; bytes that are resident. */
internal class Standing private constructor(val threads: Int, val objects: Long, val residentBytes: Long) {
    companion object {
        /** After everything that nobody needs is collected. */
        fun now(): Standing {
            // Streams are closed by `use`; what is left to the collector is Java's own, which would count as memory.
            repeat(3) {
                System.gc()
                Thread.sleep(SETTLE_MS)
            }
            val lines = Path.of("/proc/self/status").readLines()
            val status = lines.associate { it.substringBefore(':') to it.substringAfter(':').trim() }
            fun number(name: String) = status.getValue(name).substringBefore(' ').toLong()
            return Standing(number("Threads").toInt(), liveObjects().toLong(), number("VmRSS") * 1024)
        }

        private const val SETTLE_MS = 200L
    }
}
