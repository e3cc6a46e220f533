/*
 * Renders Markdown blocks. Code has its language and a copy button, and scrolls horizontally.
 */
package org.nearside.sample

import androidx.compose.foundation.background
import androidx.compose.foundation.horizontalScroll
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.IntrinsicSize
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxHeight
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.height
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.width
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.material3.HorizontalDivider
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.key
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.text.AnnotatedString
import androidx.compose.ui.text.LinkAnnotation
import androidx.compose.ui.text.SpanStyle
import androidx.compose.ui.text.TextLinkStyles
import androidx.compose.ui.text.TextStyle
import androidx.compose.ui.text.buildAnnotatedString
import androidx.compose.ui.text.font.FontFamily
import androidx.compose.ui.text.font.FontStyle
import androidx.compose.ui.text.font.FontWeight
import androidx.compose.ui.text.style.TextDecoration
import androidx.compose.ui.text.withLink
import androidx.compose.ui.text.withStyle
import androidx.compose.ui.unit.dp

@Composable
fun MarkdownView(text: String, modifier: Modifier = Modifier) =
    MarkdownView(remember(text) { markdown(text) }, modifier)

/** Of a growing text only the last block changes; the others are the same objects and are not composed again. */
@Composable
fun MarkdownView(blocks: List<MarkdownBlock>, modifier: Modifier = Modifier) =
    Column(modifier, Arrangement.spacedBy(12.dp)) {
        blocks.forEachIndexed { index, block -> key(index) { Block(block) } }
    }

@Composable
private fun Block(block: MarkdownBlock) {
    val type = MaterialTheme.typography
    when (block) {
        is MarkdownBlock.Paragraph -> Runs(block.runs, type.bodyLarge)
        is MarkdownBlock.Heading ->
            Runs(
                block.runs,
                if (block.level <=
                    2
                ) {
                    type.headlineSmall
                } else {
                    type.titleLarge
                },
                Modifier.padding(top = 4.dp),
            )
        is MarkdownBlock.Items -> Items(block.items)
        is MarkdownBlock.Quote -> Row(Modifier.height(IntrinsicSize.Min), Arrangement.spacedBy(12.dp)) {
            Box(Modifier.width(3.dp).fillMaxHeight().background(MaterialTheme.colorScheme.primary, CircleShape))
            Runs(block.runs, type.bodyLarge.copy(fontStyle = FontStyle.Italic), Modifier.padding(vertical = 2.dp))
        }
        is MarkdownBlock.Table -> Table(block)
        is MarkdownBlock.Code -> CodeBlock(block)
        MarkdownBlock.Rule -> HorizontalDivider(color = MaterialTheme.colorScheme.outlineVariant)
    }
}

@Composable
private fun Items(items: List<ListItem>) = Column(verticalArrangement = Arrangement.spacedBy(6.dp)) {
    items.forEachIndexed { index, item -> key(index) { Item(item) } }
}

@Composable
private fun Item(item: ListItem) = Row(Modifier.padding(start = 18.dp * item.depth), Arrangement.spacedBy(10.dp)) {
    Text(
        item.marker,
        Modifier.widthIn(min = 14.dp),
        style = MaterialTheme.typography.bodyLarge,
        color = MaterialTheme.colorScheme.primary,
        fontWeight = FontWeight.Medium,
    )
    Runs(item.runs, MaterialTheme.typography.bodyLarge)
}

@Composable
private fun Table(table: MarkdownBlock.Table) = Surface(
    shape = MaterialTheme.shapes.medium,
    color = MaterialTheme.colorScheme.surfaceContainerLow,
) {
    Row(Modifier.horizontalScroll(rememberScrollState()).padding(horizontal = 4.dp, vertical = 6.dp)) {
        for (column in table.header.indices) {
            Column(Modifier.width(IntrinsicSize.Max)) {
                val cell = Modifier.padding(horizontal = 12.dp, vertical = 7.dp).widthIn(max = 240.dp)
                Runs(table.header[column], MaterialTheme.typography.titleSmall, cell)
                for (row in table.rows) {
                    HorizontalDivider(Modifier.fillMaxWidth(), color = MaterialTheme.colorScheme.outlineVariant)
                    Runs(row[column], MaterialTheme.typography.bodyMedium, cell)
                }
            }
        }
    }
}

@Composable
private fun CodeBlock(code: MarkdownBlock.Code) {
    val platform = LocalPlatform.current
    var isCopied by remember(code.text) { mutableStateOf(false) }
    Surface(
        Modifier.fillMaxWidth(),
        shape = MaterialTheme.shapes.medium,
        color = MaterialTheme.colorScheme.surfaceContainerHigh,
    ) {
        Column {
            Row(Modifier.padding(start = 16.dp), verticalAlignment = Alignment.CenterVertically) {
                Text(
                    code.language.ifEmpty { Strings.Code() },
                    Modifier.weight(1f),
                    style = MaterialTheme.typography.labelMedium,
                    color = MaterialTheme.colorScheme.onSurfaceVariant,
                )
                SymbolButton(
                    if (isCopied) Symbols.Check else Symbols.Copy,
                    if (isCopied) Strings.Copied() else Strings.CopyCode(),
                    onClick = {
                        platform.copy(code.text)
                        isCopied = true
                    },
                    size = 18.dp,
                )
            }
            Text(
                code.text,
                Modifier.horizontalScroll(rememberScrollState()).padding(start = 16.dp, end = 16.dp, bottom = 16.dp),
                style = MaterialTheme.typography.bodyMedium.copy(fontFamily = FontFamily.Monospace),
                softWrap = false,
            )
        }
    }
}

@Composable
private fun Runs(runs: List<InlineRun>, style: TextStyle, modifier: Modifier = Modifier) {
    val code = SpanStyle(fontFamily = FontFamily.Monospace, background = MaterialTheme.colorScheme.surfaceContainerHigh)
    val link = SpanStyle(color = MaterialTheme.colorScheme.primary, textDecoration = TextDecoration.Underline)
    Text(remember(runs, code, link) { annotated(runs, code, link) }, modifier, style = style)
}

private fun annotated(runs: List<InlineRun>, code: SpanStyle, link: SpanStyle): AnnotatedString = buildAnnotatedString {
    for (run in runs) {
        val marks = SpanStyle(
            fontWeight = FontWeight.Bold.takeIf { run.bold },
            fontStyle = FontStyle.Italic.takeIf { run.italic },
            textDecoration = TextDecoration.LineThrough.takeIf { run.struck },
        )
        withStyle(if (run.code) marks.merge(code) else marks) {
            if (run.link ==
                null
            ) {
                append(run.text)
            } else {
                withLink(LinkAnnotation.Url(run.link, TextLinkStyles(link))) { append(run.text) }
            }
        }
    }
}
