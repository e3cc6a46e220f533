/*
 * What apps test with, on a host and on a phone: scripts and recorded providers. It brings the host's native libraries, so
 * that an Android app's unit tests run on a host, and not the classes of the library: those are the app's own.
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
    // The AAR of it that Android apps have lacks the host's native half.
    runtimeOnly(libs.jna)
}

publishing {
    publications.register<MavenPublication>("jar") {
        artifactId = "nearside-testing"
        from(components["java"])
    }
}
