/*
 * The AAR: the library, its manifest, and the native libraries, of which NativeLibrary.kt selects one.
 */
plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.serialization)
    alias(libs.plugins.dokka)
    `maven-publish`
}

val sources: File = rootProject.file("src")
val built: File = rootProject.file(providers.gradleProperty("nearside.target").getOrElse("../../target"))

android {
    namespace = "org.nearside"
    compileSdk = libs.versions.compile.sdk.get().toInt()

    defaultConfig {
        minSdk = libs.versions.min.sdk.get().toInt()
        consumerProguardFiles(sources.resolve("android/consumer-rules.pro"))
    }

    sourceSets.named("main") {
        manifest.srcFile(sources.resolve("android/AndroidManifest.xml"))
        kotlin.directories += listOf("main/kotlin", "android/kotlin").map { sources.resolve(it).path }
        kotlin.directories += built.resolve("bindings/kotlin").path
        jniLibs.directories += built.resolve("android/jniLibs").path
    }
    sourceSets.named("test") {
        kotlin.directories += sources.resolve("robolectric/kotlin").path
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }

    publishing {
        singleVariant("release") { withSourcesJar() }
    }
}

dependencies {
    api(libs.kotlin.stdlib)
    api(libs.coroutines)
    api(libs.serialization)
    // The AAR of JNA contains its native library for Android.
    implementation(variantOf(libs.jna) { artifactType("aar") })

    testImplementation(libs.robolectric)
    testImplementation(libs.kotlin.test.junit4)
}

publishing {
    publications.register<MavenPublication>("release") {
        artifactId = "nearside-android"
        afterEvaluate { from(components["release"]) }
    }
}
