/*
 * The build that apps get the library from: an AAR for Android, a jar for desktops and servers, and what apps test with.
 * All three are made of the sources in src/, of the Kotlin that UniFFI generates, and of the native libraries;
 * `scripts/kotlin.sh android` makes the last two and then calls this.
 */
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "nearside"

for (module in listOf("android", "jvm", "testing")) {
    include(":nearside-$module")
    project(":nearside-$module").projectDir = file("modules/$module")
}
