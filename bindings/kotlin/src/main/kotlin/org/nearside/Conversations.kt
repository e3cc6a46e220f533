/*
 * Answers in a stored conversation, each as a Flow with the same promises as `chat`.
 *
 * The library saves every chunk while it streams. Cancelling the collector stops the answer; its text so far is kept,
 * and `resume` continues it.
 */
package org.nearside

import kotlinx.coroutines.flow.Flow

/**
 * Appends the request's messages and streams the answer. The history comes from the conversation, and so do model,
 * provider, system prompt and preset where the request leaves them unset.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.send(id: ULong, request: ChatRequest): Flow<Chunk> =
    batches({ startSend(id, request) }, ChatStream::nextBatch)

/**
 * Replaces the user message [message] with a new version and streams the answer. The old version is kept.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.edit(id: ULong, message: ULong, request: ChatRequest): Flow<Chunk> =
    batches({ startEdit(id, message, request) }, ChatStream::nextBatch)

/**
 * Generates another version of the answer [message]. The old one is kept.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.regenerate(id: ULong, message: ULong, request: ChatRequest = ChatRequest(noMessages)): Flow<Chunk> =
    batches({ startRegenerate(id, message, request) }, ChatStream::nextBatch)

/**
 * Continues the last answer where it was interrupted, here or remotely (`mode = RoutingMode.ONLY_IN_CLOUD`). Streams only
 * the new part.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.resume(id: ULong, request: ChatRequest = ChatRequest(noMessages)): Flow<Chunk> =
    batches({ startResume(id, request) }, ChatStream::nextBatch)

/** The messages of a request that only sets options: regenerating and resuming add none. */
private val noMessages: List<ChatMessage> = emptyList()
