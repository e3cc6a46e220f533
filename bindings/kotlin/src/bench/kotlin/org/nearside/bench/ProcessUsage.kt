/*
 * Resource usage of the process. It must return to the same values after all streams are closed.
 */
package org.nearside.bench

import java.nio.file.Path
import kotlin.io.path.readLines
import org.nearside.liveObjects

/** Threads of the process including the library's, live objects of the library, and resident bytes. */
internal class ProcessUsage private constructor(val threads: Int, val objects: Long, val residentBytes: Long) {
    companion object {
        /** Runs the garbage collector, then reads the current values. */
        fun measure(): ProcessUsage {
            // `use` has closed the streams. Uncollected Java objects would count as memory.
            repeat(3) {
                System.gc()
                Thread.sleep(SETTLE_MS)
            }
            val lines = Path.of("/proc/self/status").readLines()
            val status = lines.associate { it.substringBefore(':') to it.substringAfter(':').trim() }
            fun number(name: String) = status.getValue(name).substringBefore(' ').toLong()
            return ProcessUsage(number("Threads").toInt(), liveObjects().toLong(), number("VmRSS") * 1024)
        }

        private const val SETTLE_MS = 200L
    }
}
