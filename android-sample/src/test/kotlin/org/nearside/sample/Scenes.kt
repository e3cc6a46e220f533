/*
 * The states of the app that have a picture.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasContentDescription
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onAllNodesWithContentDescription
import androidx.compose.ui.test.onAllNodesWithTag
import androidx.compose.ui.test.onFirst
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performScrollToNode

internal fun scenes(isRussian: Boolean): List<Scene> {
    val language = if (isRussian) russian else english
    fun text(name: Strings) = language.text(name)
    val tides = text(Strings.StarterTides)
    fun brain(pace: Pace? = null, fresh: Boolean = false, condition: Condition = Condition()) =
        demo(pace, isRussian, fresh, condition)
    fun opened(chat: ChatId? = null, pace: Pace? = null, act: (ChatModel) -> Unit = {}): () -> AppModel = {
        app(brain(pace)).apply {
            if (chat == null) newChat() else open(chat)
            checkNotNull(this.chat).let(act)
        }
    }
    fun asked(question: String, pace: Pace? = null) = opened(pace = pace) {
        it.draft = question
        it.send()
    }
    fun inRoom(tab: Tab, page: SettingsPage? = null, act: (AppModel) -> Unit = {}): () -> AppModel = {
        app(brain()).apply {
            this.tab = tab
            this.page = page
            act(this)
        }
    }
    fun first(words: Int, begin: Boolean): () -> AppModel = {
        app(brain(Pace(words), fresh = true)).also { app ->
            val run = checkNotNull(app.firstRun)
            run.load().await()
            run.pick(run.models.worthHaving[1])
            if (begin) run.startDownload()
        }
    }
    val long = List(60) { tides }.joinToString(" ")
    return listOf(
        Scene("chats", { app(brain()) }),
        Scene("chats-empty", {
            app(brain()).apply {
                chats.chats.forEach { delete(it.id) }
                chats.forgetDeleted()
            }
        }),
        Scene("chats-search", { app(brain()).apply { chats.search(if (isRussian) "лун" else "moon") } }),
        Scene("chats-search-nothing", { app(brain()).apply { chats.search("zzz") } }),
        Scene("chats-menu", { app(brain()) }) { app ->
            onAllNodesWithContentDescription(
                language.text(Strings.More, app.chats.chats[1].title),
            ).onFirst().performClick()
        },
        Scene("chats-rename", { app(brain()) }) { app ->
            onAllNodesWithContentDescription(
                language.text(Strings.More, app.chats.chats[1].title),
            ).onFirst().performClick()
            onNode(hasText(text(Strings.Rename)) and hasClickAction()).performClick()
        },
        Scene("chats-deleted", { app(brain()).apply { delete(chats.chats[1].id) } }),
        Scene("chat", opened(1)),
        Scene("chat-code", opened(4)),
        Scene("chat-empty", opened()),
        Scene("chat-streaming", asked(tides, Pace(26))),
        Scene("chat-reasoning-open", opened(1)) { touch(text(Strings.ThoughtFor).substringBefore(" %1")) },
        Scene("chat-receipt-open", opened(10)) { touchDescribed(text(Strings.ReceiptLabel).substringBefore("%1")) },
        Scene(
            "chat-stopped",
            opened(pace = Pace(30)) {
                it.draft = tides
                it.send()
            }.let { make -> { make().apply { checkNotNull(chat).stop() } } },
        ),
        Scene("chat-editing", opened(1) { it.beginEdit(it.messages.first().id) }),
        Scene(
            "chat-error",
            opened(1) {
                it.failure =
                    "the provider `openrouter` did not answer in time; try again, or continue on this device"
            },
        ),
        Scene("chat-ask", asked(long)),
        Scene("chat-picker", opened(1) { it.choose(it.choices.first()) }) { touchDescribed(text(Strings.ChooseModel)) },
        Scene("chat-options", opened(1)) { touchDescribed(text(Strings.Options)) },
        Scene("chat-banner", {
            app(brain(condition = Condition(isHot = true, isShortOfMemory = true)), startsInDemo = false).apply {
                open(1)
            }
        }),
        Scene("models", inRoom(Tab.Models)),
        Scene("models-more", inRoom(Tab.Models)) { scroll("models", text(Strings.CheckFit)) },
        Scene("models-downloading", {
            app(brain(Pace(14))).apply {
                tab = Tab.Models
                models.judgeAll().await()
                models.available.take(2).forEach { models.download(it.reference, it.name) }
                models.pause(models.available[0].reference)
            }
        }),
        Scene("settings", inRoom(Tab.Settings)),
        Scene("settings-answers", inRoom(Tab.Settings, SettingsPage.Answers)),
        Scene("settings-providers", inRoom(Tab.Settings, SettingsPage.Providers)),
        Scene("settings-add-provider", inRoom(Tab.Settings, SettingsPage.Providers)) {
            touch(text(Strings.AddProvider))
        },
        Scene("settings-caps", inRoom(Tab.Settings, SettingsPage.Caps)),
        Scene(
            "settings-costs",
            inRoom(Tab.Settings) {
                it.open(1)
                it.tab = Tab.Settings
                it.page = SettingsPage.Costs
            },
        ),
        Scene("settings-privacy", inRoom(Tab.Settings, SettingsPage.Privacy)),
        Scene("first-run-pick", first(0, begin = false)),
        Scene("first-run-download", first(17, begin = true)),
        Scene("first-run-chat", first(50, begin = true)),
        Scene("demo", { app(brain(), startsInDemo = true) }),
    )
}

private fun SkikoComposeUiTest.touch(text: String) {
    onAllNodes(hasText(text, substring = true) and hasClickAction()).onFirst().performClick()
}

private fun SkikoComposeUiTest.touchDescribed(text: String) {
    onAllNodes(hasContentDescription(text, substring = true) and hasClickAction()).onFirst().performClick()
}

private fun SkikoComposeUiTest.scroll(list: String, text: String) {
    onAllNodesWithTag(list).onFirst().performScrollToNode(hasText(text))
}
