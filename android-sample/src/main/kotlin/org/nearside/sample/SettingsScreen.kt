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
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Surface
import androidx.compose.material3.Switch
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.focus.onFocusChanged
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.graphics.vector.ImageVector
import androidx.compose.ui.platform.testTag
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

/** A page of the settings. [chat]: the open chat, whose costs can be compared. */
@Composable
fun SettingsPageScreen(
    page: SettingsPage,
    model: SettingsModel,
    chat: ChatModel?,
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
            SettingsPage.Costs ->
                if (chat != null) CostsView(chat) else Hint(Strings.CostsNoChat())
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
        isValid = { true },
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

@Composable
private fun Cap(title: String, dollars: Double?, tag: String, onChange: (Double?) -> Unit) {
    val shown = dollars?.let { LocalTranslation.current.number(it, 4, least = 2) }.orEmpty()
    SettingField(
        shown,
        title,
        support = null,
        tag,
        hint = Strings.NoCap(),
        invalid = Strings.NotAnAmount(),
        isValid = { SettingsModel.amount(it).isSuccess },
    ) { text -> SettingsModel.amount(text).onSuccess(onChange) }
}

/** A field that applies its text as soon as it is valid; invalid text is marked and changes nothing. */
@Composable
private fun SettingField(
    value: String,
    label: String,
    support: String?,
    tag: String,
    hint: String,
    invalid: String = "",
    isValid: (String) -> Boolean,
    onChange: (String) -> Unit,
) {
    var typed by remember { mutableStateOf<String?>(null) }
    val text = typed ?: value
    val isWrong = !isValid(text)
    val below = if (isWrong) invalid else support
    OutlinedTextField(
        text,
        {
            typed = it
            if (isValid(it)) onChange(it)
        },
        // Keep the text as typed until the field loses focus.
        Modifier.fillMaxWidth().testTag(tag).onFocusChanged { if (!it.isFocused && !isWrong) typed = null },
        label = { Text(label) },
        placeholder = { Text(hint) },
        supportingText = below?.let { { Text(it) } },
        isError = isWrong,
        singleLine = true,
        shape = MaterialTheme.shapes.medium,
    )
}
