#!/usr/bin/env bash
# Builds the library as apps ship it, for this machine, and prints what it weighs, by part.
#
#   size.sh [--all]    --all: each file of llama.cpp and each crate, instead of the parts
#
# The flags are those of Android (scripts/small.sh), the compilers this machine's. The C++ runtime is not included here, as it is
# the system's; on Android it is in the library. Compiles llama.cpp once more: 5 to 7 minutes on two cores the first time.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/small.sh"
cd "$root"
[ "$(uname)" = Linux ] || fail "this is $(uname); the table is made of a linker map of Linux" 'run it on Linux'

# As on Android, where llama-cpp-sys-2 turns llamafile's matrix products off.
env "${small_environment[@]}" GGML_LLAMAFILE=OFF CARGO_TARGET_DIR="$target/small" cargo "${small_build[@]}"

host=$(rustc -vV | sed -n 's/^host: //p')
linker=$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld
[ -d "$linker" ] || linker=$(command -v ld.lld) || fail 'lld is missing: this Rust brings none' 'install lld, or Rust from https://rustup.rs'
[ -d "$linker" ] || linker=$(dirname "$linker")
library=$target/small/libnearside_ffi.so
c++ "-B$linker" -fuse-ld=lld "${small_link[@]}" -Wl,-soname,libnearside_ffi.so -Wl,-z,pack-relative-relocs "-Wl,-Map=$target/small/map" \
  "$target/small/mobile/libnearside_ffi.a" -o "$library"
bytes=$(size_of "$library")
printf '%s: %d bytes (%s) for %s, stripped\n' "$(basename "$library")" "$bytes" "$(megabytes "$bytes")" "$host"
python3 scripts/size.py "$target/small/map" "$bytes" "$@"
header=bindings/swift/Sources/NearsideFFI/NearsideFFI.h
[ ! -e "$header" ] || python3 -B scripts/check-exports.py "$library" "$header"
