/*
 * The models screen: installed models and their size, the catalogue with verdicts, and any other model by reference or
 * file.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.FlowRow
import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.material3.AlertDialog
import androidx.compose.material3.CircularProgressIndicator
import androidx.compose.material3.FilledTonalButton
import androidx.compose.material3.Icon
import androidx.compose.material3.LinearProgressIndicator
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.unit.dp

@Composable
fun ModelsScreen(model: ModelsModel, modifier: Modifier = Modifier) {
    LaunchedEffect(model) { model.checkAllFits() }
    val platform = LocalPlatform.current
    var removing by remember { mutableStateOf<ModelEntry?>(null) }
    val translation = LocalTranslation.current
    Column(modifier.fillMaxSize(), horizontalAlignment = Alignment.CenterHorizontally) {
        ScreenBar(Strings.Models(), Modifier.widthIn(max = Space.column)) {
            SymbolButton(Symbols.File, Strings.ImportFile(), platform::pickModel)
        }
        LazyColumn(
            Modifier.widthIn(max = Space.column).fillMaxSize().testTag("models"),
            contentPadding = PaddingValues(start = 16.dp, end = 16.dp, bottom = Space.wide),
            verticalArrangement = Arrangement.spacedBy(10.dp),
        ) {
            item { FailureNotice(model.failure) { model.failure = null } }
            if (model.isImporting) item { Notice(Strings.Importing(), Symbols.File, MaterialTheme.colorScheme.plain) }
            item { SectionTitle(Strings.Installed() + " · " + Strings.SpaceUsed(translation.bytes(model.usedBytes))) }
            if (model.installed.isEmpty()) {
                item {
                    Card { Text(Strings.NoModels(), style = MaterialTheme.typography.bodyLarge) }
                }
            }
            items(model.installed, key = { "here " + it.id }) { entry ->
                ModelCard(entry, fit = model.fits[entry.reference]) {
                    TextButton({ removing = entry }, Modifier.heightIn(min = Space.touch)) {
                        Text(Strings.Remove(), color = MaterialTheme.colorScheme.error)
                    }
                }
            }
            if (model.damaged.isNotEmpty()) {
                item { SectionTitle(Strings.DamagedModels()) }
                item { Hint(Strings.DamagedModelsHint()) }
            }
            items(model.damaged, key = { "damaged " + it.id }) { entry -> Damaged(model, entry) { removing = entry } }
            item { SectionTitle(Strings.WorthHaving()) }
            item { NoNetwork(model) }
            items(model.available, key = { it.reference }) { entry -> Available(model, entry) }
            item { SectionTitle(Strings.AnyOther()) }
            item { TypedReference(model) }
        }
    }
    removing?.let { entry ->
        AlertDialog(
            onDismissRequest = { removing = null },
            title = { Text(Strings.RemoveQuestion(entry.name)) },
            text = { Text(Strings.RemoveFrees(translation.bytes(entry.sizeBytes))) },
            confirmButton = {
                TextButton({
                    model.remove(entry.id)
                    removing = null
                }) { Text(Strings.Remove(), color = MaterialTheme.colorScheme.error) }
            },
            dismissButton = { TextButton({ removing = null }) { Text(Strings.Cancel()) } },
        )
    }
}

/** A damaged model: it is removed, or downloaded again unless it came from a file. */
@Composable
private fun Damaged(model: ModelsModel, entry: ModelEntry, onRemove: () -> Unit) = ModelCard(entry, fit = null) {
    val state = model.downloads[entry.reference]
    if (state != null) Download(model, entry, state)
    FlowRow(horizontalArrangement = Arrangement.spacedBy(Space.small)) {
        if (state == null && !entry.isImported) {
            TextButton({ model.download(entry.reference, entry.name) }, Modifier.heightIn(min = Space.touch)) {
                Text(Strings.DownloadAgain())
            }
        }
        TextButton(onRemove, Modifier.heightIn(min = Space.touch)) {
            Text(Strings.Remove(), color = MaterialTheme.colorScheme.error)
        }
    }
}

