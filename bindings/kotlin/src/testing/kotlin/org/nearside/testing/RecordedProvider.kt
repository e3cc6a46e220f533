/*
 * A local provider that plays recorded responses, for an app's tests. Routing, consent, receipts and requests are real;
 * no network, key or money is needed. The server is in the library, so that it runs on a phone as well as on a host.
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.testing

import java.nio.file.Path
import kotlin.io.path.readText
import org.nearside.NearsideException
import org.nearside.NearsideTestingApi
import org.nearside.ProviderKind
import org.nearside.ProviderSettings
import org.nearside.TestProvider
import org.nearside.testTape

/**
 * A server on the loopback interface that plays recorded responses until it is closed:
 *
 *     RecordedProvider(RecordedExchange.chat("Because of the moon."), RecordedExchange.refusal(429)).use { provider ->
 *         nearside.addProvider(provider.settings())
 *     }
 *
 * A request gets the first unplayed exchange with its method, path and body; else the first unplayed one with its
 * method and path, because a body may contain a date; else the last one with them. A request without a recording gets a
 * 404. Pauses are not played.
 */
public class RecordedProvider(exchanges: List<RecordedExchange>) : AutoCloseable {
    private val provider = TestProvider.start(exchanges.map(RecordedExchange::toTestExchange))

    /** Base address, without a path. */
    public val url: String = provider.url()

    /** All requests received so far: the content that would have left the device. */
    public val requests: List<RecordedRequest>
        get() = provider.requests().map { RecordedRequest(it.method, it.path, it.body) }

    public constructor(vararg exchanges: RecordedExchange) : this(exchanges.toList())

    /**
     * Plays a tape written by `nearside-provider record --upstream URL --out FILE`.
     *
     * @throws IllegalArgumentException for a line that is not an exchange
     */
    public constructor(tape: Path) : this(readTape(tape))

    /** Returns the settings for `addProvider`. [path] is the end of the base address. */
    public fun settings(
        name: String = "recorded",
        kind: ProviderKind = ProviderKind.COMPATIBLE,
        model: String? = "recorded",
        path: String = "/v1",
    ): ProviderSettings = ProviderSettings(name, kind, baseUrl = url + path, model = model)

    /** Stops the server and closes its open connections. */
    override fun close(): Unit = provider.close()
}

private fun readTape(tape: Path): List<RecordedExchange> = try {
    testTape(tape.readText()).map(::RecordedExchange)
} catch (wrong: NearsideException) {
    throw IllegalArgumentException("`$tape`: ${wrong.message}", wrong)
}
