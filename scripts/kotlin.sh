#!/usr/bin/env bash
# Lints, packages and documents the Kotlin library; scripts/bindings.sh compiles and tests it, scripts/measure.sh measures it.
#
#   kotlin.sh lint                 runs ktlint over all Kotlin code; findings are printed and fail
#   kotlin.sh format               the same, and fixes what ktlint can fix
#   kotlin.sh deps                 checks that Gradle's catalogue and the Maven poms have the same versions
#   kotlin.sh pages FILE...        checks that each native library can be loaded with 16 KB pages
#   kotlin.sh android              builds the AAR, the JVM jar and nearside-testing, with Gradle, cargo-ndk and the NDK
#   kotlin.sh docs                 writes the API documentation to target/kotlin/dokka
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root"
library=bindings/kotlin

# The oldest Android API level that llama.cpp is built for and the library runs on (gradle/libs.versions.toml).
api=28

# ktlint ARGUMENT...: runs ktlint over all tracked and untracked Kotlin files that git does not ignore; exits with 1 if it
# finds anything.
ktlint() {
  local files=()
  while IFS= read -r file; do [ -f "$file" ] && files+=("$file"); done < <(
    git ls-files --cached --others --exclude-standard -- "$library/*.kt" "$library/*.kts" 'android-sample/*.kt' 'android-sample/*.kts'
  )
  class_path "$library/ktlint.pom.xml" "$target/ktlint.classpath"
  java --add-opens=java.base/java.lang=ALL-UNNAMED -cp "$(cat "$target/ktlint.classpath")" com.pinterest.ktlint.Main \
    --relative --log-level=warn "$@" "${files[@]}"
}

deps() { python3 scripts/kotlin-deps.py; }

# Android 15 and later may use 16 KB pages, and loads only libraries aligned for them; Google Play requires it.
pages() {
  [ $# -gt 0 ] || fail 'no library given' 'name the files: kotlin.sh pages FILE...'
  python3 scripts/kotlin-pages.py "$@"
}

# native VARIANT ABI TARGET [FLAGS]: builds one variant of the library, under the name that NativeLibrary.kt expects. Each
# in a folder of its own, because llama.cpp's build keeps the processor that it was last configured for.
native() {
  local variant=$1 abi=$2 triple=$3 flags=${4:-}
  local out=$target/android/$variant
  printf 'Building for %s: %s\n' "$abi" "$variant"
  env ${flags:+GGML_CPU_ARM_ARCH="$flags"} CMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON LLAMA_LIB_PROFILE=Release \
    CARGO_TARGET_DIR="$out" cargo ndk --target "$abi" --platform "$api" \
    build --release --package nearside-ffi --lib --features testing
  mkdir -p "$target/android/jniLibs/$abi"
  cp "$out/$triple/release/libnearside_ffi.so" "$target/android/jniLibs/$abi/lib$variant.so"
}

android() {
  local ndk=${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-${ANDROID_NDK:-}}}
  [ -d "$ndk" ] || fail 'the Android NDK is missing' \
    "install NDK r28 or later with Android Studio or \`sdkmanager 'ndk;28.2.13676358'\`, and set ANDROID_NDK_HOME to its folder"
  cargo ndk --version >/dev/null 2>&1 || fail 'cargo-ndk is missing' 'run `cargo install cargo-ndk --version ^4.1`'
  local gradle=gradle
  [ -x "$library/gradlew" ] && gradle=./gradlew
  (cd "$library" && command -v "$gradle" >/dev/null) || fail 'Gradle is missing' 'install Gradle 9.7 or later (https://gradle.org/install), and set ANDROID_HOME to an Android SDK'
  rustup target add aarch64-linux-android x86_64-linux-android

  scripts/bindings.sh natives
  native nearside_ffi arm64-v8a aarch64-linux-android
  native nearside_ffi_dotprod arm64-v8a aarch64-linux-android armv8.2-a+dotprod+fp16
  native nearside_ffi_i8mm arm64-v8a aarch64-linux-android armv8.2-a+dotprod+fp16+i8mm
  native nearside_ffi x86_64 x86_64-linux-android
  pages "$target"/android/jniLibs/*/*.so
  (cd "$library" && "$gradle" -Pnearside.target="$target" assemble)
}

docs() { maven -q -f "$library/pom.xml" org.jetbrains.dokka:dokka-maven-plugin:dokka; }

task=${1:-}
[ $# -eq 0 ] || shift
case $task in
  lint) ktlint ;;
  format) ktlint --format ;;
  deps | pages | android | docs) "$task" "$@" ;;
  *) fail "unknown task \`$task\`" 'the tasks are lint, format, deps, pages, android and docs' ;;
esac
