#!/usr/bin/env bash
# Builds and runs the measurements of the Kotlin library and the Swift package. Each prints lines of JSON.
#
#   measure.sh kotlin|swift build
#   measure.sh kotlin|swift MEASUREMENT [ARGUMENT...]
#
# bindings/kotlin/src/bench/kotlin/org/nearside/bench/Bench.kt and bindings/swift/Sources/NearsideBench/main.swift list the
# measurements, which have the same names. While one runs, rebuild nothing, and run nothing else.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
library=$root/bindings/kotlin

build_kotlin() {
  class_path "$library/pom.xml" "$target/kotlin/bench.classpath" -DincludeScope=test
  maven -q -f "$library/pom.xml" test-compile
}

# Allocates the whole heap at the start, so that later growth of the process is not Java's.
run_kotlin() {
  java -Xms128m -Xmx128m -XX:+UseSerialGC -XX:+AlwaysPreTouch -Djna.library.path="$programs" \
    -cp "$target/kotlin/test-classes:$target/kotlin/classes:$(cat "$target/kotlin/bench.classpath")" org.nearside.bench.BenchKt "$@"
}

build_swift() { in_swift "$root" swift build -c release --scratch-path "$target/swift" --product NearsideBench >&2; }
run_swift() { in_swift "$root" "$target/swift/release/NearsideBench" "$@"; }

language=${1:-} task=${2:-}
case $language in kotlin | swift) ;; *) fail "unknown language \`$language\`" 'use `measure.sh kotlin …` or `measure.sh swift …`' ;; esac
shift
if [ "$task" = build ]; then
  "$root/scripts/bindings.sh" generate >&2
  "build_$language"
else
  "run_$language" "$@"
fi
