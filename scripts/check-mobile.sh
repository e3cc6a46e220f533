#!/usr/bin/env bash
# Type-checks the Rust code for iOS and Android, on a machine that cannot build for them.
#
#   check-mobile.sh check [TARGET...]    prints cargo's findings, then `ok  TARGET` or `FAIL TARGET`; default: all four,
#                                        aarch64-apple-ios, aarch64-apple-ios-sim, aarch64-linux-android, x86_64-linux-android
#
# Proves: core, llama and bindings compile for the target without warnings, including code that only this target has, and
# bindgen reads llama.cpp's headers for it. For Android, the Rust code is linked with the flags that apps' libraries are linked
# with, and the result is what a phone loads: it needs the system's libraries only, exports UniFFI's symbols only, and its segments
# fit pages of 16 KB. For Apple, the linker is a stand-in that records its arguments, which must name the frameworks.
#
# Does not prove: that any symbol of C or C++ exists, or that C or C++ compiles for a phone (stand-ins for a compiler, an
# archiver and cmake write empty files), that Android's own headers agree (musl's replace them), or anything about Metal
# and Accelerate. The command line is not for phones and is not checked.
#
# The standard library of a target comes from rustup; without that, it is compiled once, in 30 to 40 seconds, from the
# source of exactly this compiler, from rustup or Debian. If neither has it, the target is SKIPPED, which counts as a
# failure if CI=true. C's headers come from the Python package `ziglang`. All of this, up to 300 MB, is kept in
# ~/.cache/nearside/phones.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/small.sh"
cd "$root"

mobile_cache=$cache/phones
stand_ins=$root/scripts/phones
zig=0.17.1
headers=$mobile_cache/headers-$zig

version=$(rustc -Vv | sed -n 's/^release: //p')
host=$(rustc -Vv | sed -n 's/^host: //p')
ours=$(rustc --print sysroot)
sysroot=$mobile_cache/sysroot-$version
debian=$mobile_cache/rust-src-$version

# fill_once FOLDER COMMAND...: runs the command, with a new folder as its last argument, unless FOLDER exists, and renames
# the result to FOLDER. FOLDER is complete or absent, even after a kill; of two concurrent runs the first one wins.
fill_once() {
  local folder=$1 new
  shift
  [ ! -d "$folder" ] || return 0
  new=$(mktemp -d "$folder.new.XXXXXX") || return
  if "$@" "$new"; then [ -d "$folder" ] || mv "$new" "$folder"; fi
  rm -rf "$new"
  [ -d "$folder" ]
}

# Unpacks Apple's and musl's headers from zig's wheel.
unpack_headers() {
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$1" "ziglang==$zig" || return
  python3 - "$1" <<'P'
import pathlib, sys, zipfile

folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        base, found, rest = name.partition("/libc/include/")
        if found and rest.split("/")[0] in ("any-darwin-any", "generic-musl", "aarch64-linux-musl", "x86_64-linux-musl") and not name.endswith("/"):
            (folder / rest).parent.mkdir(parents=True, exist_ok=True)
            (folder / rest).write_bytes(archive.read(name))
wheel.unlink()
P
}

# Prints the folder of clang's own headers (stdbool.h), which libclang does not find for a foreign target.
clang_headers() {
  { compgen -G '/usr/lib/llvm-*/lib/clang/*/include' || compgen -G '/usr/lib*/clang/*/include' ||
    printf '%s/include\n' "$(clang -print-resource-dir)"; } | sort -V | tail -n 1
}

# Creates the part of an NDK that the build script of llama-cpp-sys-2 reads.
fill_ndk() {
  local system=linux tools
  [ "$(uname)" != Darwin ] || system=darwin
  tools=$1/toolchains/llvm/prebuilt/$system-x86_64
  mkdir -p "$1/build/cmake" "$tools/sysroot/usr/include" "$tools/lib/clang/stand-in"
  : >"$1/build/cmake/android.toolchain.cmake"
  ln -s "$(clang_headers)" "$tools/lib/clang/stand-in/include"
  cp -R "$headers/generic-musl/." "$tools/sysroot/usr/include/"
  cp -R "$headers/aarch64-linux-musl" "$tools/sysroot/usr/include/aarch64-linux-android"
  cp -R "$headers/x86_64-linux-musl" "$tools/sysroot/usr/include/x86_64-linux-android"
}

# conditions SIMULATOR FOLDER: writes the header that defines which Apple system this is. Apple's own header needs a newer
# clang than the libclang of some systems.
conditions() {
  local name
  {
    printf '#pragma once\n#define TARGET_OS_SIMULATOR %d\n#define TARGET_OS_EMBEDDED %d\n' "$1" $((1 - $1))
    for name in OS_MAC OS_IPHONE OS_IOS CPU_ARM64 RT_LITTLE_ENDIAN RT_64_BIT; do printf '#define TARGET_%s 1\n' "$name"; done
    for name in OS_OSX OS_TV OS_WATCH OS_VISION OS_MACCATALYST OS_DRIVERKIT OS_UNIX OS_LINUX OS_WIN32 OS_WINDOWS CPU_X86 \
      CPU_X86_64 RT_BIG_ENDIAN; do printf '#define TARGET_%s 0\n' "$name"; done
  } >"$2/TargetConditionals.h"
}

