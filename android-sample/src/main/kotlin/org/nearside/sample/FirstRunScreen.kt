/*
 * The first run: three steps to a first answer, or the demo instead.
 */
package org.nearside.sample

import androidx.compose.foundation.background
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.PaddingValues
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.fillMaxSize
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.height
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.widthIn
import androidx.compose.foundation.lazy.LazyColumn
import androidx.compose.foundation.lazy.items
import androidx.compose.foundation.selection.selectable
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.material3.Button
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.RadioButton
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.draw.clip
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.semantics.Role
import androidx.compose.ui.semantics.clearAndSetSemantics
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.heading
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.text.style.TextAlign
import androidx.compose.ui.unit.dp

@Composable
fun FirstRunScreen(model: FirstRunModel, onDemo: () -> Unit, modifier: Modifier = Modifier) {
    LaunchedEffect(model) { if (model.step == FirstRunModel.Step.Pick) model.load() }
    Column(modifier.fillMaxSize(), horizontalAlignment = Alignment.CenterHorizontally) {
        Steps(model.step)
        FailureNotice(
            model.failure ?: model.models.failure,
            Modifier.widthIn(max = Space.column).padding(horizontal = Space.edge),
        ) {
            model.failure = null
            model.models.failure = null
        }
        Box(Modifier.weight(1f).widthIn(max = Space.column)) {
            when (model.step) {
                FirstRunModel.Step.Pick -> PickStep(model, onDemo)
                FirstRunModel.Step.Download -> DownloadStepView(model)
                FirstRunModel.Step.Chat -> model.chat?.let { ChatStep(model, it) }
            }
        }
    }
}

/** The current step as bars, with a label for screen readers. */
@Composable
private fun Steps(step: FirstRunModel.Step) {
    val names = listOf(Strings.StepPick(), Strings.StepDownload(), Strings.StepChat())
    val words = Strings.StepOf("${step.ordinal + 1}", "${names.size}") + ": " + names[step.ordinal]
    Row(
        Modifier.widthIn(max = Space.column).fillMaxWidth().padding(horizontal = Space.edge, vertical = Space.edge)
            .clearAndSetSemantics { contentDescription = words },
        Arrangement.spacedBy(Space.small),
    ) {
        names.forEachIndexed { index, name ->
            Column(Modifier.weight(1f), Arrangement.spacedBy(6.dp)) {
                val isReached = index <= step.ordinal
                val colors = MaterialTheme.colorScheme
                val bar = if (isReached) colors.primary else colors.surfaceContainerHighest
                Box(Modifier.fillMaxWidth().height(4.dp).background(bar, CircleShape))
                Text(
                    name,
                    style = MaterialTheme.typography.labelMedium,
                    color = if (isReached) colors.primary else colors.onSurfaceVariant,
                )
            }
        }
    }
}

@Composable
private fun Title(title: String, hint: String) =
    Column(Modifier.padding(bottom = Space.small), Arrangement.spacedBy(6.dp)) {
        Text(title, Modifier.semantics { heading() }, style = MaterialTheme.typography.displaySmall)
        Text(hint, style = MaterialTheme.typography.bodyLarge, color = MaterialTheme.colorScheme.onSurfaceVariant)
    }

@Composable
private fun PickStep(model: FirstRunModel, onDemo: () -> Unit) = Column {
    val platform = LocalPlatform.current
    LazyColumn(
        Modifier.weight(1f).testTag("pick"),
        contentPadding = PaddingValues(start = Space.edge, end = Space.edge, bottom = Space.gap),
        verticalArrangement = Arrangement.spacedBy(10.dp),
    ) {
        item { Title(Strings.FirstRunTitle(), Strings.FirstRunHint()) }
        item { NoNetwork(model.models) }
        items(model.models.catalogModels, key = { it.reference }) { entry ->
            val fit = model.models.fits[entry.reference]
            val canRun = fit?.verdict != FitLevel.TooLarge
            Box(
                Modifier.clip(MaterialTheme.shapes.large)
                    .selectable(entry == model.picked, enabled = canRun, role = Role.RadioButton) { model.pick(entry) },
            ) {
                ModelCard(
                    entry,
                    fit,
                    unjudged = model.models.unjudged[entry.reference],
                    guess = model.models.guesses[entry.reference],
                    isRecommended = entry == model.models.recommended && !model.isJudging,
                    isPending = model.models.isChecking(entry),
                    chosen = entry == model.picked,
                ) {}
                RadioButton(
                    entry == model.picked,
                    onClick = null,
                    Modifier.align(Alignment.TopEnd).padding(16.dp),
                    enabled = canRun,
                )
            }
        }
    }
    Column(Modifier.padding(horizontal = Space.edge, vertical = Space.small)) {
        Button(
            model::startDownload,
            Modifier.fillMaxWidth().heightIn(min = 52.dp),
            enabled = model.picked != null,
        ) {
            val text = model.picked?.let { Strings.DownloadModel(it.name) } ?: Strings.PickAModel()
            Text(text, textAlign = TextAlign.Center)
        }
        Row(Modifier.fillMaxWidth().padding(top = 4.dp), Arrangement.SpaceBetween) {
            TextButton(platform::pickModel, Modifier.weight(1f).heightIn(min = Space.touch)) {
                Text(Strings.HaveAFile(), textAlign = TextAlign.Center)
            }
            TextButton(onDemo, Modifier.weight(1f).heightIn(min = Space.touch)) {
                Text(Strings.TryDemo(), textAlign = TextAlign.Center)
            }
        }
    }
}

@Composable
private fun DownloadStepView(model: FirstRunModel) = Column(
    Modifier.fillMaxSize().padding(Space.edge),
    Arrangement.spacedBy(Space.gap),
) {
    val entry = model.picked ?: return@Column
    Title(Strings.DownloadTitle(entry.name), Strings.DownloadHint())
    model.download?.let { state ->
        Card {
            Text(
                LocalTranslation.current.percent(state.fraction),
                style = MaterialTheme.typography.displayMedium,
                color = MaterialTheme.colorScheme.primary,
            )
            DownloadView(state, model::pauseDownload, model::startDownload, onDismiss = null)
        }
    }
    TextButton(model::back, Modifier.heightIn(min = Space.touch)) { Text(Strings.PickAnother()) }
}

@Composable
private fun ChatStep(model: FirstRunModel, chat: ChatModel) = Column {
    Row(
        Modifier.fillMaxWidth().padding(start = Space.edge, end = Space.small),
        Arrangement.spacedBy(Space.small),
        Alignment.CenterVertically,
    ) {
        Text(Strings.ReadyHint(), Modifier.weight(1f), style = MaterialTheme.typography.titleMedium)
        TextButton({ model.finish() }, Modifier.heightIn(min = Space.touch)) {
            Text(Strings.Done())
        }
    }
    ChatScreen(chat, onBack = null, onOpenModels = { model.finish() }, Modifier.weight(1f))
}
