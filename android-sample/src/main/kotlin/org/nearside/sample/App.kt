/*
 * The layout of the app: one screen at a time on a phone, two panes on a tablet, banners above.
 */
package org.nearside.sample

import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.BoxWithConstraints
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.WindowInsets
import androidx.compose.foundation.layout.fillMaxHeight
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.safeDrawing
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.width
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.layout.windowInsetsPadding
import androidx.compose.material3.Button
import androidx.compose.material3.CircularProgressIndicator
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.NavigationBar
import androidx.compose.material3.NavigationBarItem
import androidx.compose.material3.NavigationRail
import androidx.compose.material3.NavigationRailItem
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.material3.VerticalDivider
import androidx.compose.runtime.Composable
import androidx.compose.runtime.CompositionLocalProvider
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.key
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.semantics.LiveRegionMode
import androidx.compose.ui.semantics.liveRegion
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.text.style.TextOverflow
import androidx.compose.ui.unit.dp
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.delay

/** The app. [now]: the reference for the dates of chats. */
@Composable
fun Sample(
    model: AppModel,
    platform: Platform,
    translation: Translation,
    dark: Boolean,
    fonts: Fonts = Fonts(),
    now: () -> Long = System::currentTimeMillis,
) = CompositionLocalProvider(
    LocalPlatform provides platform,
    LocalTranslation provides translation,
    LocalOpener provides model::opener,
) {
    NearsideTheme(dark, fonts) {
        Surface(Modifier.fillMaxSize(), color = MaterialTheme.colorScheme.background) {
            BoxWithConstraints(Modifier.windowInsetsPadding(WindowInsets.safeDrawing)) {
                val isWide = maxWidth >= Space.twoPanes
                Column {
                    Banners(model)
                    Box(Modifier.weight(1f)) { Content(model, isWide, now) }
                }
                UndoBar(model.chats, Modifier.align(Alignment.BottomCenter))
            }
        }
    }
    model.chats.exporting?.let { request ->
        LaunchedEffect(request) {
            platform.chooseDocument(request)
            model.chats.exportEnded()
        }
    }
}

@Composable
private fun Content(model: AppModel, isWide: Boolean, now: () -> Long) {
    val firstRun = model.firstRun
    when {
        firstRun != null -> FirstRunScreen(firstRun, model::enterDemo)
        model.openingFailure != null -> OpeningFailed(model)
        !model.isLoaded -> Opening()
        isWide -> Row {
            Rail(model)
            TabContent(model, isWide = true, now)
        }
        else -> Column {
            Box(Modifier.weight(1f)) { TabContent(model, isWide = false, now) }
            // A chat uses the whole screen and has its own back button.
            if (!model.canGoBack) Bar(model)
        }
    }
}

/** Shown with the first frame, while the library opens. */
@Composable
private fun Opening() = Column(
    Modifier.fillMaxSize().semantics(mergeDescendants = true) { liveRegion = LiveRegionMode.Polite },
    Arrangement.spacedBy(Space.edge, Alignment.CenterVertically),
    Alignment.CenterHorizontally,
) {
    CircularProgressIndicator()
    Text(
        Strings.Opening(),
        style = MaterialTheme.typography.bodyMedium,
        color = MaterialTheme.colorScheme.onSurfaceVariant,
    )
}

@Composable
private fun OpeningFailed(model: AppModel) {
    val detail = model.openingFailure?.let { LocalTranslation.current.failure(it) }.orEmpty()
    EmptyState(Symbols.Warning, Strings.OpeningFailed(), detail) {
        Button({ model.start() }, Modifier.heightIn(min = Space.touch)) { Text(Strings.ActionTryAgain()) }
        TextButton({ model.enterDemo() }, Modifier.heightIn(min = Space.touch)) { Text(Strings.TryDemo()) }
    }
}

@Composable
private fun TabContent(model: AppModel, isWide: Boolean, now: () -> Long) = when (model.tab) {
    Tab.Chats -> Panes(
        isWide,
        isDetail = model.chat != null,
        list = {
            ChatsScreen(
                model.chats,
                opened = model.chat?.chatId.takeIf { isWide },
                now(),
                model::open,
                model::newChat,
                onDelete = { model.delete(it) },
            )
        },
        detail = {
            val chat = model.chat
            if (chat == null) {
                EmptyState(Symbols.Chats, Strings.NoChatOpen(), Strings.NoChatOpenHint())
            } else {
                // Key by chat, so that each has its own scroll position and sheets.
                key(chat) { ChatScreen(chat, (model::back).takeIf { !isWide }, { model.tab = Tab.Models }) }
            }
        },
    )
    Tab.Models -> ModelsScreen(model.models)
    Tab.Settings -> {
        val page = model.page ?: SettingsPage.Answers.takeIf { isWide }
        Panes(
            isWide,
            isDetail = page != null,
            list = {
                SettingsScreen(
                    model.settings,
                    model.isDemo,
                    opened = page.takeIf { isWide },
                    onOpen = { model.page = it },
                    onDemo = { if (it) model.enterDemo() else model.leaveDemo() },
                )
            },
            detail = {
                if (page != null) {
                    key(page) {
                        SettingsPageScreen(page, model.settings, model.costsChat, (model::back).takeIf { !isWide })
                    }
                }
            },
        )
    }
}

