/*
 * The chat screen: messages, the current answer, and the input field.
 */
package org.nearside.sample

import androidx.compose.foundation.background
import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.Spacer
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.imePadding
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.lazy.rememberLazyListState
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.foundation.shape.RoundedCornerShape
import androidx.compose.foundation.text.BasicTextField
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Switch
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.derivedStateOf
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.draw.clip
import androidx.compose.ui.focus.FocusRequester
import androidx.compose.ui.focus.focusRequester
import androidx.compose.ui.graphics.SolidColor
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.input.key.Key
import androidx.compose.ui.input.key.KeyEventType
import androidx.compose.ui.input.key.isCtrlPressed
import androidx.compose.ui.input.key.isMetaPressed
import androidx.compose.ui.input.key.key
import androidx.compose.ui.input.key.onPreviewKeyEvent
import androidx.compose.ui.input.key.type
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.semantics.Role
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.heading
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.text.style.TextOverflow
import androidx.compose.ui.unit.dp

/** The sheets of the chat screen. */
private enum class ChatSheet { Picker, Options, Costs }

/** [onBack]: `null` where the list is shown beside the chat. */
@Composable
fun ChatScreen(model: ChatModel, onBack: (() -> Unit)?, onOpenModels: () -> Unit, modifier: Modifier = Modifier) {
    var sheet by remember { mutableStateOf<ChatSheet?>(null) }
    val field = remember { FocusRequester() }
    val isEmpty by remember(model) { derivedStateOf { model.isEmpty } }
    Column(modifier.fillMaxSize().imePadding()) {
        ChatBar(model, onBack, onPick = { sheet = ChatSheet.Picker }, onOptions = { sheet = ChatSheet.Options })
        Box(Modifier.weight(1f).fillMaxWidth(), Alignment.TopCenter) {
            if (isEmpty) {
                Greeting(model) {
                    model.draft = it
                    field.requestFocus()
                }
            } else {
                Transcript(model) { field.requestFocus() }
            }
        }
        Composer(model, field)
    }
    when (sheet) {
        ChatSheet.Picker -> ModelPicker(model, onOpenModels) { sheet = null }
        ChatSheet.Options -> OptionsSheet(model, onCosts = { sheet = ChatSheet.Costs }) { sheet = null }
        ChatSheet.Costs -> Sheet(Strings.CompareCosts(), { sheet = null }) { CostsView(model) }
        null -> Unit
    }
    model.consentPrompt?.let { AskSheet(it, model::accept, model::refuse) }
}

@Composable
private fun ChatBar(model: ChatModel, onBack: (() -> Unit)?, onPick: () -> Unit, onOptions: () -> Unit) = Row(
    Modifier.fillMaxWidth().heightIn(min = 64.dp).padding(
        start = if (onBack ==
            null
        ) {
            Space.small
        } else {
            4.dp
        },
        end = 8.dp,
    ),
    verticalAlignment = Alignment.CenterVertically,
) {
    if (onBack != null) SymbolButton(Symbols.Back, Strings.Back(), onBack)
    val who = model.chosen?.name ?: Strings.Automatic()
    val name = Strings.ChooseModel() + ": " + who
    Column(
        Modifier.weight(1f).clip(MaterialTheme.shapes.small).clickable(role = Role.Button, onClick = onPick)
            .heightIn(min = Space.touch).padding(horizontal = Space.small, vertical = 6.dp)
            .semantics(mergeDescendants = true) { contentDescription = name },
        Arrangement.Center,
    ) {
        Text(
            model.title.ifEmpty { Strings.NewChat() },
            Modifier.semantics { heading() },
            style = MaterialTheme.typography.titleMedium,
            maxLines = 1,
            overflow = TextOverflow.Ellipsis,
        )
        Row(verticalAlignment = Alignment.CenterVertically, horizontalArrangement = Arrangement.spacedBy(4.dp)) {
            val color = MaterialTheme.colorScheme.onSurfaceVariant
            Icon(
                model.chosen?.target?.symbol ?: Symbols.Sparkle,
                contentDescription = null,
                Modifier.size(14.dp),
                tint = color,
            )
            Text(
                who,
                Modifier.weight(1f, fill = false),
                style = MaterialTheme.typography.labelMedium,
                color = color,
                maxLines = 1,
                overflow = TextOverflow.Ellipsis,
            )
            Icon(Symbols.Down, contentDescription = null, Modifier.size(14.dp), tint = color)
        }
    }
    SymbolButton(Symbols.Options, Strings.Options(), onOptions)
}

