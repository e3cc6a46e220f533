/*
 * The build for Android Studio. The library is built from its sources beside this folder (`make android` makes its native
 * half first); an app of your own names `org.nearside:nearside-android` instead.
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
