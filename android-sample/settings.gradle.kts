/*
 * The build for Android Studio. It builds the library from the sources beside this folder (`make android` builds its
 * native part first); another app depends on `org.nearside:nearside-android` instead.
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

rootProject.name = "nearside-sample"

includeBuild("../bindings/kotlin")
