package org.nearside

import java.io.File
import kotlin.test.assertEquals
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config as Device

/** The directories of an app. */
@RunWith(RobolectricTestRunner::class)
@Device(sdk = [34])
class AppDirectoriesTest {
    @Test
    fun modelsAreOutsideOfBackupsAndTheRestIsInThem() {
        val context = RuntimeEnvironment.getApplication()
        val config = Config.forApp(context)
        assertEquals(context.noBackupFilesDir, File(config.directory).parentFile)
        assertEquals(context.filesDir, File(config.dataDirectory.orEmpty()).parentFile)
    }
}
