/*
 * Android implementation of `Platform`: clipboard, browser, file pickers, and the setting for reduced motion.
 */
package org.nearside.sample

import android.content.ActivityNotFoundException
import android.content.ClipData
import android.content.ClipboardManager
import android.content.Intent
import android.net.Uri
import android.provider.OpenableColumns
import android.provider.Settings
import androidx.activity.ComponentActivity
import androidx.activity.result.contract.ActivityResultContracts
import androidx.lifecycle.lifecycleScope
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption.REPLACE_EXISTING
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Created with its activity, because pickers must be registered before the activity starts. */
class AndroidPlatform(private val activity: ComponentActivity) : Platform {
    private var saving: ExportedChat? = null
    private var onSaveFailure: (Failure) -> Unit = {}
    private var onPicked: (suspend () -> Path) -> Unit = {}

    private val saver = activity.registerForActivityResult(ActivityResultContracts.CreateDocument("text/*")) { output ->
        val file = saving
        saving = null
        if (output != null && file != null) {
            activity.lifecycleScope.launch { failureOf { write(file.text, output) }?.let(onSaveFailure) }
        }
    }

    private val picker = activity.registerForActivityResult(ActivityResultContracts.OpenDocument()) { output ->
        if (output != null) onPicked { withContext(Dispatchers.IO) { copied(output) } }
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

    override fun save(file: ExportedChat, onFailure: (Failure) -> Unit) {
        saving = file
        onSaveFailure = onFailure
        saver.launch(file.fileName)
    }

    override fun pickModel(onPicked: (suspend () -> Path) -> Unit) {
        this.onPicked = onPicked
        picker.launch(arrayOf("*/*"))
    }

    private suspend fun write(text: String, document: Uri) = withContext(Dispatchers.IO) {
        checkNotNull(activity.contentResolver.openOutputStream(document)).use { it.write(text.toByteArray()) }
    }

    /** Copies the document into the cache: the library reads files only. The system clears the cache. */
    private fun copied(document: Uri): Path {
        val directory = Files.createDirectories(activity.cacheDir.toPath().resolve("import"))
        val file = directory.resolve(nameOf(document).substringAfterLast('/'))
        checkNotNull(activity.contentResolver.openInputStream(document)).use { Files.copy(it, file, REPLACE_EXISTING) }
        return file
    }

    private fun nameOf(document: Uri): String =
        activity.contentResolver.query(document, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)
            ?.use { rows -> if (rows.moveToFirst()) rows.getString(0) else null } ?: "model.gguf"
}
