/*
 * Settings: routing policy, providers and spending.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock

/** A started sign-in: its page shows a code. */
data class SignInStep(val provider: String, val page: String)

/** Work runs in [scope], on the UI thread. */
class SettingsModel(
    private val brain: Brain,
    private val scope: CoroutineScope,
    private val localNetwork: LocalNetwork = LocalNetwork(),
) {
    var preferences by mutableStateOf(Preferences())
        private set
    var policy by mutableStateOf(PolicySettings())
        private set
    var providers by mutableStateOf(emptyList<ProviderInfo>())
        private set
    var spending by mutableStateOf(Spending())
        private set
    var signIn by mutableStateOf<SignInStep?>(null)
        private set
    var isBusy by mutableStateOf(false)
        private set
    var failure by mutableStateOf<Failure?>(null)
    private val changing = Mutex()

    fun load(): Job = attempt {
        preferences = brain.preferences()
        policy = brain.policy()
        providers = brain.providers()
        spending = brain.spending()
    }

    fun setMode(mode: AnswerMode): Job = setPreferences { copy(mode = mode) }

    fun setPrivacy(privacy: PrivacyLevel): Job = setPreferences { copy(privacy = privacy) }

    private fun setPreferences(change: Preferences.() -> Preferences): Job = inOrder {
        val changed = brain.preferences().change()
        brain.setPreferences(changed)
        preferences = changed
    }

    /** Changes the policy. If the brain rejects the change, nothing changes. */
    fun setPolicy(change: PolicySettings.() -> PolicySettings): Job = inOrder {
        val changed = policy.change()
        if (changed != policy) brain.setPolicy(changed)
        policy = changed
    }

    /** Runs one change after the other: each builds on the result of the one before. */
    private fun inOrder(change: suspend () -> Unit): Job = attempt { changing.withLock { change() } }

    /** Parses two-letter codes and `EU` with any separators. */
    fun setRegions(text: String): Job =
        setPolicy { copy(regions = text.uppercase().split(Regex("[^A-Z]+")).filter { it.isNotEmpty() }) }

    /** The cap with the highest used share, and that share. */
    val capUsed: Float?
        get() = listOf(spending.today to policy.dollarsPerDay, spending.month to policy.dollarsPerMonth)
            .mapNotNull { (spent, cap) -> cap?.let { if (it > 0) (spent / it).coerceAtMost(1.0).toFloat() else 1f } }
            .maxOrNull()

    /** Whether any content can leave the device; the privacy page shows it first. */
    val canLeave: Boolean
        get() = preferences.mode != AnswerMode.OnlyOnDevice && preferences.privacy != PrivacyLevel.Secret &&
            providers.isNotEmpty()

    /** Whether a provider cannot be reached because the user did not allow the local network. */
    val lacksLocalNetwork: Boolean get() = !localNetwork.isGranted && providers.any { isInLocalNetwork(it.address) }

    fun canAdd(provider: NewProvider): Boolean =
        !isBusy && (!provider.kind.needsAddress || provider.address.matches(Regex("https?://[^/\\s]+.*")))

    /** Adds a provider; calls [onAdded] on success. */
    fun addProvider(provider: NewProvider, onAdded: () -> Unit = {}): Job = attempt {
        isBusy = true
        try {
            brain.addProvider(provider)
            providers = brain.providers()
            onAdded()
        } finally {
            isBusy = false
        }
    }

    fun removeProvider(name: String): Job = attempt {
        brain.removeProvider(name)
        providers = brain.providers()
    }

    /** Starts a sign-in. [onPage] receives the page to open. */
    fun beginSignIn(onPage: (String) -> Unit): Job = attempt {
        val openRouter = providers.firstOrNull { it.kind == ProviderType.OpenRouter }?.name ?: run {
            val provider = NewProvider(ProviderType.OpenRouter, address = "", key = "", model = "")
            brain.addProvider(provider)
            providers = brain.providers()
            provider.name
        }
        signIn = SignInStep(openRouter, brain.beginSignIn(openRouter)).also { onPage(it.page) }
    }

    fun finishSignIn(code: String): Job = attempt {
        val provider = signIn?.provider
        if (provider != null && code.isNotBlank()) {
            brain.finishSignIn(provider, code.trim())
            signIn = null
            providers = brain.providers()
        }
    }

    fun cancelSignIn() {
        signIn = null
    }

    private fun attempt(work: suspend () -> Unit): Job = scope.launch { failure = failureOf(work) ?: failure }
}
