/*
 * Helpers of the scenarios: the real model, a hub and providers on this machine, the command line for comparison, and
 * stream readers. The scenarios have the same names in Swift (bindings/swift/Tests), which a Rust test checks.
 */
package org.nearside

import java.nio.file.Path
import kotlin.concurrent.thread
import kotlin.io.path.createTempDirectory
import kotlin.io.path.isReadable
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.toList
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** Runs a scenario on background threads, with a time limit. */
internal fun scenario(limit: Duration = 60.seconds, body: suspend CoroutineScope.() -> Unit) =
    runBlocking(Dispatchers.Default) { withTimeout(limit, body) }

/** SmolLM2-135M-Instruct, Q4_1. */
internal val smollm2: String by lazy {
    val home = System.getProperty("user.home")
    val models = System.getenv("NEARSIDE_MODELS") ?: "$home/.cache/nearside/models"
    val file = Path.of(models, "smollm2.gguf")
    check(file.isReadable()) { "no model at $file; `make models` fetches it" }
    file.toString()
}
internal const val SMOLLM2_BYTES = 98_362_432uL
internal const val SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

/** Creates an empty directory that is deleted when the tests end. */
internal fun freshDirectory(): String = createTempDirectory(scratch, null).toString()

private val scratch: Path by lazy {
    createTempDirectory("nearside-").also {
        Runtime.getRuntime().addShutdownHook(Thread { it.toFile().deleteRecursively() })
    }
}

/** Opens a library whose `chat` plays these steps. */
internal fun scripted(vararg steps: ReplyStep, delayMs: UInt = 0u): Nearside =
    Nearside.scripted(Config(freshDirectory()), ScriptedReply(steps.toList(), delayMs))

/** Returns a request to the real model with a deterministic answer. */
internal fun greedy(vararg messages: ChatMessage, maxTokens: UInt? = null): ChatRequest = ChatRequest(
    messages = messages.toList(),
    model = smollm2,
    sampling = SamplingOptions(temperature = 0f, seed = 1u),
    limits = RequestLimits(maxTokens),
)

/** Returns a prompt of about 6,000 tokens, which takes seconds to process; each number makes one that no cache has. */
internal fun longQuestion(number: Int): ChatRequest =
    greedy(ChatMessage.user("Story $number. " + "The quick brown fox jumps over the lazy dog. ".repeat(600) + "Recap."))

/** Returns the answer text, without reasoning. */
internal fun Iterable<Chunk>.text(): String = filterIsInstance<Chunk.Text>().joinToString("") { it.text }

/** Returns the summary in the final chunk. */
internal fun Iterable<Chunk>.done(): AnswerSummary = (last() as Chunk.Done).summary

/** Reads the remaining chunks of a stream. */
internal suspend fun ChatStream.rest(): List<Chunk> = buildList {
    while (true) {
        val batch = nextBatch()
        if (batch.isEmpty()) return@buildList
        addAll(batch)
    }
}

/** Returns the items of this flow before it failed, and the failure. */
internal suspend fun <T> Flow<T>.untilFailure(): Pair<List<T>, Throwable?> {
    val items = mutableListOf<T>()
    return items to runCatching { collect(items::add) }.exceptionOrNull()
}

/** Returns the answer of `nearside chat`, which uses Rust alone. */
internal fun answerOfTheCommandLine(question: String, maxTokens: UInt): String {
    val command = listOf(
        program("nearside"), "chat", smollm2, "-p", question, "--temperature", "0", "--seed", "1",
        "--max-tokens", "$maxTokens", "--data-dir", freshDirectory(), "--json",
    )
    val process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    process.outputStream.close()
    val chunks = process.inputReader().readLines().map { Json.parseToJsonElement(it).jsonObject }
    check(process.waitFor() == 0) { "`nearside chat` failed" }
    return chunks.filter { it.string("type") == "text" }.joinToString("") { it.string("text") }
}

/** A local hub with Hugging Face's protocol that serves SmolLM2. */
internal class Hub(vararg options: String) : AutoCloseable {
    private val process =
        ProcessBuilder(program("nearside-hub"), "--repo", REPOSITORY, "--file", smollm2, *options)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start()

    /** Base address. */
    val url: String = Json.parseToJsonElement(process.inputReader().readLine()).jsonObject.string("url")

    /** Stops the program, which serves until its input closes. */
    override fun close() {
        process.outputStream.close()
        process.waitFor()
    }

