#!/usr/bin/env bash
# Builds the library for Apple's systems, as a dynamic framework for devices, simulators and Macs, and the Swift package.
#
#   apple.sh [--intel] [--url ADDRESS] [--plan]
#
# Output in target/apple:
#   nearside                     the Swift package with the XCFramework in it: an app adds this folder, without Rust
#   NearsideFFI.xcframework.zip  what a package with an address downloads, and its .checksum
#   published/nearside           with --url: the package of a release, which names the zip at ADDRESS
#
#   --intel     also for Intel's processors: Macs, and simulators on them
#   --plan      prints the commands instead of running them, on any system
#
# NEARSIDE_SIGN_AS   an identity for codesign; without it the XCFramework is unsigned, and Xcode warns about that
#
# The slices for simulators compute on the CPU. Each framework contains its privacy manifest and has a dSYM beside it, with
# line tables of the Rust code; docs/adr/0030 gives the reasons for a dynamic framework.
#
# This script has never run on an Apple machine; its plan is tested (bindings/swift/UnitTests/AppleScriptTests.swift), and
# scripts/check-swift-packages.sh runs its parts that need none.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/small.sh"
cd "$root"

# Minimum versions, as in Package.swift; a test compares the two.
ios=16.0
macos=13.0

intel=
plan=
url=
while [ $# -gt 0 ]; do
  case $1 in
    --intel) intel=yes ;;
    --plan) plan=yes ;;
    --url) url=${2:?usage: apple.sh --url ADDRESS} && shift ;;
    *) fail "unknown option \`$1\`" 'the options are --intel, --url and --plan' ;;
  esac
  shift
done

built=$target/apple
framework=$built/NearsideFFI.xcframework
generated=$built/generated
library=libnearside_ffi.dylib

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

# build TARGET SDK PROCESSOR: builds the dynamic library with the profile that scripts/size.sh measures, and its dSYM. The
# CMAKE and GGML variables configure llama.cpp's build. In a simulator Metal ends the process when llama.cpp reads results
# back into memory that is not page-aligned, so that its slice is built without. llama.cpp gets no line tables: they double
# its build time, and its functions have names without them.
build() {
  local rust=$1 sdk=$2 processor=$3 minimum=$ios variable=IPHONEOS_DEPLOYMENT_TARGET inside=NearsideFFI.framework options=()
  [ "$sdk" != macosx ] || minimum=$macos variable=MACOSX_DEPLOYMENT_TARGET inside=$inside/Versions/A
  [ "$sdk" != iphonesimulator ] || options=(GGML_METAL=OFF)
  run env CARGO_TARGET_DIR="$built" CARGO_PROFILE_MOBILE_DEBUG=line-tables-only CARGO_PROFILE_MOBILE_SPLIT_DEBUGINFO=packed \
    "$variable=$minimum" CMAKE_OSX_DEPLOYMENT_TARGET="$minimum" CMAKE_OSX_SYSROOT="$sdk" CMAKE_OSX_ARCHITECTURES="$processor" \
    "${small_environment[@]}" ${options[@]+"${options[@]}"} \
    cargo rustc --config profile.mobile.package.llama-cpp-sys-2.debug=0 --profile mobile --locked --package nearside-ffi --lib \
    --crate-type cdylib --target "$rust" -- -C "link-arg=-Wl,-install_name,@rpath/$inside/NearsideFFI" \
    -C link-arg=-Wl,-application_extension
}

# slice SDK TARGET...: joins the processors of a platform, in one library and one dSYM, and makes the framework of it.
slice() {
  local sdk=$1 minimum=$ios binaries=() symbols=() rust
  shift
  [ "$sdk" != macosx ] || minimum=$macos
  for rust; do
    binaries+=("$built/$rust/mobile/deps/$library")
    symbols+=("$built/$rust/mobile/deps/$library.dSYM/Contents/Resources/DWARF/$library")
  done
  run mkdir -p "$built/$sdk"
  run lipo -create "${binaries[@]}" -output "$built/$sdk/$library"
  run rm -rf "$built/$sdk/NearsideFFI.framework.dSYM"
  run cp -R "$built/$1/mobile/deps/$library.dSYM" "$built/$sdk/NearsideFFI.framework.dSYM"
  run lipo -create "${symbols[@]}" -output "$built/$sdk/NearsideFFI.framework.dSYM/Contents/Resources/DWARF/$library"
  run python3 -B scripts/check-exports.py "$built/$sdk/$library" "$generated/NearsideFFI/NearsideFFI.h"
  run python3 -B scripts/apple-framework.py "$sdk" "$minimum" "$built/$sdk/$library" "$generated/NearsideFFI" "$built/$sdk"
}

# Generates the Swift code and the C header from one of the libraries.
generate() {
  local one=$built/aarch64-apple-darwin/mobile/deps/$library
  run cargo build --release --locked --package nearside-ffi --features bindgen --bin uniffi-bindgen-swift
  run rm -rf "$generated"
  run "$programs/uniffi-bindgen-swift" --swift-sources "$one" "$generated/NearsideKit/Generated"
  run "$programs/uniffi-bindgen-swift" --headers --modulemap --module-name NearsideFFI --modulemap-filename module.modulemap \
    "$one" "$generated/NearsideFFI"
  run python3 -B scripts/patch-bindings.py "$generated/NearsideKit/Generated"
}

assemble() {
  local sdk parts=()
  for sdk in iphoneos iphonesimulator macosx; do
    parts+=(-framework "$built/$sdk/NearsideFFI.framework" -debug-symbols "$built/$sdk/NearsideFFI.framework.dSYM")
  done
  run rm -rf "$framework" "$framework.zip"
  run xcodebuild -create-xcframework "${parts[@]}" -output "$framework"
  run plutil -lint bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy
  [ -z "${NEARSIDE_SIGN_AS:-}" ] || run codesign --timestamp --sign "$NEARSIDE_SIGN_AS" "$framework"
  run ditto -c -k --sequesterRsrc --keepParent "$framework" "$framework.zip"
  run python3 -B scripts/swift-package.py "$built/nearside" --local "$framework" --generated "$generated"
}

# The checksum is known only after the build.
publish() {
  local checksum=CHECKSUM
  [ -n "$plan" ] || checksum=$(swift package compute-checksum "$framework.zip")
  [ -n "$plan" ] || printf '%s\n' "$checksum" >"$framework.zip.checksum"
  [ -z "$url" ] || run python3 -B scripts/swift-package.py "$built/published/nearside" --url "$url" --checksum "$checksum" \
    --generated "$generated"
}

[ -n "$plan" ] || check_machine
simulators=(aarch64-apple-ios-sim) macs=(aarch64-apple-darwin)
[ -z "$intel" ] || simulators+=(x86_64-apple-ios) macs+=(x86_64-apple-darwin)
run rustup target add aarch64-apple-ios "${simulators[@]}" "${macs[@]}"
build aarch64-apple-ios iphoneos arm64
for rust in "${simulators[@]}"; do
  case $rust in x86_64-*) build "$rust" iphonesimulator x86_64 ;; *) build "$rust" iphonesimulator arm64 ;; esac
done
for rust in "${macs[@]}"; do
  case $rust in x86_64-*) build "$rust" macosx x86_64 ;; *) build "$rust" macosx arm64 ;; esac
done
generate
slice iphoneos aarch64-apple-ios
slice iphonesimulator "${simulators[@]}"
slice macosx "${macs[@]}"
assemble
publish
[ -n "$plan" ] || printf '%s\n%s, %s zipped\n' "$built/nearside" "$framework" "$(megabytes "$(size_of "$framework.zip")")"
