/*
 * The list of chats: read, searched, renamed, pinned, deleted with a way back, exported.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/** A chat as a file that can be saved. */
data class ExportedChat(val fileName: String, val text: String)

/** What it does runs in [scope], on the thread that draws; every function gives the job, which tests wait for. */
class ChatsModel(private val brain: Brain, private val scope: CoroutineScope) {
    var chats by mutableStateOf(emptyList<ChatSummary>())
        private set
    var hits by mutableStateOf(emptyList<ChatHit>())
        private set
    var isLoaded by mutableStateOf(false)
        private set
    var query by mutableStateOf("")
        private set

    /** The chat whose deletion can be undone. */
    var deleted by mutableStateOf<ChatSummary?>(null)
        private set

    /** There until whoever saves it says [exportEnded]. */
    var exported by mutableStateOf<ExportedChat?>(null)
        private set
    var failure by mutableStateOf<String?>(null)

    val pinned: List<ChatSummary> get() = chats.filter { it.pinned }
    val others: List<ChatSummary> get() = chats.filterNot { it.pinned }
    val isSearching: Boolean get() = query.isNotBlank()

    fun load(): Job = attempt {
        read()
        isLoaded = true
    }

    /** Without those in which nothing was said: a question that was refused leaves one. */
    private suspend fun read() {
        chats = brain.chats().filter { it.messages > 0 }
    }

    /** Reads the hits for what is typed. An answer to an older query is dropped. */
    fun search(query: String): Job {
        this.query = query
        return attempt { readHits() }
    }

    private suspend fun readHits() {
        val requested = query.trim()
        val found = if (requested.isEmpty()) emptyList() else brain.search(requested)
        if (requested == query.trim()) hits = found
    }

    /** An empty title: the chat is called by its first words. */
    fun rename(chat: ChatId, title: String): Job = change { brain.rename(chat, title.trim().ifEmpty { null }) }

    fun setPinned(chat: ChatId, pinned: Boolean): Job = change { brain.setPinned(chat, pinned) }

    fun delete(chat: ChatId): Job {
        val summary = chats.firstOrNull { it.id == chat }
        return change {
            brain.delete(chat)
            deleted = summary
        }
    }

    fun undoDelete(): Job = change {
        deleted?.let { brain.restore(it.id) }
        deleted = null
    }

    /** The way back is shown for a while only; the chat stays restorable until the app starts anew. */
    fun forgetDeleted() {
        deleted = null
    }

    fun export(chat: ChatId, kind: ExportKind): Job = attempt {
        val title = chats.firstOrNull { it.id == chat }?.title.orEmpty()
        exported = ExportedChat("${fileName(title)}.${kind.ending}", brain.export(chat, kind))
    }

    fun exportEnded() {
        exported = null
    }

    private fun change(work: suspend () -> Unit): Job = attempt {
        work()
        read()
        readHits()
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }

    companion object {
        /** A title that every file system takes. */
        fun fileName(title: String): String = title.split(Regex("[^\\p{L}\\p{N}]+")).filter {
            it.isNotEmpty()
        }.joinToString("-").take(60).ifEmpty { "chat" }
    }
}

/** What went wrong with this work, in words for a person; nothing where it went well. */
internal suspend fun failureOf(work: suspend () -> Unit): String? = try {
    work()
    null
} catch (cancelled: CancellationException) {
    throw cancelled
} catch (error: Exception) {
    error.message ?: error.javaClass.simpleName
}
