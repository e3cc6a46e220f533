/*
 * The settings: a list of pages; on a tablet the page is beside the list.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.ColumnScope
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.Spacer
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.text.KeyboardActions
import androidx.compose.foundation.text.KeyboardOptions
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Surface
import androidx.compose.material3.Switch
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.DisposableEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.rememberUpdatedState
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.focus.onFocusChanged
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.text.input.ImeAction
import androidx.compose.ui.text.input.KeyboardType
import androidx.compose.ui.unit.dp

/** The list of pages. [opened]: the page shown beside it, if any. */
@Composable
fun SettingsScreen(
    model: SettingsModel,
    isDemo: Boolean,
    opened: SettingsPage?,
    onOpen: (SettingsPage) -> Unit,
    onDemo: (Boolean) -> Unit,
    modifier: Modifier = Modifier,
) = Column(modifier.fillMaxSize()) {
    val translation = LocalTranslation.current
    ScreenBar(Strings.Settings())
    PageColumn {
        FailureNotice(model.failure) { model.failure = null }
        Spacer(Modifier.size(Space.small))
        RowsCard {
            @Composable
            fun page(page: SettingsPage, symbol: ImageVector, detail: String) = Surface(
                color = if (page == opened) MaterialTheme.colorScheme.secondaryContainer else Color.Transparent,
            ) { Line(page.title(), detail = detail, symbol = symbol, onClick = { onOpen(page) }) }
            page(
                SettingsPage.Answers,
                Symbols.Sparkle,
                model.preferences.mode.title() + " · " + model.preferences.privacy.title(),
            )
            page(
                SettingsPage.Providers,
                Symbols.Cloud,
                model.providers.joinToString { it.kind.title }.ifEmpty { Strings.NoProviders() },
            )
            page(SettingsPage.Caps, Symbols.Coins, Strings.SpentThisMonth(translation.dollars(model.spending.month)))
            page(SettingsPage.Costs, Symbols.Search, Strings.CostsHint())
            page(SettingsPage.Privacy, Symbols.Shield, Strings.PrivacyHint())
        }
        Spacer(Modifier.size(Space.edge))
        RowsCard {
            Line(
                if (isDemo) Strings.LeaveDemo() else Strings.TryDemo(),
                detail = Strings.DemoHint(),
                symbol = Symbols.Play,
                onClick = { onDemo(!isDemo) },
            )
        }
    }
}

val SettingsPage.title: Strings
    get() = when (this) {
        SettingsPage.Answers -> Strings.WhereAnswersComeFrom
        SettingsPage.Providers -> Strings.Providers
        SettingsPage.Caps -> Strings.CapsAndSpend
        SettingsPage.Costs -> Strings.CompareCosts
        SettingsPage.Privacy -> Strings.PrivacyPage
    }

/** A page of the settings. [chat]: the chat whose costs are compared. */
@Composable
fun SettingsPageScreen(
    page: SettingsPage,
    model: SettingsModel,
    chat: ChatModel,
    onBack: (() -> Unit)?,
    modifier: Modifier = Modifier,
) = Column(modifier.fillMaxSize(), horizontalAlignment = Alignment.CenterHorizontally) {
    ScreenBar(page.title(), Modifier.widthIn(max = Space.column), onBack)
    PageColumn {
        FailureNotice(model.failure) { model.failure = null }
        when (page) {
            SettingsPage.Answers -> AnswersPage(model)
            SettingsPage.Providers -> ProvidersPage(model)
            SettingsPage.Caps -> CapsPage(model)
            SettingsPage.Costs -> {
                FailureNotice(chat.failure) { chat.failure = null }
                CostsView(chat)
                Hint(if (chat.chatId == null) Strings.CostsNewChat() else Strings.CostsOpenChat(chat.title))
            }
            SettingsPage.Privacy -> PrivacyScreen(model)
        }
    }
}

/** A scrolling page with a limited line width. */
@Composable
fun PageColumn(content: @Composable ColumnScope.() -> Unit) = Column(
    Modifier.fillMaxSize().verticalScroll(rememberScrollState()),
    horizontalAlignment = Alignment.CenterHorizontally,
) {
    Column(
        Modifier.widthIn(max = Space.column).fillMaxWidth().padding(horizontal = 16.dp).padding(bottom = Space.wide),
        content = content,
    )
}

/** A small explanation under a control. */
@Composable
fun Hint(text: String) = Text(
    text,
    Modifier.padding(horizontal = 4.dp, vertical = Space.small),
    style = MaterialTheme.typography.bodySmall,
    color = MaterialTheme.colorScheme.onSurfaceVariant,
)

@Composable
private fun AnswersPage(model: SettingsModel) {
    RowsCard {
        for (mode in AnswerMode.entries) {
            Line(mode.title(), selected = mode == model.preferences.mode, onClick = { model.setMode(mode) })
        }
    }
    Hint(Strings.ModeHint())
    SectionTitle(Strings.WhatIsSensitive())
    RowsCard {
        for (level in PrivacyLevel.entries) {
            Line(
                level.title(),
                detail = level.hint(),
                selected = level == model.preferences.privacy,
                onClick = { model.setPrivacy(level) },
            )
        }
    }
    SectionTitle(Strings.WhatIsAllowed())
    RowsCard {
        val policy = model.policy
        Allow(Strings.AllowRetention(), policy.allowRetention) { model.setPolicy { copy(allowRetention = it) } }
        Allow(Strings.AllowTraining(), policy.allowTraining) { model.setPolicy { copy(allowTraining = it) } }
        Allow(Strings.AllowMetered(), policy.allowMetered) { model.setPolicy { copy(allowMetered = it) } }
    }
    Spacer(Modifier.size(Space.gap))
    SettingField(
        model.policy.regions.joinToString(),
        Strings.Region(),
        Strings.RegionsHint(),
        "regions",
        hint = Strings.RegionsPlaceholder(),
    ) { model.setRegions(it) }
}

