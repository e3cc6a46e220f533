/*
 * One message: a user message has a bar beside it; an answer has its reasoning collapsed above and its receipt below.
 */
package org.nearside.sample

import androidx.compose.animation.core.RepeatMode
import androidx.compose.animation.core.animateFloat
import androidx.compose.animation.core.infiniteRepeatable
import androidx.compose.animation.core.rememberInfiniteTransition
import androidx.compose.animation.core.tween
import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.FlowRow
import androidx.compose.foundation.layout.IntrinsicSize
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.RowScope
import androidx.compose.foundation.layout.fillMaxHeight
import androidx.compose.foundation.layout.height
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.offset
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.width
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.foundation.text.selection.SelectionContainer
import androidx.compose.material3.FilledTonalButton
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.draw.alpha
import androidx.compose.ui.draw.rotate
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.semantics.stateDescription
import androidx.compose.ui.text.font.FontFamily
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.unit.dp

/** Actions on a message. */
sealed interface MessageAction {
    data object Edit : MessageAction

    data object Regenerate : MessageAction

    data object Resume : MessageAction

    data object ContinueRemotely : MessageAction

    /** Selects the version at an offset from this one. */
    data class SelectVersion(val offset: Int) : MessageAction
}

/** [canContinue] and [canContinueRemotely] apply to the last message only. */
@Composable
fun MessageView(
    message: MessageEntry,
    isBusy: Boolean,
    canContinue: Boolean,
    canContinueRemotely: Boolean,
    onAction: (MessageAction) -> Unit,
) = when (message.author) {
    Author.User -> UserMessage(message, isBusy, onAction)
    Author.Model -> AnswerMessage(message, isBusy, canContinue, canContinueRemotely, onAction)
}

@Composable
private fun UserMessage(message: MessageEntry, isBusy: Boolean, onAction: (MessageAction) -> Unit) = Column {
    Row(Modifier.height(IntrinsicSize.Min), Arrangement.spacedBy(14.dp)) {
        Box(Modifier.width(3.dp).fillMaxHeight().background(MaterialTheme.colorScheme.primary, CircleShape))
        Column(Modifier.padding(vertical = 2.dp)) {
            Text(Strings.You(), style = MaterialTheme.typography.labelMedium, color = MaterialTheme.colorScheme.primary)
            SelectionContainer {
                Text(message.text, style = MaterialTheme.typography.bodyLarge, fontWeight = FontWeight.Medium)
            }
        }
    }
    MessageActions(message, isBusy, Modifier.padding(start = 2.dp), onAction) {
        if (!isBusy) SymbolButton(Symbols.Edit, Strings.Edit(), { onAction(MessageAction.Edit) }, size = 18.dp)
    }
}

@Composable
private fun AnswerMessage(
    message: MessageEntry,
    isBusy: Boolean,
    canContinue: Boolean,
    canContinueRemotely: Boolean,
    onAction: (MessageAction) -> Unit,
) = Column(verticalArrangement = Arrangement.spacedBy(Space.tight)) {
    val isWriting = message.status == MessageStatus.Writing
    if (message.reasoning.isNotEmpty()) ReasoningView(message, isThinking = false) { message.reasoning }
    if (message.text.isNotEmpty()) SelectionContainer { MarkdownView(message.text) }
    message.toolCalls.forEach { ToolCallView(it) }
    if (message.citations.isNotEmpty()) Citations(message.citations)
    if (message.omittedMessages > 0) Hint(Strings.OmittedHint("${message.omittedMessages}"))
    StatusView(message.status, onContinue = { onAction(MessageAction.Resume) }.takeIf { canContinue })
    if (canContinue) {
        FlowRow(
            Modifier.padding(vertical = Space.tight),
            Arrangement.spacedBy(Space.small),
            Arrangement.spacedBy(Space.small),
        ) {
            ActionButton(Strings.Resume(), Symbols.Play) { onAction(MessageAction.Resume) }
            if (canContinueRemotely) {
                ActionButton(Strings.ContinueRemotely(), Symbols.Cloud) { onAction(MessageAction.ContinueRemotely) }
            }
        }
    }
    message.receipt?.let { ReceiptView(it) }
    if (!isWriting) {
        // Align the symbols with the text; their touch targets extend beyond it.
        MessageActions(message, isBusy, Modifier.offset(x = (-15).dp), onAction) {
            if (!isBusy) {
                SymbolButton(Symbols.Regenerate, Strings.Regenerate(), {
                    onAction(MessageAction.Regenerate)
                }, size = 18.dp)
            }
        }
    }
}

