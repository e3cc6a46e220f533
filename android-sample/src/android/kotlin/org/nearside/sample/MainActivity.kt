/*
 * The only activity: keeps the models across a rotation, and connects the screens with Android.
 */
package org.nearside.sample

import android.Manifest
import android.app.Application
import android.content.pm.PackageManager
import android.os.Build
import android.os.Bundle
import androidx.activity.ComponentActivity
import androidx.activity.compose.BackHandler
import androidx.activity.compose.setContent
import androidx.activity.enableEdgeToEdge
import androidx.activity.result.contract.ActivityResultContracts
import androidx.activity.viewModels
import androidx.compose.foundation.isSystemInDarkTheme
import androidx.compose.runtime.LaunchedEffect
import androidx.compose.runtime.remember
import androidx.lifecycle.AndroidViewModel
import androidx.lifecycle.viewModelScope
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch

class MainActivity : ComponentActivity() {
    private val holder: Holder by viewModels()
    private val platform = AndroidPlatform(this) { holder.model }
    private val asker = registerForActivityResult(ActivityResultContracts.RequestPermission()) {
        holder.model.localNetwork.onAnswer()
    }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        platform.restore(savedInstanceState)
        enableEdgeToEdge()
        setContent {
            val model = holder.model
            val network = model.localNetwork
            val translation = remember { Translation.of(resources.configuration.locales[0]) }
            BackHandler(model.canGoBack, model::back)
            LaunchedEffect(network.isRequested) {
                if (network.takeRequest()) asker.launch(Manifest.permission.ACCESS_LOCAL_NETWORK)
            }
            Sample(model, platform, translation, isSystemInDarkTheme())
        }
    }

    override fun onResume() {
        super.onResume()
        holder.model.localNetwork.refresh()
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        platform.save(outState)
    }
}

/** Lives until the user leaves the app: answers and downloads continue while the device is rotated. */
class Holder(application: Application) : AndroidViewModel(application) {
    val model = AppModel(
        viewModelScope,
        real = { androidBrain(application) },
        demo = { DemoBrain(russian = application.resources.configuration.locales[0].language == "ru") },
        localNetwork = LocalNetwork { mayUseLocalNetwork(application) },
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

/** Android 17 (API level 37) demands this permission of apps that are built for it. */
private fun mayUseLocalNetwork(application: Application): Boolean =
    minOf(Build.VERSION.SDK_INT, application.applicationInfo.targetSdkVersion) < 37 ||
        application.checkSelfPermission(Manifest.permission.ACCESS_LOCAL_NETWORK) == PackageManager.PERMISSION_GRANTED