@Composable
private fun Transcript(model: ChatModel, onEdit: () -> Unit) {
    val list = rememberLazyListState()
    val still = LocalPlatform.current.reducesMotion
    // Scroll to the end when a chat opens and when a message is sent. While an answer grows, the user controls the
    // position.
    val liveId by remember(model) { derivedStateOf { model.live?.entry?.id } }
    val count = model.history.size + if (liveId == null) 0 else 1
    LaunchedEffect(count) {
        val last = count - 1
        if (still || list.firstVisibleItemIndex == 0) list.scrollToItem(last) else list.animateScrollToItem(last)
    }
    LazyColumn(
        Modifier.fillMaxSize().testTag("transcript"),
        list,
        PaddingValues(horizontal = Space.edge, vertical = Space.gap),
        verticalArrangement = Arrangement.spacedBy(Space.gap),
        horizontalAlignment = Alignment.CenterHorizontally,
    ) {
        items(model.history, key = { it.id }) { message ->
            val isLast = liveId == null && message.id == model.history.last().id
            Box(Modifier.widthIn(max = Space.column).fillMaxWidth()) {
                MessageView(
                    message,
                    model.isAnswering,
                    canContinue = isLast && model.canContinue,
                    canContinueRemotely = isLast && model.canContinueRemotely,
                ) { action ->
                    when (action) {
                        MessageAction.Edit -> {
                            model.beginEdit(message.id)
                            onEdit()
                        }
                        MessageAction.Regenerate -> model.regenerate(message.id)
                        MessageAction.Resume -> model.resume()
                        MessageAction.ContinueRemotely -> model.continueRemotely()
                        is MessageAction.SelectVersion -> model.selectVersion(action.offset, message)
                    }
                }
            }
        }
        liveId?.let { id ->
            item(key = id) {
                // Read here, so that a frame composes this message and not the list.
                Box(Modifier.widthIn(max = Space.column).fillMaxWidth()) { model.live?.let { LiveMessageView(it) } }
            }
        }
        item {
            ChatFailure(model, Modifier.widthIn(max = Space.column))
        }
    }
}

@Composable
private fun ChatFailure(model: ChatModel, modifier: Modifier = Modifier) =
    FailureNotice(model.failure, modifier, (model::retry).takeIf { model.canRetry }) { model.failure = null }

@Composable
private fun Greeting(model: ChatModel, onStart: (String) -> Unit) = LazyColumn(
    Modifier.widthIn(max = Space.column).fillMaxSize(),
    contentPadding = PaddingValues(Space.edge),
    verticalArrangement = Arrangement.spacedBy(Space.gap, Alignment.Bottom),
) {
    item {
        Text(
            Strings.Greeting(),
            Modifier.padding(bottom = Space.small).semantics { heading() },
            style = MaterialTheme.typography.headlineLarge,
        )
    }
    items(listOf(Strings.StarterTides, Strings.StarterLetter, Strings.StarterCode)) { starter ->
        val text = starter()
        Surface(
            onClick = { onStart(text) },
            Modifier.fillMaxWidth(),
            shape = MaterialTheme.shapes.medium,
            color = MaterialTheme.colorScheme.surfaceContainerLow,
        ) {
            Row(
                Modifier.heightIn(min = 56.dp).padding(horizontal = 16.dp, vertical = 12.dp),
                Arrangement.spacedBy(12.dp),
                Alignment.CenterVertically,
            ) {
                Text(text, Modifier.weight(1f), style = MaterialTheme.typography.bodyLarge)
                Icon(
                    Symbols.Next,
                    contentDescription = null,
                    Modifier.size(18.dp),
                    tint = MaterialTheme.colorScheme.primary,
                )
            }
        }
    }
    item { ChatFailure(model) }
}

@Composable
private fun Composer(model: ChatModel, field: FocusRequester) = Column(
    Modifier.fillMaxWidth().padding(horizontal = 12.dp).padding(bottom = 12.dp, top = 4.dp),
    horizontalAlignment = Alignment.CenterHorizontally,
) {
    if (model.editing != null) {
        Row(
            Modifier.widthIn(max = Space.column).fillMaxWidth().padding(start = 16.dp),
            Arrangement.spacedBy(Space.small),
            Alignment.CenterVertically,
        ) {
            Icon(
                Symbols.Edit,
                contentDescription = null,
                Modifier.size(16.dp),
                tint = MaterialTheme.colorScheme.primary,
            )
            Text(Strings.Editing(), Modifier.weight(1f), style = MaterialTheme.typography.labelLarge)
            TextButton(model::cancelEdit, Modifier.heightIn(min = Space.touch)) { Text(Strings.Cancel()) }
        }
    }
    Surface(
        Modifier.widthIn(max = Space.column).fillMaxWidth(),
        shape = RoundedCornerShape(28.dp),
        color = MaterialTheme.colorScheme.surfaceContainerHigh,
    ) {
        Row(
            Modifier.padding(start = 20.dp, end = 4.dp, top = 4.dp, bottom = 4.dp),
            verticalAlignment = Alignment.Bottom,
        ) {
            DraftField(model, Modifier.weight(1f).focusRequester(field))
            if (model.isAnswering) {
                RoundButton(Symbols.Stop, Strings.Stop(), isOn = true, model::stop)
            } else {
                RoundButton(Symbols.Send, Strings.Send(), model.canSend, model::send)
            }
        }
    }
}

