#!/usr/bin/env bash
# Builds all programs of the workspace, always in the release profile, because each profile compiles llama.cpp again.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

compgen -G "$programs/build/llama-cpp-sys-2-*/output" >/dev/null ||
  printf 'Building. llama.cpp is compiled first, once: 5 to 7 minutes on two cores, without output.\n'
cargo build --release --workspace --bins
