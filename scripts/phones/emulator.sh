#!/usr/bin/env bash
# Runs the tests of the Android library and of the sample that need an Android: an emulator, or a phone on the cable.
#
#   with-hub.sh phones/emulator.sh    after `make build models android`; needs Gradle and an Android SDK
#
# The models come from the hub on this machine, by the same address on the phone: adb hands it through. A build in which
# no test ran counts as failed.
set -euo pipefail
source "$(dirname "$0")/../paths.sh"
cd "$root"

[ -n "${HF_ENDPOINT:-}" ] || fail 'there is no hub' 'run `scripts/with-hub.sh scripts/phones/emulator.sh`'
port=${HF_ENDPOINT##*:}
adb reverse "tcp:$port" "tcp:$port"

# tests FOLDER TASK: Gradle's task in a build, and that it ran something.
tests() {
  local gradle=gradle
  [ ! -x "$1/gradlew" ] || gradle=$root/$1/gradlew
  "$gradle" --project-dir "$1" -Pnearside.target="$target" \
    -Pandroid.testInstrumentationRunnerArguments.hub="http://127.0.0.1:$port" "$2"
  find "$1" -path '*/androidTest-results/*' -name 'TEST-*.xml' -exec grep -lE ' tests="[1-9]' {} + | grep -q . ||
    fail "no test of $1 ran on the phone" "\`gradle --project-dir $1 $2\` shows why"
}

tests bindings/kotlin :nearside-android:connectedDebugAndroidTest
tests android-sample connectedDebugAndroidTest
