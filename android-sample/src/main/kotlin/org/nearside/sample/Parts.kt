/*
 * Components shared by several screens: cards, badges, banners, rows, empty states, progress bars.
 */
package org.nearside.sample

import androidx.compose.foundation.clickable
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.ColumnScope
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.RowScope
import androidx.compose.foundation.layout.Spacer
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.material3.Icon
import androidx.compose.material3.IconButton
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.semantics.LiveRegionMode
import androidx.compose.ui.semantics.Role
import androidx.compose.ui.semantics.clearAndSetSemantics
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.heading
import androidx.compose.ui.semantics.liveRegion
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.text.style.TextAlign
import androidx.compose.ui.text.style.TextOverflow
import androidx.compose.ui.unit.Dp
import androidx.compose.ui.unit.dp

/** A button with a symbol and an accessibility label. */
@Composable
fun SymbolButton(
    symbol: ImageVector,
    name: String,
    onClick: () -> Unit,
    modifier: Modifier = Modifier,
    enabled: Boolean = true,
    tint: Color = MaterialTheme.colorScheme.onSurfaceVariant,
    size: Dp = 22.dp,
) = IconButton(onClick = onClick, modifier = modifier.size(Space.touch), enabled = enabled) {
    Icon(symbol, contentDescription = name, Modifier.size(size), tint = if (enabled) tint else tint.copy(alpha = 0.4f))
}

/** The top bar of a screen. Without [onBack] the title is large: it is a root screen. */
@Composable
fun ScreenBar(
    title: String,
    modifier: Modifier = Modifier,
    onBack: (() -> Unit)? = null,
    actions: @Composable RowScope.() -> Unit = {},
) = Row(
    modifier.fillMaxWidth().heightIn(min = 64.dp).padding(start = if (onBack == null) Space.edge else 4.dp, end = 8.dp),
    verticalAlignment = Alignment.CenterVertically,
) {
    if (onBack != null) SymbolButton(Symbols.Back, Strings.Back(), onBack)
    val style = if (onBack == null) MaterialTheme.typography.headlineLarge else MaterialTheme.typography.titleLarge
    Text(
        title,
        Modifier.weight(1f).padding(vertical = Space.small).semantics { heading() },
        style = style,
        maxLines = 2,
        overflow = TextOverflow.Ellipsis,
    )
    actions()
}

/** The title of a section. */
@Composable
fun SectionTitle(text: String, modifier: Modifier = Modifier) = Text(
    text,
    modifier.padding(start = 4.dp, top = Space.edge, bottom = Space.small).semantics { heading() },
    style = MaterialTheme.typography.labelLarge,
    color = MaterialTheme.colorScheme.onSurfaceVariant,
)

/** A surface that groups related content. */
@Composable
fun Card(modifier: Modifier = Modifier, chosen: Boolean = false, content: @Composable ColumnScope.() -> Unit) = Surface(
    modifier.fillMaxWidth(),
    shape = MaterialTheme.shapes.large,
    color = if (chosen) MaterialTheme.colorScheme.secondaryContainer else MaterialTheme.colorScheme.surfaceContainerLow,
) {
    Column(Modifier.padding(horizontal = 16.dp, vertical = 14.dp), content = content)
}

/** A card of rows; each row has its own padding. */
@Composable
fun RowsCard(modifier: Modifier = Modifier, content: @Composable ColumnScope.() -> Unit) = Surface(
    modifier.fillMaxWidth(),
    shape = MaterialTheme.shapes.large,
    color = MaterialTheme.colorScheme.surfaceContainerLow,
) { Column(Modifier.padding(vertical = 6.dp), content = content) }

/** A short text on a coloured background. */
@Composable
fun Badge(text: String, tone: Tone, symbol: ImageVector? = null) =
    Surface(shape = CircleShape, color = tone.container, contentColor = tone.content) {
        Row(
            Modifier.padding(horizontal = 10.dp, vertical = 4.dp),
            Arrangement.spacedBy(5.dp),
            Alignment.CenterVertically,
        ) {
            if (symbol != null) Icon(symbol, contentDescription = null, Modifier.size(14.dp))
            Text(text, style = MaterialTheme.typography.labelSmall)
        }
    }

@Composable
fun VerdictBadge(verdict: FitLevel) {
    val colors = MaterialTheme.colorScheme
    when (verdict) {
        FitLevel.Fits -> Badge(verdict.title(), colors.onDevice, Symbols.Check)
        FitLevel.Tight -> Badge(verdict.title(), colors.caution, Symbols.Warning)
        FitLevel.TooLarge -> Badge(verdict.title(), colors.failed, Symbols.Close)
    }
}

