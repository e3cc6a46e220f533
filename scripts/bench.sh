#!/usr/bin/env bash
# Speed and memory on SmolLM2, beside llama-bench where `make peers` was run or NEARSIDE_PEERS names a folder like it.
# Nothing else should run meanwhile.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

"$root/scripts/models.sh" smollm2
peers=${NEARSIDE_PEERS:-$cache/peers}
if [ ! -x "$peers/run-as" ]; then
  printf 'No llama.cpp to compare with; `make peers` fetches it.\n'
  peers=
fi
exec python3 "$root/scripts/bench.py" "$programs/nearside" "$models/smollm2.gguf" "$peers"
