/*
 * Plays scenarios with the library and exits with an error if one goes wrong. scripts/packages/shrink.py shrinks and obfuscates
 * it with the library and JNA by the rules that apps get, and runs the result: whatever JNA or Rust finds by name is in use.
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.shrink

import kotlin.io.path.createTempDirectory
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.Serializable
import org.nearside.ChatMessage
import org.nearside.ChatRequest
import org.nearside.Chunk
import org.nearside.Config
import org.nearside.Connectivity
import org.nearside.ConversationSettings
import org.nearside.ErrorKind
import org.nearside.Nearside
import org.nearside.NearsideException
import org.nearside.NearsideTestingApi
import org.nearside.RouteDecision
import org.nearside.StopReason
import org.nearside.chat
import org.nearside.generate
import org.nearside.invoke
import org.nearside.panicOnPurpose
import org.nearside.send
import org.nearside.testing.FakeDeviceHost
import org.nearside.testing.scripted
import org.nearside.user

@Serializable
private class Recipe(val name: String, val minutes: Int)

private val question = ChatRequest(listOf(ChatMessage.user("Why tides?")))

fun main(): Unit = runBlocking(Dispatchers.Default) {
    val scenarios = listOf(
        ::streamAnAnswer,
        ::cancelAnAnswer,
        ::catchErrors,
        ::callTheHost,
        ::storeAConversation,
        ::readAValue,
    )
    for (scenario in scenarios) scenario()
    println("${scenarios.size} scenarios played")
}

private suspend fun streamAnAnswer() = scripted {
    reasoning("The moon pulls, so")
    text("Because of the moon.")
    toolCall("weather", """{"city":"Brest"}""")
}.use { nearside ->
    val chunks = nearside.chat(question).toList()
    check(chunks.filterIsInstance<Chunk.Text>().joinToString("") { it.text } == "Because of the moon.")
    check(chunks.filterIsInstance<Chunk.ToolCall>().single().name == "weather")
    check((chunks.last() as Chunk.Done).summary.stop == StopReason.TOOL_CALL)
}

private suspend fun cancelAnAnswer() = scripted { stall() }.use { nearside ->
    check(nearside.chat(question).first() is Chunk.Started)
    runBlocking {
        val answer = launch { nearside.chat(question).collect() }
        answer.cancelAndJoin()
    }
}

private suspend fun catchErrors() {
    scripted { fail(ErrorKind.NETWORK, "the line is gone") }.use { nearside ->
        val failure = runCatching { nearside.chat(question).collect() }.exceptionOrNull()
        check((failure as NearsideException.Network).message == "the line is gone")
    }
    check(runCatching { panicOnPurpose("on purpose") }.exceptionOrNull() is NearsideException.Internal)
}

private suspend fun callTheHost() {
    val host = FakeDeviceHost(memoryAvailable = 123_456_789uL, network = Connectivity.OFFLINE)
    Nearside.open(Config(directory()), host).use { nearside ->
        check(nearside.device().memoryAvailable == 123_456_789uL)
        check(nearside.route(question) is RouteDecision.NoRoute)
        host.simulateMemoryWarning(nearside)
    }
}

private suspend fun storeAConversation() = scripted { text("Twice a day.") }.use { nearside ->
    val conversations = nearside.conversations()
    val id = conversations.create(ConversationSettings()).id
    conversations.send(id, question).collect()
    check(conversations.open(id).messages.size == 2)
}

private suspend fun readAValue() = scripted { text("""{"name":"Tea","minutes":5}""") }.use { nearside ->
    val recipe = nearside.generate<Recipe>(question)
    check(recipe.name == "Tea" && recipe.minutes == 5)
}

private fun directory(): String = createTempDirectory("nearside-").toFile().let { directory ->
    Runtime.getRuntime().addShutdownHook(Thread { directory.deleteRecursively() })
    directory.path
}