    companion object {
        private const val REPOSITORY = "scenarios/SmolLM2-GGUF"
        val model: ModelRef = ModelRef.parse("hf:$REPOSITORY/smollm2.gguf")
    }
}

/** A local provider in a real dialect. It answers chats with [scenes] in turn and repeats the last one. */
internal class Provider(private val dialect: String, vararg scenes: String) : AutoCloseable {
    private val process = ProcessBuilder(
        listOf(program("nearside-provider"), "play", "--log", "--dialect", dialect, "--key", KEY) +
            scenes.flatMap { listOf("--scenario", it) },
    ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val lines = Channel<JsonObject>(Channel.UNLIMITED)

    /** Base address. */
    val url: String

    init {
        val output = process.inputReader()
        url = Json.parseToJsonElement(output.readLine()).jsonObject.string("url")
        thread(isDaemon = true) {
            output.forEachLine { lines.trySend(Json.parseToJsonElement(it).jsonObject) }
            lines.close()
        }
    }

    /** Settings for `addProvider`, named after the dialect. */
    val settings: ProviderSettings = ProviderSettings(
        name = dialect,
        kind = ProviderKind.entries.single { it.name.replace("_", "").equals(dialect, ignoreCase = true) },
        baseUrl = url,
        model = MODELS[dialect],
    )

    /** The target of its model. */
    val target: RouteTarget = RouteTarget.Remote(dialect, MODELS.getValue(dialect))

    /** Waits until a client disconnects during an answer. */
    suspend fun awaitDisconnect() {
        do {
            val line = lines.receive()
        } while ("left" !in line)
    }

    /** Stops the provider and returns the bodies of all chats it received, in order. */
    suspend fun chats(): List<String> = requests().filter { it.string("method") == "POST" }.map { "${it["body"]}" }

    /** Stops the provider and returns all requests it received, in order. */
    suspend fun requests(): List<JsonObject> {
        close()
        return lines.toList().mapNotNull { it["asked"]?.jsonObject }
    }

    /** Stops the program, which serves until its input closes. */
    override fun close() {
        process.outputStream.close()
        process.waitFor()
    }

    companion object {
        /** The key that every provider expects. */
        const val KEY = "sk-scenario-key"
        private val MODELS = mapOf(
            "openrouter" to "deepseek/deepseek-r1",
            "deepseek" to "deepseek-flash",
            "groq" to "openai/gpt-oss-120b",
            "fireworks" to "accounts/fireworks/models/deepseek-v4p1-flash",
            "compatible" to "Qwen/Qwen3-8B",
        )
    }
}

/** Allows every data policy and cost, and needs no consent. */
internal val openPolicy =
    RoutingPolicy(version = "scenario-1", allowRetention = true, allowTraining = true, consent = ConsentPolicy.GIVEN)

/** Opens a library with these providers and their keys, and no model on the device. */
internal suspend fun nearside(
    vararg providers: Provider,
    policy: RoutingPolicy = openPolicy,
    config: Config = Config(freshDirectory(), context = 512u),
    host: DeviceHost = Anywhere(),
): Nearside = Nearside.withHost(config, host).also { nearside ->
    nearside.setPolicy(policy)
    for (provider in providers) {
        nearside.addProvider(provider.settings)
        nearside.setKey(provider.settings.name, Provider.KEY)
    }
}

/** A device host that reports the facts a scenario sets. */
internal class Anywhere(
    @Volatile var facts: DeviceFacts = DeviceFacts(network = Connectivity.UNMETERED, heat = ThermalState.NOMINAL),
) : DeviceHost {
    override fun facts(): DeviceFacts = facts
}

/** Returns a request with a short answer. */
internal fun tides(mode: RoutingMode = RoutingMode.PREFER_ON_DEVICE): ChatRequest = ChatRequest(
    messages = listOf(ChatMessage.user("Why do the tides come twice a day?")),
    mode = mode,
    sampling = SamplingOptions(temperature = 0f),
    limits = RequestLimits(maxTokens = 8u),
)

/** Returns the targets that started an answer, in order. */
internal fun Iterable<Chunk>.targets(): List<RouteTarget> = filterIsInstance<Chunk.Started>().map { it.route.target }

private fun program(name: String): String = Path.of(System.getProperty("nearside.programs"), name).toString()

private fun Map<String, JsonElement>.string(key: String): String = getValue(key).jsonPrimitive.content
