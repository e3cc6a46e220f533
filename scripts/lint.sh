#!/usr/bin/env bash
# Everything about the code that a program can judge without running it.
#
#   lint.sh [CHECK...]    all checks when none is named; each prints `ok  CHECK` or `FAIL CHECK` after what it found
#
# All of them run, whatever fails, so that one run shows everything.
set -uo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root" || exit 1

# files PATTERN...: what git knows or could come to know, without what is built or deleted.
files() { git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do [ -f "$file" ] && echo "$file"; done; }

# found REGEX PATTERN...: the lines that match, which may be none.
found() {
  local regex=$1
  shift
  git grep --untracked -nE "$regex" -- "$@" || [ $? -eq 1 ]
}

# none: a check whose output is its findings.
none() {
  local found
  found=$(cat)
  [ -z "$found" ] || { printf '%s\n' "$found"; return 1; }
}

check_format() { cargo fmt --all --check; }
check_clippy() { cargo clippy --release --workspace --all-targets --quiet -- -D warnings; }
# Libraries only: the crate and the program are both called `nearside`, and their pages would overwrite each other.
check_docs() { RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --lib --no-deps --quiet; }

# The stand-ins of check-mobile.sh have the names of what they stand for.
check_shell() { files '*.sh' .ci/run scripts/phones/ar scripts/phones/cc scripts/phones/cmake | xargs shellcheck; }
check_python() { files '*.py' | while IFS= read -r file; do python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" 2>&1; done | none; }
check_kotlin() { scripts/kotlin.sh lint; }
check_versions() { scripts/kotlin.sh check gradle; }
# Its own check of Swift's style comes with the package's build (scripts/bindings.sh); this is the sample's.
check_swift() { scripts/bindings.sh format-swift && scripts/ios-sample.sh format; }
# setup.sh puts it into the cache where the machine has none of its own.
check_workflows() { PATH=$PATH:$cache/bin actionlint; }

check_length() {
  files '*.rs' '*.cpp' '*.h' '*.kt' '*.swift' '*.sh' '*.py' '*.md' Makefile | while IFS= read -r file; do
    awk -v file="$file" 'END { if (NR > 500) print file ": " NR " lines; split it, 500 are the most" }' "$file"
  done | none
}
check_purpose() {
  files '*.rs' | while IFS= read -r file; do
    head -n 1 "$file" | grep -q '^//! ' || echo "$file: does not open with what it is for (//!)"
  done | none
}
check_unsafe() {
  found '\bunsafe (fn|impl|extern|trait|\{)|#\[unsafe\(' '*.rs' ':!llama/' | sed 's/$/   (unsafe belongs in llama\/)/' | none
}
# A view's `.disabled(` in the sample is another matter.
check_skipped() {
  found '#\[ignore|@Disabled|@Ignore|XCTSkip|\.disabled\(|\bassume(True|False)\(' '*.rs' '*.kt' '*.swift' ':!ios-sample/Sources' ':!ios-sample/Stub' | none
}
# Each promise of ARCHITECTURE.md names the tests that hold it: they exist, in one of the languages.
check_promises() {
  sed -n 's/^Proved by //p' ARCHITECTURE.md | grep -oE '`[A-Za-z0-9_]+`' | tr -d '`' | while IFS= read -r name; do
    git grep --untracked -qE "(fn|fun|func) \`?$name\b" -- '*.rs' '*.kt' '*.swift' || echo "ARCHITECTURE.md: there is no test $name"
  done | none
}
check_language() { python3 -B scripts/lint_text.py; }
check_names() { python3 -B scripts/lint_code.py names; }
check_glossary() { python3 -B scripts/lint_code.py glossary; }
check_cycles() { python3 -B scripts/lint_code.py cycles; }
check_readme() { scripts/check-readme.sh; }

all=(format shell python kotlin versions swift workflows length purpose unsafe skipped promises language names glossary cycles clippy docs readme)
[ $# -gt 0 ] || set -- "${all[@]}"
failures=0
for check; do
  declare -F "check_$check" >/dev/null || fail "no check is called \`$check\`" "there are ${all[*]}"
  start=$SECONDS
  if "check_$check"; then result='ok  '; else result='FAIL' failures=$((failures + 1)); fi
  printf '%s %s (%d s)\n' "$result" "$check" $((SECONDS - start))
done
[ "$failures" -eq 0 ]
