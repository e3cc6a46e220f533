#!/usr/bin/env bash
# Builds the Kotlin library and the Swift package: generates their code, compiles them, and runs their scenarios.
#
#   bindings.sh [generate] [kotlin] [android] [natives] [install] [swift] [apple-swift] [format-swift] [docs-swift]
#               [test-kotlin] [test-android] [test-swift]
#
# Default: install and swift. `install` puts the Kotlin library, with this machine's native library, into the Maven repository
# target/maven, where the projects of other folders find it.
#
# Generated code is never committed: the Kotlin goes to target/bindings/kotlin, the Swift into bindings/swift/Sources,
# where git ignores it. The build is for this machine. A test run ends with one line, `kotlin: N passed, N failed`.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root"

generated=$target/bindings
package=$root/bindings/swift

# Builds the whole workspace, so that llama.cpp is compiled once, and the programs that the scenarios start are there.
build() {
  cargo build --release --workspace --lib --bins --features nearside-ffi/bindgen
  case $(uname) in Darwin) library=$programs/libnearside_ffi.dylib ;; *) library=$programs/libnearside_ffi.so ;; esac
}

# Writes the generated code. The generators ask cargo for the crate's uniffi.toml, so they run in the workspace.
generate() {
  build
  rm -rf "$generated/new"
  "$programs/uniffi-bindgen" generate --language kotlin --no-format --out-dir "$generated/new/kotlin" "$library"
  "$programs/uniffi-bindgen-swift" --swift-sources "$library" "$generated/new/swift/NearsideKit/Generated"
  "$programs/uniffi-bindgen-swift" --headers --modulemap --module-name NearsideFFI --modulemap-filename module.modulemap \
    "$library" "$generated/new/swift/NearsideFFI"
  python3 -B scripts/patch-bindings.py "$generated/new"
  replace "$generated/new/kotlin" "$generated/kotlin"
  replace "$generated/new/swift" "$package/Sources"
}

# replace FROM TO: copies the files that differ, so that an unchanged file keeps its time and is not compiled again.
replace() {
  local file
  while IFS= read -r -d '' file; do
    cmp -s "$1/$file" "$2/$file" && continue
    mkdir -p "$(dirname "$2/$file")"
    cp "$1/$file" "$2/$file"
  done < <(cd "$1" && find . -type f -print0)
}

library_maven() { maven --file bindings/kotlin/pom.xml "$@"; }
in_package() { in_swift "$package" "$@"; }
run_swift() { in_swift "$root" swift "$@"; }

kotlin() { library_maven -q compile; }

# Copies this machine's library to where JNA finds it inside a jar. Libraries of other systems may be put beside it.
natives() {
  local system=linux processor extension=so
  [ "$(uname)" = Darwin ] && system=darwin extension=dylib
  processor=$(uname -m)
  case $processor in x86_64) processor=x86-64 ;; arm64) processor=aarch64 ;; esac
  mkdir -p "$target/natives/$system-$processor"
  cp "$programs/libnearside_ffi.$extension" "$target/natives/$system-$processor/"
}

# Maven copies a release once and never looks again: it must take the new one.
install() {
  natives
  scripts/kotlin.sh package host
  rm -rf "$HOME/.m2/repository"/org/nearside/nearside-{android,jvm,testing,testing-host}
}

# Compiles with the Android part, against Android's classes; downloads 300 MB of them once.
android() { library_maven -q -P android compile; }

# For `swift build` and `swift test`.
strictly=(--scratch-path "$target/swift" -Xswiftc -warnings-as-errors)

swift_package() {
  run_swift build "${strictly[@]}"
  format_swift
  apple_swift
}

# Checks the style of the hand-written Swift.
format_swift() {
  local files
  mapfile -t files < <(find Package.swift bindings/swift -path '*/Generated' -prune -o -name '*.swift' -print)
  run_swift format lint --strict --configuration bindings/swift/.swift-format "${files[@]}"
}

