/*
 * The model picker of a chat: automatic, a local model with its verdict, or a remote one with region and price.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Text
import androidx.compose.material3.TextButton
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.remember
import androidx.compose.runtime.setValue
import androidx.compose.ui.Modifier
import androidx.compose.ui.unit.dp

@Composable
fun ModelPicker(model: ChatModel, onOpenModels: () -> Unit, onDismiss: () -> Unit) =
    Sheet(Strings.ChooseModel(), onDismiss) {
        fun choose(choice: ModelChoice?) {
            model.choose(choice)
            onDismiss()
        }
        RowsCard {
            Line(
                Strings.Automatic(),
                detail = Strings.AutomaticHint(),
                symbol = Symbols.Sparkle,
                selected = model.options.model == null && model.options.provider == null,
                onClick = { choose(null) },
            )
        }
        val (local, remote) = model.choices.partition { it.target.isDevice }
        val chosen = model.chosen
        SectionTitle(Strings.OnThisDevice())
        RowsCard {
            for (choice in local) Choice(choice, choice == chosen) { choose(choice) }
            Line(Strings.GetAModel(), symbol = Symbols.Download, onClick = onOpenModels)
        }
        if (remote.isNotEmpty()) {
            SectionTitle(Strings.Elsewhere())
            RowsCard { for (choice in remote) Choice(choice, choice == chosen) { choose(choice) } }
            Offers(model, remote.first(), chosen, ::choose)
        }
    }

/**
 * The other models of a provider; fetched only on the user's request. Without a search only the first are shown, because a
 * list can have hundreds.
 */
@Composable
private fun Offers(model: ChatModel, choice: ModelChoice, chosen: ModelChoice?, onChoose: (ModelChoice) -> Unit) {
    val provider = (choice.target as? AnswerTarget.Provider)?.name ?: return
    var isAsked by remember { mutableStateOf(false) }
    var query by remember { mutableStateOf("") }
    val offers = model.offers[provider].orEmpty()
    val more = remember(offers, model.choices) {
        val known = model.choices.mapTo(HashSet()) { it.target }
        offers.filter { it.target !in known }
    }
    model.offerErrors[provider]?.let { failure ->
        FailureNotice(failure, Modifier.padding(top = Space.small)) { model.loadOffers() }
    }
    if (more.isEmpty()) {
        TextButton(
            onClick = {
                isAsked = true
                model.loadOffers()
            },
            enabled = !isAsked || model.offerErrors.isNotEmpty(),
            modifier = Modifier.heightIn(min = Space.touch),
        ) {
            Icon(Symbols.Cloud, contentDescription = null, Modifier.size(18.dp))
            Text(Strings.MoreFrom(provider), Modifier.padding(start = 8.dp))
        }
    } else {
        SectionTitle(Strings.MoreFrom(provider))
        if (more.size > SHOWN_OFFERS) SearchField(query, Strings.SearchModels()) { query = it }
        RowsCard { for (offer in more.matching(query)) Choice(offer, offer == chosen) { onChoose(offer) } }
    }
}

/** Returns the first models whose name or id contains the text. */
private fun List<ModelChoice>.matching(query: String): List<ModelChoice> {
    val text = query.trim()
    return asSequence().filter { "${it.name} ${it.target.model}".contains(text, ignoreCase = true) }
        .take(SHOWN_OFFERS).toList()
}

private const val SHOWN_OFFERS = 12

@Composable
private fun Choice(choice: ModelChoice, selected: Boolean, onClick: () -> Unit) = Line(
    choice.name,
    detail = choice.detail(),
    symbol = choice.target.symbol,
    selected = selected,
    onClick = onClick,
) { choice.verdict?.let { VerdictBadge(it) } }

@Composable
private fun ModelChoice.detail(): String {
    val translation = LocalTranslation.current
    val (dollarsIn, dollarsOut) = dollarsIn to dollarsOut
    return when {
        target.isDevice -> Strings.FreeAndPrivate()
        dollarsIn == null || dollarsOut == null -> target.title() + " · " + regionTitle(region)
        else -> target.title() + " · " + regionTitle(region) + "\n" +
            Strings.PerMillion(translation.dollars(dollarsIn), translation.dollars(dollarsOut))
    }
}
