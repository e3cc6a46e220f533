/*
 * For an app's own tests: a provider that answers from a recording, on this machine. Routing, consent, receipts and what
 * really leaves the device are the library's own, without a network, a key or a cent. It is plain Java sockets, so that it
 * runs in tests on a phone as well as on a host.
 */
package org.nearside.testing

import java.io.BufferedOutputStream
import java.io.DataInputStream
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.nio.file.Path
import java.util.Collections
import kotlin.concurrent.thread
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.put
import kotlinx.serialization.json.putJsonObject
import org.nearside.ProviderKind
import org.nearside.ProviderSettings

/**
 * Answers as recorded, until it is closed:
 *
 *     RecordedProvider(RecordedExchange.chat("Because of the moon."), RecordedExchange.refusal(429)).use { provider ->
 *         nearside.addProvider(provider.settings())
 *
 * A question is answered with the first exchange of its method, path and body that was not played yet; else with the
 * first of its method and path, since a body may hold a date; else with the last that was played for them. What was not
 * recorded is answered with 404. Pauses are left out.
 */
public class RecordedProvider(exchanges: List<RecordedExchange>) : AutoCloseable {
    private val exchanges = exchanges.toList()
    private val played = mutableSetOf<RecordedExchange>()
    private val asked = mutableListOf<RecordedRequest>()
    private val socket = ServerSocket(0, BACKLOG, InetAddress.getLoopbackAddress())
    private val connections = Collections.synchronizedSet(mutableSetOf<Socket>())

    /** Its address, without a path. */
    public val url: String = "http://127.0.0.1:${socket.localPort}"

    /** All that it was asked so far: what left the device. */
    public val requests: List<RecordedRequest> get() = synchronized(this) { asked.toList() }

    private val server = thread(isDaemon = true, name = "recorded-provider") { serve() }

    public constructor(vararg exchanges: RecordedExchange) : this(exchanges.toList())

    /**
     * Plays a tape that `nearside-provider record --upstream URL --out FILE` made.
     *
     * @throws IllegalArgumentException for a line that is no exchange
     */
    public constructor(tape: Path) : this(readTape(tape))

    /** What an app says to set it up. [path] is what the provider's base address ends with. */
    public fun settings(
        name: String = "recorded",
        kind: ProviderKind = ProviderKind.COMPATIBLE,
        model: String? = "recorded",
        path: String = "/v1",
    ): ProviderSettings = ProviderSettings(name, kind, baseUrl = url + path, model = model)

    /** Ends it; who is being answered hears no more. */
    override fun close() {
        socket.close()
        synchronized(connections) { connections.forEach(Socket::close) }
        server.join()
    }

    private fun serve() {
        while (true) {
            val connection = try {
                socket.accept()
            } catch (_: IOException) {
                return // It was closed.
            }
            connections += connection
            thread(isDaemon = true, name = "recorded-provider-answer") {
                try {
                    connection.use { answer(it.getInputStream(), BufferedOutputStream(it.getOutputStream())) }
                } catch (_: IOException) {
                    // A client that leaves has heard enough.
                } finally {
                    connections -= connection
                }
            }
        }
    }

    /** One question a connection. */
    private fun answer(input: InputStream, output: OutputStream) {
        val (method, path) = input.line()?.split(' ') ?: return
        val headers = generateSequence { input.line() }.takeWhile(String::isNotEmpty).map { it.lowercase() }.toList()
        val length = headers.firstOrNull { it.startsWith("content-length:") }?.substringAfter(':')?.trim()?.toInt() ?: 0
        output.play(find(RecordedRequest(method, path, input.exactly(length).decodeToString())))
    }

    @Synchronized
    private fun find(request: RecordedRequest): RecordedExchange {
        asked += request
        val known = exchanges.filter { it.request.method == request.method && it.request.path == request.path }
        val fresh = known.filter { it !in played }
        val same = fresh.firstOrNull { json(it.request.body) == json(request.body) }
        val found = same ?: fresh.firstOrNull() ?: known.lastOrNull() ?: return unknown(request)
        return found.also(played::add)
    }

    private fun unknown(request: RecordedRequest) = RecordedExchange.json(request, status = 404) {
        val what = "${request.method} ${request.path.substringBefore('?')}"
        putJsonObject("error") { put("message", "no answer to `$what` was recorded") }
    }

    private fun OutputStream.play(exchange: RecordedExchange) {
        head(exchange.status, exchange.headers + ("transfer-encoding" to "chunked"))
        // A chunk of no bytes would be the end.
        for (piece in exchange.pieces.filter { it.isNotEmpty() }) {
            write("${piece.size.toString(radix = 16)}\r\n".toByteArray())
            write(piece)
            write("\r\n".toByteArray())
            flush()
        }
        if (exchange.isWhole) write("0\r\n\r\n".toByteArray())
        flush()
    }

    private fun OutputStream.head(status: Int, headers: List<Pair<String, String>>) {
        val fields = (headers + ("connection" to "close")).joinToString("") { (name, value) -> "$name: $value\r\n" }
        write("HTTP/1.1 $status Recorded\r\n$fields\r\n".toByteArray())
        flush()
    }

    private companion object {
        const val BACKLOG = 16

        fun json(body: String): JsonElement = try {
            Json.parseToJsonElement(body)
        } catch (_: SerializationException) {
            JsonNull
        }

        // Not `readNBytes`, which Android has only since 13.
        fun InputStream.exactly(length: Int): ByteArray = ByteArray(length).also { DataInputStream(this).readFully(it) }

        /** A line of a request's head, without its end; nothing where the client has left. */
        fun InputStream.line(): String? {
            val line = StringBuilder()
            while (true) {
                val byte = read()
                if (byte < 0) return null
                if (byte == '\n'.code) return line.removeSuffix("\r").toString()
                line.append(byte.toChar())
            }
        }
    }
}
