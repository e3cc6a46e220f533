/*
 * The list of chats: search, rename, pin, delete with undo, export.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch

/**
 * Work runs in [scope], on the UI thread. Functions return the job, which tests wait for. [onChange] is called after a chat
 * was changed here.
 */
class ChatsModel(private val brain: Brain, private val scope: CoroutineScope, private val onChange: () -> Unit = {}) {
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

    /** Set until the screen that asks for the place calls [exportEnded]. */
    var exporting by mutableStateOf<ExportRequest?>(null)
        private set
    var failure by mutableStateOf<Failure?>(null)

    val pinned: List<ChatSummary> get() = chats.filter { it.pinned }
    val others: List<ChatSummary> get() = chats.filterNot { it.pinned }
    val isSearching: Boolean get() = query.isNotBlank()

    fun load(): Job = attempt {
        read()
        isLoaded = true
    }

    /** Deletes chats without a message, which a process that was killed at the wrong moment leaves. */
    fun deleteEmpty(): Job = attempt { brain.chats().filter { it.messages == 0 }.forEach { brain.delete(it.id) } }

    /** Omits a chat whose first answer is about to begin. */
    private suspend fun read() {
        chats = brain.chats().filter { it.messages > 0 }
    }

    /** Searches for the typed text. Drops the result of an older query. */
    fun search(query: String): Job {
        this.query = query
        return attempt { readHits() }
    }

    private suspend fun readHits() {
        val requested = query.trim()
        val found = if (requested.isEmpty()) emptyList() else brain.search(requested)
        if (requested == query.trim()) hits = found
    }

    /** Renames a chat. An empty title restores the first words. */
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

    /** Hides the undo bar; the chat can be restored until the next start of the app. */
    fun forgetDeleted() {
        deleted = null
    }

    fun export(chat: ChatId, kind: ExportKind) {
        val title = chats.firstOrNull { it.id == chat }?.title.orEmpty()
        exporting = ExportRequest(chat, kind, "${fileName(title)}.${kind.ending}")
    }

    fun exportEnded() {
        exporting = null
    }

    private fun change(work: suspend () -> Unit): Job = attempt {
        work()
        read()
        readHits()
        onChange()
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }

    companion object {
        /** Converts a title to a file name that is valid on every file system. */
        fun fileName(title: String): String = title.split(Regex("[^\\p{L}\\p{N}]+")).filter {
            it.isNotEmpty()
        }.joinToString("-").take(60).ifEmpty { "chat" }
    }
}