/** A row with text; clickable if it has an action. */
@Composable
fun Line(
    title: String,
    modifier: Modifier = Modifier,
    detail: String = "",
    symbol: ImageVector? = null,
    selected: Boolean = false,
    onClick: (() -> Unit)? = null,
    end: @Composable RowScope.() -> Unit = {},
) = Row(
    modifier.fillMaxWidth()
        .let { if (onClick == null) it else it.clickable(role = Role.Button, onClick = onClick) }
        .heightIn(min = 56.dp)
        .padding(horizontal = 16.dp, vertical = 10.dp),
    Arrangement.spacedBy(14.dp),
    Alignment.CenterVertically,
) {
    if (symbol != null) {
        Icon(symbol, contentDescription = null, Modifier.size(22.dp), tint = MaterialTheme.colorScheme.primary)
    }
    Column(Modifier.weight(1f), Arrangement.spacedBy(2.dp)) {
        Text(title, style = MaterialTheme.typography.titleMedium)
        if (detail.isNotEmpty()) {
            Text(
                detail,
                style = MaterialTheme.typography.bodySmall,
                color = MaterialTheme.colorScheme.onSurfaceVariant,
            )
        }
    }
    end()
    if (selected) {
        Icon(Symbols.Check, Strings.Selected(), Modifier.size(22.dp), tint = MaterialTheme.colorScheme.primary)
    }
}

/** A label and a value, read out as one by a screen reader. */
@Composable
fun Fact(name: String, value: String, modifier: Modifier = Modifier) = Row(
    modifier.fillMaxWidth().padding(vertical = 3.dp).clearAndSetSemantics { contentDescription = "$name: $value" },
    Arrangement.spacedBy(16.dp),
) {
    val style = MaterialTheme.typography.bodySmall
    Text(
        name,
        Modifier.widthIn(max = 160.dp).weight(0.4f),
        style = style,
        color = MaterialTheme.colorScheme.onSurfaceVariant,
    )
    Text(value, Modifier.weight(0.6f), style = style)
}

/** The placeholder of an empty list or page. */
@Composable
fun EmptyState(symbol: ImageVector, title: String, hint: String, action: @Composable () -> Unit = {}) =
    Box(Modifier.fillMaxSize().padding(Space.wide), Alignment.Center) {
        Column(Modifier.widthIn(max = 360.dp), Arrangement.spacedBy(Space.small), Alignment.CenterHorizontally) {
            Surface(shape = CircleShape, color = MaterialTheme.colorScheme.primaryContainer) {
                Icon(
                    symbol,
                    contentDescription = null,
                    Modifier.padding(20.dp).size(32.dp),
                    tint = MaterialTheme.colorScheme.onPrimaryContainer,
                )
            }
            Spacer(Modifier.size(Space.small))
            Text(title, style = MaterialTheme.typography.headlineSmall, textAlign = TextAlign.Center)
            Text(
                hint,
                style = MaterialTheme.typography.bodyMedium,
                color = MaterialTheme.colorScheme.onSurfaceVariant,
                textAlign = TextAlign.Center,
            )
            Spacer(Modifier.size(Space.small))
            action()
        }
    }

/** A notice on a coloured background; read out when it appears. */
@Composable
fun Notice(
    text: String,
    symbol: ImageVector,
    tone: Tone,
    modifier: Modifier = Modifier,
    onDismiss: (() -> Unit)? = null,
) = Surface(
    modifier.fillMaxWidth().semantics { liveRegion = LiveRegionMode.Polite },
    shape = MaterialTheme.shapes.medium,
    color = tone.container,
    contentColor = tone.content,
) {
    Row(
        Modifier.padding(start = 16.dp, end = if (onDismiss == null) 16.dp else 4.dp).heightIn(min = Space.touch),
        Arrangement.spacedBy(12.dp),
        Alignment.CenterVertically,
    ) {
        Icon(symbol, contentDescription = null, Modifier.size(20.dp))
        Text(text, Modifier.weight(1f).padding(vertical = 10.dp), style = MaterialTheme.typography.bodyMedium)
        if (onDismiss !=
            null
        ) {
            SymbolButton(Symbols.Close, Strings.Dismiss(), onDismiss, tint = tone.content, size = 18.dp)
        }
    }
}
