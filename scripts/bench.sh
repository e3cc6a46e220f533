#!/usr/bin/env bash
# Benchmarks of the library and of the bindings. Run nothing else on the machine meanwhile.
#
#   bench.sh [model] [turn] [cancel] [sharing] [wakeups] [kotlin] [swift] [archive]    default: all
#
#   model      speed and memory on SmolLM2, compared with llama-bench if `make peers` was run or NEARSIDE_PEERS names an
#              equivalent folder, in NEARSIDE_PAIRS pairs of runs (default 5)
#   turn       the first token of the next turn, after 6,000 tokens and at turn 8, compared with llama-server and its prompt
#              cache in the same way
#   cancel     from a cancel to the end of the answer: in the queue, the load, the prefill and while decoding; of a load ahead
#              also to the moment in which its memory is free, for a 7B too
#   sharing    two models that answer at once, an answer beside a busy process and beside one that is not read, three
#              conversations in turn on one model, and one that goes on after a restart
#   wakeups    allocations and wake-ups for each token of an answer
#   kotlin     from Kotlin: chunks through Flow, a thousand cancelled streams, from a cancel to the end of the answer, and
#              the speed of answers compared with llama-bench as in `model`
#   swift      the same from Swift, through AsyncSequence
#   archive    lists, searches and opens ten thousand conversations; creating them takes minutes
set -euo pipefail
source "$(dirname "$0")/paths.sh"

"$root/scripts/models.sh" smollm2

pairs=${NEARSIDE_PAIRS:-5}

# find_peers: sets `peers` to the folder of llama.cpp's own programs, or to nothing.
find_peers() {
  peers=${NEARSIDE_PEERS:-$cache/peers}
  if [ ! -x "$peers/run-as" ]; then
    printf 'llama.cpp is not there to compare with; `make peers` fetches it.\n'
    peers=
  fi
}
# compare COMMAND...: compares the speed that a command measures with llama-bench.
compare() {
  find_peers
  python3 "$root/scripts/bench.py" "$models/smollm2.gguf" "$peers" "$pairs" "$@"
}
binding() {
  local measure=("$root/scripts/measure.sh" "$1")
  "${measure[@]}" build
  "${measure[@]}" chunks
  "${measure[@]}" cancels
  "${measure[@]}" cancel-phases "$models/smollm2.gguf"
  # A virtual machine is at full speed after some runs.
  compare "${measure[@]}" speed "$models/smollm2.gguf" 12
}
model() { compare "$programs/nearside" bench "$models/smollm2.gguf" --repetitions 1 --json; }
turn() {
  find_peers
  if [ -n "$peers" ]; then
    NEARSIDE_PEERS=$peers "$programs/nearside-turn" "$models/smollm2.gguf" --pairs "$pairs"
  else
    "$programs/nearside-turn" "$models/smollm2.gguf" --pairs "$pairs" --alone
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
kotlin() { binding kotlin; }
swift() { binding swift; }
archive() { "$programs/nearside-archive"; }

[ $# -gt 0 ] || set -- model turn cancel sharing wakeups kotlin swift archive
for task; do
  case $task in
    model | turn | cancel | sharing | wakeups | kotlin | swift | archive) printf '\n== %s ==\n' "$task" && "$task" ;;
    *) fail "unknown benchmark \`$task\`" 'the benchmarks are model, turn, cancel, sharing, wakeups, kotlin, swift and archive' ;;
  esac
done