# Compiles the Apple-only parts against stubs of Apple's modules, once as on iOS and once as on a Mac, and an app that uses
# the package beside FoundationModels and Network. AppleStubs/Darwin.swift states what that proves.
apple_swift() {
  local system module stubs
  for system in iOS macOS; do
    stubs=$target/apple-stubs/$system
    rm -rf "$stubs"
    mkdir -p "$stubs"
    for module in Darwin FoundationModels Network os SwiftUI UIKit; do
      [ "$system $module" != 'macOS UIKit' ] || continue
      in_package swiftc -swift-version 6 -emit-module -parse-as-library -module-name "$module" "AppleStubs/$module.swift" \
        -o "$stubs/$module.swiftmodule"
    done
    (cd "$package" && find Sources/NearsideKit -name '*.swift') >"$stubs/sources"
    in_package swiftc -swift-version 6 -c -wmo -parse-as-library -warnings-as-errors -module-name NearsideKit \
      -I "$stubs" -I Sources/NearsideFFI "@$stubs/sources" -o "$stubs/NearsideKit.o" \
      -emit-module -emit-module-path "$stubs/NearsideKit.swiftmodule"
    in_package swiftc -swift-version 6 -c -parse-as-library -warnings-as-errors -module-name NamesBesideApple -I "$stubs" \
      -I Sources/NearsideFFI AppleStubs/NamesBesideApple.swift -o "$stubs/NamesBesideApple.o"
  done
}

# Writes the documentation to target/NearsideKit.doccarchive, as Xcode does; a broken link fails.
docs_swift() {
  local symbols=$target/swift-symbols platform=(-target)
  run_swift build "${strictly[@]}" --target NearsideKit
  platform+=("$(in_package swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)",*/\1/p')")
  [ "$(uname)" != Darwin ] || platform+=(-sdk "$(xcrun --show-sdk-path)")
  rm -rf "$symbols"
  mkdir -p "$symbols"
  in_package swift-symbolgraph-extract -module-name NearsideKit "${platform[@]}" -I "$target/swift/debug/Modules" \
    -I Sources/NearsideFFI -minimum-access-level public -skip-synthesized-members -skip-inherited-docs -output-dir "$symbols"
  in_package docc convert Sources/NearsideKit/NearsideKit.docc --fallback-display-name NearsideKit --warnings-as-errors \
    --fallback-bundle-identifier org.nearside.NearsideKit --additional-symbol-graph-dir "$symbols" \
    --output-path "$target/NearsideKit.doccarchive"
}

test_kotlin() { maven_test kotlin test; }

# Tests the Android part under Robolectric.
test_android() { maven_test android -P android test; }

# maven_test NAME ARGUMENTS
maven_test() {
  local name=$1 log=$target/$1-test.log code=0
  shift
  library_maven "$@" 2>&1 | tee "$log" || code=$?
  awk -v name="$name" '/Tests run: [0-9]+, Failures/ && !/Time elapsed/ {
         sub(/.*Tests run: /, ""); split($0, n, /[^0-9]+/); p = n[1] - n[2] - n[3] - n[4]; f = n[2] + n[3]
       } END { printf "%s: %d passed, %d failed\n", name, p, f }' "$log"
  return "$code"
}

test_swift() { swift_tests swift "$root" "${strictly[@]}"; }

[ $# -gt 0 ] || set -- install swift
# This needs no build.
if [ "$*" = format-swift ]; then
  format_swift
  exit
fi
generate
for task; do
  case $task in
    generate) ;;
    kotlin) kotlin ;;
    natives) natives ;;
    install) install ;;
    android) android ;;
    swift) swift_package ;;
    apple-swift) apple_swift ;;
    docs-swift) docs_swift ;;
    test-kotlin) test_kotlin ;;
    test-android) test_android ;;
    test-swift) test_swift ;;
    *) fail "unknown task \`$task\`" 'the tasks are generate, kotlin, android, natives, install, swift, apple-swift, format-swift, docs-swift, test-kotlin, test-android and test-swift' ;;
  esac
done