/** An answer while it is written. */
@Composable
fun LiveMessageView(live: LiveMessage) = Column(verticalArrangement = Arrangement.spacedBy(Space.tight)) {
    val isThinking = live.blocks.isEmpty()
    if (live.hasReasoning) ReasoningView(live.entry, isThinking) { live.reasoning }
    if (live.blocks.isNotEmpty()) SelectionContainer { MarkdownView(live.blocks) }
    live.entry.toolCalls.forEach { ToolCallView(it) }
    WritingMark(isThinking)
    if (live.entry.citations.isNotEmpty()) Citations(live.entry.citations)
    if (live.entry.omittedMessages > 0) Hint(Strings.OmittedHint("${live.entry.omittedMessages}"))
}

/** A call that the model asked for, with its arguments. */
@Composable
private fun ToolCallView(call: ToolCall) = Card {
    Text(Strings.ToolCall(call.name), style = MaterialTheme.typography.titleSmall)
    SelectionContainer {
        Text(call.arguments, style = MaterialTheme.typography.bodySmall.copy(fontFamily = FontFamily.Monospace))
    }
    Hint(Strings.ToolCallHint())
}

@Composable
private fun ActionButton(text: String, symbol: ImageVector, onClick: () -> Unit) =
    FilledTonalButton(onClick, Modifier.heightIn(min = Space.touch)) {
        Icon(symbol, contentDescription = null, Modifier.size(18.dp))
        Text(text, Modifier.padding(start = 8.dp))
    }

/** The row of actions: copy, versions, and more. */
@Composable
private fun MessageActions(
    message: MessageEntry,
    isBusy: Boolean,
    modifier: Modifier,
    onAction: (MessageAction) -> Unit,
    more: @Composable RowScope.() -> Unit,
) = Row(modifier, verticalAlignment = Alignment.CenterVertically) {
    val platform = LocalPlatform.current
    if (message.text.isNotEmpty()) {
        SymbolButton(Symbols.Copy, Strings.Copy(), {
            platform.copy(message.text)
        }, size = 18.dp)
    }
    more()
    if (message.versions.size > 1) {
        val index = message.versions.indexOf(message.id)
        SymbolButton(
            Symbols.Back,
            Strings.EarlierVersion(),
            { onAction(MessageAction.SelectVersion(-1)) },
            enabled = !isBusy && index > 0,
            size = 16.dp,
        )
        Text(
            Strings.VersionOf("${index + 1}", "${message.versions.size}"),
            style = MaterialTheme.typography.labelMedium,
            color = MaterialTheme.colorScheme.onSurfaceVariant,
        )
        SymbolButton(
            Symbols.Next,
            Strings.LaterVersion(),
            { onAction(MessageAction.SelectVersion(1)) },
            enabled = !isBusy && index < message.versions.lastIndex,
            size = 16.dp,
        )
    }
}

