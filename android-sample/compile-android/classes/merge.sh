#!/usr/bin/env bash
# Merges the classes of every AAR and JAR in $1/aar in $1/classes.
set -euo pipefail
mkdir -p "$1/classes" "$1/jars"
for archive in "$1"/aar/*.aar; do
  jar="$1/jars/$(basename "${archive%.aar}").jar"
  unzip -p "$archive" classes.jar > "$jar"
  unzip -qo "$jar" -d "$1/classes"
done
for jar in "$1"/aar/*.jar; do unzip -qo "$jar" -d "$1/classes"; done
