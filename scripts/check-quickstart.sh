#!/usr/bin/env bash
# The way of somebody who has only README.md: a new Kotlin project and a new Swift package outside of this clone, made of
# nothing but the blocks that README.md shows, reach a streamed answer of a real model.
#
#   check-quickstart.sh [kotlin] [swift]    both when none is named; each prints `ok  NAME` or `FAIL NAME`
#
# A block after a comment `<!-- file: NAME -->` is the file NAME. The model comes from a hub on this machine.
set -uo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root" || exit 1
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
# README.md's snippets stand beside the clone.
ln -s "$root" "$outside/nearside"

# unpack LANGUAGE: writes the files of the section that README.md has for it, and checks that the program is short.
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

# answered OUTPUT: the model said something, and the receipt says where.
answered() {
  local words
  words=$(grep -oE '[A-Za-z]{3,}' "$1" | wc -l)
  if [ "$words" -lt 5 ] || ! grep -q 'tokens' "$1"; then cat "$1"; return 1; fi
}

# first LANGUAGE COMMAND...: runs the command, which starts in the new project.
first() {
  local language=$1
  shift
  "$@" >"$outside/$language.out" 2>&1 || { cat "$outside/$language.out"; return 1; }
  answered "$outside/$language.out"
}

new_kotlin() {
  unpack kotlin || return
  (cd "$outside/new-kotlin" && first kotlin "$root/scripts/with-local-hub.sh" timeout 550 \
    mvn --batch-mode --no-transfer-progress -q -Dkotlin.compiler.daemon=false compile exec:java)
}

# The package manager of Debian's Swift needs a flag (bindings/swift/Package.swift says why); others know it, too.
new_swift() {
  unpack swift || return
  seen=("$outside")
  first swift in_swift "$outside/new-swift" "$root/scripts/with-local-hub.sh" timeout 550 swift run \
    --scratch-path "$target/swift-quickstart" -Xlinker --allow-shlib-undefined
}

[ $# -gt 0 ] || set -- kotlin swift
failures=0
for language; do
  case $language in kotlin | swift) ;; *) fail "there is no way for \`$language\`" 'there are kotlin and swift' ;; esac
  start=$SECONDS
  if "new_$language"; then result='ok  '; else result='FAIL' failures=$((failures + 1)); fi
  printf '%s quickstart-%s (%d s)\n' "$result" "$language" $((SECONDS - start))
done
[ "$failures" -eq 0 ]
