# shellcheck shell=bash disable=SC2034,SC2154
# Functions that run Maven and Swift on this machine. Sourced after paths.sh.

# maven ARGUMENT...: runs Maven without a Kotlin daemon, which would outlive the build by hours.
maven() {
  command -v mvn >/dev/null || "$root/scripts/setup.sh" test
  mvn --batch-mode --no-transfer-progress -Dstyle.color=never -Dkotlin.compiler.daemon=false -Dtarget.dir="$target" "$@"
}

# class_path POM FILE ARGUMENT...: writes the class path of a pom to FILE, unless FILE is newer than the pom.
class_path() {
  local pom=$1 file=$2
  shift 2
  [ "$file" -nt "$pom" ] && return
  mkdir -p "$(dirname "$file")"
  maven -q -f "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath -Dmdep.outputFile="$file" "$@"
}

# in_swift FOLDER COMMAND...: runs a command in a folder, with the Swift of this machine or else in a Debian root without
# network, which mounts this clone, the build output, the models, and the folders in `extra_mounts`.
extra_mounts=()
in_swift() {
  local folder=$1 mounts=() directory
  shift
  export NEARSIDE_PROGRAMS=$programs
  # Package.swift finds the library in this clone; a build output elsewhere has to be named.
  [ "$target" = "$root/target" ] || export NEARSIDE_LIBRARY_DIR=$programs
  if have_swift; then
    (cd "$folder" && "$@")
  else
    "$root/scripts/setup.sh" test
    "$root/scripts/swift-chroot-make.sh" "$cache/swift"
    mkdir -p "$target"
    for directory in "$root" "$target" "$models" "${extra_mounts[@]}"; do mounts+=(-b "$directory"); done
    (cd "$folder" && "$root/scripts/swift-chroot-run.sh" "$cache/swift" "${mounts[@]}" -- "$@")
  fi
}

have_swift() {
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 6 ]
}

# swift_tests NAME FOLDER ARGUMENT...: runs the tests of a package; ends with one line, `NAME: N passed, N failed`.
swift_tests() {
  local name=$1 folder=$2 log=$target/$1-test.log code=0
  shift 2
  # Without the flag the package manager runs XCTest first, which finds no test and prints that.
  in_swift "$folder" swift test "$@" --disable-xctest 2>&1 | tee "$log" || code=$?
  LC_ALL=C awk -v name="$name" '/ Test run with / { next }
                / Test .* passed after / { p++ }
                / Test .* failed after / { f++ }
                END { printf "%s: %d passed, %d failed\n", name, p, f }' "$log"
  return "$code"
}
