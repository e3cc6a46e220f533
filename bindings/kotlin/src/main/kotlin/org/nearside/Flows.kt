/*
 * Answers, downloads and loads as Flows.
 *
 * All are cold: each collector starts its own request. Cancelling the coroutine cancels the request, and so does
 * leaving early (`first`, `take`, an exception in the collector). A slow collector slows a provider or a download
 * down; a model on this device goes on, and its text waits. No chunk is lost and memory stays bounded.
 */
package org.nearside

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/**
 * Sends the request and streams the answer: [Chunk.Started], then reasoning, text, tool calls and citations, then
 * [Chunk.Done]. If a target fails before any visible output, the next one emits its own [Chunk.Started].
 *
 * A cancelled collector receives no further chunk. For the [Chunk.Done] of a cancelled answer, with its usage and
 * receipt, call [Nearside.startChat] and then [ChatStream.cancel].
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
 * @throws NearsideException while it is collected; the bytes so far stay on disk
 */
fun Nearside.download(model: ModelRef): Flow<DownloadEvent> =
    batches({ startDownload(model) }, DownloadStream::nextBatch)

/**
 * Streams what the library does to the models on this device because of memory warnings, heat, power saving and the
 * background. Completes when the library is closed.
 */
fun Nearside.adjustments(): Flow<Adjustment> = batches({ startAdjustments() }, AdjustmentStream::nextBatch)

/**
 * Loads a model into memory, so that its next answer begins at once. Completes after [LoadEvent.Loaded].
 *
 * Cancelling the coroutine or leaving early ends it at once; an answer that waits for the model gets it nevertheless.
 * The model stays as long as [Config.keepAliveMs] says, or until [Nearside.unload].
 *
 * @throws NearsideException while it is collected
 */
fun Nearside.load(model: ModelRef): Flow<LoadEvent> = batches({ startLoad(model) }, LoadStream::nextBatch)

/** Returns a cold Flow over the batches of a stream. Closes the stream, which cancels it, on every exit. */
internal fun <S : AutoCloseable, T> batches(start: () -> S, next: suspend S.() -> List<T>): Flow<T> = flow {
    start().use { stream ->
        while (true) {
            val batch = stream.next()
            if (batch.isEmpty()) break
            batch.forEach { emit(it) }
        }
    }
}
