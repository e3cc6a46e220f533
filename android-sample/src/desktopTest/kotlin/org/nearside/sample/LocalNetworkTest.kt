/*
 * The permission for the local network: which addresses need it, when it is asked for, and what a refusal does.
 */
@file:OptIn(ExperimentalTestApi::class)

package org.nearside.sample

import androidx.compose.ui.test.ExperimentalTestApi
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.async
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

class LocalNetworkTest {
    private var isGranted = false
    private val network = LocalNetwork { isGranted }
    private val ollama = NewProvider(ProviderType.Ollama, "http://192.168.1.5:11434", key = "", model = "qwen3")

    private fun answer(grant: Boolean) {
        assertTrue(network.takeRequest())
        isGranted = grant
        network.onAnswer()
    }

    private fun appWithOllama(): AppModel = app(localNetwork = network).also { app ->
        isGranted = true
        app.settings.addProvider(ollama).await()
        isGranted = false
        network.refresh()
        app.settings.setPrivacy(PrivacyLevel.Open).await()
        app.open(1)
        app.chat?.choose(ModelChoice(AnswerTarget.Provider(ollama.name, "qwen3"), "qwen3"))
    }

    @Test
    fun `addresses at home are local and others are not`() {
        val local = listOf(
            "http://192.168.1.5:11434", "http://10.0.0.2/v1", "http://172.16.0.1", "http://172.31.9.9",
            "http://169.254.1.1",
            "http://100.64.0.1", "http://[fe80::1%25wlan0]:8080", "http://[fd12:3456::1]", "http://nas:8080",
            "https://box.local",
            "http://user:word@10.1.2.3:80", "http://server.lan", "http://pc.home.arpa.",
        )
        val others = listOf(
            "", "http://localhost:11434", "http://127.0.0.1:8080", "http://[::1]:80", "https://api.openai.com/v1",
            "http://172.32.0.1",
            "http://8.8.8.8", "http://100.128.0.1", "http://[2001:db8::1]", "https://fcbayern.com",
            "https://locals.com",
        )
        assertEquals(emptyList(), local.filterNot(::isInLocalNetwork))
        assertEquals(emptyList(), others.filter(::isInLocalNetwork))
    }

    @Test
    fun `the user is asked once by all who wait and not again after a yes`() = runBlocking {
        val scope = unconfined()
        val answers = mutableListOf<Boolean>()
        repeat(2) { scope.launch { answers += network.request() } }
        assertEquals(emptyList(), answers)
        answer(grant = true)
        assertEquals(listOf(true, true), answers)
        assertTrue(network.request())
        assertFalse(network.isRequested)
    }

    @Test
    fun `a provider at home is asked about when it is added`() {
        val app = app(localNetwork = network)
        val added = app.settings.addProvider(ollama)
        assertFalse(app.settings.providers.any { it.kind == ProviderType.Ollama })
        answer(grant = false)
        added.await()
        assertTrue(app.settings.providers.any { it.kind == ProviderType.Ollama })
        assertTrue(app.settings.lacksLocalNetwork)
        isGranted = true
        network.refresh()
        assertFalse(app.settings.lacksLocalNetwork)
    }

    @Test
    fun `a provider that the library refuses without the permission is asked about`() = runBlocking {
        val target = AnswerTarget.Provider(ollama.name, "qwen3")
        val library = object : Brain by demo() {
            override suspend fun decide(request: AnswerRequest, chat: ChatId?) = when {
                isGranted -> AnswerDecision.Route(target, "")
                else -> AnswerDecision.NoRoute(Failure("no", FailureReason.LocalNetworkDenied))
            }
        }
        val brain = LocalNetworkBrain(library, network)
        val decided = unconfined().async { brain.decide(AnswerRequest(RequestKind.Send("Hello")), null) }
        answer(grant = true)
        assertEquals(AnswerDecision.Route(target, ""), decided.await())
    }

    @Test
    fun `a provider of the internet is not asked about`() {
        val app = app(localNetwork = network)
        app.settings.addProvider(NewProvider(ProviderType.Groq, "", "key", "")).await()
        assertFalse(network.isRequested)
        assertFalse(app.settings.lacksLocalNetwork)
    }

    @Test
    fun `a refusal sends nothing and says what helps`() {
        val app = appWithOllama()
        val chat = checkNotNull(app.chat)
        val before = chat.messages
        chat.draft = "Hello"
        chat.send()
        answer(grant = false)
        chat.work.await()
        assertEquals(FailureReason.LocalNetworkDenied, chat.failure?.reason)
        assertEquals("Hello", chat.draft)
        assertEquals(before, chat.messages)
        chat.retry()
        answer(grant = true)
        chat.work.await()
        assertNull(chat.failure)
        assertEquals(before.size + 2, chat.messages.size)
    }

    @Test
    fun `the way to the settings is beside the message`() {
        val app = app(localNetwork = network)
        val platform = FakePlatform()
        val added = app.settings.addProvider(ollama)
        answer(grant = false)
        added.await()
        app.tab = Tab.Settings
        app.page = SettingsPage.Providers
        play(app, platform) {
            sees("This app may not use the local network")
            touch("Open the app’s settings")
            assertEquals(1, platform.openedSettings)
        }
    }
}
