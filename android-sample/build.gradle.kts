/*
 * The Android app: one module. The desktop runs the sources in src/main, too.
 */
plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.compose)
}

kotlin {
    compilerOptions { allWarningsAsErrors = true }
}

android {
    namespace = "org.nearside.sample"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        applicationId = "org.nearside.sample"
        minSdk = libs.versions.min.sdk.get().toInt()
        targetSdk = libs.versions.target.sdk.get().toInt()
        versionCode = 1
        versionName = libs.versions.nearside.get()

        // JNA brings libraries for more processors than Nearside: a phone with one of these could install the app.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }

    buildFeatures { compose = true }

    buildTypes {
        release {
            isMinifyEnabled = true
            isShrinkResources = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }

    sourceSets.named("main") {
        manifest.srcFile("src/android/AndroidManifest.xml")
        kotlin.directories += "src/android/kotlin"
        res.directories += "src/android/res"
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
}

dependencies {
    implementation(libs.nearside)
    implementation(libs.activity.compose)
    implementation(libs.lifecycle.viewmodel)
    implementation(libs.compose.foundation)
    implementation(libs.compose.material3)
    implementation(libs.coroutines)
}
