#!/usr/bin/env bash
# Builds the programs: `nearside`, `nearside-hub` and what else the workspace has.
#
# Always in the release profile: another one compiles llama.cpp anew.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root"

compgen -G "$programs/build/llama-cpp-sys-2-*/output" >/dev/null ||
  printf 'Building. llama.cpp is compiled first, once: 5 to 7 minutes on two cores, during which nothing is printed.\n'
cargo build --release --workspace --bins
