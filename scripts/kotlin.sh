#!/usr/bin/env bash
# Lints, packages, checks and documents the Kotlin library; scripts/bindings.sh compiles and tests it, scripts/measure.sh measures it.
#
#   kotlin.sh lint                 runs ktlint over all Kotlin code; findings are printed and fail
#   kotlin.sh format               the same, and fixes what ktlint can fix
#   kotlin.sh package [host]       compiles the artifacts and writes them into the Maven repository target/maven, with their
#                                  documentation; `host`: without the AAR and without documentation
#   kotlin.sh android              builds the native libraries for phones, with cargo-ndk and the NDK, packages all, checks it
#   kotlin.sh docs                 writes the API documentation of the compiled artifacts to target/kotlin*/dokka
#   kotlin.sh check [CHECK...]     checks the artifacts, the sample's Gradle files and the rules for shrinking
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
source "$(dirname "$0")/small.sh"
cd "$root"
library=bindings/kotlin

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

library_maven() { maven -q -f "$library/pom.xml" "$@"; }
facts() { python3 -B scripts/packages/facts.py "$@"; }
write() { python3 -B scripts/packages/write.py "$target" "$@"; }

# native NAME ABI TARGET [FEATURES]: builds one native library, small, with UniFFI's symbols only and the C++ runtime inside.
# Each in a folder of its own, because llama.cpp's build keeps the processor that it was last configured for.
native() {
  local name=$1 abi=$2 triple=$3 features=${4:-} out compiler
  out=$target/android/$abi-$name
  printf 'Building for %s: %s\n' "$abi" "$name"
  env "${small_environment[@]}" ${features:+GGML_CPU_ARM_ARCH="$features"} CARGO_TARGET_DIR="$out" \
    cargo ndk --target "$abi" --platform "$api" "${small_build[@]}" </dev/null
  mkdir -p "$target/android/jniLibs/$abi"
  compiler=("$ndk"/toolchains/llvm/prebuilt/*/bin/"$triple$api-clang++")
  "${compiler[0]}" "${small_link[@]}" "${small_link_android[@]}" -Wl,-soname,"lib$name.so" -static-libstdc++ \
    "$out/$triple/mobile/libnearside_ffi.a" -llog -o "$target/android/jniLibs/$abi/lib$name.so"
  python3 -B scripts/check-phone-library.py "$abi" "$target/android/jniLibs/$abi/lib$name.so" bindings/exports.map
}

android() {
  local ndk=${ANDROID_NDK_HOME:-${ANDROID_NDK_ROOT:-${ANDROID_NDK:-}}} row
  [ -d "$ndk" ] || fail 'the Android NDK is missing' \
    "install NDK r28 or later with Android Studio or \`sdkmanager 'ndk;28.2.13676358'\`, and set ANDROID_NDK_HOME to its folder"
  # cargo-ndk reads one of these names, llama.cpp's build another: both must find the same NDK.
  export ANDROID_NDK_HOME=$ndk ANDROID_NDK_ROOT=$ndk ANDROID_NDK=$ndk
  cargo ndk --version >/dev/null 2>&1 || fail 'cargo-ndk is missing' 'run `cargo install cargo-ndk --version ^4.1`'
  rustup target add aarch64-linux-android x86_64-linux-android
  api=$(facts min-sdk)

  scripts/bindings.sh natives
  rm -rf "$target/android/jniLibs"
  while read -r -a row; do native "${row[@]}"; done < <(facts natives)
  package all
  check artifacts
}

# Compiles and writes the artifacts in the order in which they need each other: nearside-testing is compiled against
# nearside-jvm. Old classes are deleted, because those of a deleted source would be packed, too.
package() {
  local artifacts=(nearside-jvm nearside-testing nearside-testing-host)
  [ -e "$target/bindings/kotlin/org/nearside/nearside.kt" ] || fail 'the generated code is missing' 'run `scripts/bindings.sh natives` first'
  rm -rf "$target"/kotlin{,-android,-testing}/{classes,dokka}
  library_maven compile
  write nearside-jvm
  library_maven -P testing compile
  if [ "${1:-all}" != host ]; then
    library_maven -P android compile
    docs
    artifacts+=(nearside-android)
  fi
  write "${artifacts[@]}"
}

# A documentation for each artifact that has one of its own. Dokka writes nothing and succeeds if it finds no source.
docs() {
  local profile page
  for profile in android testing ''; do
    library_maven ${profile:+-P "$profile"} org.jetbrains.dokka:dokka-maven-plugin:dokka
  done
  for page in kotlin/dokka/nearside/org.nearside/chat.html kotlin-android/dokka/nearside/org.nearside/-android-host \
    kotlin-testing/dokka/nearside/org.nearside.testing/-fake-device-host; do
    [ -e "$target/$page" ] || fail "the documentation lacks $page" 'the sources of Dokka in bindings/kotlin/pom.xml may be wrong'
  done
}

# Compiles what the named checks read, if it was never compiled.
check() {
  case " ${*:-artifacts rules} " in
    *' artifacts '* | *' rules '*)
      [ -d "$target/kotlin-testing/classes" ] || package host
      [ -d "$target/kotlin-android/classes" ] || library_maven -P android compile
      ;;
  esac
  case " ${*:-rules} " in
    *' rules '*) [ -d "$target/kotlin/test-classes/org/nearside/shrink" ] || library_maven test-compile ;;
  esac
  python3 -B scripts/check-packages.py --target "$target" "$@"
}

task=${1:-}
[ $# -eq 0 ] || shift
case $task in
  lint) ktlint ;;
  format) ktlint --format ;;
  package | android | docs | check) "$task" "$@" ;;
  *) fail "unknown task \`$task\`" 'the tasks are lint, format, package, android, docs and check' ;;
esac
