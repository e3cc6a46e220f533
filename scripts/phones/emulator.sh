#!/usr/bin/env bash
# Installs the Android sample on an emulator, or a phone on the cable, starts it as a person would, and looks at it: its
# first screen is there, and nothing crashed. With it the AAR, its choice of a native library, and that library are loaded.
#
#   phones/emulator.sh [PICTURE]    after `make android`; needs Gradle and an Android SDK. PICTURE: where a PNG of it goes
set -euo pipefail
source "$(dirname "$0")/../paths.sh"
cd "$root"
app=org.nearside.sample
picture=${1:-$target/emulator.png}

gradle=gradle
[ ! -x android-sample/gradlew ] || gradle=$root/android-sample/gradlew
"$gradle" --project-dir android-sample installDebug

adb logcat -b crash -c
adb shell am start -W -n "$app/.MainActivity"
# Waits until the screen is still, then writes what a screen reader would find.
adb shell uiautomator dump /sdcard/screen.xml
screen=$(adb shell cat /sdcard/screen.xml)
adb exec-out screencap -p >"$picture"

crashes=$(adb logcat -b crash -d | grep -v '^-' || true)
[ -z "$crashes" ] || { printf '%s\n' "$crashes" >&2; fail 'the sample crashed' 'the trace is above'; }
[ -n "$(adb shell pidof "$app")" ] || fail 'the sample ended by itself' '`adb logcat` may say why'
grep -q "package=\"$app\"" <<<"$screen" || fail 'the sample is not what the screen shows' "look at $picture"
# The screen has words: not only the empty window of an app that waits.
grep -qE "text=\"[^\"]+\"[^>]*package=\"$app\"" <<<"$screen" || fail 'the first screen is empty' "look at $picture"
printf 'ok  the sample runs; %s\n' "$picture"
