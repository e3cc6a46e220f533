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
source "$(dirname "$0")/runners.sh"

sample=$root/ios-sample
scratch=$target/ios-sample
# For `swift build` and `swift test`.
strictly=(--scratch-path "$scratch" -Xswiftc -warnings-as-errors)

run_swift() { in_swift "$sample" swift "$@"; }

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
  swift_tests ios-sample "$sample" "${strictly[@]}"
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
