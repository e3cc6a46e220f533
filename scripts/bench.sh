#!/usr/bin/env bash
# Benchmarks of the library and of the bindings' overhead. Run nothing else on the machine meanwhile.
#
#   bench.sh [model] [turn] [cancel] [sharing] [wakeups] [kotlin] [swift] [archive]    default: all
#
#   model      speed and memory on SmolLM2, compared with llama-bench if `make peers` was run or NEARSIDE_PEERS names an
#              equivalent folder
#   turn       the first token of the next turn, after 6,000 tokens and at turn 8, compared with llama-server and its prompt
#              cache in the same way
#   cancel     from a cancel to the end of the answer: in the queue, the load, the prefill and while decoding; of a load ahead
#              also to the moment in which its memory is free, for a 7B too
#   sharing    two models that answer at once, an answer beside a busy process and beside one that is not read, three
#              conversations in turn on one model, and one that goes on after a restart
#   wakeups    allocations and wake-ups for each token of an answer
#   kotlin     chunks through Flow, a thousand cancelled streams, and decoding measured from Kotlin
#   swift      the same through AsyncSequence
#   archive    lists, searches and opens ten thousand conversations; creating them takes minutes
set -euo pipefail
source "$(dirname "$0")/paths.sh"

"$root/scripts/models.sh" smollm2

# find_peers: sets `peers` to the folder of llama.cpp's own programs, or to nothing.
find_peers() {
  peers=${NEARSIDE_PEERS:-$cache/peers}
  if [ ! -x "$peers/run-as" ]; then
    printf 'llama.cpp is not there to compare with; `make peers` fetches it.\n'
    peers=
  fi
}
model() {
  find_peers
  python3 "$root/scripts/bench.py" "$programs/nearside" "$models/smollm2.gguf" "$peers"
}
turn() {
  find_peers
  if [ -n "$peers" ]; then
    NEARSIDE_PEERS=$peers "$programs/nearside-turn" "$models/smollm2.gguf"
  else
    "$programs/nearside-turn" "$models/smollm2.gguf" --alone
  fi
}
cancel() {
  "$programs/nearside-cancel" "$models/smollm2.gguf"
  "$root/scripts/models.sh" r1-7b
  printf 'a 7B, repacked and mapped:\n'
  "$programs/nearside-cancel" "$models/r1-7b.gguf" --phase ahead --cancels 20
  "$programs/nearside-cancel" "$models/r1-7b.gguf" --phase ahead --cancels 20 --memory 5200000000
}
sharing() { "$programs/nearside-sharing" "$models/smollm2.gguf"; }
wakeups() { "$programs/nearside-wakeups" "$models/smollm2.gguf"; }
kotlin() { "$root/scripts/bindings.sh" generate >/dev/null && "$root/scripts/kotlin.sh" bench; }
swift() { "$root/scripts/bindings.sh" bench-swift; }
archive() { "$programs/nearside-archive"; }

[ $# -gt 0 ] || set -- model turn cancel sharing wakeups kotlin swift archive
for task; do
  case $task in
    model | turn | cancel | sharing | wakeups | kotlin | swift | archive) printf '\n== %s ==\n' "$task" && "$task" ;;
    *) fail "unknown benchmark \`$task\`" 'the benchmarks are model, turn, cancel, sharing, wakeups, kotlin, swift and archive' ;;
  esac
done
