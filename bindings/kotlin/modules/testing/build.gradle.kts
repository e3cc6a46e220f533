/*
 * The testing module for apps, on a host and on a phone: scripts and recorded providers. It contains the host's native
 * libraries, so that an Android app's unit tests run on a host. The library's classes come from the app's dependency.
 */
plugins {
    alias(libs.plugins.kotlin.jvm)
    alias(libs.plugins.dokka)
    `java-library`
    `maven-publish`
}

val sources: File = rootProject.file("src")
val built: File = rootProject.file(providers.gradleProperty("nearside.target").getOrElse("../../target"))

kotlin.sourceSets.main {
    kotlin.srcDir(sources.resolve("testing/kotlin"))
    resources.srcDir(built.resolve("natives"))
}

java {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
    withSourcesJar()
}

dependencies {
    compileOnly(project(":nearside-jvm"))
    api(libs.kotlin.stdlib)
    implementation(libs.serialization)
    // The AAR of JNA in Android apps lacks the host's native library.
    runtimeOnly(libs.jna)
}

publishing {
    publications.register<MavenPublication>("jar") {
        artifactId = "nearside-testing"
        from(components["java"])
    }
}
