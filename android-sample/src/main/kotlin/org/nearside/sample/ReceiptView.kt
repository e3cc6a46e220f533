/*
 * The receipt under an answer: target, speed and cost in one line, all details on a tap.
 */
package org.nearside.sample

import androidx.compose.animation.AnimatedVisibility
import androidx.compose.animation.EnterTransition
import androidx.compose.animation.ExitTransition
import androidx.compose.animation.expandVertically
import androidx.compose.animation.fadeIn
import androidx.compose.animation.fadeOut
import androidx.compose.animation.shrinkVertically
import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Box
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.ColumnScope
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.heightIn
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.foundation.shape.CircleShape
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.saveable.rememberSaveable
import androidx.compose.runtime.setValue
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.graphics.Color
import androidx.compose.ui.semantics.contentDescription
import androidx.compose.ui.semantics.semantics
import androidx.compose.ui.semantics.stateDescription
import androidx.compose.ui.unit.dp

@Composable
fun ReceiptView(receipt: AnswerReceipt, modifier: Modifier = Modifier) {
    var isOpen by rememberSaveable { mutableStateOf(false) }
    Column(modifier) {
        ReceiptChip(receipt, isOpen) { isOpen = !isOpen }
        Unfolding(isOpen) { ReceiptDetails(receipt) }
    }
}

/** Expands content; without animation if the user prefers reduced motion. */
@Composable
fun ColumnScope.Unfolding(isOpen: Boolean, content: @Composable () -> Unit) {
    val still = LocalPlatform.current.reducesMotion
    AnimatedVisibility(
        isOpen,
        enter = if (still) EnterTransition.None else fadeIn() + expandVertically(),
        exit = if (still) ExitTransition.None else fadeOut() + shrinkVertically(),
    ) { content() }
}

@Composable
private fun ReceiptChip(receipt: AnswerReceipt, isOpen: Boolean, onClick: () -> Unit) {
    val tone = if (receipt.target.isDevice) MaterialTheme.colorScheme.onDevice else MaterialTheme.colorScheme.remote
    val text = receipt.line()
    val name = Strings.ReceiptLabel(text)
    val state = if (isOpen) Strings.HideDetails() else Strings.ShowDetails()
    // The chip is as low as its text, but its touch target is larger.
    Surface(
        onClick = onClick,
        color = Color.Transparent,
        modifier = Modifier.heightIn(min = Space.touch).semantics {
            contentDescription = name
            stateDescription = state
        },
    ) {
        Box(contentAlignment = Alignment.CenterStart) {
            Surface(shape = CircleShape, color = tone.container, contentColor = tone.content) {
                Row(
                    Modifier.padding(horizontal = 12.dp, vertical = 6.dp),
                    Arrangement.spacedBy(6.dp),
                    Alignment.CenterVertically,
                ) {
                    Icon(receipt.target.symbol, contentDescription = null, Modifier.size(16.dp))
                    Text(text, style = MaterialTheme.typography.labelMedium)
                }
            }
        }
    }
}

/** "On this device · 23 tok/s · $0" */
@Composable
private fun AnswerReceipt.line(): String {
    val translation = LocalTranslation.current
    val rate = translation.rate(tokensPerSecond).takeIf { tokensPerSecond > 0 }
    return listOfNotNull(target.title(), rate, costText()).joinToString(" · ")
}

@Composable
private fun AnswerReceipt.costText(): String {
    val dollars = LocalTranslation.current.dollars(cost)
    return when {
        costIsCertain -> dollars
        cost > 0 -> Strings.About(dollars)
        else -> Strings.NoPrice()
    }
}

@Composable
private fun ReceiptDetails(receipt: AnswerReceipt) {
    val translation = LocalTranslation.current
    Card(Modifier.padding(top = 4.dp)) {
        Fact(Strings.Model(), receipt.target.model.ifEmpty { receipt.target.title() })
        receipt.servedBy?.let { Fact(Strings.ServedBy(), it) }
        Fact(Strings.Why(), receipt.reason)
        for (candidate in receipt.rejected) {
            Fact(
                Strings.PassedOver(
                    candidate.target.model.ifEmpty { candidate.target.title() },
                ),
                candidate.reason,
            )
        }
        for (more in receipt.rejectedMore) Fact(Strings.PassedOverMore("${more.count}"), more.rule.title())
        if (receipt.omittedMessages > 0) Fact(Strings.Omitted(), "${receipt.omittedMessages}")
        receipt.readAgain?.let { changed ->
            Fact(
                Strings.ReadAgain(),
                when (changed) {
                    ReadAgain.SystemPrompt -> Strings.ReadAgainSystem()
                    ReadAgain.Tools -> Strings.ReadAgainTools()
                },
            )
        }
        Fact(Strings.Region(), regionTitle(receipt.dataPolicy.region))
        Fact(Strings.Terms(), receipt.dataPolicy.summary())
        if (receipt.dataPolicy.asOf.isNotEmpty()) Fact(Strings.TermsDate(), receipt.dataPolicy.asOf)
        if (receipt.dataPolicy.note.isNotEmpty()) Fact(Strings.Note(), receipt.dataPolicy.note)
        Fact(Strings.Cost(), receipt.costText())
        Fact(Strings.Tokens(), Strings.TokensInOut("${receipt.promptTokens}", "${receipt.answerTokens}"))
        if (receipt.firstTokenSeconds > 0) Fact(Strings.FirstWord(), translation.seconds(receipt.firstTokenSeconds))
        receipt.preset?.let { Fact(Strings.Preset(), it.title()) }
        receipt.temperature?.let { Fact(Strings.Temperature(), translation.number(it, 2, least = 1)) }
        receipt.topP?.let { Fact(Strings.TopP(), translation.number(it, 2)) }
        if (receipt.samplingReason.isNotEmpty()) Fact(Strings.WhyThese(), receipt.samplingReason)
    }
}

val AnswerTarget.symbol get() = if (isDevice) Symbols.Device else Symbols.Cloud
