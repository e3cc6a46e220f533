#!/usr/bin/env bash
# Builds the library for Apple's systems: an XCFramework for devices, simulators and Macs, and the generated Swift code.
#
#   apple.sh [--testing] [--symbols] [--plan]
#
# Output: bindings/swift/Apple/release, which Package.swift reads and git ignores, with NearsideFFI.xcframework, its zip,
# the checksum for a `binaryTarget(url:)`, and NearsideGenerated. target/apple/release has the whole package as an archive:
# unpacked, an app adds it in Xcode, without Rust.
#
#   --testing   with the scripted `Nearside`, for apps' own tests: in bindings/swift/Apple/testing, which Package.swift
#               uses if NEARSIDE_TESTING=1 is set
#   --symbols   with line tables: static libraries have no dSYM of their own, their debug information goes into the dSYM
#               of the app that links them. Crash reports then name our lines; the zip doubles in size
#   --plan      prints the commands instead of running them, on any system
#
# NEARSIDE_SIGN_AS   an identity for codesign; without it the XCFramework is unsigned, and Xcode warns about that
#
# The privacy manifest is a resource of the Swift target, because a static library cannot contain one.
#
# This script has never run on an Apple machine; its plan is tested (bindings/swift/UnitTests/AppleScriptTests.swift).
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

# Minimum versions, as in Package.swift; a test compares the two.
ios=16.0
macos=13.0

kind=release
plan=
features=()
debug=()
for option; do
  case $option in
    --testing) kind=testing features=(--features nearside-ffi/testing) ;;
    --symbols) debug=(CARGO_PROFILE_MOBILE_DEBUG=line-tables-only CARGO_PROFILE_MOBILE_STRIP=none) ;;
    --plan) plan=yes ;;
    *) fail "unknown option \`$option\`" 'the options are --testing, --symbols and --plan' ;;
  esac
done

package=$root/bindings/swift/Apple/$kind
built=$target/apple/$kind
framework=$package/NearsideFFI.xcframework
headers=$built/headers
archive=libnearside_ffi.a

# Runs a command, or prints it.
run() {
  if [ -n "$plan" ]; then
    printf '%q ' "$@"
    printf '\n'
  else
    "$@"
  fi
}

check_machine() {
  local tool missing=()
  [ "$(uname)" = Darwin ] || fail "an XCFramework can only be built on a Mac, and this is $(uname)" \
    'run it on a Mac with Xcode; `scripts/apple.sh --plan` prints the commands on any system'
  xcodebuild -version >/dev/null 2>&1 || fail 'Xcode is missing' \
    'install it, then run `sudo xcode-select --switch /Applications/Xcode.app`; the command line tools are not enough'
  for tool in cargo rustup cmake; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || fail "missing: ${missing[*]}" 'install Rust from https://rustup.rs, and run `brew install cmake`'
}

# build TARGET SDK PROCESSOR VARIABLE VERSION: builds only the static library, with the profile that scripts/size.sh
# measures. The CMAKE and GGML variables configure llama.cpp's build. A simulator's slice computes on the CPU: there Metal
# ends the process when llama.cpp reads results back into memory that is not page-aligned.
build() {
  local simulator=()
  [ "$2" != iphonesimulator ] || simulator=(GGML_METAL=OFF)
  run env ${simulator[@]+"${simulator[@]}"} CARGO_TARGET_DIR="$built" ${debug[@]+"${debug[@]}"} "$4=$5" CMAKE_OSX_DEPLOYMENT_TARGET="$5" \
    CMAKE_OSX_SYSROOT="$2" CMAKE_OSX_ARCHITECTURES="$3" \
    cargo rustc --profile mobile --locked --package nearside-ffi --lib --crate-type staticlib --target "$1" \
    ${features[@]+"${features[@]}"}
}

# join NAME TARGET...: merges the archives of all processors of a platform into one.
join() {
  local name=$1 archives=() target
  shift
  for target; do archives+=("$built/$target/mobile/$archive"); done
  run mkdir -p "$built/$name"
  run lipo -create "${archives[@]}" -output "$built/$name/$archive"
}

# Generates the Swift code and the C header from one of the libraries. The header has a subfolder of its own, because an
# app cannot contain two XCFrameworks with a module map at the top level.
generate() {
  local library=$built/aarch64-apple-darwin/mobile/$archive
  run cargo build --release --locked --package nearside-ffi --features bindgen --bin uniffi-bindgen-swift
  run rm -rf "$headers" "$package/NearsideGenerated"
  run "$programs/uniffi-bindgen-swift" --swift-sources "$library" "$package/NearsideGenerated"
  run "$programs/uniffi-bindgen-swift" --headers --modulemap --module-name NearsideFFI --modulemap-filename module.modulemap \
    "$library" "$headers/NearsideFFI"
  run python3 -B "$root/scripts/patch-bindings.py" "$package/NearsideGenerated"
}

assemble() {
  run rm -rf "$framework" "$framework.zip"
  run xcodebuild -create-xcframework \
    -library "$built/aarch64-apple-ios/mobile/$archive" -headers "$headers" \
    -library "$built/ios-simulator/$archive" -headers "$headers" \
    -library "$built/macos/$archive" -headers "$headers" \
    -output "$framework"
  run plutil -lint bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy
  [ -z "${NEARSIDE_SIGN_AS:-}" ] || run codesign --timestamp --sign "$NEARSIDE_SIGN_AS" "$framework"
  run ditto -c -k --sequesterRsrc --keepParent "$framework" "$framework.zip"
  # Leaves out the code that scripts/bindings.sh generated for this machine's library, and the other kind's output.
  local other=release
  [ "$kind" = testing ] || other=testing
  run tar -czf "$built/NearsideSwift-$kind.tar.gz" --exclude .build --exclude Sources/NearsideGenerated \
    --exclude Sources/NearsideFFI --exclude 'NearsideFFI.xcframework.zip*' --exclude "Apple/$other" -C bindings swift
}

[ -n "$plan" ] || check_machine
run rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin
build aarch64-apple-ios iphoneos arm64 IPHONEOS_DEPLOYMENT_TARGET "$ios"
build aarch64-apple-ios-sim iphonesimulator arm64 IPHONEOS_DEPLOYMENT_TARGET "$ios"
build x86_64-apple-ios iphonesimulator x86_64 IPHONEOS_DEPLOYMENT_TARGET "$ios"
build aarch64-apple-darwin macosx arm64 MACOSX_DEPLOYMENT_TARGET "$macos"
build x86_64-apple-darwin macosx x86_64 MACOSX_DEPLOYMENT_TARGET "$macos"
run mkdir -p "$package"
join ios-simulator aarch64-apple-ios-sim x86_64-apple-ios
join macos aarch64-apple-darwin x86_64-apple-darwin
generate
assemble
if [ -z "$plan" ]; then
  swift package compute-checksum "$framework.zip" >"$framework.zip.checksum"
  printf '%s\n%s, %s zipped\nchecksum %s\n' "$built/NearsideSwift-$kind.tar.gz" "$framework" "$(megabytes "$(size_of "$framework.zip")")" "$(cat "$framework.zip.checksum")"
else
  printf 'swift package compute-checksum %q > %q\n' "$framework.zip" "$framework.zip.checksum"
fi
