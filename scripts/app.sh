#!/usr/bin/env bash
# The Android sample on this machine: the app in a window, its tests, its pictures, and a compile check against Android's
# own classes. The native library and the generated Kotlin are made by scripts/bindings.sh first; NEARSIDE_TARGET names
# another place for both (release/ and bindings/kotlin/ in it).
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat >&2 <<'TEXT'
usage: scripts/app.sh run [--demo] [--directory DIR]   the app in a window, with the real library
       scripts/app.sh test                             all tests of the app, the screenshots among them
       scripts/app.sh screenshots [PATTERN]            a PNG of every screen in target/screenshots
       scripts/app.sh compile-android                  the app against Android's and AndroidX's real classes
TEXT
  exit 2
}

target="$PWD/target"
built="${NEARSIDE_TARGET:-$target}"
maven=(nice -n 5 mvn --batch-mode -q -Dkotlin.compiler.daemon=false "-Dtarget.dir=$target"
  "-Dgenerated.dir=$built/bindings/kotlin" "-Dlibrary.dir=$built/release")

# What the pictures and the window need: a typeface that Android has, with Cyrillic, and one for code.
fonts() {
  if command -v fc-list > /dev/null && ! fc-list : family | grep -qx Roboto; then
    echo "error: the typeface Roboto is missing, and what is drawn would not look as on Android" >&2
    echo "help: apt-get install fonts-roboto-unhinted fonts-dejavu-core" >&2
    exit 1
  fi
}

needs_library() {
  if [[ ! -e "$built/bindings/kotlin/org/nearside/nearside.kt" ]]; then
    echo "error: the Kotlin bindings are missing in $built" >&2
    echo "help: make bindings" >&2
    exit 1
  fi
}

verb="${1:-}"
[[ $# -gt 0 ]] && shift
case "$verb" in
  run)
    needs_library
    "${maven[@]}" -f android-sample/pom.xml compile \
      org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath \
      "-Dmdep.outputFile=$target/android-sample/classpath" -Dmdep.includeScope=runtime
    exec java "-Djna.library.path=$built/release" \
      -cp "$target/android-sample/classes:$(< "$target/android-sample/classpath")" org.nearside.sample.MainKt "$@"
    ;;
  test)
    fonts
    needs_library
    "${maven[@]}" -f android-sample/pom.xml test
    ;;
  screenshots)
    fonts
    needs_library
    "${maven[@]}" -f android-sample/pom.xml test -Dtest=ScreenshotTest "-Dscreenshots.only=${1:-}"
    echo "$(find "$target/screenshots" -name '*.png' | wc -l) pictures in target/screenshots"
    ;;
  compile-android)
    needs_library
    # Never `install`: what this makes is good for this check only.
    "${maven[@]}" -f android-sample/compile-android/pom.xml compile
    ;;
  *) usage ;;
esac
