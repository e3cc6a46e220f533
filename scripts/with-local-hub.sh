#!/usr/bin/env bash
# Runs a command with HF_ENDPOINT set to a local hub that has SmolLM2, and stops the hub afterwards.
#
#   with-local-hub.sh COMMAND...
#
# NEARSIDE_PROGRAMS   the folder of `nearside-hub`; default: cargo's output folder
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/local-hub.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

start_hub "$work"
export HF_ENDPOINT=$hub
"$@"
