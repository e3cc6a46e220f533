/*
 * Android implementation of `Platform`: clipboard, browser, file pickers, and the setting for reduced motion.
 *
 * A picker belongs to the system. While it is open, Android may create the activity anew (a rotation) or end the process; its
 * result reaches the next activity, which therefore keeps the request in its saved state.
 */
package org.nearside.sample

import android.app.Application
import android.content.ActivityNotFoundException
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.os.ParcelFileDescriptor
import android.provider.DocumentsContract
import android.provider.OpenableColumns
import android.provider.Settings
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.io.OutputStream
import java.nio.file.Path
import kotlin.io.path.Path
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/**
 * Created with its activity, because pickers must be registered before the activity starts, and in the same order each time.
 * [results] is read when a result arrives.
 */
class AndroidPlatform(private val activity: ComponentActivity, private val results: () -> PlatformResults) : Platform {
    private val application: Application get() = activity.application
    private var exporting: ExportRequest? = null

    private val saver = activity.registerForActivityResult(
        ActivityResultContracts.CreateDocument("text/*"),
    ) { document ->
        val request = exporting
        exporting = null
        if (document != null && request != null) results().onDocument(request, SystemDocument(application, document))
    }

    private val picker = activity.registerForActivityResult(ActivityResultContracts.OpenDocument()) { document ->
        if (document != null) results().onModelPicked(PickedDocument(application, document))
    }

    fun save(state: Bundle) {
        val request = exporting ?: return
        state.putLong(CHAT, request.chat)
        state.putString(KIND, request.kind.name)
        state.putString(FILE, request.fileName)
    }

    /** Reads what [save] wrote. Call it in `onCreate`: results arrive after that. */
    fun restore(state: Bundle?) {
        val kind = ExportKind.entries.firstOrNull { it.name == state?.getString(KIND) } ?: return
        exporting = ExportRequest(state?.getLong(CHAT) ?: return, kind, state.getString(FILE).orEmpty())
    }

    override val reducesMotion: Boolean
        get() = Settings.Global.getFloat(activity.contentResolver, Settings.Global.ANIMATOR_DURATION_SCALE, 1f) == 0f

    override fun copy(text: String) {
        activity.getSystemService(ClipboardManager::class.java)?.setPrimaryClip(ClipData.newPlainText(null, text))
    }

    override fun openPage(address: String) = try {
        activity.startActivity(Intent(Intent.ACTION_VIEW, Uri.parse(address)))
    } catch (_: ActivityNotFoundException) {
        // Ignore a device without a browser: the address can be opened on another device.
        copy(address)
    }

    override fun openAppSettings() {
        val app = Uri.fromParts("package", activity.packageName, null)
        activity.startActivity(Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, app))
    }

    override fun chooseDocument(request: ExportRequest) {
        exporting = request
        saver.launch(request.fileName)
    }

    override fun pickModel() = picker.launch(arrayOf("*/*"))

    private companion object {
        const val CHAT = "export.chat"
        const val KIND = "export.kind"
        const val FILE = "export.file"
    }
}

/** The empty document that the system's picker created. */
private class SystemDocument(private val application: Application, private val uri: Uri) : ExportDocument {
    override suspend fun write(text: String) = withContext(Dispatchers.IO) {
        val output: OutputStream? = application.contentResolver.openOutputStream(uri, "wt")
        (output ?: throw FileNotFoundException(uri.lastPathSegment)).use { it.write(text.toByteArray()) }
    }

    override suspend fun remove() {
        withContext(Dispatchers.IO) { DocumentsContract.deleteDocument(application.contentResolver, uri) }
    }
}

/** A model in a document of the system. */
private class PickedDocument(private val application: Application, private val uri: Uri) : PickedModel {
    override suspend fun read(import: suspend (Path) -> ModelEntry): ModelEntry {
        val name = withContext(Dispatchers.IO) { nameOf(uri) }
        val descriptor = withContext(Dispatchers.IO) { descriptor() }
        return descriptor.use {
            val path = descriptor?.let { Path("/proc/self/fd/${it.fd}") }
            ModelImport(name, path, importFolder(application), ::open).read(import)
        }
    }

    private fun open(): InputStream =
        application.contentResolver.openInputStream(uri) ?: throw FileNotFoundException(uri.lastPathSegment)

    /** Returns `null` for content without a file, which [open] streams. */
    private fun descriptor(): ParcelFileDescriptor? = try {
        application.contentResolver.openFileDescriptor(uri, "r")
    } catch (_: IOException) {
        null
    }

    private fun nameOf(document: Uri): String =
        application.contentResolver.query(document, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)
            ?.use { rows -> if (rows.moveToFirst()) rows.getString(0) else null } ?: "model.gguf"
}

/** The folder of copies that exist during an import only. */
internal fun importFolder(application: Application): Path = application.cacheDir.toPath().resolve("import")
