/*
 * The jar for desktops and servers: the library, and the native libraries of the systems it was built on.
 */
plugins {
    alias(libs.plugins.kotlin.jvm)
    alias(libs.plugins.kotlin.serialization)
    `java-library`
    `maven-publish`
}

val sources: File = rootProject.file("src")
val built: File = rootProject.file(providers.gradleProperty("nearside.target").getOrElse("../../target"))

kotlin.sourceSets.main {
    kotlin.srcDirs(sources.resolve("main/kotlin"), built.resolve("bindings/kotlin"))
    // One folder per system, with the names that JNA searches: linux-x86-64, darwin-aarch64.
    resources.srcDir(built.resolve("natives"))
}

kotlin.sourceSets.test {
    kotlin.srcDirs(listOf("test", "unitTest", "testing").map { sources.resolve("$it/kotlin") })
}

java {
    sourceCompatibility = JavaVersion.VERSION_17
    targetCompatibility = JavaVersion.VERSION_17
    withSourcesJar()
}

dependencies {
    api(libs.kotlin.stdlib)
    api(libs.coroutines)
    api(libs.serialization)
    implementation(libs.jna)

    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test.junit5)
}

tasks.test {
    useJUnitPlatform()
    val programs = built.resolve("release").path
    systemProperties("jna.library.path" to programs, "nearside.programs" to programs)
}

publishing {
    publications.register<MavenPublication>("jar") {
        artifactId = "nearside-jvm"
        from(components["java"])
    }
}
