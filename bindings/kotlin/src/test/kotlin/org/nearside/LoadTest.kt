package org.nearside

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.filterIsInstance
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList

/** Models loaded ahead of their first answer. */
class LoadTest {
    private val model = ModelRef.Path(smollm2)

    @Test
    fun loadListAndUnload() = scenario {
        Nearside(Config(freshDirectory(), context = 2048u)).use { nearside ->
            assertEquals(emptyList(), nearside.loaded())
            val events = nearside.load(model).toList()

            val progress = events.filterIsInstance<LoadEvent.Progress>().map { it.fraction }
            assertEquals(progress.sorted(), progress)
            assertEquals(0.0, progress.first())
            assertEquals(1.0, progress.last())
            val loaded = assertIs<LoadEvent.Loaded>(events.last()).model
            assertEquals(smollm2, loaded.id)
            assertEquals(2048u, loaded.context)
            assertTrue(loaded.memoryBytes + loaded.mappedBytes > SMOLLM2_BYTES / 2uL)
            assertEquals(listOf(loaded.copy(idleMs = 0u)), nearside.loaded().map { it.copy(idleMs = 0u) })

            val answer = nearside.chat(greedy(ChatMessage.user("Name a river."), maxTokens = 4u)).toList()
            assertEquals(0.0, answer.done().timings.loadMs)
            assertIs<LoadEvent.Loaded>(nearside.load(model).toList().single())

            nearside.unload(model)
            assertEquals(emptyList(), nearside.loaded())
        }
    }

    @Test
    fun leavingALoadEndsIt() = scenario {
        Nearside(Config(freshDirectory())).use { nearside ->
            assertIs<LoadEvent.Progress>(nearside.load(model).first())
            nearside.startLoad(model).use { stream ->
                stream.cancel()
                assertTrue(stream.nextBatch().none { it is LoadEvent.Loaded })
            }
            nearside.unload()
            assertEquals(emptyList(), nearside.loaded())
        }
    }
}
