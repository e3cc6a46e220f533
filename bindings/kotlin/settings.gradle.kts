/*
 * Builds the published artifacts: an AAR for Android, a jar for desktops and servers, and the testing module. All three
 * consist of the sources in src/, the Kotlin that UniFFI generates, and the native libraries;
 * `scripts/kotlin.sh android` builds the last two and then runs this.
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
