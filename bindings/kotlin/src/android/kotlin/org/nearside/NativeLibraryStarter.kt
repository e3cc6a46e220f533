/*
 * Prepares the library before any app code runs: Android creates content providers before it calls `Application.onCreate`.
 * Selects the native library, and makes `AndroidHost` the host of every library that is opened without one.
 *
 * A process without the provider (a second one of the app, or an app that removes it from its manifest) gets the same from
 * `Config.forApp(context)`. Without either, the library opens with the build for every processor, and counts the memory of
 * the whole phone, not that of the app.
 */
package org.nearside

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.net.Uri

/** A content provider that the library's manifest declares; provides no content, and is not for use by apps. */
class NativeLibraryStarter : ContentProvider() {
    override fun onCreate(): Boolean {
        context?.let(::startLibrary)
        return true
    }

    override fun query(
        uri: Uri,
        projection: Array<out String>?,
        selection: String?,
        arguments: Array<out String>?,
        order: String?,
    ): Cursor? = null

    override fun getType(uri: Uri): String? = null

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun delete(uri: Uri, selection: String?, arguments: Array<out String>?): Int = 0

    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<out String>?): Int = 0
}

/** Selects the native library, and makes an [AndroidHost] the host of this process, once. */
internal fun startLibrary(context: Context) {
    NativeLibrary.chooseVariant()
    if (PlatformHost.current == null) PlatformHost.current = AndroidHost(context)
}