@Composable
private fun Download(model: ModelsModel, entry: ModelEntry, state: DownloadState) = DownloadView(
    state,
    onPause = { model.pause(entry.reference) },
    onResume = { model.download(entry.reference, entry.name) },
    onDismiss = { model.dismiss(entry.reference) },
)

@Composable
private fun Available(model: ModelsModel, entry: ModelEntry) {
    val state = model.downloads[entry.reference]
    val fit = model.fits[entry.reference]
    ModelCard(
        entry,
        fit,
        unjudged = model.unjudged[entry.reference],
        isRecommended = entry == model.recommended,
        guess = model.guesses[entry.reference],
        isPending = model.isChecking(entry),
    ) {
        if (state == null) {
            FilledTonalButton(
                onClick = { model.download(entry.reference, entry.name) },
                enabled = fit?.verdict != FitLevel.TooLarge,
                modifier = Modifier.heightIn(min = Space.touch),
            ) {
                Icon(Symbols.Download, contentDescription = null, Modifier.size(18.dp))
                Text(
                    Strings.DownloadSize(LocalTranslation.current.bytes(entry.sizeBytes)),
                    Modifier.padding(start = 8.dp),
                )
            }
        } else {
            Download(model, entry, state)
        }
    }
}

/** Says once why verdicts are missing, and checks again. */
@Composable
fun NoNetwork(model: ModelsModel) {
    val failure = model.offline ?: return
    Column {
        val text = Strings.NoNetworkForFits() + "\n" + LocalTranslation.current.failure(failure)
        Notice(text, Symbols.Warning, MaterialTheme.colorScheme.caution)
        TextButton({ model.checkAllFits() }, Modifier.heightIn(min = Space.touch)) { Text(Strings.CheckAgain()) }
    }
}

/** A card with a model, its verdict and reason, and its actions. [guess]: a verdict by size, if there is no other. */
@Composable
fun ModelCard(
    entry: ModelEntry,
    fit: Fit?,
    unjudged: String? = null,
    guess: FitLevel? = null,
    isRecommended: Boolean = false,
    isPending: Boolean = false,
    chosen: Boolean = false,
    actions: @Composable () -> Unit,
) = Card(chosen = chosen) {
    val translation = LocalTranslation.current
    val colors = MaterialTheme.colorScheme
    Column(verticalArrangement = Arrangement.spacedBy(6.dp)) {
        Text(entry.name, style = MaterialTheme.typography.titleLarge)
        val facts = listOf(entry.maker, translation.bytes(entry.sizeBytes), entry.quantization, entry.license)
        Text(
            facts.filter { it.isNotEmpty() }.joinToString(" · "),
            style = MaterialTheme.typography.bodySmall,
            color = colors.onSurfaceVariant,
        )
        if (entry.note.isNotEmpty()) Text(entry.note, style = MaterialTheme.typography.bodyMedium)
        FlowRow(horizontalArrangement = Arrangement.spacedBy(6.dp), verticalArrangement = Arrangement.spacedBy(6.dp)) {
            if (isRecommended) Badge(Strings.Recommended(), Tone(colors.primary, colors.onPrimary), Symbols.Sparkle)
            if (fit != null) VerdictBadge(fit.verdict)
            if (fit == null && guess != null) Badge(Strings.Guess(guess.title()), colors.plain)
            if (isPending) Badge(Strings.Checking(), colors.plain)
            if (entry.reasons) Badge(Strings.Reasons(), colors.remote, Symbols.Thought)
        }
        if (fit != null) FitReason(fit)
        if (unjudged != null) {
            Text(
                Strings.NotJudged(unjudged),
                style = MaterialTheme.typography.bodySmall,
                color = colors.onSurfaceVariant,
            )
        }
        actions()
    }
}

@Composable
private fun FitReason(fit: Fit) {
    val translation = LocalTranslation.current
    val need = Strings.ModelNeeds(translation.bytes(fit.needBytes), translation.bytes(fit.budgetBytes))
    Text(
        (listOf(need) + fit.reasons + fit.suggestions).joinToString(". ") { text ->
            text.replaceFirstChar { it.uppercase() }
        },
        style = MaterialTheme.typography.bodySmall,
        color = MaterialTheme.colorScheme.onSurfaceVariant,
    )
}

