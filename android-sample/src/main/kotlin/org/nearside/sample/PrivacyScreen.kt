/*
 * The privacy page: what leaves this device and when, and what stays, for the current settings.
 */
package org.nearside.sample

import androidx.compose.foundation.layout.Arrangement
import androidx.compose.foundation.layout.Column
import androidx.compose.foundation.layout.Row
import androidx.compose.foundation.layout.padding
import androidx.compose.foundation.layout.size
import androidx.compose.material3.Icon
import androidx.compose.material3.MaterialTheme
import androidx.compose.material3.Surface
import androidx.compose.material3.Text
import androidx.compose.runtime.Composable
import androidx.compose.ui.Alignment
import androidx.compose.ui.Modifier
import androidx.compose.ui.unit.dp

@Composable
fun PrivacyScreen(model: SettingsModel) {
    val colors = MaterialTheme.colorScheme
    val tone = if (model.canLeave) colors.remote else colors.onDevice
    Surface(shape = MaterialTheme.shapes.large, color = tone.container, contentColor = tone.content) {
        Row(Modifier.padding(20.dp), Arrangement.spacedBy(16.dp), Alignment.CenterVertically) {
            Icon(if (model.canLeave) Symbols.Cloud else Symbols.Lock, contentDescription = null, Modifier.size(32.dp))
            Column(Modifier.weight(1f), Arrangement.spacedBy(4.dp)) {
                Text(
                    if (model.canLeave) Strings.PrivacyCanLeave() else Strings.PrivacyNothingLeaves(),
                    style = MaterialTheme.typography.headlineSmall,
                )
                Text(
                    Strings.PrivacyNow(model.preferences.mode.title(), model.preferences.privacy.title()),
                    style = MaterialTheme.typography.bodyMedium,
                )
            }
        }
    }
    SectionTitle(Strings.WhatLeaves())
    RowsCard {
        val words = when {
            !model.canLeave -> Strings.Never()
            model.preferences.privacy == PrivacyLevel.Personal -> Strings.LeavesWhenAsked()
            else -> Strings.LeavesWhenAllowed()
        }
        Line(Strings.LeavesWords(), detail = words, symbol = Symbols.Chats)
        Line(Strings.LeavesDownloads(), detail = Strings.LeavesDownloadsHint(), symbol = Symbols.Download)
        Line(Strings.LeavesLists(), detail = Strings.LeavesListsHint(), symbol = Symbols.Models)
    }
    if (model.canLeave) {
        SectionTitle(Strings.WhoSeesThem())
        RowsCard {
            for (provider in model.providers) {
                val detail = regionTitle(provider.dataPolicy.region) + " · " + provider.dataPolicy.summary()
                Line(provider.kind.title, detail = detail, symbol = Symbols.Cloud)
            }
        }
    }
    SectionTitle(Strings.WhatStays())
    RowsCard {
        Line(Strings.StaysChats(), detail = Strings.StaysChatsHint(), symbol = Symbols.Lock)
        Line(Strings.StaysKeys(), detail = Strings.StaysKeysHint(), symbol = Symbols.Key)
        Line(Strings.StaysUsage(), detail = Strings.StaysUsageHint(), symbol = Symbols.Shield)
    }
}
