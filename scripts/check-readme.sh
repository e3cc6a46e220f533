#!/usr/bin/env bash
# Checks the code in README.md, and that in the other pages, against the code that the tests compile.
#
# - In a `console` block every `$ make TARGET` names a target, and every `$ nearside COMMAND --flag` a command of the
#   built program (`make build`) that has those flags.
# - In every page a block after a comment `<!-- from FILE -->` equals a part of that file, apart from indentation; the tests
#   compile that file. A block of Swift or Kotlin has such a comment, or another check: `<!-- file: NAME -->` marks the
#   files of the quick start (scripts/check-quickstart.sh), DocC's pages have DocumentationTests.swift.
# - There is a `rust` block: core's documentation tests compile it (core/src/lib.rs includes README.md).
set -uo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root" || exit 1
wrong=0

complain() {
  printf 'README.md: %s\n' "$1"
  wrong=1
}

check_make() {
  local target
  for target; do
    grep -qE "^$target:" Makefile || complain "the Makefile has no target \`$target\`"
  done
}

check_nearside() {
  local help word
  # A command may have commands of its own: `providers add`.
  help=$("$programs/nearside" "$1" "${2:-}" --help 2>/dev/null) || help=$("$programs/nearside" "$1" --help 2>&1) ||
    { complain "\`nearside\` has no command \`$1\`"; return; }
  for word; do
    case $word in
      -*) grep -qE -- "(^|[ ,])${word%%=*}([ =,]|\$)" <<<"$help" || complain "\`nearside $1\` has no flag \`${word%%=*}\`" ;;
    esac
  done
}

commands=$(awk '/^```console$/ { on = 1; next } /^```/ { on = 0 } on && /^\$ / { print substr($0, 3) }' README.md)
[ -n "$commands" ] || complain 'no commands found; are they still in `console` blocks?'
grep -q '^```rust' README.md || complain 'no `rust` block found'
# Quoted text may look like flags, and a # starts a comment.
while read -r -a words; do
  case ${words[0]} in
    make) check_make "${words[@]:1}" ;;
    nearside) check_nearside "${words[@]:1}" ;;
    cd | git) ;;
    *) complain "this script cannot check \`${words[*]}\`" ;;
  esac
done < <(sed -E "s/[\"'][^\"']*[\"']/TEXT/g; s/ #.*//" <<<"$commands")

python3 - <<'P' || wrong=1
import pathlib, re, sys

def lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]

def check(page, name, block):
    """Returns why the block of a page is not a part of the file, or nothing."""
    wanted = lines(block)
    try:
        there = lines(pathlib.Path(name).read_text())
    except OSError as cause:
        return f"{page}: {cause}"
    # Imports come first in a file and need not be next to the rest.
    body = [line for line in wanted if not line.startswith("import ")]
    if any(there[i : i + len(body)] == body for i in range(len(there))) and set(wanted) <= set(there):
        return None
    return f"{page}: a block differs from {name}; copy it again"

wrong, compared = [], 0
pages = [page for page in pathlib.Path(".").rglob("*.md") if not {"target", ".build", "NearsideKit.docc"} & set(page.parts)]
for page in pages:
    for mark, language, block in re.findall(r"(?:<!-- (.*?) -->\n+)?```(\w+).*?\n(.*?)```", page.read_text(), re.S):
        if mark.startswith("from "):
            compared += 1
            wrong += filter(None, [check(page, mark.removeprefix("from "), block)])
        elif language in ("swift", "kotlin") and not mark.startswith("file: "):
            wrong.append(f"{page}: no test compiles the block that begins with `{lines(block)[0]}`")
if not compared:
    wrong.append("README.md: no block after a comment `<!-- from FILE -->`")
print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
P
exit "$wrong"
