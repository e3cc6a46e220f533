#!/usr/bin/env bash
# Checks README.md's quick start: creates a Kotlin project and a Swift package outside of this clone, from README.md's
# blocks alone, and runs them until a real model has answered.
#
#   check-quickstart.sh [kotlin] [swift]    default: both; each prints `ok  NAME` or `FAIL NAME`
#
# A block after a comment `<!-- file: NAME -->` is the file NAME. The model comes from a local hub.
set -uo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root" || exit 1
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
# README.md's projects expect the clone beside them.
ln -s "$root" "$outside/nearside"

# unpack LANGUAGE: writes README.md's files for the language, and checks that the program is short.
unpack() {
  python3 - "$1" "$outside/new-$1" <<'P'
import pathlib, re, sys

language, folder = sys.argv[1], pathlib.Path(sys.argv[2])
text = pathlib.Path("README.md").read_text()
files = re.findall(rf"<!-- file: {language}/(\S+) -->\n+```\w+\n(.*?)```", text, re.S)
if len(files) != 2:
    sys.exit(f"README.md: {len(files)} files for {language}, not the two of a new project")
for name, block in files:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block)
    lines = sum(1 for line in block.splitlines() if line.strip())
    if path.name.lower().startswith("main") and lines >= 20:
        sys.exit(f"README.md: {name} has {lines} lines; a first answer takes fewer than 20")
P
}

# has_answer OUTPUT: succeeds if the output has the text of an answer and a line with its tokens; else prints the output.
has_answer() {
  local words
  words=$(grep -oE '[A-Za-z]{3,}' "$1" | wc -l)
  if [ "$words" -lt 5 ] || ! grep -q 'tokens' "$1"; then cat "$1"; return 1; fi
}

# run_first LANGUAGE COMMAND...: runs the new project's program and checks its output.
run_first() {
  local language=$1
  shift
  "$@" >"$outside/$language.out" 2>&1 || { cat "$outside/$language.out"; return 1; }
  has_answer "$outside/$language.out"
}

# The library is in the Maven folder of the build (scripts/bindings.sh install), which may lie elsewhere than README.md says.
new_kotlin() {
  unpack kotlin || return
  sed -i.old "s|\${project.basedir}/../nearside/target/maven|$target/maven|" "$outside/new-kotlin/pom.xml"
  (cd "$outside/new-kotlin" && run_first kotlin "$root/scripts/with-local-hub.sh" timeout 550 \
    mvn --batch-mode --no-transfer-progress -q -Dkotlin.compiler.daemon=false compile exec:java)
}

# Debian's Swift package manager needs the linker flag (Package.swift gives the reason); others accept it.
new_swift() {
  unpack swift || return
  extra_mounts=("$outside")
  run_first swift in_swift "$outside/new-swift" "$root/scripts/with-local-hub.sh" timeout 550 swift run \
    --scratch-path "$target/swift-quickstart" -Xlinker --allow-shlib-undefined
}

[ $# -gt 0 ] || set -- kotlin swift
failures=0
for language; do
  case $language in kotlin | swift) ;; *) fail "no quick start for \`$language\`" 'the languages are kotlin and swift' ;; esac
  start=$SECONDS
  if "new_$language"; then result='ok  '; else result='FAIL' failures=$((failures + 1)); fi
  printf '%s quickstart-%s (%d s)\n' "$result" "$language" $((SECONDS - start))
done
[ "$failures" -eq 0 ]
