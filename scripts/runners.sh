# shellcheck shell=bash disable=SC2034,SC2154
# How Maven and Swift are run on this machine. Sourced after paths.sh.

# maven ARGUMENT...: a Kotlin daemon would outlive the build by hours, hence the flag beside the one in the poms.
maven() {
  command -v mvn >/dev/null || "$root/scripts/setup.sh" test
  mvn --batch-mode --no-transfer-progress -Dstyle.color=never -Dkotlin.compiler.daemon=false -Dtarget.dir="$target" "$@"
}

# in_swift FOLDER COMMAND...: a command in a folder, with the Swift of this machine or else Debian's, whose root has no
# network and sees this clone, what is built, the models, and the folders in `seen`.
seen=()
in_swift() {
  local folder=$1 there=() place
  shift
  export NEARSIDE_PROGRAMS=$programs NEARSIDE_LIBRARY_DIR=$programs
  if have_swift; then
    (cd "$folder" && "$@")
  else
    "$root/scripts/setup.sh" test
    "$root/scripts/swift-chroot-make.sh" "$cache/swift"
    mkdir -p "$target"
    for place in "$root" "$target" "$models" "${seen[@]}"; do there+=(-b "$place"); done
    (cd "$folder" && "$root/scripts/swift-chroot-run.sh" "$cache/swift" "${there[@]}" -- "$@")
  fi
}

have_swift() {
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 6 ]
}

# swift_tests NAME FOLDER ARGUMENT...: ends with one line, `NAME: N passed, N failed`.
swift_tests() {
  local name=$1 folder=$2 log=$target/$1-test.log code=0
  shift 2
  # Without the flag the package manager runs XCTest first, which finds nothing and says so.
  in_swift "$folder" swift test "$@" --disable-xctest 2>&1 | tee "$log" || code=$?
  LC_ALL=C awk -v name="$name" '/ Test run with / { next }
                / Test .* passed after / { p++ }
                / Test .* failed after / { f++ }
                END { printf "%s: %d passed, %d failed\n", name, p, f }' "$log"
  return "$code"
}
