#!/usr/bin/env bash
# Makes, once, a folder with a Debian 13 (trixie) in it that has Swift: for a machine which has none of its own.
#
#   swift-chroot-make.sh DIR
#
# About a minute, 570 MB over the network from the mirror that debootstrap picks, 2.6 GB on disk. The folder is whole or
# absent: it is made beside its place and then renamed. scripts/swift-chroot-run.sh runs commands in it.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

directory=${1:?usage: swift-chroot-make.sh DIR}
# Not usr/bin/swift: that is a link which only leads somewhere from inside.
[ ! -x "$directory/usr/libexec/swift/bin/swift" ] || exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
fresh=$directory.new
log=$directory.log
mkdir -p "$(dirname "$directory")"
# Left behind by a run that was killed. Nothing is ever mounted in it that outlives a process, so this is safe.
"${as_root[@]}" rm -rf --one-file-system "$fresh"

printf 'No Swift here. Putting Debian'"'"'s into %s: about a minute, 570 MB to fetch, 2.6 GB in the end\n' "$directory"
# The C library's and the C++ library's headers are only recommended by swiftlang, and nothing compiles without them.
if ! "${as_root[@]}" debootstrap --variant=minbase --include=swiftlang,libc6-dev,libstdc++-14-dev trixie "$fresh" >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  fail 'could not make a Debian with Swift in it' "see above and \`$log\`; or install Swift 6 from https://swift.org, which is then used instead"
fi
"${as_root[@]}" find "$fresh/var/cache/apt/archives" "$fresh/var/lib/apt/lists" -type f -delete
"${as_root[@]}" mv -T "$fresh" "$directory"
