/*
 * What is said in a conversation that the library keeps: each as a Flow, like `chat`, with the same promises.
 *
 * The library writes every chunk down while it streams. Whoever stops collecting stops the answer; what came of it is
 * kept, and `resume` goes on from there.
 */
package org.nearside

import kotlinx.coroutines.flow.Flow

/**
 * Says something and gives the answer as it is written. The request's messages are only what is new: history comes from
 * the conversation, and model, provider, system and preset where the request leaves them open.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.send(id: ULong, request: ChatRequest): Flow<Chunk> =
    batches({ startSend(id, request) }, ChatStream::nextBatch)

/**
 * Puts other words in the place of the question [message], and gives the answer to them. The old ones stay as a version.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.edit(id: ULong, message: ULong, request: ChatRequest): Flow<Chunk> =
    batches({ startEdit(id, message, request) }, ChatStream::nextBatch)

/**
 * Gives another version of the answer [message], here or elsewhere. The old one stays.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.regenerate(id: ULong, message: ULong, request: ChatRequest = ChatRequest(nothingNew)): Flow<Chunk> =
    batches({ startRegenerate(id, message, request) }, ChatStream::nextBatch)

/**
 * Goes on with the last answer where it broke off, here or elsewhere (`mode = Mode.ONLY_IN_CLOUD`). Gives only what is new.
 *
 * @throws NearsideException while it is collected, after all chunks that came before
 */
fun Conversations.resume(id: ULong, request: ChatRequest = ChatRequest(nothingNew)): Flow<Chunk> =
    batches({ startResume(id, request) }, ChatStream::nextBatch)

/** For a request that only says how, not what. */
private val nothingNew: Iterable<Message> = emptyList()
