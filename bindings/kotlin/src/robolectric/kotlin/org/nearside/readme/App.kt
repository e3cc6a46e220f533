/*
 * The snippet of bindings/kotlin/README.md, word for word, so that it compiles; scripts/check-readme.sh compares the two.
 */
@file:Suppress("ktlint:standard:function-literal")

package org.nearside.readme

import android.app.Application
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.async
import org.nearside.Config
import org.nearside.Nearside
import org.nearside.followApp
import org.nearside.forApp

class App : Application() {
    private val scope = MainScope()
    val nearside by lazy {
        scope.async { // opening waits for the disk, on a thread of the library
            Nearside.open(Config.forApp(this@App)).also {
                it.followApp(this@App) // forwards memory warnings, and changes between foreground and background
            }
        }
    }
}
