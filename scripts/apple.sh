#!/usr/bin/env bash
# The library for Apple's systems: an XCFramework for devices, simulators and Macs, and the Swift that goes with it.
#
#   apple.sh [--testing] [--symbols] [--plan]
#
# What it makes stands in bindings/swift/Apple/release, where Package.swift looks for it and git does not:
# NearsideFFI.xcframework, the same zipped, its checksum for a `binaryTarget(url:)`, and NearsideGenerated. In
# target/apple/release is the whole package as an archive: unpacked, it is what an app adds in Xcode, and it needs no Rust.
#
#   --testing   with the scripted `Nearside`, for apps' own tests: in bindings/swift/Apple/testing, which Package.swift
#               takes where NEARSIDE_TESTING=1 is in the environment
#   --symbols   with line tables: the libraries are static, so they have no dSYM of their own, and what the archives hold
#               ends up in the dSYM of the app that links them. Crash reports then name our lines; the zip is twice as big
#   --plan      prints the commands instead, on any system
#
# NEARSIDE_SIGN_AS   an identity for codesign; without it the XCFramework is not signed, and Xcode says so
#
# The privacy manifest is a resource of the Swift target, for a static library cannot hold one.
#
# Nothing of this has run on an Apple machine yet; its plan is tested (bindings/swift/UnitTests/AppleScriptTests.swift).
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

# As in Package.swift; a test compares the two.
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
    *) fail "\`$option\` is no option" 'there are --testing, --symbols and --plan' ;;
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
  [ "$(uname)" = Darwin ] || fail "an XCFramework is made on a Mac, and this is $(uname)" \
    'run it on a Mac with Xcode; `scripts/apple.sh --plan` shows here what it would do'
  xcodebuild -version >/dev/null 2>&1 || fail 'there is no Xcode' \
    'install it, then `sudo xcode-select --switch /Applications/Xcode.app`; the command line tools alone are too little'
  for tool in cargo rustup cmake; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || fail "there is no ${missing[*]}" 'install Rust from https://rustup.rs, and `brew install cmake`'
}

# build TARGET SDK PROCESSOR VARIABLE VERSION: the static library alone, as scripts/size.sh measures it. What begins with
# CMAKE reaches llama.cpp's build.
build() {
  run env CARGO_TARGET_DIR="$built" ${debug[@]+"${debug[@]}"} "$4=$5" CMAKE_OSX_DEPLOYMENT_TARGET="$5" \
    CMAKE_OSX_SYSROOT="$2" CMAKE_OSX_ARCHITECTURES="$3" \
    cargo rustc --profile mobile --locked --package nearside-ffi --lib --crate-type staticlib --target "$1" \
    ${features[@]+"${features[@]}"}
}

# join NAME TARGET...: one archive for all processors of a platform.
join() {
  local name=$1 archives=() target
  shift
  for target; do archives+=("$built/$target/mobile/$archive"); done
  run mkdir -p "$built/$name"
  run lipo -create "${archives[@]}" -output "$built/$name/$archive"
}

# The Swift and the C header, out of one of the libraries. The header lies in a folder of its own name: two
# XCFrameworks with a module map at the top cannot be in one app.
generate() {
  local library=$built/aarch64-apple-darwin/mobile/$archive
  run cargo build --release --locked --package nearside-ffi --features bindgen --bin uniffi-bindgen-swift
  run rm -rf "$headers" "$package/NearsideGenerated"
  run "$programs/uniffi-bindgen-swift" --swift-sources "$library" "$package/NearsideGenerated"
  run "$programs/uniffi-bindgen-swift" --headers --modulemap --module-name NearsideFFI --modulemap-filename module.modulemap \
    "$library" "$headers/NearsideFFI"
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
  # What scripts/bindings.sh generates is for this machine's own library, and of the two kinds each has its archive.
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
