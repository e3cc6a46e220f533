#!/usr/bin/env bash
# Runs a command with HF_ENDPOINT naming a hub on this machine that has SmolLM2, and ends the hub with it.
#
#   with-local-hub.sh COMMAND...
#
# NEARSIDE_PROGRAMS says where `nearside-hub` is; default: where cargo puts it.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/local-hub.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

start_hub "$work"
export HF_ENDPOINT=$hub
"$@"
