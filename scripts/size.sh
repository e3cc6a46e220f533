#!/usr/bin/env bash
# Builds the library as apps ship it (the `mobile` profile, stripped) and prints its size.
# The separate profile compiles llama.cpp once more: 5 to 7 minutes on two cores the first time.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

cargo build --profile mobile -p nearside-ffi
for library in "$target"/mobile/libnearside_ffi.{so,dylib}; do
  bytes=$(size_of "$library") || continue
  printf '%s: %d bytes (%s) for %s, stripped\n' "$(basename "$library")" "$bytes" "$(megabytes "$bytes")" "$(rustc -vV | sed -n 's/^host: //p')"
done
