/*
 * A local provider that plays recorded responses, for an app's tests. Routing, consent, receipts and requests are real;
 * no network, key or money is needed. It uses plain Java sockets, so that it runs on a phone as well as on a host.
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
    private val exchanges = exchanges.toList()
    private val played = mutableSetOf<RecordedExchange>()
    private val received = mutableListOf<RecordedRequest>()
    private val socket = ServerSocket(0, BACKLOG, InetAddress.getLoopbackAddress())
    private val connections = Collections.synchronizedSet(mutableSetOf<Socket>())

    /** Base address, without a path. */
    public val url: String = "http://127.0.0.1:${socket.localPort}"

    /** All requests received so far: the content that would have left the device. */
    public val requests: List<RecordedRequest> get() = synchronized(this) { received.toList() }

    private val server = thread(isDaemon = true, name = "recorded-provider") { serve() }

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
                return // The socket was closed.
            }
            connections += connection
            thread(isDaemon = true, name = "recorded-provider-answer") {
                try {
                    connection.use { respond(it.getInputStream(), BufferedOutputStream(it.getOutputStream())) }
                } catch (_: IOException) {
                    // The client closed the connection.
                } finally {
                    connections -= connection
                }
            }
        }
    }

    /** Serves one request on a connection. */
    private fun respond(input: InputStream, output: OutputStream) {
        val (method, path) = input.line()?.split(' ') ?: return
        val headers = generateSequence { input.line() }.takeWhile(String::isNotEmpty).map { it.lowercase() }.toList()
        val length = headers.firstOrNull { it.startsWith("content-length:") }?.substringAfter(':')?.trim()?.toInt() ?: 0
        output.play(findExchange(RecordedRequest(method, path, input.exactly(length).decodeToString())))
    }

    @Synchronized
    private fun findExchange(request: RecordedRequest): RecordedExchange {
        received += request
        val matching = exchanges.filter { it.request.method == request.method && it.request.path == request.path }
        val fresh = matching.filter { it !in played }
        val same = fresh.firstOrNull { json(it.request.body) == json(request.body) }
        val found = same ?: fresh.firstOrNull() ?: matching.lastOrNull() ?: return notFound(request)
        return found.also(played::add)
    }

    private fun notFound(request: RecordedRequest) = RecordedExchange.json(request, status = 404) {
        val label = "${request.method} ${request.path.substringBefore('?')}"
        putJsonObject("error") { put("message", "no response to `$label` was recorded") }
    }

    private fun OutputStream.play(exchange: RecordedExchange) {
        writeHead(exchange.status, exchange.headers + ("transfer-encoding" to "chunked"))
        // An empty chunk would end the body.
        for (piece in exchange.pieces.filter { it.isNotEmpty() }) {
            write("${piece.size.toString(radix = 16)}\r\n".toByteArray())
            write(piece)
            write("\r\n".toByteArray())
            flush()
        }
        if (exchange.isWhole) write("0\r\n\r\n".toByteArray())
        flush()
    }

    private fun OutputStream.writeHead(status: Int, headers: List<Pair<String, String>>) {
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

        // Not `readNBytes`, which Android lacks before 13.
        fun InputStream.exactly(length: Int): ByteArray = ByteArray(length).also { DataInputStream(this).readFully(it) }

        /** Reads one line of the request headers, without its end; null if the client closed the connection. */
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
