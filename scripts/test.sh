#!/usr/bin/env bash
# Runs all tests, in every language, and counts them. A failure does not stop the others.
#
#   test.sh [rust] [kotlin] [android] [app] [swift] [ios] [phones] [scripts]    default: all
#
#   rust      the workspace                          android   Android's half of the Kotlin library, under Robolectric
#   kotlin    the Kotlin library on the JVM          app       the Android sample: every screen, and one flow end to end
#   swift     the Swift package                      ios       the iOS sample's view models; its views are compiled
#   phones    the Rust, compiled for phones          scripts   shell, README.md and its quick start, packages, Xcode's files
#
# The last line is `N passed, N failed` over all languages; the logs stay in target/test-logs. A part that fails without a
# failed test (it did not build, it crashed) counts as one failure; so does a part that ran no test, and, with CI=true, a
# skipped test.
set -uo pipefail
source "$(dirname "$0")/paths.sh"
cd "$root" || exit 1
logs=$target/test-logs
mkdir -p "$logs"

# Each part prints its runner's output. The timeout is four times the slowest part on two cores.
limit=()
command -v timeout >/dev/null && limit=(timeout --kill-after=10 2400)

run_rust() {
  scripts/build.sh || return
  # One test at a time: each may load a model, and llama.cpp's threads spin while they wait for each other, so that two
  # models on two cores are many times slower than one after the other.
  RUST_TEST_THREADS=1 "${limit[@]}" cargo test --workspace --release --no-fail-fast
}
run_kotlin() { "${limit[@]}" scripts/bindings.sh test-kotlin; }
run_swift() { "${limit[@]}" scripts/bindings.sh swift test-swift; }
run_android() { "${limit[@]}" scripts/bindings.sh test-android; }
run_app() { "${limit[@]}" scripts/app.sh test && scripts/app.sh compile-android; }
run_ios() { "${limit[@]}" scripts/ios-sample.sh test; }
run_phones() { "${limit[@]}" scripts/check-mobile.sh check; }
run_scripts() {
  local code=0 check
  scripts/lint.sh shell readme && scripts/bindings.sh install || code=1
  for check in 'scripts/kotlin.sh check' scripts/check-quickstart.sh scripts/check-swift-packages.sh \
    'python3 -B scripts/check-apple-project.py' 'python3 -B scripts/check-apple-project.py --self-test'; do
    read -r -a words <<<"$check"
    "${limit[@]}" "${words[@]}" || code=1
  done
  return "$code"
}

# count_PART: reads the runner's output, prints PASSED FAILED SKIPPED.
count_rust() { # one line for each test binary and each crate's documentation
  awk '/^test result: / { p += $4; f += $6; s += $8 } END { print p + 0, f + 0, s + 0 }'
}
count_kotlin() { # Surefire: a line for each class, which ends in times, and one for all
  awk '/Tests run: [0-9]+, Failures: [0-9]+, Errors: [0-9]+, Skipped: [0-9]+/ && !/Time elapsed/ {
         gsub(/\033\[[0-9;]*m/, ""); sub(/.*Tests run: /, ""); split($0, n, /[^0-9]+/)
         p += n[1] - n[2] - n[3] - n[4]; f += n[2] + n[3]; s += n[4]
       } END { print p + 0, f + 0, s + 0 }'
}
count_swift() { # swift-testing, then XCTest: a line for each test; lines for suites and runs are ignored
  LC_ALL=C awk '/ Test run with [0-9]+ test/ { next }
       / Test .* passed after [0-9.]+ seconds\.$/ { p++ }
       / Test .* failed after [0-9.]+ seconds( with [0-9]+ issues?)?\.$/ { f++ }
       / Test [^ ]*\(.*\) skipped[.:]/ || / Test ".*" skipped[.:]/ { s++ }
       /^Test Case .* passed \([0-9.]+ seconds\)/ { p++ }
       /^Test Case .* failed \([0-9.]+ seconds\)/ { f++ }
       /^Test Case .* skipped \([0-9.]+ seconds\)/ { s++ }
       END { print p + 0, f + 0, s + 0 }'
}
count_android() { count_kotlin; }
count_app() { count_kotlin; }
count_ios() { count_swift; }
count_scripts() { # a line for each check
  awk '{ gsub(/\033\[[0-9;]*m/, "") } /^ok  / { p++ } /^FAIL / { f++ } /^SKIPPED / { s++ } END { print p + 0, f + 0, s + 0 }'
}
count_phones() { count_scripts; }

# Prints the ids of running programs from the target folder, to find those that a test leaves behind.
ours() { for link in /proc/[0-9]*/exe; do case $(readlink "$link") in "$target"/*) echo "${link//[!0-9]/}" ;; esac; done 2>/dev/null; }

# Copies its input up to the line that ends the part. Not up to the end of the input: a process that a test left behind
# may hold the pipe open forever.
until_ended() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line"
    case $line in "$ended "*) break ;; esac
  done
}
ended="part $$ ended with exit code"

passed=0 failed=0 skipped=0
summary=()

run_part() {
  local part=$1 log=$logs/$1.log start=$SECONDS before left code p f s note=
  printf '\n== %s ==\n' "$part"
  before=$(ours)
  { "run_$part" 2>&1; printf '%s %d\n' "$ended" $?; } | until_ended | tee "$log"
  code=$(sed -n "s/^$ended //p" "$log")
  read -r p f s < <("count_$part" <"$log")
  if [ "$code" != 0 ] && [ "$f" -eq 0 ]; then
    f=1 note="; ended with exit code $code"
  elif [ "$((p + f))" -eq 0 ]; then
    f=1 note='; ran no test'
  fi
  left=$(comm -13 <(sort <<<"$before") <(ours | sort) | xargs)
  if [ -n "$left" ]; then
    f=$((f + 1)) note="$note; left processes behind: $left"
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  summary+=("$(printf '%-8s %4d passed, %d failed, %d skipped in %d s%s' "$part" "$p" "$f" "$s" $((SECONDS - start)) "$note")")
}

[ $# -gt 0 ] || set -- rust kotlin android app swift ios phones scripts
for part; do
  declare -F "run_$part" >/dev/null || fail "unknown part \`$part\`" 'the parts are rust, kotlin, android, app, swift, ios, phones and scripts'
done
for part; do
  run_part "$part"
done

if [ "${CI:-}" = true ] && [ "$skipped" -gt 0 ]; then
  summary+=("$skipped skipped; with CI=true they count as failed")
  failed=$((failed + skipped)) skipped=0
fi
printf '\n== all in %d s; logs in %s ==\n' "$SECONDS" "$logs"
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
printf '\n'
[ "$failed" -eq 0 ]