/** A list and its detail: side by side, or one over the other. */
@Composable
private fun Panes(isWide: Boolean, isDetail: Boolean, list: @Composable () -> Unit, detail: @Composable () -> Unit) =
    when {
        isWide -> Row {
            Box(Modifier.width(Space.listPane).fillMaxHeight()) { list() }
            VerticalDivider(color = MaterialTheme.colorScheme.outlineVariant)
            Box(Modifier.weight(1f).fillMaxHeight()) { detail() }
        }
        isDetail -> detail()
        else -> list()
    }

private val Tab.symbol: ImageVector
    get() = when (this) {
        Tab.Chats -> Symbols.Chats
        Tab.Models -> Symbols.Models
        Tab.Settings -> Symbols.Settings
    }

private val Tab.title: Strings
    get() = when (this) {
        Tab.Chats -> Strings.Chats
        Tab.Models -> Strings.Models
        Tab.Settings -> Strings.Settings
    }

@Composable
private fun Bar(model: AppModel) = NavigationBar(
    containerColor = MaterialTheme.colorScheme.surfaceContainerLow,
    windowInsets = WindowInsets(0),
) {
    for (tab in Tab.entries) {
        NavigationBarItem(
            selected = tab == model.tab,
            onClick = { model.tab = tab },
            icon = { Icon(tab.symbol, contentDescription = null, Modifier.size(24.dp)) },
            label = { Text(tab.title(), maxLines = 1, overflow = TextOverflow.Ellipsis) },
        )
    }
}

@Composable
private fun Rail(model: AppModel) = NavigationRail(
    containerColor = MaterialTheme.colorScheme.surfaceContainerLow,
    windowInsets = WindowInsets(0),
) {
    Column(Modifier.padding(top = Space.gap), Arrangement.spacedBy(Space.gap)) {
        for (tab in Tab.entries) {
            NavigationRailItem(
                selected = tab == model.tab,
                onClick = { model.tab = tab },
                icon = { Icon(tab.symbol, contentDescription = null, Modifier.size(24.dp)) },
                label = { Text(tab.title(), maxLines = 1) },
            )
        }
    }
}

/** Banners while they apply: the device is hot, memory is low, nothing can be stored, this is the demo. */
@Composable
private fun Banners(model: AppModel) = Column {
    val colors = MaterialTheme.colorScheme
    if (model.condition.isHot) Banner(Strings.BannerHot(), Symbols.Heat, colors.caution)
    if (model.condition.isShortOfMemory) Banner(Strings.BannerMemory(), Symbols.Memory, colors.caution)
    if (model.condition.isReadOnly) Banner(Strings.BannerReadOnly(), Symbols.Lock, colors.caution)
    if (model.isDemo) Banner(Strings.BannerDemo(), Symbols.Sparkle, colors.remote)
    FailureNotice(model.failure, Modifier.padding(Space.small)) { model.failure = null }
}

@Composable
private fun Banner(text: String, symbol: ImageVector, tone: Tone) = Row(
    Modifier.fillMaxWidth().background(tone.container).padding(horizontal = Space.edge, vertical = 7.dp)
        .semantics(mergeDescendants = true) { liveRegion = LiveRegionMode.Polite },
    Arrangement.spacedBy(Space.small, Alignment.CenterHorizontally),
    Alignment.CenterVertically,
) {
    Icon(symbol, contentDescription = null, Modifier.size(16.dp), tint = tone.content)
    Text(text, Modifier.weight(1f, fill = false), style = MaterialTheme.typography.labelMedium, color = tone.content)
}

/** The undo bar after a deletion, shown for a while. */
@Composable
private fun UndoBar(model: ChatsModel, modifier: Modifier) {
    val chat = model.deleted
    LaunchedEffect(chat) {
        if (chat != null) {
            delay(8.seconds)
            model.forgetDeleted()
        }
    }
    if (chat != null) {
        Surface(
            modifier.padding(16.dp).padding(bottom = 72.dp).widthIn(max = 480.dp).fillMaxWidth()
                .semantics { liveRegion = LiveRegionMode.Polite },
            shape = MaterialTheme.shapes.medium,
            color = MaterialTheme.colorScheme.inverseSurface,
            contentColor = MaterialTheme.colorScheme.inverseOnSurface,
            shadowElevation = 4.dp,
        ) {
            Row(Modifier.padding(start = 16.dp, end = 4.dp), verticalAlignment = Alignment.CenterVertically) {
                Text(
                    Strings.Deleted(chat.title),
                    Modifier.weight(1f).padding(vertical = 12.dp),
                    style = MaterialTheme.typography.bodyMedium,
                    maxLines = 2,
                    overflow = TextOverflow.Ellipsis,
                )
                TextButton({ model.undoDelete() }, Modifier.heightIn(min = Space.touch)) {
                    Text(Strings.Undo(), color = MaterialTheme.colorScheme.inversePrimary)
                }
            }
        }
    }
}
