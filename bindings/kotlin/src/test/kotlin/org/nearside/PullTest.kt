package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList

/** Downloads from a hub. */
class PullTest {
    @Test
    fun pullFromALocalHubWithProgress() = scenario {
        Hub("--rate", "50000000").use { hub ->
            Nearside(Config(freshDirectory(), hub = hub.url)).use { nearside ->
                val events = nearside.download(Hub.model).toList()

                val resolved = assertIs<DownloadEvent.Resolved>(events.first()).file
                assertEquals(SMOLLM2_BYTES, resolved.sizeBytes)
                assertEquals(SMOLLM2_SHA256, resolved.sha256)
                val progress = events.filterIsInstance<DownloadEvent.Progress>()
                assertTrue(progress.size >= 3, "two seconds of progress, and only ${progress.size} lines of it")
                assertEquals(progress.sortedBy { it.done }, progress)
                assertEquals(SMOLLM2_BYTES, progress.last().done)
                assertTrue(progress.all { it.total == SMOLLM2_BYTES })
                assertEquals(DownloadEvent.Verifying, events[events.size - 2])
                val installed = assertIs<DownloadEvent.Installed>(events.last()).model
                assertEquals(SMOLLM2_SHA256, installed.sha256)
                assertEquals(listOf(installed), nearside.models())

                val again = nearside.download(Hub.model).toList()
                assertIs<DownloadEvent.Resolved>(again.first())
                assertEquals(listOf<DownloadEvent>(DownloadEvent.Installed(installed)), again.drop(1))
            }
        }
    }

    @Test
    fun fitBeforeTheDownload() = scenario {
        Hub().use { hub ->
            Nearside(Config(freshDirectory(), hub = hub.url)).use { nearside ->
                val report = nearside.fit(Hub.model)
                assertEquals(FitVerdict.FITS, report.verdict)
                assertEquals(SMOLLM2_BYTES, report.sizeBytes)
                assertTrue(report.networkBytes in 1uL..8_000_000uL, "${report.networkBytes} bytes for a verdict")
                val need = report.need
                assertEquals(need.total, need.weights + need.cache + need.compute + need.other)
                assertEquals(emptyList(), nearside.models())

                val tiny = nearside.fit(Hub.model, FitOptions(budgetBytes = 1_000_000uL))
                assertEquals(FitVerdict.TOO_LARGE, tiny.verdict)
                assertEquals(1_000_000uL, tiny.budget.bytes)

                val first = nearside.download(Hub.model).filterIsInstance<DownloadEvent.Progress>().first()
                assertTrue(first.done > 0uL, "the head was not kept")
            }
        }
    }

    @Test
    fun leavingADownloadKeepsWhatCame() = scenario {
        Hub("--rate", "50000000").use { hub ->
            Nearside(Config(freshDirectory(), hub = hub.url)).use { nearside ->
                suspend fun progressFrom(bytes: ULong) = nearside.download(Hub.model)
                    .filterIsInstance<DownloadEvent.Progress>().first { it.done > bytes }

                val left = progressFrom(10_000_000uL)
                assertEquals(emptyList(), nearside.models())
                assertTrue(progressFrom(0uL).done >= left.done, "it began anew")
                assertIs<DownloadEvent.Installed>(nearside.download(Hub.model).toList().last())
            }
        }
    }
}