/** Sends with Control or Command and Enter on a keyboard. */
@Composable
private fun DraftField(model: ChatModel, modifier: Modifier) {
    val hint = Strings.MessagePlaceholder()
    BasicTextField(
        model.draft,
        { model.draft = it },
        modifier.padding(vertical = 13.dp).testTag("draft").semantics { contentDescription = hint }
            .onPreviewKeyEvent { event ->
                val sends = event.key == Key.Enter && (event.isCtrlPressed || event.isMetaPressed)
                if (sends && event.type == KeyEventType.KeyDown) model.send()
                sends
            },
        textStyle = MaterialTheme.typography.bodyLarge.copy(color = MaterialTheme.colorScheme.onSurface),
        cursorBrush = SolidColor(MaterialTheme.colorScheme.primary),
        maxLines = 6,
        decorationBox = { text ->
            Box {
                if (model.draft.isEmpty()) {
                    Text(
                        hint,
                        style = MaterialTheme.typography.bodyLarge,
                        color = MaterialTheme.colorScheme.onSurfaceVariant,
                    )
                }
                text()
            }
        },
    )
}

@Composable
private fun RoundButton(symbol: ImageVector, name: String, isOn: Boolean, onClick: () -> Unit) = Box(
    Modifier.padding(1.dp).size(Space.touch).clip(CircleShape)
        .background(if (isOn) MaterialTheme.colorScheme.primary else MaterialTheme.colorScheme.surfaceContainerHighest)
        .clickable(enabled = isOn, role = Role.Button, onClick = onClick),
    Alignment.Center,
) {
    val tint = if (isOn) MaterialTheme.colorScheme.onPrimary else MaterialTheme.colorScheme.onSurfaceVariant
    Icon(symbol, contentDescription = name, Modifier.size(22.dp), tint = tint)
}

/** The options sheet: preset with its sampling values, web search if available, and costs. */
@Composable
private fun OptionsSheet(model: ChatModel, onCosts: () -> Unit, onDismiss: () -> Unit) =
    Sheet(Strings.Options(), onDismiss) {
        SectionTitle(Strings.Preset())
        RowsCard {
            for (info in model.presets) {
                val temperature = info.temperature?.let { LocalTranslation.current.number(it, 2, least = 1) }
                Line(
                    info.preset.title(),
                    detail = listOfNotNull(
                        temperature?.let {
                            Strings.TemperatureIs(it)
                        },
                        info.reason,
                    ).joinToString(" · "),
                    selected = info == model.presetInfo,
                    onClick = { model.choose(info.preset) },
                )
            }
        }
        Spacer(Modifier.size(Space.edge))
        RowsCard {
            if (model.canSearchWeb) {
                Line(
                    Strings.WebSearch(),
                    detail = Strings.WebSearchHint(),
                    symbol = Symbols.Globe,
                    onClick = { model.webSearch = !model.webSearch },
                ) { Switch(model.webSearch, onCheckedChange = null) }
            }
            Line(Strings.CompareCosts(), detail = Strings.CostsHint(), symbol = Symbols.Coins, onClick = onCosts)
        }
    }

/** Shows the cost of the next message for each model. */
@Composable
fun CostsView(model: ChatModel) {
    LaunchedEffect(model) { model.loadCosts() }
    val translation = LocalTranslation.current
    RowsCard(Modifier.padding(top = Space.small)) {
        for (line in model.costs) {
            val notes = listOfNotNull(
                line.target.title(),
                Strings.NotSetUp().takeIf { !line.isSetUp },
                line.asOf.takeIf { it.isNotEmpty() }?.let { Strings.AsOf(it) },
            )
            Line(
                line.target.model.ifEmpty { line.target.title() },
                detail = notes.joinToString(" · "),
                symbol = line.target.symbol,
            ) {
                Text(
                    line.dollars?.let(translation::dollars) ?: Strings.NoPrice(),
                    style = MaterialTheme.typography.titleMedium,
                )
            }
        }
    }
}
