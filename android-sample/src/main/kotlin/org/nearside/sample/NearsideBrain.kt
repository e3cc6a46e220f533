/*
 * The only file of models and screens that calls Nearside; NearsideTypes.kt and NearsideErrors.kt map its types and errors.
 * (AndroidBrain.kt in src/android opens the library on a phone.)
 *
 * The app decides here which folder is used, where credentials are stored, and that the user is always asked before
 * personal content leaves the device.
 */
package org.nearside.sample

import java.nio.file.Path
import java.time.Instant
import kotlin.io.path.createDirectories
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import org.nearside.Config
import org.nearside.ConsentPolicy
import org.nearside.CredentialStore
import org.nearside.DeviceHost
import org.nearside.ExportFormat
import org.nearside.FileCredentialStore
import org.nearside.ModelRef
import org.nearside.Nearside
import org.nearside.ProviderSettings
import org.nearside.RemoteModel
import org.nearside.SignIn
import org.nearside.SpendingGroup
import org.nearside.ThermalState
import org.nearside.addProvider
import org.nearside.download
import org.nearside.loadCredentials
import org.nearside.parse
import org.nearside.saveCredential

/** [host] provides the device readings; with `null` the library asks the system. [directory] holds the preferences. */
class NearsideBrain(
    private val nearside: Nearside,
    private val keys: CredentialStore,
    private val host: DeviceHost?,
    directory: Path,
) : Brain {
    private val conversations = nearside.conversations()
    private val catalog = nearside.catalog()
    private val preferencesFile = PreferencesFile(directory.resolve("preferences.properties"))
    private val unlocking = Mutex()
    private var unlocked = false

    /** Models of each provider, as last fetched. */
    private val offers = HashMap<String, List<RemoteModel>>()
    private val signIns = HashMap<String, SignIn>()

    override suspend fun chats(): List<ChatSummary> = conversations.list().map { it.summary() }

    override suspend fun newChat(options: ChatOptions): ChatSummary = conversations.create(options.settings()).summary()

    override suspend fun open(chat: ChatId): Chat = conversations.open(chat.toULong()).chat()

    override suspend fun rename(chat: ChatId, title: String?) = conversations.rename(chat.toULong(), title)

    override suspend fun setPinned(chat: ChatId, pinned: Boolean) = conversations.setPinned(chat.toULong(), pinned)

    override suspend fun configure(chat: ChatId, options: ChatOptions) =
        conversations.configure(chat.toULong(), options.settings())

    override suspend fun delete(chat: ChatId) = conversations.delete(chat.toULong())

    override suspend fun restore(chat: ChatId) = conversations.restore(chat.toULong())

    override suspend fun search(text: String): List<ChatHit> = conversations.search(text).map { hit ->
        ChatHit(hit.conversation.summary(), hit.message?.toLong(), hit.snippet.map { SnippetRun(it.text, it.matched) })
    }

    override suspend fun export(chat: ChatId, kind: ExportKind): String {
        val format = if (kind == ExportKind.Markdown) ExportFormat.MARKDOWN else ExportFormat.JSON
        return conversations.export(chat.toULong(), format)
    }

    override suspend fun selectVersion(message: MessageId, chat: ChatId): Chat =
        conversations.choose(chat.toULong(), message.toULong()).chat()

    override suspend fun decide(request: AnswerRequest, chat: ChatId?): AnswerDecision {
        unlock()
        if (chat == null) return nearside.route(request.firstRequest()).decision()
        return conversations.route(chat.toULong(), request.chatRequest(), request.turn()).decision()
    }

    override fun answer(request: AnswerRequest, chat: ChatId): AnswerStream {
        val (id, body) = chat.toULong() to request.chatRequest()
        // Use the stream instead of the Flow of `conversations.send`: a stopped answer must still deliver its last
        // chunk.
        val stream = when (val kind = request.kind) {
            is RequestKind.Send -> conversations.startSend(id, body)
            is RequestKind.Edit -> conversations.startEdit(id, kind.message.toULong(), body)
            is RequestKind.Regenerate -> conversations.startRegenerate(id, kind.message.toULong(), body)
            RequestKind.Resume -> conversations.startResume(id, body)
        }
        val chunks = flow {
            stream.use {
                while (true) {
                    val batch = stream.nextBatch()
                    if (batch.isEmpty()) break
                    batch.forEach { emit(it.answerChunk()) }
                }
            }
        }
        return AnswerStream(chunks, stream::cancel)
    }

    override suspend fun costs(request: AnswerRequest, chat: ChatId?): List<CostLine> {
        // Without its credential a provider counts as not set up.
        unlock()
        val rows = when (chat) {
            null -> nearside.cost(request.firstRequest())
            else -> conversations.cost(chat.toULong(), request.chatRequest(), request.turn())
        }
        return rows.map { CostLine(it.target.answerTarget(), it.setUp, it.usdTotal, it.asOf) }
    }

    override suspend fun presets(options: ChatOptions): List<PresetInfo> =
        nearside.presets(options.model, options.provider).map {
            PresetInfo(it.preset.preset(), it.temperature?.rounded(), it.topP?.rounded(), it.reason)
        }

    override suspend fun choices(): List<ModelChoice> {
        val local = installed().map { model ->
            var fit: Fit? = null
            // A failed check leaves the model selectable: the library checks again before it loads.
            failureOf { fit = checkFit(model.id) }
            ModelChoice(AnswerTarget.Device(model.id), model.name, fit?.verdict)
        }
        unlock()
        val remote = nearside.providers().filter { it.hasKey }.mapNotNull { status ->
            val model = status.defaultModel ?: return@mapNotNull null
            status.choice(model, offers[status.settings.name]?.firstOrNull { it.id == model })
        }
        return local + remote
    }

    override suspend fun offers(provider: String): List<ModelChoice> {
        unlock()
        val status = nearside.providers().firstOrNull { it.settings.name == provider } ?: return emptyList()
        return nearside.providerModels(provider).also { offers[provider] = it }.map { status.choice(it.id, it) }
    }

    override suspend fun installed(): List<ModelEntry> = nearside.models().map { it.entry(catalog) }

    override suspend fun catalogModels(): List<ModelEntry> = catalog.map { it.entry() }

    override suspend fun checkFit(reference: String): Fit = nearside.fit(model(reference)).fit(reference)

    override suspend fun freeMemory(): Long = withContext(Dispatchers.IO) { nearside.device().memoryAvailable.toLong() }

    override fun download(reference: String): Flow<DownloadStep> = flow {
        nearside.download(model(reference)).map { it.step(catalog) }.collect { emit(it) }
    }

    /** Resolves an id of the catalogue, or parses any other reference. */
    private fun model(reference: String): ModelRef =
        catalog.firstOrNull { it.id == reference }?.model ?: ModelRef.parse(reference)

    override suspend fun importModel(file: Path): ModelEntry = nearside.import(file.toString()).entry(catalog)

    override suspend fun remove(model: String) {
        nearside.remove(ModelRef.parse(model))
    }

    override suspend fun damagedModels(): List<ModelEntry> = nearside.damagedModels().map { it.entry(catalog) }

    override suspend fun preferences(): Preferences = withContext(Dispatchers.IO) { preferencesFile.read() }

    override suspend fun setPreferences(preferences: Preferences) =
        withContext(Dispatchers.IO) { preferencesFile.write(preferences) }

    override suspend fun policy(): PolicySettings = nearside.policy().run {
        PolicySettings(regions, allowRetention, allowTraining, allowMetered, maxUsdRequest, maxUsdDay, maxUsdMonth)
    }

    override suspend fun setPolicy(policy: PolicySettings) = nearside.setPolicy(
        nearside.policy().copy(
            // Receipts name the version of the policy that applied.
            version = "app-${Instant.now()}",
            regions = policy.regions,
            allowRetention = policy.allowRetention,
            allowTraining = policy.allowTraining,
            allowMetered = policy.allowMetered,
            maxUsdRequest = policy.dollarsPerRequest,
            maxUsdDay = policy.dollarsPerDay,
            maxUsdMonth = policy.dollarsPerMonth,
            consent = ConsentPolicy.ASK,
        ),
    )

    override suspend fun providers(): List<ProviderInfo> {
        unlock()
        return nearside.providers().map { it.info() }
    }

    override suspend fun addProvider(provider: NewProvider) {
        val settings = ProviderSettings(
            name = provider.name,
            kind = provider.kind.kind(),
            baseUrl = provider.address.ifEmpty { null },
            model = provider.model.trim().ifEmpty { null },
            // Allow plain HTTP only if the user typed such an address, as for a server of their own.
            allowHttp = provider.address.startsWith("http://"),
        )
        // A key that is loaded later would replace the new one.
        unlock()
        withContext(Dispatchers.IO) { nearside.addProvider(settings, keys) }
        if (provider.key.isNotBlank()) keep(provider.key.trim(), provider.name)
    }

    override suspend fun removeProvider(name: String) {
        nearside.removeProvider(name)
        offers -= name
        withContext(Dispatchers.IO) { keys.remove(name) }
    }

    override suspend fun beginSignIn(provider: String): String =
        nearside.signIn(provider).also { signIns[provider] = it }.url()

    override suspend fun finishSignIn(provider: String, code: String) {
        val signIn = signIns[provider] ?: throw BrainError("the sign-in is not active; start it again")
        keep(nearside.finishSignIn(provider, signIn, code), provider)
        signIns -= provider
    }

    private suspend fun keep(key: String, provider: String) =
        withContext(Dispatchers.IO) { nearside.saveCredential(provider, key, keys) }

    /** Loads the stored credentials once. An unreadable one counts as missing; its provider reports that. */
    private suspend fun unlock() = unlocking.withLock {
        if (!unlocked) failureOf { withContext(Dispatchers.IO) { nearside.loadCredentials(keys) } }
        unlocked = true
    }

    override suspend fun spending(): Spending {
        val spent = nearside.spent()
        val lines = nearside.spending(SpendingGroup.PROVIDER).map { SpendingLine(it.key, it.requests.toInt(), it.usd) }
        return Spending(spent.day, spent.month, lines)
    }

    override suspend fun condition(): DeviceCondition {
        val facts = host?.let { withContext(Dispatchers.IO) { it.facts() } }
        return DeviceCondition(
            isHot = facts?.heat == ThermalState.SERIOUS || facts?.heat == ThermalState.CRITICAL,
            isShortOfMemory = facts?.memoryPressure == true,
            isReadOnly = nearside.isReadOnly(),
        )
    }

    override suspend fun shutDown() = nearside.use { it.shutDown() }

    companion object {
        /** Opens the library on a desktop. [hub]: a mirror or test server instead of Hugging Face. */
        suspend fun onDesktop(directory: Path, hub: String? = null): NearsideBrain {
            val models = directory.resolve("nearside").toString()
            val data = directory.resolve("nearside-data").createDirectories().toString()
            val nearside = Nearside.open(Config(models, data, hub = hub))
            return NearsideBrain(nearside, FileCredentialStore(directory.resolve("keys")), host = null, directory)
        }
    }
}
