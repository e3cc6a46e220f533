/*
 * For an app's own tests: a provider that answers from a tape, on this machine. It is plain Java sockets, so that it runs
 * in tests on a phone as well as on a host.
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

/**
 * Plays a tape that `nearside-provider record --upstream URL --out TAPE` made, until it is closed:
 * `ProviderSettings(…, baseUrl = provider.url + "/api/v1")`, with the path that the recorded provider has.
 *
 * A question is answered with the first exchange of its method, path and body that was not played yet; else with the
 * first of its method and path, since a body may hold a date; else with the last that was played for them. What the tape
 * does not know is answered with 404. With [pauses] the answer takes as long as it took then.
 */
public class RecordedProvider(tape: Path, private val pauses: Boolean = false) : AutoCloseable {
    private val exchanges = readTape(tape)
    private val played = mutableSetOf<Exchange>()
    private val socket = ServerSocket(0, BACKLOG, InetAddress.getLoopbackAddress())
    private val connections = Collections.synchronizedSet(mutableSetOf<Socket>())

    /** Its address, without a path. */
    public val url: String = "http://127.0.0.1:${socket.localPort}"

    private val server = thread(isDaemon = true, name = "recorded-provider") { serve() }

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
        val exchange = find(method, path, json(input.exactly(length)))
        if (exchange == null) output.refuse(method, path) else output.play(exchange)
    }

    @Synchronized
    private fun find(method: String, path: String, body: JsonElement): Exchange? {
        val asked = exchanges.filter { it.method == method && it.path == path }
        val fresh = asked.filter { it !in played }
        return (fresh.firstOrNull { it.body == body } ?: fresh.firstOrNull() ?: asked.lastOrNull())?.also(played::add)
    }

    private fun OutputStream.play(exchange: Exchange) {
        head(exchange.status, exchange.headers + ("transfer-encoding" to "chunked"))
        for (piece in exchange.pieces) {
            if (pauses) Thread.sleep(piece.milliseconds)
            // A chunk of no bytes would be the end.
            if (piece.bytes.isEmpty()) continue
            write("${piece.bytes.size.toString(radix = 16)}\r\n".toByteArray())
            write(piece.bytes)
            write("\r\n".toByteArray())
            flush()
        }
        if (exchange.whole) write("0\r\n\r\n".toByteArray())
        flush()
    }

    private fun OutputStream.refuse(method: String, path: String) {
        val message = "the tape has no answer to `$method ${path.substringBefore('?')}`"
        val body = """{"error":{"message":"$message"}}""".toByteArray()
        head(status = 404, listOf("content-type" to "application/json", "content-length" to "${body.size}"))
        write(body)
        flush()
    }

    private fun OutputStream.head(status: Int, headers: List<Pair<String, String>>) {
        val fields = (headers + ("connection" to "close")).joinToString("") { (name, value) -> "$name: $value\r\n" }
        write("HTTP/1.1 $status Recorded\r\n$fields\r\n".toByteArray())
        flush()
    }

    private companion object {
        const val BACKLOG = 16

        fun json(body: ByteArray): JsonElement = try {
            Json.parseToJsonElement(body.decodeToString())
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
