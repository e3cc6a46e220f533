/*
 * Chats and models of the demo, in memory. A chat is a tree of versions with one selected branch, as in the library.
 */
package org.nearside.sample

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/** One chat. The parent id of its first message is 0. */
internal class DemoStore(var summary: ChatSummary) {
    private val messages = LinkedHashMap<MessageId, MessageEntry>()
    private val parents = HashMap<MessageId, MessageId>()
    private val selected = HashMap<MessageId, MessageId>()

    fun append(message: MessageEntry, parent: MessageId): MessageId {
        messages[message.id] = message
        parents[message.id] = parent
        selected[parent] = message.id
        return message.id
    }

    fun path(): List<MessageId> = generateSequence(selected[0L]) { selected[it] }.toList()

    fun message(id: MessageId): MessageEntry = messages.getValue(id)

    fun parent(id: MessageId): MessageId = parents.getValue(id)

    fun questionBefore(id: MessageId): String = generateSequence(id) { parents[it]?.takeIf { parent -> parent != 0L } }
        .map(::message).firstOrNull { it.author == Author.User }?.text.orEmpty()

    fun change(id: MessageId, change: (MessageEntry) -> MessageEntry) {
        messages[id] = change(message(id))
    }

    fun select(id: MessageId) {
        selected[parent(id)] = id
    }

    fun chat(): Chat {
        val versions = parents.keys.groupBy(::parent)
        val path = path().map { id -> message(id).copy(versions = versions.getValue(parent(id)).sorted()) }
        val title = summary.title.ifEmpty { path.firstOrNull()?.text.orEmpty().take(48) }
        val preview = path.lastOrNull()?.text.orEmpty().take(160)
        return Chat(summary.copy(title = title, messages = path.size, preview = preview), path)
    }
}

/** Models of the demo: downloads advance with [pace], verdicts depend on the file size. */
internal class DemoModels(
    private val content: DemoContent,
    fresh: Boolean,
    damaged: List<ModelEntry>,
    private val pace: suspend () -> Unit,
) {
    var installed: List<ModelEntry> = if (fresh) emptyList() else listOf(content.catalog.first())
        private set
    var damaged: List<ModelEntry> = damaged
        private set
    private val downloaded = HashMap<String, Long>()

    fun verdict(entry: ModelEntry): FitLevel = when {
        need(entry) > DemoContent.BUDGET * 5 / 4 -> FitLevel.TooLarge
        need(entry) > DemoContent.BUDGET -> FitLevel.Tight
        else -> FitLevel.Fits
    }

    private fun need(entry: ModelEntry) = entry.sizeBytes * 5 / 4

    fun checkFit(reference: String): Fit {
        val entry = find(reference)
        val verdict = verdict(entry)
        return Fit(
            reference = reference,
            verdict = verdict,
            reason = content.verdicts.getValue(verdict),
            note = content.noTemplate.takeIf { entry.isImported },
            needBytes = need(entry),
            budgetBytes = DemoContent.BUDGET,
            sizeBytes = entry.sizeBytes,
            suggestions = listOf(content.suggestion).filter { verdict == FitLevel.TooLarge },
        )
    }

    fun download(reference: String): Flow<DownloadStep> = flow {
        val entry = find(reference)
        emit(DownloadStep.Resolved(entry.name, entry.sizeBytes))
        while (downloaded.getOrDefault(reference, 0) < entry.sizeBytes) {
            pace()
            val done = minOf(entry.sizeBytes, downloaded.getOrDefault(reference, 0) + entry.sizeBytes / 40)
            downloaded[reference] = done
            emit(DownloadStep.Progress(done, entry.sizeBytes, bytesPerSecond = 11_400_000))
        }
        emit(DownloadStep.Verifying)
        pace()
        downloaded -= reference
        if (entry !in installed) installed += entry
        damaged = damaged.filter { it.id != entry.id }
        emit(DownloadStep.Installed(entry))
    }

    fun add(name: String): ModelEntry {
        val id = name.lowercase()
        val entry =
            ModelEntry(id, id, name, sizeBytes = 98_362_432, quantization = "Q4_1", isImported = true)
        installed = installed.filter { it.id != entry.id } + entry
        return entry
    }

    fun remove(model: String) {
        installed = installed.filter { it.id != model }
        damaged = damaged.filter { it.id != model }
    }

    private fun find(reference: String): ModelEntry =
        (content.catalog + installed).firstOrNull { it.reference == reference || it.id == reference }
            ?: throw BrainError(content.unknownModel, FailureReason.UnknownModel)
}
