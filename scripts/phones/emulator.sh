#!/usr/bin/env bash
# Installs the Android sample on an emulator or a connected phone, starts it, and checks that its first screen is shown and
# nothing crashed. This loads the AAR, which selects and loads a native library.
#
#   phones/emulator.sh [SCREENSHOT]    after `make android`; needs Java and an Android SDK. SCREENSHOT: path of a PNG
set -euo pipefail
source "$(dirname "$0")/../paths.sh"
cd "$root"
app=org.nearside.sample
screenshot=${1:-$target/emulator.png}

android-sample/gradlew --project-dir android-sample -Pnearside.maven="$target/maven" installDebug

adb logcat -b crash -c
adb shell am start -W -n "$app/.MainActivity"
# Waits until the screen is idle, then dumps its accessibility tree.
adb shell uiautomator dump /sdcard/screen.xml
screen=$(adb shell cat /sdcard/screen.xml)
adb exec-out screencap -p >"$screenshot"

crashes=$(adb logcat -b crash -d | grep -v '^-' || true)
[ -z "$crashes" ] || { printf '%s\n' "$crashes" >&2; fail 'the sample crashed' 'the trace is above'; }
[ -n "$(adb shell pidof "$app")" ] || fail 'the sample exited' '`adb logcat` may show the reason'
grep -q "package=\"$app\"" <<<"$screen" || fail 'the sample is not on the screen' "look at $screenshot"
# The screen has text: it is not only the empty window of an app that waits.
grep -qE "text=\"[^\"]+\"[^>]*package=\"$app\"" <<<"$screen" || fail 'the first screen is empty' "look at $screenshot"
printf 'ok  the sample runs; %s\n' "$screenshot"
