/*
 * The consent sheet shown before content leaves the device: target, reason, data policy and cost. Dismissing it
 * refuses.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.ColumnScope
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.rememberScrollState
import androidx.compose.foundation.verticalScroll
import androidx.compose.material3.Button
import androidx.compose.material3.ExperimentalMaterial3Api
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.ModalBottomSheet
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.material3.rememberModalBottomSheetState
import androidx.compose.runtime.Composable
import androidx.compose.ui.Modifier
import androidx.compose.ui.semantics.heading
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.unit.dp

@Composable
fun AskSheet(prompt: ConsentPrompt, onAccept: () -> Unit, onRefuse: () -> Unit) =
    Sheet(Strings.AskTitle(prompt.target.title()), onRefuse) {
        Text(
            prompt.reason.replaceFirstChar { it.uppercase() } + ".",
            style = MaterialTheme.typography.bodyLarge,
            color = MaterialTheme.colorScheme.onSurfaceVariant,
        )
        Card(Modifier.padding(vertical = Space.edge)) {
            Fact(Strings.Model(), prompt.target.model)
            Fact(Strings.Region(), regionTitle(prompt.dataPolicy.region))
            Fact(Strings.Terms(), prompt.dataPolicy.summary())
            if (prompt.dataPolicy.asOf.isNotEmpty()) Fact(Strings.TermsDate(), prompt.dataPolicy.asOf)
            if (prompt.dataPolicy.note.isNotEmpty()) Fact(Strings.Note(), prompt.dataPolicy.note)
            Fact(
                Strings.Cost(),
                prompt.cost?.let { Strings.AtMost(LocalTranslation.current.dollars(it)) } ?: Strings.NoPrice(),
            )
        }
        Button(onAccept, Modifier.fillMaxWidth().heightIn(min = 52.dp)) {
            Text(Strings.AskAccept(prompt.target.title()))
        }
        TextButton(onRefuse, Modifier.fillMaxWidth().heightIn(min = Space.touch).padding(top = 4.dp)) {
            Text(Strings.AskRefuse())
        }
    }

/** A bottom sheet with a title; it scrolls if necessary. */
@OptIn(ExperimentalMaterial3Api::class)
@Composable
fun Sheet(title: String, onDismiss: () -> Unit, content: @Composable ColumnScope.() -> Unit) = ModalBottomSheet(
    onDismissRequest = onDismiss,
    sheetState = rememberModalBottomSheetState(skipPartiallyExpanded = true),
    containerColor = MaterialTheme.colorScheme.surface,
) {
    Column(
        Modifier.verticalScroll(rememberScrollState()).padding(horizontal = Space.edge).padding(bottom = Space.wide),
        Arrangement.Top,
    ) {
        Text(
            title,
            Modifier.padding(bottom = Space.small).semantics { heading() },
            style = MaterialTheme.typography.headlineMedium,
        )
        content()
    }
}
