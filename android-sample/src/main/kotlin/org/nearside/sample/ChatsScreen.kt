/*
 * The list of chats, with search and the actions on each chat.
 */
package org.nearside.sample

import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.LazyListScope
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.foundation.text.BasicTextField
import androidx.compose.material3.AlertDialog
import androidx.compose.material3.Button
import androidx.compose.material3.DropdownMenu
import androidx.compose.material3.DropdownMenuItem
import androidx.compose.material3.FilledIconButton
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.draw.clip
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.SolidColor
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.platform.LocalDensity
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.text.SpanStyle
import androidx.compose.ui.text.buildAnnotatedString
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.text.style.TextOverflow
import androidx.compose.ui.text.withStyle
import androidx.compose.ui.unit.dp

/** [opened]: the chat shown beside the list, if any. */
@Composable
fun ChatsScreen(
    model: ChatsModel,
    opened: ChatId?,
    now: Long,
    onOpen: (ChatId) -> Unit,
    onNew: () -> Unit,
    onDelete: (ChatId) -> Unit,
    modifier: Modifier = Modifier,
) {
    var renaming by remember { mutableStateOf<ChatSummary?>(null) }
    val actions = { chat: ChatSummary ->
        ChatActions(
            onOpen = { onOpen(chat.id) },
            onPin = { model.setPinned(chat.id, !chat.pinned) },
            onRename = { renaming = chat },
            onExport = { model.export(chat.id, it) },
            onDelete = { onDelete(chat.id) },
        )
    }
    Column(modifier.fillMaxSize()) {
        ScreenBar(Strings.Chats()) {
            FilledIconButton(onNew, Modifier.padding(end = 8.dp).size(Space.touch)) {
                Icon(Symbols.Add, Strings.NewChat(), Modifier.size(24.dp))
            }
        }
        if (model.chats.isNotEmpty()) {
            SearchField(model.query, Strings.SearchChats(), Modifier.padding(horizontal = 16.dp)) { model.search(it) }
        }
        FailureNotice(model.failure, Modifier.padding(16.dp)) { model.failure = null }
        when {
            model.isSearching && model.hits.isEmpty() -> EmptyState(
                Symbols.Search,
                Strings.NoHits(),
                Strings.NoHitsHint(),
            )
            model.chats.isEmpty() && model.isLoaded -> EmptyState(
                Symbols.Chats,
                Strings.NoChats(),
                Strings.NoChatsHint(),
            ) {
                Button(onNew, Modifier.heightIn(min = Space.touch)) { Text(Strings.NewChat()) }
            }
            else -> LazyColumn(
                Modifier.fillMaxSize().testTag("chats"),
                contentPadding = PaddingValues(8.dp, 8.dp, 8.dp, 88.dp),
            ) {
                if (model.isSearching) {
                    items(model.hits) { Hit(it) { onOpen(it.chat.id) } }
                } else {
                    if (model.pinned.isNotEmpty()) {
                        item {
                            SectionTitle(Strings.Pinned(), Modifier.padding(start = 8.dp))
                        }
                    }
                    chats(model.pinned, opened, now, actions)
                    if (model.pinned.isNotEmpty() && model.others.isNotEmpty()) {
                        item { SectionTitle(Strings.AllChats(), Modifier.padding(start = 8.dp)) }
                    }
                    chats(model.others, opened, now, actions)
                }
            }
        }
    }
    renaming?.let { chat ->
        RenameDialog(chat.title, { model.rename(chat.id, it) }) { renaming = null }
    }
}

private class ChatActions(
    val onOpen: () -> Unit,
    val onPin: () -> Unit,
    val onRename: () -> Unit,
    val onExport: (ExportKind) -> Unit,
    val onDelete: () -> Unit,
)

private fun LazyListScope.chats(
    chats: List<ChatSummary>,
    opened: ChatId?,
    now: Long,
    actions: (ChatSummary) -> ChatActions,
) = items(chats, key = { it.id }) { ChatLine(it, it.id == opened, now, actions(it)) }

@Composable
private fun ChatLine(chat: ChatSummary, isOpened: Boolean, now: Long, actions: ChatActions) = Surface(
    shape = MaterialTheme.shapes.medium,
    color = if (isOpened) MaterialTheme.colorScheme.secondaryContainer else Color.Transparent,
) {
    Row(
        Modifier.fillMaxWidth().clickable(onClick = actions.onOpen).padding(start = 12.dp, top = 8.dp, bottom = 8.dp),
        verticalAlignment = Alignment.CenterVertically,
    ) {
        Column(Modifier.weight(1f), Arrangement.spacedBy(2.dp)) {
            Row(horizontalArrangement = Arrangement.spacedBy(8.dp), verticalAlignment = Alignment.CenterVertically) {
                Text(
                    chat.title.ifEmpty { Strings.NewChat() },
                    Modifier.weight(1f),
                    style = MaterialTheme.typography.titleMedium,
                    // With large text one line holds two words.
                    maxLines = if (LocalDensity.current.fontScale > 1.3f) 2 else 1,
                    overflow = TextOverflow.Ellipsis,
                )
                Text(
                    LocalTranslation.current.day(chat.updated, now),
                    style = MaterialTheme.typography.labelSmall,
                    color = MaterialTheme.colorScheme.onSurfaceVariant,
                )
            }
            Text(
                plainText(chat.preview),
                style = MaterialTheme.typography.bodyMedium,
                color = MaterialTheme.colorScheme.onSurfaceVariant,
                maxLines = 2,
                overflow = TextOverflow.Ellipsis,
            )
        }
        ChatMenu(chat, actions)
    }
}

