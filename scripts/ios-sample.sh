#!/usr/bin/env bash
# The iOS sample on a machine without Xcode: models run, screens are compiled against a stub of SwiftUI.
#
#   ios-sample.sh build | test | format    build and format's check when nothing is named
#
# `build` compiles everything, warnings being errors. `test` runs the models, some of them with the real library and a real
# model, and ends with one line, `ios-sample: N passed, N failed`. `format` judges the style of every Swift file.
# Needs what scripts/bindings.sh makes; ios-sample/README.md says what all this proves.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

sample=$root/ios-sample
scratch=$target/ios-sample
# For `swift build` and `swift test`.
strictly=(--scratch-path "$scratch" -Xswiftc -warnings-as-errors)

# run_swift ARGUMENTS: `swift` in the sample, that of this machine or else Debian's.
run_swift() {
  export NEARSIDE_PROGRAMS=${NEARSIDE_PROGRAMS:-$programs} NEARSIDE_LIBRARY_DIR=${NEARSIDE_LIBRARY_DIR:-$programs}
  if have_swift; then
    (cd "$sample" && swift "$@")
  else
    "$root/scripts/setup.sh" test
    "$root/scripts/swift-root.sh" "$cache/swift"
    mkdir -p "$target"
    (cd "$sample" && "$root/scripts/swift-in.sh" "$cache/swift" \
      -b "$root" -b "$target" -b "$models" -b "$NEARSIDE_PROGRAMS" -b "$NEARSIDE_LIBRARY_DIR" -- swift "$@")
  fi
}

have_swift() {
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 6 ]
}

prepare() {
  [ -d "$root/bindings/swift/Sources/NearsideGenerated" ] ||
    fail 'the Swift package has no generated code yet' '`scripts/bindings.sh generate` writes it'
  # The package manager keeps its plan when the package beside it gains a file, and then does not compile that file.
  rm -f "$scratch/debug.yaml"
}

build() {
  prepare
  run_swift build "${strictly[@]}"
}

test_models() {
  prepare
  local log=$target/ios-sample-test.log code=0
  # Without the flag the package manager runs XCTest first, which finds nothing and says so.
  run_swift test "${strictly[@]}" --disable-xctest 2>&1 | tee "$log" || code=$?
  LC_ALL=C awk '/ Test run with / { next }
                / Test .* passed after / { p++ }
                / Test .* failed after / { f++ }
                END { printf "ios-sample: %d passed, %d failed\n", p, f }' "$log"
  return "$code"
}

format() { run_swift format lint --strict --recursive Package.swift Sources Stub Tests UITests; }

[ $# -gt 0 ] || set -- build format
for task; do
  case $task in
    build) build ;;
    test) test_models ;;
    format) format ;;
    *) fail "\`$task\` is nothing that can be done here" 'there are build, test and format' ;;
  esac
done
