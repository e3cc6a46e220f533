/*
 * The permission to reach devices in the local network. Android asks the user for it from version 17 on; without it a
 * connection to a server at home times out, whatever library makes it.
 */
package org.nearside.sample

import androidx.compose.runtime.getValue
import androidx.compose.runtime.mutableStateOf
import androidx.compose.runtime.setValue
import kotlinx.coroutines.CompletableDeferred

/** [check]: whether the permission is granted, or not needed on this system. */
class LocalNetwork(private val check: () -> Boolean = { true }) {
    var isGranted by mutableStateOf(check())
        private set

    /** Whether the system is to ask the user; the activity calls [takeRequest], then [onAnswer]. */
    var isRequested by mutableStateOf(false)
        private set
    private var answer: CompletableDeferred<Unit>? = null

    /** Asks the user unless that is done already. Returns whether the local network may be used. */
    suspend fun request(): Boolean {
        isGranted = check()
        if (isGranted) return true
        val pending = answer ?: CompletableDeferred<Unit>().also {
            answer = it
            isRequested = true
        }
        pending.await()
        return isGranted
    }

    /** Returns whether there is a request that was not passed to the system yet. */
    fun takeRequest(): Boolean = isRequested.also { isRequested = false }

    /** Reads the permission again: the user may return from the system's settings. */
    fun refresh() {
        isGranted = check()
    }

    /** Goes on after the user answered the system's question. */
    fun onAnswer() {
        refresh()
        answer?.complete(Unit)
        answer = null
    }
}

/** Whether an address is in the local network. A name of the internet may still lead there. This device is not meant. */
fun isInLocalNetwork(address: String): Boolean {
    val authority = address.substringAfter("://").substringBefore('/').substringAfterLast('@')
    val host = if (authority.startsWith("[")) authority.drop(1).substringBefore(']') else authority.substringBefore(':')
    val name = host.lowercase().substringBefore('%').trimEnd('.')
    val numbers = name.split('.').map { it.toIntOrNull() ?: -1 }
    return when {
        name.isEmpty() || name == "localhost" || name.endsWith(".localhost") -> false
        ':' in name -> name.startsWith("fc") || name.startsWith("fd") || name.matches(Regex("fe[89ab].*"))
        numbers.size == 4 && numbers.all { it in 0..255 } -> isPrivate(numbers[0], numbers[1])
        // A name without a dot is one of the router.
        else -> '.' !in name || LOCAL_DOMAINS.any { name.endsWith(it) }
    }
}

private fun isPrivate(first: Int, second: Int): Boolean = when (first) {
    10 -> true
    100 -> second in 64..127
    169 -> second == 254
    172 -> second in 16..31
    192 -> second == 168
    else -> false
}

private val LOCAL_DOMAINS = listOf(".local", ".lan", ".home", ".internal", ".home.arpa", ".fritz.box")

/** Asks for the permission where a provider in the local network is added or used. */
class LocalNetworkBrain(private val brain: Brain, private val network: LocalNetwork) : Brain by brain {
    /** Adds the provider also after a refusal: its page says what is missing. */
    override suspend fun addProvider(provider: NewProvider) {
        if (isInLocalNetwork(provider.address)) network.request()
        brain.addProvider(provider)
    }

    override suspend fun offers(provider: String): List<ModelChoice> {
        refusal(provider)?.let { throw BrainError(it) }
        return brain.offers(provider)
    }

    override suspend fun decide(request: AnswerRequest, chat: ChatId?): AnswerDecision {
        var decision = brain.decide(request, chat)
        // The library knows the permission, too, and rejects a server that needs it.
        val isDenied = (decision as? AnswerDecision.NoRoute)?.failure?.reason == FailureReason.LocalNetworkDenied
        if (isDenied && network.request()) decision = brain.decide(request, chat)
        val target = (decision as? AnswerDecision.Route)?.target as? AnswerTarget.Provider
        return target?.let { refusal(it.name) }?.let { AnswerDecision.NoRoute(it) } ?: decision
    }

    private suspend fun refusal(name: String): Failure? {
        val provider = brain.providers().firstOrNull { it.name == name }?.takeIf { isInLocalNetwork(it.address) }
        if (provider == null || network.request()) return null
        return Failure("`$name` is in the local network, which this app may not use", FailureReason.LocalNetworkDenied)
    }
}