/** Removes the Markdown marks for a list row. */
internal fun plainText(text: String): String = markdown(text).joinToString(" ") { block ->
    when (block) {
        is MarkdownBlock.Heading -> block.runs.text()
        is MarkdownBlock.Paragraph -> block.runs.text()
        is MarkdownBlock.Items -> block.items.joinToString(" ") { it.runs.text() }
        is MarkdownBlock.Quote -> block.runs.text()
        is MarkdownBlock.Table -> block.header.joinToString(" ") { it.text() }
        is MarkdownBlock.Code -> block.text
        MarkdownBlock.Rule -> ""
    }
}.replace('\n', ' ')

private fun List<InlineRun>.text() = joinToString("") { it.text }

@Composable
private fun ChatMenu(chat: ChatSummary, actions: ChatActions) = Box {
    var isOpen by remember { mutableStateOf(false) }
    SymbolButton(Symbols.More, Strings.More(chat.title), { isOpen = true }, size = 20.dp)
    DropdownMenu(isOpen, { isOpen = false }, shape = MaterialTheme.shapes.medium) {
        @Composable
        fun entry(
            text: String,
            symbol: ImageVector,
            color: Color = MaterialTheme.colorScheme.onSurface,
            action: () -> Unit,
        ) = DropdownMenuItem(
            text = { Text(text, color = color, style = MaterialTheme.typography.bodyLarge) },
            leadingIcon = { Icon(symbol, contentDescription = null, Modifier.size(20.dp), tint = color) },
            onClick = {
                isOpen = false
                action()
            },
        )
        entry(if (chat.pinned) Strings.Unpin() else Strings.Pin(), Symbols.Pin, action = actions.onPin)
        entry(Strings.Rename(), Symbols.Edit, action = actions.onRename)
        entry(Strings.ExportMarkdown(), Symbols.Export) { actions.onExport(ExportKind.Markdown) }
        entry(Strings.ExportJson(), Symbols.File) { actions.onExport(ExportKind.Json) }
        entry(Strings.Delete(), Symbols.Delete, MaterialTheme.colorScheme.error, actions.onDelete)
    }
}

@Composable
private fun Hit(hit: ChatHit, onOpen: () -> Unit) = Column(
    Modifier.fillMaxWidth().clip(MaterialTheme.shapes.medium).clickable(onClick = onOpen)
        .heightIn(min = 56.dp).padding(horizontal = 12.dp, vertical = 10.dp),
    Arrangement.spacedBy(2.dp),
) {
    Text(hit.chat.title, style = MaterialTheme.typography.titleMedium, maxLines = 1, overflow = TextOverflow.Ellipsis)
    val found = SpanStyle(
        color = MaterialTheme.colorScheme.onPrimaryContainer,
        background = MaterialTheme.colorScheme.primaryContainer,
        fontWeight = FontWeight.Medium,
    )
    Text(
        buildAnnotatedString {
            for (run in hit.snippet) {
                // A list row has no space for Markdown.
                val text = run.text.replace(marks, "")
                if (run.matched) withStyle(found) { append(text) } else append(text)
            }
        },
        style = MaterialTheme.typography.bodyMedium,
        color = MaterialTheme.colorScheme.onSurfaceVariant,
        maxLines = 2,
        overflow = TextOverflow.Ellipsis,
    )
}

private val marks = Regex("[*`#]+")

/** A search field with a clear button. */
@Composable
fun SearchField(query: String, hint: String, modifier: Modifier = Modifier, onChange: (String) -> Unit) = Surface(
    modifier.fillMaxWidth(),
    shape = CircleShape,
    color = MaterialTheme.colorScheme.surfaceContainerHigh,
) {
    Row(
        Modifier.heightIn(min = Space.touch).padding(start = 16.dp),
        Arrangement.spacedBy(10.dp),
        Alignment.CenterVertically,
    ) {
        val color = MaterialTheme.colorScheme.onSurfaceVariant
        Icon(Symbols.Search, contentDescription = null, Modifier.size(20.dp), tint = color)
        BasicTextField(
            query,
            onChange,
            Modifier.weight(1f).padding(vertical = 10.dp).testTag("search").semantics { contentDescription = hint },
            textStyle = MaterialTheme.typography.bodyLarge.copy(color = MaterialTheme.colorScheme.onSurface),
            cursorBrush = SolidColor(MaterialTheme.colorScheme.primary),
            singleLine = true,
            decorationBox = { text ->
                Box {
                    if (query.isEmpty()) {
                        Text(
                            hint,
                            style = MaterialTheme.typography.bodyLarge,
                            color = color,
                            maxLines = 1,
                            overflow = TextOverflow.Ellipsis,
                        )
                    }
                    text()
                }
            },
        )
        if (query.isNotEmpty()) SymbolButton(Symbols.Close, Strings.Clear(), { onChange("") }, size = 18.dp)
    }
}

@Composable
private fun RenameDialog(title: String, onRename: (String) -> Unit, onDismiss: () -> Unit) {
    var typed by remember { mutableStateOf(title) }
    AlertDialog(
        onDismissRequest = onDismiss,
        title = { Text(Strings.Rename()) },
        text = {
            OutlinedTextField(
                typed,
                { typed = it },
                Modifier.testTag("title"),
                label = { Text(Strings.Title()) },
                supportingText = { Text(Strings.RenameHint()) },
                singleLine = true,
            )
        },
        confirmButton = {
            TextButton({
                onRename(typed)
                onDismiss()
            }) { Text(Strings.Save()) }
        },
        dismissButton = { TextButton(onDismiss) { Text(Strings.Cancel()) } },
    )
}
