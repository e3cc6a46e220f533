/*
 * Selects the native library before any app code runs: Android creates content providers before it calls
 * `Application.onCreate`. This one provides no content.
 */
package org.nearside

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.net.Uri

/** A content provider that the library's manifest declares; not for use by apps. */
class NativeLibraryStarter : ContentProvider() {
    override fun onCreate(): Boolean {
        NativeLibrary.chooseVariant()
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
