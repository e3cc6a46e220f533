#!/usr/bin/env bash
# What the library does per second and what the ways to it cost. Nothing else should run meanwhile.
#
#   bench.sh [model] [kotlin] [swift] [archive]    all of them when none is named
#
#   model      speed and memory on SmolLM2, beside llama-bench where `make peers` was run or NEARSIDE_PEERS names a folder
#              like it
#   kotlin     chunks through Flow, a thousand cancelled streams, and decoding as Kotlin sees it
#   swift      the same through AsyncSequence
#   archive    ten thousand conversations listed, searched and opened; filling them takes minutes
set -euo pipefail
source "$(dirname "$0")/paths.sh"

"$root/scripts/models.sh" smollm2

model() {
  local peers=${NEARSIDE_PEERS:-$cache/peers}
  if [ ! -x "$peers/run-as" ]; then
    printf 'No llama.cpp to compare with; `make peers` fetches it.\n'
    peers=
  fi
  python3 "$root/scripts/bench.py" "$programs/nearside" "$models/smollm2.gguf" "$peers"
}
kotlin() { "$root/scripts/bindings.sh" generate >/dev/null && "$root/scripts/kotlin.sh" bench; }
swift() { "$root/scripts/bindings.sh" bench-swift; }
archive() { "$programs/nearside-archive"; }

[ $# -gt 0 ] || set -- model kotlin swift archive
for what; do
  case $what in
    model | kotlin | swift | archive) printf '\n== %s ==\n' "$what" && "$what" ;;
    *) fail "\`$what\` is nothing that can be measured" 'there are model, kotlin, swift and archive' ;;
  esac
done