@Composable
private fun Allow(title: String, isOn: Boolean, onChange: (Boolean) -> Unit) =
    Line(title, onClick = { onChange(!isOn) }) { Switch(isOn, onCheckedChange = null) }

@Composable
private fun CapsPage(model: SettingsModel) {
    val translation = LocalTranslation.current
    Card {
        Row(Modifier.fillMaxWidth(), Arrangement.spacedBy(Space.edge)) {
            Amount(Strings.Today(), model.spending.today, Modifier.weight(1f))
            Amount(Strings.ThisMonth(), model.spending.month, Modifier.weight(1f))
        }
        model.capUsed?.let { share ->
            LinearProgressIndicator({
                share
            }, Modifier.fillMaxWidth().padding(top = 14.dp, bottom = 6.dp), drawStopIndicator = {})
            Text(
                Strings.OfTheCap(translation.percent(share)),
                style = MaterialTheme.typography.bodySmall,
                color = MaterialTheme.colorScheme.onSurfaceVariant,
            )
        }
    }
    if (model.spending.byProvider.isNotEmpty()) {
        SectionTitle(Strings.SpentSoFar())
        RowsCard {
            for (line in model.spending.byProvider) {
                Line(line.name, detail = Strings.AnswersCount("${line.answers}"), symbol = Symbols.Cloud) {
                    Text(translation.dollars(line.dollars), style = MaterialTheme.typography.titleMedium)
                }
            }
        }
    }
    SectionTitle(Strings.Caps())
    Column(verticalArrangement = Arrangement.spacedBy(Space.gap)) {
        val policy = model.policy
        Cap(Strings.PerRequest(), policy.dollarsPerRequest, "cap request") {
            model.setPolicy { copy(dollarsPerRequest = it) }
        }
        Cap(Strings.PerDay(), policy.dollarsPerDay, "cap day") { model.setPolicy { copy(dollarsPerDay = it) } }
        Cap(Strings.PerMonth(), policy.dollarsPerMonth, "cap month") { model.setPolicy { copy(dollarsPerMonth = it) } }
    }
    Hint(Strings.CapsHint())
}

@Composable
private fun Amount(title: String, dollars: Double, modifier: Modifier) = Column(modifier) {
    Text(title, style = MaterialTheme.typography.labelLarge, color = MaterialTheme.colorScheme.onSurfaceVariant)
    Text(LocalTranslation.current.dollars(dollars), style = MaterialTheme.typography.headlineLarge)
}

/**
 * A cap. What is typed applies when the user leaves the field or confirms, not letter by letter: on the way to 1,000 it is 1.
 * Text that is no amount keeps the cap and says so; a field that was not changed changes nothing.
 */
@Composable
private fun Cap(title: String, dollars: Double?, tag: String, onChange: (Double?) -> Unit) {
    val translation = LocalTranslation.current
    val shown = dollars?.let { translation.number(it, 4, least = 2) }.orEmpty()
    var typed by remember { mutableStateOf<String?>(null) }
    val isWrong = typed?.let { parseAmount(it, translation.locale).isFailure } == true
    val currentChange by rememberUpdatedState(onChange)
    val currentShown by rememberUpdatedState(shown)
    fun apply() {
        val text = typed ?: return
        parseAmount(text, translation.locale).onSuccess {
            typed = null
            if (text != currentShown) currentChange(it)
        }
    }
    // The page may be closed while the field has the focus.
    DisposableEffect(Unit) { onDispose { apply() } }
    OutlinedTextField(
        typed ?: shown,
        { typed = it },
        Modifier.fillMaxWidth().testTag(tag).onFocusChanged { if (!it.isFocused) apply() },
        label = { Text(title) },
        placeholder = { Text(Strings.NoCap()) },
        supportingText = if (isWrong) {
            (
                {
                    Text(Strings.NotAnAmount(translation.number(1000.5, 2, least = 2)))
                }
                )
        } else {
            null
        },
        isError = isWrong,
        keyboardOptions = KeyboardOptions(keyboardType = KeyboardType.Decimal, imeAction = ImeAction.Done),
        keyboardActions = KeyboardActions(onDone = { apply() }),
        singleLine = true,
        shape = MaterialTheme.shapes.medium,
    )
}

/** A field that applies its text as it is typed. */
@Composable
private fun SettingField(
    value: String,
    label: String,
    support: String,
    tag: String,
    hint: String,
    onChange: (String) -> Unit,
) {
    var typed by remember { mutableStateOf<String?>(null) }
    OutlinedTextField(
        typed ?: value,
        {
            typed = it
            onChange(it)
        },
        // Keep the text as typed until the field loses focus.
        Modifier.fillMaxWidth().testTag(tag).onFocusChanged { if (!it.isFocused) typed = null },
        label = { Text(label) },
        placeholder = { Text(hint) },
        supportingText = { Text(support) },
        singleLine = true,
        shape = MaterialTheme.shapes.medium,
    )
}