/** "Thought for 4 s"; shows the reasoning on a tap. */
@Composable
private fun ReasoningView(message: MessageEntry, isThinking: Boolean, reasoning: () -> String) = Column {
    var isOpen by rememberSaveable(message.id) { mutableStateOf(false) }
    val seconds = LocalTranslation.current.seconds(message.reasoningSeconds.coerceAtLeast(1.0))
    val title = if (isThinking) Strings.Thinking() else Strings.ThoughtFor(seconds)
    val state = if (isOpen) Strings.HideReasoning() else Strings.ShowReasoning()
    Surface(
        onClick = { isOpen = !isOpen },
        color = Color.Transparent,
        shape = MaterialTheme.shapes.small,
        modifier = Modifier.semantics { stateDescription = state },
    ) {
        Row(
            Modifier.heightIn(min = Space.touch).padding(end = Space.small),
            Arrangement.spacedBy(Space.small),
            Alignment.CenterVertically,
        ) {
            val color = MaterialTheme.colorScheme.onSurfaceVariant
            Icon(Symbols.Thought, contentDescription = null, Modifier.size(18.dp), tint = color)
            Text(title, style = MaterialTheme.typography.labelLarge, color = color)
            Icon(
                Symbols.Down,
                contentDescription = null,
                Modifier.size(16.dp).rotate(if (isOpen) 180f else 0f),
                tint = color,
            )
        }
    }
    Unfolding(isOpen) {
        Row(Modifier.height(IntrinsicSize.Min).padding(bottom = Space.gap), Arrangement.spacedBy(14.dp)) {
            Box(
                Modifier.padding(
                    start = 8.dp,
                ).width(2.dp).fillMaxHeight().background(MaterialTheme.colorScheme.outlineVariant),
            )
            SelectionContainer {
                Text(
                    reasoning().trim(),
                    style = MaterialTheme.typography.bodyMedium,
                    color = MaterialTheme.colorScheme.onSurfaceVariant,
                )
            }
        }
    }
}

/** A pulsing mark while an answer arrives; still if the user prefers reduced motion. */
@Composable
private fun WritingMark(isThinking: Boolean) {
    val name = if (isThinking) Strings.Thinking() else Strings.Writing()
    val light = if (LocalPlatform.current.reducesMotion) 1f else breathing()
    Box(
        Modifier.padding(vertical = 6.dp).size(12.dp).alpha(light)
            .background(MaterialTheme.colorScheme.primary, CircleShape).semantics { contentDescription = name },
    )
}

@Composable
private fun breathing(): Float {
    val light by rememberInfiniteTransition().animateFloat(
        initialValue = 0.35f,
        targetValue = 1f,
        animationSpec = infiniteRepeatable(tween(durationMillis = 800), RepeatMode.Reverse),
    )
    return light
}

@Composable
private fun Citations(citations: List<Citation>) {
    val platform = LocalPlatform.current
    FlowRow(horizontalArrangement = Arrangement.spacedBy(Space.small)) {
        for (citation in citations) {
            TextButton({ platform.openPage(citation.url) }, Modifier.heightIn(min = Space.touch)) {
                Icon(Symbols.Globe, contentDescription = null, Modifier.size(16.dp))
                Text(citation.title.ifEmpty { citation.url }, Modifier.padding(start = 6.dp))
            }
        }
    }
}

/** Why an answer is incomplete. To continue one without consent is to be asked again. */
@Composable
private fun StatusView(status: MessageStatus, onContinue: (() -> Unit)?) {
    val colors = MaterialTheme.colorScheme
    when (status) {
        MessageStatus.Writing, MessageStatus.Done -> Unit
        MessageStatus.Stopped -> Badge(Strings.StatusStopped(), colors.plain)
        MessageStatus.CutShort -> Badge(Strings.StatusCutShort(), colors.caution, Symbols.Warning)
        MessageStatus.Interrupted -> Badge(Strings.StatusInterrupted(), colors.caution, Symbols.Warning)
        is MessageStatus.Failed -> {
            val onAskAgain = onContinue.takeIf { status.failure.reason == FailureReason.ConsentRequired }
            FailureNotice(status.failure, Modifier.padding(top = 4.dp), onAskAgain)
        }
    }
}
