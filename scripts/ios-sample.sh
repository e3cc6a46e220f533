#!/usr/bin/env bash
# Checks the iOS sample on a machine without Xcode: runs its view models, compiles its screens against a SwiftUI stub.
#
#   ios-sample.sh build | test | format | markdown    default: build and format
#
# `build` compiles everything, with warnings as errors. `test` runs the view models, some of them with the real library and
# a real model, and ends with one line, `ios-sample: N passed, N failed`. `format` checks the style of every Swift file.
# `markdown` prints how long the chat model takes for each chunk of an answer, in a debug and in a release build.
# Needs the output of scripts/bindings.sh; ios-sample/README.md states what these checks prove.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"

sample=$root/ios-sample
scratch=$target/ios-sample
# For `swift build` and `swift test`.
strictly=(--scratch-path "$scratch" -Xswiftc -warnings-as-errors)

run_swift() { in_swift "$sample" swift "$@"; }

prepare() {
  [ -d "$root/bindings/swift/Sources/NearsideKit/Generated" ] ||
    fail 'the Swift package has no generated code yet' 'run `scripts/bindings.sh generate`'
  # The package manager caches its plan: a file that is new in the library's package would not be compiled.
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

markdown() {
  local kind options
  prepare
  for kind in debug release; do
    options=(-c "$kind")
    # Tests see the internals of the app, which a release build does not offer by itself.
    [ "$kind" = debug ] || options+=(-Xswiftc -enable-testing)
    NEARSIDE_MEASURE=1 run_swift test "${strictly[@]}" "${options[@]}" --disable-xctest --filter MarkdownMeasurement |
      sed -n "s/^markdown: /$kind: /p"
  done
}

format() { run_swift format lint --strict --recursive Package.swift Sources Stub Tests UITests; }

[ $# -gt 0 ] || set -- build format
for task; do
  case $task in
    build) build ;;
    test) test_models ;;
    format) format ;;
    markdown) markdown ;;
    *) fail "unknown task \`$task\`" 'the tasks are build, test, format and markdown' ;;
  esac
done