# Unpacks the source of Rust's standard library from Debian; the suite that has this version changes with time. The
# system's own package lists stay unchanged.
unpack_debian_source() {
  local mirror suite package keys=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
  [ -n "$mirror" ] && [ -f $keys ] || return
  mkdir -p "$1/lists/partial"
  for suite in sid trixie-backports experimental; do
    printf 'deb [signed-by=%s check-valid-until=no] %s %s main\n' $keys "$mirror" "$suite"
  done >"$1/sources.list"
  local apt=(-qq -o "Dir::Etc::SourceList=$1/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$1/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update || return
  package=$(apt-cache "${apt[@]}" madison rust-src | awk -v wanted="$version+" 'index($3, wanted) == 1 { print $3; exit }')
  [ -n "$package" ] || return
  (cd "$1" && apt-get "${apt[@]}" download "rust-src=$package" && dpkg-deb --fsys-tarfile rust-src_*.deb |
    tar -x --strip-components=4 "./usr/src/rustc-$version/library" && rm -rf rust-src_*.deb lists sources.list)
}

have_rustup() { command -v rustup >/dev/null; }

# Prints the folder of the source of this compiler's standard library, or nothing.
library_source() {
  local source=$ours/lib/rustlib/src/rust/library
  [ -f "$source/Cargo.toml" ] || ! have_rustup || rustup --quiet component add rust-src >/dev/null 2>&1 || true
  if [ -f "$source/Cargo.toml" ]; then
    printf '%s\n' "$source"
  elif fill_once "$debian" unpack_debian_source >&2; then
    printf '%s\n' "$debian/library"
  fi
}

# compile_library SOURCE TARGET FOLDER: compiles the standard library of a target. `-Z build-std` is for nightly compilers;
# its output is never run here.
compile_library() {
  local seed=$3/seed
  mkdir -p "$seed/src"
  printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2024"\n' >"$seed/Cargo.toml"
  : >"$seed/src/lib.rs"
  (cd "$seed" && RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$1 CARGO_TARGET_DIR=$seed/target \
    cargo build --quiet --release -Z build-std=std,panic_abort,panic_unwind,test,proc_macro --target "$2") || return
  mkdir "$3/lib" && cp "$seed/target/$2/release/deps/"*.rlib "$3/lib/" && rm -rf "$3"/lib/libseed-* "$seed"
}

# Provides a target's standard library, and sets `flags` to the flags with which rustc finds it.
flags=
flags_of_sysroot=
provide_library() {
  local triple=$1 source
  flags='-D warnings' flags_of_sysroot=
  [ ! -d "$ours/lib/rustlib/$triple" ] || return 0
  ! have_rustup || ! rustup --quiet target add "$triple" >/dev/null 2>&1 || return 0
  flags_of_sysroot="--sysroot $sysroot"
  flags="$flags $flags_of_sysroot"
  [ ! -d "$sysroot/lib/rustlib/$triple" ] || return 0
  source=$(library_source)
  [ -n "$source" ] || return
  mkdir -p "$sysroot/lib/rustlib"
  ln -sfn "$ours/bin" "$sysroot/bin"
  ln -sfn "$ours/lib/rustlib/$host" "$sysroot/lib/rustlib/$host"
  fill_once "$sysroot/lib/rustlib/$triple" compile_library "$source" "$triple"
}

check_one() {
  local triple=$1 upper lower folder environment
  upper=$(tr 'a-z-' 'A-Z_' <<<"$triple") lower=${triple//-/_}
  environment=("CARGO_TARGET_${upper}_RUSTFLAGS=$flags" CARGO_TARGET_DIR="$target/phones" "CC_$lower=$stand_ins/cc"
    "CXX_$lower=$stand_ins/cc" "AR_$lower=$stand_ins/ar" "RANLIB_$lower=$stand_ins/ar" "CMAKE_$lower=$stand_ins/cmake")
  case $triple in
    *android*)
      fill_once "$mobile_cache/ndk-$zig" fill_ndk || return
      environment+=("ANDROID_NDK=$mobile_cache/ndk-$zig")
      ;;
    *apple*)
      folder=$mobile_cache/conditions-$triple
      case $triple in *-sim) fill_once "$folder" conditions 1 ;; *) fill_once "$folder" conditions 0 ;; esac || return
      # Without SDKROOT, cc-rs runs Xcode's tools to find an SDK.
      mkdir -p "$mobile_cache/sdk"
      environment+=("SDKROOT=$mobile_cache/sdk"
        "BINDGEN_EXTRA_CLANG_ARGS_$lower=-isystem $folder -isystem $(clang_headers) -isystem $headers/any-darwin-any")
      ;;
  esac
  link_one "$triple" "${environment[@]}"
}

