/*
 * The states of the app that are rendered as screenshots.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import androidx.compose.ui.test.SkikoComposeUiTest
import androidx.compose.ui.test.hasClickAction
import androidx.compose.ui.test.hasText
import androidx.compose.ui.test.onAllNodesWithContentDescription
import androidx.compose.ui.test.onAllNodesWithTag
import androidx.compose.ui.test.onFirst
import androidx.compose.ui.test.performClick
import androidx.compose.ui.test.performScrollToNode

internal fun scenarios(isRussian: Boolean): List<Scenario> {
    val language = if (isRussian) russian else english
    fun text(name: Strings) = language.text(name)
    val tides = text(Strings.StarterTides)
    fun brain(pace: Pace? = null, fresh: Boolean = false, condition: DeviceCondition = DeviceCondition()) =
        demo(pace, isRussian, fresh, condition)
    fun opened(chat: ChatId? = null, pace: Pace? = null, act: (ChatModel) -> Unit = {}): () -> AppModel = {
        app(brain(pace)).apply {
            if (chat == null) newChat() else open(chat)
            checkNotNull(this.chat).let(act)
        }
    }
    fun sent(question: String, pace: Pace? = null) = opened(pace = pace) {
        it.draft = question
        it.send()
    }
    fun inTab(tab: Tab, page: SettingsPage? = null, act: (AppModel) -> Unit = {}): () -> AppModel = {
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
            run.pick(run.models.catalogModels[1])
            if (begin) run.startDownload()
        }
    }
    val long = List(60) { tides }.joinToString(" ")
    return listOf(
        Scenario("chats", { app(brain()) }),
        Scenario("chats-empty", {
            app(brain()).apply {
                chats.chats.forEach { delete(it.id) }
                chats.forgetDeleted()
            }
        }),
        Scenario("chats-search", { app(brain()).apply { chats.search(if (isRussian) "лун" else "moon") } }),
        Scenario("chats-search-nothing", { app(brain()).apply { chats.search("zzz") } }),
        Scenario("chats-menu", { app(brain()) }) { app ->
            onAllNodesWithContentDescription(
                language.text(Strings.More, app.chats.chats[1].title),
            ).onFirst().performClick()
        },
        Scenario("chats-rename", { app(brain()) }) { app ->
            onAllNodesWithContentDescription(
                language.text(Strings.More, app.chats.chats[1].title),
            ).onFirst().performClick()
            onNode(hasText(text(Strings.Rename)) and hasClickAction()).performClick()
        },
        Scenario("chats-deleted", { app(brain()).apply { delete(chats.chats[1].id) } }),
        Scenario("chat", opened(1)),
        Scenario("chat-code", opened(4)),
        Scenario("chat-empty", opened()),
        Scenario("chat-streaming", sent(tides, Pace(26))),
        Scenario("chat-reasoning-open", opened(1)) { touch(text(Strings.ThoughtFor).substringBefore(" %1")) },
        Scenario("chat-receipt-open", opened(10)) { touchSymbol(text(Strings.ReceiptLabel).substringBefore("%1")) },
        Scenario(
            "chat-stopped",
            opened(pace = Pace(30)) {
                it.draft = tides
                it.send()
            }.let { make -> { make().apply { checkNotNull(chat).stop() } } },
        ),
        Scenario("chat-editing", opened(1) { it.beginEdit(it.messages.first().id) }),
        Scenario(
            "chat-error",
            opened(1) {
                val text = "`openrouter` did not accept the key; enter another one"
                it.failure = Failure(text, FailureReason.KeyRejected)
            },
        ),
        Scenario(
            "chat-not-sent",
            opened { chat ->
                repeat(5) {
                    chat.draft = tides
                    chat.send()
                }
            },
        ),
        Scenario("chat-ask", sent(long)),
        Scenario(
            "chat-refused",
            opened {
                it.draft = long
                it.send()
                it.refuse()
            },
        ),
        Scenario("chat-picker", opened(1) { it.choose(it.choices.first()) }) {
            touchSymbol(text(Strings.ChooseModel))
        },
        Scenario("chat-options", opened(1)) { touchSymbol(text(Strings.Options)) },
        Scenario("chat-banner", {
            app(brain(condition = DeviceCondition(isHot = true, isShortOfMemory = true, isReadOnly = true))).apply {
                open(1)
            }
        }),
        Scenario("models", inTab(Tab.Models)),
        Scenario("models-more", inTab(Tab.Models)) { scroll("models", text(Strings.CheckFit)) },
        Scenario("models-downloading", {
            app(brain(Pace(14))).apply {
                tab = Tab.Models
                models.checkAllFits().await()
                models.available.take(2).forEach { models.download(it.reference, it.name) }
                models.pause(models.available[0].reference)
            }
        }),
        Scenario("models-damaged", {
            app(demo(russian = isRussian, damaged = listOf(demoModel()))).apply { tab = Tab.Models }
        }),
        Scenario("settings", inTab(Tab.Settings)),
        Scenario("settings-answers", inTab(Tab.Settings, SettingsPage.Answers)),
        Scenario("settings-providers", inTab(Tab.Settings, SettingsPage.Providers)),
        Scenario("settings-add-provider", inTab(Tab.Settings, SettingsPage.Providers)) {
            touch(text(Strings.AddProvider))
        },
        Scenario("settings-caps", inTab(Tab.Settings, SettingsPage.Caps)),
        Scenario(
            "settings-costs",
            inTab(Tab.Settings) {
                it.open(1)
                it.tab = Tab.Settings
                it.page = SettingsPage.Costs
            },
        ),
        Scenario("settings-privacy", inTab(Tab.Settings, SettingsPage.Privacy)),
        Scenario("first-run-pick", first(0, begin = false)),
        Scenario("first-run-download", first(17, begin = true)),
        Scenario("first-run-chat", first(50, begin = true)),
        Scenario("demo", { app(brain(), startsInDemo = true) }),
    )
}

private fun SkikoComposeUiTest.scroll(list: String, text: String) {
    onAllNodesWithTag(list).onFirst().performScrollToNode(hasText(text))
}
