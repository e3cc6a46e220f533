/*
 * A hub on the loopback interface with the protocol of Hugging Face: an app's tests download, resume and verify for real,
 * without network access. And a model of one megabyte, which loads and answers in milliseconds.
 */
@file:OptIn(NearsideTestingApi::class)

package org.nearside.testing

import java.nio.file.Path
import kotlin.io.path.writeBytes
import org.nearside.NearsideTestingApi
import org.nearside.TestHub
import org.nearside.TestHubFault
import org.nearside.TestHubFile
import org.nearside.tinyModel

/**
 * A hub that serves files of a test until it is closed:
 *
 *     LocalHub(HubFile("org/tiny", "tiny.gguf", TinyModel.bytes())).use { hub ->
 *         val nearside = Nearside(Config(directory, hub = hub.url))
 *         nearside.download(ModelRef.parse("hf:org/tiny/tiny.gguf")).collect {}
 *     }
 *
 * With [bytesPerSecond], each connection sends no faster.
 */
public class LocalHub(files: List<HubFile>, bytesPerSecond: Long? = null) : AutoCloseable {
    private val hub = TestHub.start(files.map { TestHubFile(it.repo, it.name, it.bytes) }, bytesPerSecond?.toULong())

    /** The address for `Config.hub`. */
    public val url: String = hub.url()

    /** The bytes of files sent so far: a resumed download sends only the rest. */
    public val bytesSent: Long get() = hub.bytesSent().toLong()

    public constructor(vararg files: HubFile) : this(files.toList())

    /** Adds a fault. */
    public fun add(fault: HubFault): Unit = hub.addFault(
        when (fault) {
            is HubFault.CutAfter -> TestHubFault.CutAfter(fault.bytes.toULong())
            is HubFault.StallAfter -> TestHubFault.StallAfter(fault.bytes.toULong())
            is HubFault.WrongByteAt -> TestHubFault.WrongByteAt(fault.byte.toULong())
            is HubFault.WebPage -> TestHubFault.WebPage
            is HubFault.Refuse -> TestHubFault.Refuse(fault.status.coerceIn(100, 599).toUShort())
        },
    )

    /** Removes all faults. */
    public fun clearFaults(): Unit = hub.clearFaults()

    /** Stops the hub and closes its open connections. */
    override fun close(): Unit = hub.close()
}

/** A file of a repository; [repo] is `ORG/NAME`, as in a reference `hf:ORG/NAME`. */
public class HubFile(public val repo: String, public val name: String, public val bytes: ByteArray)

/** A fault of a hub. Those of the next file or request happen once. */
public sealed interface HubFault {
    /** The connection of the next file ends after [bytes]. */
    public data class CutAfter(val bytes: Long) : HubFault

    /** The next file stops after [bytes], and its connection stays open. */
    public data class StallAfter(val bytes: Long) : HubFault

    /** Every file has this byte inverted, so that its hash is wrong. */
    public data class WrongByteAt(val byte: Long) : HubFault

    /** The next file is a web page, as behind the sign-in of a network. */
    public data object WebPage : HubFault

    /** The next request is refused with this HTTP [status]. */
    public data class Refuse(val status: Int) : HubFault
}

/**
 * A GGUF file of about one megabyte with random weights. It really runs: load, cancel, memory and tokens are those of
 * llama.cpp. What it writes is noise, the same for the same prompt and seed.
 */
public object TinyModel {
    /** Returns the file's bytes. */
    public fun bytes(): ByteArray = tinyModel()

    /** Writes the file, for `importModel`. */
    public fun write(to: Path): Unit = to.writeBytes(bytes())
}