/** Progress of a download with its buttons. */
@Composable
fun DownloadView(state: DownloadState, onPause: () -> Unit, onResume: () -> Unit, onDismiss: (() -> Unit)?) =
    Column(Modifier.padding(top = 4.dp), Arrangement.spacedBy(4.dp)) {
        val translation = LocalTranslation.current
        if (state.phase == DownloadState.Phase.Resolving && state.total == 0L) {
            LinearProgressIndicator(Modifier.fillMaxWidth())
        } else {
            LinearProgressIndicator({ state.fraction }, Modifier.fillMaxWidth(), drawStopIndicator = {})
        }
        val amount = Strings.AmountOf(translation.bytes(state.done), translation.bytes(state.total))
        val text = when (state.phase) {
            DownloadState.Phase.Resolving -> Strings.Looking()
            DownloadState.Phase.Loading -> listOfNotNull(
                amount,
                state.secondsLeft?.let { Strings.TimeLeft(translation.duration(it)) },
            ).joinToString(" · ")
            DownloadState.Phase.Verifying -> Strings.Verifying()
            DownloadState.Phase.Paused -> Strings.PausedAt(amount)
            DownloadState.Phase.Failed -> state.failure?.let { LocalTranslation.current.failure(it) }.orEmpty()
        }
        Row(verticalAlignment = Alignment.CenterVertically) {
            Text(
                text,
                Modifier.weight(1f),
                style = MaterialTheme.typography.bodySmall,
                color = when (state.phase) {
                    DownloadState.Phase.Failed -> MaterialTheme.colorScheme.error
                    else -> MaterialTheme.colorScheme.onSurfaceVariant
                },
            )
            val tint = MaterialTheme.colorScheme.primary
            if (state.isRunning) {
                SymbolButton(Symbols.Pause, Strings.Pause(), onPause, tint = tint)
            } else {
                SymbolButton(Symbols.Play, Strings.Resume(), onResume, tint = tint)
                if (onDismiss != null) SymbolButton(Symbols.Close, Strings.DeleteDownload(), onDismiss)
            }
        }
        state.failure?.takeIf { state.phase == DownloadState.Phase.Failed }?.let { FailureButtons(it) }
    }

/** A field for any model reference: checks the fit first, then offers the download. */
@Composable
private fun TypedReference(model: ModelsModel) = Card {
    OutlinedTextField(
        model.reference,
        { model.reference = it },
        Modifier.fillMaxWidth().testTag("reference"),
        label = { Text(Strings.Reference()) },
        placeholder = { Text("hf:ORG/REPO:Q4_K_M") },
        supportingText = { Text(Strings.ReferenceHint()) },
        singleLine = true,
        shape = MaterialTheme.shapes.medium,
    )
    Row(Modifier.padding(top = Space.small), Arrangement.spacedBy(Space.gap), Alignment.CenterVertically) {
        FilledTonalButton(
            { model.checkTypedFit() },
            Modifier.heightIn(min = Space.touch),
            enabled = model.reference.isNotBlank() && !model.isJudging,
        ) { Text(Strings.CheckFit()) }
        if (model.isJudging) Box { CircularProgressIndicator(Modifier.size(24.dp), strokeWidth = 3.dp) }
        model.typed?.let { VerdictBadge(it.verdict) }
    }
    model.typed?.let { fit ->
        FitReason(fit)
        val state = model.downloads[fit.reference]
        if (state != null) {
            DownloadView(state, { model.pause(fit.reference) }, { model.download(fit.reference, fit.reference) }) {
                model.dismiss(fit.reference)
            }
        } else if (fit.verdict != FitLevel.TooLarge) {
            TextButton({ model.download(fit.reference, fit.reference) }, Modifier.heightIn(min = Space.touch)) {
                Text(Strings.DownloadSize(LocalTranslation.current.bytes(fit.sizeBytes)))
            }
        }
    }
}
