/*
 * Chooses the native library before any of the app's own code runs: Android makes content providers before it calls
 * `Application.onCreate`. This one provides nothing.
 */
package org.nearside

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.net.Uri

/** Named in the library's manifest; of no use to an app. */
class NativeLibraryStarter : ContentProvider() {
    override fun onCreate(): Boolean {
        NativeLibrary.choose()
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
