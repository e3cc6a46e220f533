# shellcheck shell=bash disable=SC2034
# Where things are and how to say what is wrong. Sourced by the scripts beside it; never run by itself.
#
# NEARSIDE_CACHE    what was fetched once and serves every clone; default ~/.cache/nearside
# NEARSIDE_MODELS   the models that tests and measurements use; default $NEARSIDE_CACHE/models
# CARGO_TARGET_DIR  what was built; default target/ in the clone. One folder for everything: see scripts/build.sh.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${NEARSIDE_CACHE:-$HOME/.cache/nearside}
models=${NEARSIDE_MODELS:-$cache/models}
target=${CARGO_TARGET_DIR:-$root/target}
# A relative target folder is relative to where cargo runs, and that is always the clone.
case $target in /*) ;; *) target=$root/$target ;; esac
programs=$target/release

# Programs that these scripts start look for the models in the same place.
export NEARSIDE_MODELS=$models

# fail WHAT REMEDY: the two lines that every program of the project ends with when it fails.
fail() {
  printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2
  exit 1
}

# megabytes BYTES: as a person reads it.
megabytes() {
  printf '%d.%02d MB' $(($1 / 1000000)) $(($1 % 1000000 / 10000))
}

# size_of FILE: bytes, or nothing if there is no such file. The same on Linux and macOS, and as fast as a stat.
size_of() {
  [ -f "$1" ] && wc -c <"$1" | tr -d ' '
}
