/*
 * Settings common to all modules: group, version, and the Kotlin version that an app needs.
 */
import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.dsl.KotlinVersion
import org.jetbrains.kotlin.gradle.tasks.KotlinCompile

plugins {
    // Also replaces the older Kotlin that the Android plugin brings.
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.kotlin.serialization) apply false
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.dokka)
}

val language: KotlinVersion = KotlinVersion.fromVersion(libs.versions.kotlin.language.get())

subprojects {
    group = "org.nearside"
    version = "0.1.0"

    tasks.withType<KotlinCompile>().configureEach {
        compilerOptions {
            languageVersion = language
            apiVersion = language
            jvmTarget = JvmTarget.JVM_17
            allWarningsAsErrors = true
        }
    }
}

dependencies {
    dokka(project(":nearside-android"))
    dokka(project(":nearside-testing"))
}
