#!/usr/bin/env bash
# Runs the Android sample on this machine. Builds the native library and the generated Kotlin first if they are missing.
#
#   app.sh run [--demo] [--directory DIR]   the app in a window, with the real library
#   app.sh test                             all tests of the app, including the screenshots
#   app.sh screenshots [PATTERN]            a PNG of every screen in target/screenshots
#   app.sh markdown                         the main thread's time for each chunk of a streamed answer
#   app.sh compile-android                  the app against Android's and AndroidX's real classes
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root"

app_maven() { maven "-Dgenerated.dir=$target/bindings/kotlin" "-Dlibrary.dir=$programs" "$@"; }

needs_library() {
  "$root/scripts/setup.sh" build test
  [ -e "$target/bindings/kotlin/org/nearside/nearside.kt" ] || "$root/scripts/bindings.sh" generate
}

# run_class CLASS ARGUMENT...: compiles the app and runs one of its main functions.
run_class() {
  app_maven -q -f android-sample/pom.xml compile \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath \
    "-Dmdep.outputFile=$target/android-sample/classpath" -Dmdep.includeScope=runtime
  exec java "-Djna.library.path=$programs" \
    -cp "$target/android-sample/classes:$(< "$target/android-sample/classpath")" "$@"
}

verb=${1:-}
[ $# -eq 0 ] || shift
case "$verb" in
  run)
    needs_library
    run_class org.nearside.sample.MainKt "$@"
    ;;
  markdown)
    needs_library
    run_class -Xmx512m org.nearside.sample.MarkdownMeasureKt
    ;;
  test)
    needs_library
    app_maven -f android-sample/pom.xml test
    ;;
  screenshots)
    needs_library
    app_maven -f android-sample/pom.xml test -Dtest=ScreenshotTest "-Dscreenshots.only=${1:-}"
    echo "$(find "$target/screenshots" -name '*.png' | wc -l) screenshots in target/screenshots"
    ;;
  compile-android)
    needs_library
    # Never `install`: these artifacts are for this check only.
    app_maven -q -f android-sample/compile-android/pom.xml compile
    printf 'ok   android-sample against Android\n'
    ;;
  *) fail "unknown task \`$verb\`" 'the tasks are run, markdown, test, screenshots and compile-android' ;;
esac
