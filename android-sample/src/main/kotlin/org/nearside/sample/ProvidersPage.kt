/*
 * The providers page: each provider with its data policy, key or sign-in, and a way to add one.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.FlowRow
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.Spacer
import androidx.compose.foundation.layout.fillMaxWidth
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.material3.Button
import androidx.compose.material3.FilledTonalButton
import androidx.compose.material3.FilterChip
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.OutlinedTextField
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.platform.testTag
import androidx.compose.ui.text.input.PasswordVisualTransformation
import androidx.compose.ui.text.input.VisualTransformation
import androidx.compose.ui.unit.dp

@Composable
fun ProvidersPage(model: SettingsModel) {
    val platform = LocalPlatform.current
    var isAdding by remember { mutableStateOf(false) }
    Column(verticalArrangement = Arrangement.spacedBy(10.dp)) {
        if (model.providers.isEmpty()) {
            Card {
                Text(Strings.NoProviders(), style = MaterialTheme.typography.titleLarge)
                Text(
                    Strings.NoProvidersHint(),
                    style = MaterialTheme.typography.bodyMedium,
                    color = MaterialTheme.colorScheme.onSurfaceVariant,
                )
            }
        }
        if (model.lacksLocalNetwork) LocalNetworkNotice()
        for (provider in model.providers) ProviderCard(provider) { model.removeProvider(provider.name) }
        Spacer(Modifier.size(Space.tight))
        Button({ isAdding = true }, Modifier.fillMaxWidth().heightIn(min = 52.dp)) { Text(Strings.AddProvider()) }
        val signIn = model.signIn
        if (signIn == null) {
            FilledTonalButton({
                model.beginSignIn(platform::openPage)
            }, Modifier.fillMaxWidth().heightIn(min = 52.dp)) {
                Text(Strings.SignIn())
            }
        } else {
            SignInCard(model)
        }
    }
    if (isAdding) AddProviderSheet(model) { isAdding = false }
}

@Composable
private fun LocalNetworkNotice() = FailureNotice(
    Failure(Strings.LocalNetworkProviders(), FailureReason.LocalNetworkDenied),
)

@Composable
private fun ProviderCard(provider: ProviderInfo, onRemove: () -> Unit) = Card {
    val colors = MaterialTheme.colorScheme
    Row(verticalAlignment = Alignment.CenterVertically) {
        Text(provider.kind.title, Modifier.weight(1f), style = MaterialTheme.typography.titleLarge)
        SymbolButton(Symbols.Delete, Strings.RemoveProvider(provider.kind.title), onRemove, size = 20.dp)
    }
    FlowRow(
        Modifier.padding(bottom = Space.small),
        Arrangement.spacedBy(6.dp),
        Arrangement.spacedBy(6.dp),
    ) {
        if (provider.hasKey) {
            Badge(Strings.Ready(), colors.onDevice, Symbols.Check)
        } else {
            Badge(Strings.KeyMissing(), colors.caution, Symbols.Key)
        }
        if (provider.cooldownSeconds > 0) {
            Badge(
                Strings.Resting(LocalTranslation.current.duration(provider.cooldownSeconds.toDouble())),
                colors.caution,
            )
        }
    }
    if (provider.address.isNotEmpty()) Fact(Strings.Address(), provider.address)
    provider.model?.let { Fact(Strings.Model(), it) }
    Fact(Strings.Region(), regionTitle(provider.dataPolicy.region))
    Fact(Strings.Terms(), provider.dataPolicy.summary())
    if (provider.dataPolicy.asOf.isNotEmpty()) Fact(Strings.TermsDate(), provider.dataPolicy.asOf)
}

@Composable
private fun SignInCard(model: SettingsModel) = Card {
    var code by remember { mutableStateOf("") }
    Text(Strings.SignInHint(), style = MaterialTheme.typography.bodyMedium)
    Field(code, Strings.SignInCode(), "code") { code = it }
    Row(Modifier.padding(top = Space.small), Arrangement.spacedBy(Space.small)) {
        Button({ model.finishSignIn(code) }, Modifier.heightIn(min = Space.touch), enabled = code.isNotBlank()) {
            Text(Strings.FinishSignIn())
        }
        TextButton(model::cancelSignIn, Modifier.heightIn(min = Space.touch)) { Text(Strings.Cancel()) }
    }
}

/** The sheet to add a provider. The key is never displayed, and is cleared when the sheet closes. */
@Composable
private fun AddProviderSheet(model: SettingsModel, onDismiss: () -> Unit) = Sheet(Strings.AddProvider(), onDismiss) {
    var kind by remember { mutableStateOf(ProviderType.OpenRouter) }
    var address by remember { mutableStateOf("") }
    var key by remember { mutableStateOf("") }
    var name by remember { mutableStateOf("") }
    FlowRow(horizontalArrangement = Arrangement.spacedBy(Space.small)) {
        for (type in ProviderType.entries) {
            FilterChip(
                selected = type == kind,
                onClick = { kind = type },
                label = { Text(type.title) },
                modifier = Modifier.heightIn(min = Space.touch),
            )
        }
    }
    if (kind.needsAddress) {
        Field(address, Strings.Address(), "address", "https://…") { address = it }
        if (isInLocalNetwork(address)) Hint(Strings.LocalNetworkHint())
    }
    Field(key, Strings.Key(), "key", transformation = PasswordVisualTransformation()) { key = it }
    Hint(Strings.KeyHint())
    Field(name, Strings.ModelOptional(), "model") { name = it }
    val provider = NewProvider(kind, address, key, name)
    FailureNotice(model.failure, Modifier.padding(top = Space.small)) { model.failure = null }
    Button(
        { model.addProvider(provider, onDismiss) },
        Modifier.fillMaxWidth().padding(top = Space.edge).heightIn(min = 52.dp),
        enabled = model.canAdd(provider),
    ) { Text(Strings.Add()) }
}

@Composable
private fun Field(
    value: String,
    label: String,
    tag: String,
    hint: String = "",
    transformation: VisualTransformation = VisualTransformation.None,
    onChange: (String) -> Unit,
) = OutlinedTextField(
    value,
    onChange,
    Modifier.fillMaxWidth().padding(top = Space.small).testTag(tag),
    label = { Text(label) },
    placeholder = { Text(hint) },
    visualTransformation = transformation,
    singleLine = true,
    shape = MaterialTheme.shapes.medium,
)