# link_one TARGET VARIABLE...: compiles the library and links it.
link_one() {
  local triple=$1 build archive=$target/phones/$1/debug/libnearside_ffi.a
  shift
  # Without debug information: half a gigabyte of it is written for nothing.
  build=(env "$@" CARGO_PROFILE_DEV_DEBUG=none CARGO_PROFILE_DEV_STRIP=none cargo rustc --quiet --locked --target "$triple" -p nearside-ffi --lib --crate-type)
  case $triple in
    *android*)
      "${build[@]}" staticlib -- --print native-static-libs 2>"$target/phones/libraries" || { cat "$target/phones/libraries" >&2; return 1; }
      ! grep -v '^note: native-static-libs' "$target/phones/libraries" | grep -E '^(warning|error)' >&2 || return
      # No app has the shared C++ runtime; the static one is in our library.
      if grep -F 'c++_shared' "$target/phones/libraries" >&2; then return 1; fi
      grep -q 'c++_static.*c++abi' "$target/phones/libraries" || { printf 'the C++ runtime is not linked\n' >&2; return 1; }
      link_android "$triple" "$archive"
      ;;
    *apple*)
      # Kept as long as the library is: an unchanged one is not linked again.
      NEARSIDE_LINK_LINE=$target/phones/$triple/link-line "${build[@]}" cdylib -- -C "linker=$stand_ins/linker" || return
      check_link_line "$target/phones/$triple/link-line"
      ;;
  esac
}

# Links as scripts/kotlin.sh does, with the lld of this Rust, and stand-ins for the system's libraries. llama.cpp's symbols
# are missing.
link_android() {
  local triple=$1 archive=$2 folder=$target/phones/$1/link flag words flags=() name abi=arm64-v8a lld
  [ "$triple" != x86_64-linux-android ] || abi=x86_64
  lld=$ours/lib/rustlib/$host/bin/rust-lld
  [ -x "$lld" ] || { printf 'rust-lld is missing in %s\n' "$ours" >&2; return 1; }
  lld=("$lld" -flavor gnu)
  mkdir -p "$folder"
  printf '#![no_std]\n' >"$folder/empty.rs"
  # shellcheck disable=SC2086 # The flags are words.
  rustc --target "$triple" $flags_of_sysroot --crate-type lib --emit obj -o "$folder/empty.o" "$folder/empty.rs" || return
  for name in c m dl log; do "${lld[@]}" -shared -soname "lib$name.so" "$folder/empty.o" -o "$folder/lib$name.so" || return; done
  for flag in "${small_link[@]}" "${small_link_android[@]}"; do
    case $flag in
      -Wl,--no-undefined) ;;
      -Wl,*) IFS=, read -r -a words <<<"${flag#-Wl,}" && flags+=("${words[@]}") ;;
      *) flags+=("$flag") ;;
    esac
  done
  "${lld[@]}" "${flags[@]}" --unresolved-symbols=ignore-all "-L$folder" "$archive" -llog -ldl -lm -lc -o "$folder/libnearside_ffi.so" || return
  python3 -B scripts/check-phone-library.py "$abi" "$folder/libnearside_ffi.so" bindings/exports.map
}

# The frameworks that llama.cpp, the certificates and the Rust library use are named, and no C++ runtime but the system's.
check_link_line() {
  local name found=0
  for name in '-framework Security' '-framework CoreFoundation' '-framework Metal' '-framework MetalKit' '-framework Accelerate' \
    '-framework Foundation' -lc++; do
    grep -qF -- "$name " "$1" || { printf 'the linker is not given %s\n' "$name" >&2; found=1; }
  done
  return "$found"
}

case ${1:-} in
  check) shift ;;
  -h | --help) sed -n '2,/^set /{/^# \{0,1\}/s///p;}' "$0"; exit 0 ;;
  *) fail "unknown task \`${1:-}\`" 'run `scripts/check-mobile.sh check`; `--help` describes what that proves' ;;
esac
[ $# -gt 0 ] || set -- aarch64-apple-ios aarch64-apple-ios-sim aarch64-linux-android x86_64-linux-android
mkdir -p "$mobile_cache"
fill_once "$headers" unpack_headers || fail "could not fetch the Python package ziglang $zig" 'check that `pip download` reaches its package index'

failures=0
for triple; do
  start=$SECONDS
  if ! provide_library "$triple"; then
    result=SKIPPED
    printf 'Not checked: there is no standard library for %s, and neither rustup nor Debian has its source for Rust %s.\n' \
      "$triple" "$version" >&2
    [ "${CI:-}" != true ] || failures=$((failures + 1))
  elif check_one "$triple"; then
    result='ok  '
  else
    result=FAIL failures=$((failures + 1))
  fi
  printf '%s %s (%d s)\n' "$result" "$triple" $((SECONDS - start))
done
[ "$failures" -eq 0 ]
