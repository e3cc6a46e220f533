# shellcheck shell=bash disable=SC2034
# Common paths, and the function that reports errors. Sourced by the other scripts; never run by itself.
#
# NEARSIDE_CACHE    downloads that all clones share; default ~/.cache/nearside
# NEARSIDE_MODELS   the models for tests and benchmarks; default $NEARSIDE_CACHE/models
# CARGO_TARGET_DIR  build output; default target/ in the clone. One folder for everything: see scripts/build.sh.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${NEARSIDE_CACHE:-$HOME/.cache/nearside}
models=${NEARSIDE_MODELS:-$cache/models}
target=${CARGO_TARGET_DIR:-$root/target}
# A relative target folder is relative to the working directory of cargo, which is always the clone.
case $target in /*) ;; *) target=$root/$target ;; esac
programs=$target/release

# Programs that these scripts start use the same models.
export NEARSIDE_MODELS=$models

# fail ERROR REMEDY: prints the two lines that every program of the project prints when it fails, and exits with 1.
fail() {
  printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2
  exit 1
}

# megabytes BYTES: prints a size as text.
megabytes() {
  printf '%d.%02d MB' $(($1 / 1000000)) $(($1 % 1000000 / 10000))
}

# size_of FILE: prints the size in bytes, or nothing if there is no such file. Works on Linux and macOS, as fast as a stat.
size_of() {
  [ -f "$1" ] && wc -c <"$1" | tr -d ' '
}
