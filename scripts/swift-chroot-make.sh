#!/usr/bin/env bash
# Creates, once, a Debian 13 (trixie) root with Swift, for machines without Swift.
#
#   swift-chroot-make.sh DIR
#
# About a minute, 570 MB to download from the mirror that debootstrap picks, 2.6 GB on disk. The folder is complete or
# absent: it is created under another name and then renamed. scripts/swift-chroot-run.sh runs commands in it.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

directory=${1:?usage: swift-chroot-make.sh DIR}
# Not usr/bin/swift: that link resolves only inside the root.
[ ! -x "$directory/usr/libexec/swift/bin/swift" ] || exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
fresh=$directory.new
log=$directory.log
mkdir -p "$(dirname "$directory")"
# Left behind by a killed run. Safe, because no mount in it outlives its process.
"${as_root[@]}" rm -rf --one-file-system "$fresh"

printf 'Swift is missing. Installing Debian with Swift into %s: about a minute, 570 MB to download, 2.6 GB on disk\n' "$directory"
# swiftlang only recommends the headers of the C and C++ libraries, but nothing compiles without them.
if ! "${as_root[@]}" debootstrap --variant=minbase --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$fresh" >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  fail 'could not create a Debian root with Swift' "see above and \`$log\`; or install Swift 6 from https://swift.org, which is then used instead"
fi
"${as_root[@]}" find "$fresh/var/cache/apt/archives" "$fresh/var/lib/apt/lists" -type f -delete
"${as_root[@]}" mv -T "$fresh" "$directory"
