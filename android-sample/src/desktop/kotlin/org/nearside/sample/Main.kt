/*
 * The app in a desktop window, with the real library: `scripts/app.sh run`.
 *
 * Arguments: `--demo` runs without model and network, `--directory DIR` replaces the user's default folder.
 */
package org.nearside.sample

import androidx.compose.foundation.isSystemInDarkTheme
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.remember
import androidx.compose.runtime.rememberCoroutineScope
import androidx.compose.ui.unit.DpSize
import androidx.compose.ui.unit.dp
import androidx.compose.ui.window.Window
import androidx.compose.ui.window.application
import androidx.compose.ui.window.rememberWindowState
import java.nio.file.Path
import java.util.Locale
import kotlin.io.path.Path
import kotlinx.coroutines.launch

fun main(arguments: Array<String>) {
    val directory = directory(arguments.toList())
    val translation = Translation.of(Locale.getDefault())
    val isRussian = translation.locale.language == "ru"
    application {
        val scope = rememberCoroutineScope()
        val model = remember {
            AppModel(
                scope,
                real = { NearsideBrain.onDesktop(directory, System.getenv("NEARSIDE_HUB")) },
                demo = { DemoBrain(isRussian) },
                startsInDemo = "--demo" in arguments,
            )
        }
        LaunchedEffect(model) {
            model.start()
            model.watchCondition()
        }
        val close: () -> Unit = {
            scope.launch {
                model.shutDown()
                exitApplication()
            }
        }
        Window(close, rememberWindowState(size = DpSize(1080.dp, 760.dp)), title = "Nearside") {
            Sample(
                model,
                remember {
                    DesktopPlatform(window, model)
                },
                translation,
                isSystemInDarkTheme(),
                desktopFonts(),
            )
        }
    }
}

private fun directory(arguments: List<String>): Path {
    val named = arguments.getOrNull(arguments.indexOf("--directory") + 1).takeIf { "--directory" in arguments }
    return Path(named ?: (System.getProperty("user.home") + "/.local/share/nearside-sample"))
}
