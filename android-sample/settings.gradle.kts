/*
 * The build for Android Studio. The app is an ordinary consumer of the library: it takes the published artifacts from a Maven
 * repository, which is a folder that `make android` writes. Another one: `-Pnearside.maven=DIR`.
 */
pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

val library: File = settingsDir.resolve(providers.gradleProperty("nearside.maven").getOrElse("../target/maven"))
check(library.resolve("org/nearside/nearside-android").isDirectory) {
    "There is no Nearside for Android in $library: run `make android` in the folder of the repository first."
}

dependencyResolutionManagement {
    repositoriesMode = RepositoriesMode.FAIL_ON_PROJECT_REPOS
    repositories {
        exclusiveContent {
            forRepository { maven { url = library.toURI() } }
            filter { includeGroup("org.nearside") }
        }
        google()
        mavenCentral()
    }
}

rootProject.name = "nearside-sample"
