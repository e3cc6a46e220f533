/*
 * The only activity: keeps the models across a rotation, and connects the screens with Android.
 */
package org.nearside.sample

import android.app.Application
import android.os.Bundle
import androidx.activity.ComponentActivity
import androidx.activity.compose.BackHandler
import androidx.activity.compose.setContent
import androidx.activity.enableEdgeToEdge
import androidx.activity.viewModels
import androidx.compose.foundation.isSystemInDarkTheme
import androidx.compose.runtime.remember
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch

class MainActivity : ComponentActivity() {
    private val holder: Holder by viewModels()
    private val platform = AndroidPlatform(this)

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        enableEdgeToEdge()
        setContent {
            val model = holder.model
            val translation = remember { Translation.of(resources.configuration.locales[0]) }
            BackHandler(model.canGoBack, model::back)
            Sample(model, platform, translation, isSystemInDarkTheme())
        }
    }
}

/** Lives until the user leaves the app: answers and downloads continue while the device is rotated. */
class Holder(application: Application) : AndroidViewModel(application) {
    val model = AppModel(
        viewModelScope,
        real = { androidBrain(application) },
        demo = { DemoBrain(russian = application.resources.configuration.locales[0].language == "ru") },
    )

    init {
        model.start()
        model.watchCondition()
    }

    /** The process stays for a while without an activity. The scope of this model is cancelled already. */
    override fun onCleared() {
        CoroutineScope(Dispatchers.Main).launch { model.shutDown() }
    }
}
