/*
 * What an app collects: an answer and a download as a Flow.
 *
 * All are cold: each collector starts a request of its own. Cancelling the coroutine cancels the request, and so does
 * leaving early (`first`, `take`, an exception in the collector). A slow collector slows the model down; nothing is
 * lost and memory does not grow.
 */
package org.nearside

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/**
 * Asks, and gives the answer as it is written: [Chunk.Started], then reasoning, text, tool calls and citations, then
 * [Chunk.Done]. Where a place fails before it said anything the next one begins with a [Chunk.Started] of its own.
 *
 * A collector that is cancelled hears nothing more. A stop button that wants the [Chunk.Done] of a cancelled answer,
 * with its usage and receipt, calls [ChatStream.cancel] on [Nearside.startChat].
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Nearside.chat(request: ChatRequest): Flow<Chunk> = batches({ startChat(request) }, ChatStream::nextBatch)

/**
 * Continues an interrupted answer on a remote target. [said] is the text so far; only what follows it is streamed.
 * Routing runs again, and the user may have to consent.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Nearside.continueRemotely(request: ChatRequest, said: String): Flow<Chunk> =
    batches({ startContinueRemotely(request, said) }, ChatStream::nextBatch)

/**
 * Downloads a model, resuming an earlier download. Completes after [DownloadEvent.Installed].
 *
 * @throws NearsideException while it is collected; what came is kept
 */
fun Nearside.download(model: ModelRef): Flow<DownloadEvent> =
    batches({ startDownload(model) }, DownloadStream::nextBatch)

/** A stream of batches as a cold Flow, which closes it, and thereby cancels it, however it is left. */
internal fun <S : AutoCloseable, T> batches(start: () -> S, next: suspend S.() -> List<T>): Flow<T> = flow {
    start().use { stream ->
        while (true) {
            val batch = stream.next()
            if (batch.isEmpty()) break
            batch.forEach { emit(it) }
        }
    }
}
