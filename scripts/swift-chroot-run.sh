#!/usr/bin/env bash
# Runs a command in the Debian root that scripts/swift-chroot-make.sh created.
#
#   swift-chroot-run.sh ROOT [-b DIR]... -- COMMAND...
#
# Each DIR is mounted at the same path, and the working directory stays. Only the loopback network is there. The mounts,
# with an empty /tmp, end with the command. It runs as the calling user and gets the NEARSIDE_* variables.
set -euo pipefail

root=${1:?usage: swift-chroot-run.sh ROOT [-b DIR]... -- COMMAND...}
shift
directories=()
while [ "${1:-}" = -b ]; do
  directories+=("$2")
  shift 2
done
[ "${1:-}" = -- ] || { printf 'error: no `--` before the command\n' >&2; exit 2; }
shift

variables=()
while IFS= read -r name; do
  variables+=("$name=${!name}")
done < <(compgen -e NEARSIDE_ || true)

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
exec "${as_root[@]}" unshare --mount --net --propagation private bash -c '
  set -euo pipefail
  root=$1 user=$2 here=$3 count=$4
  shift 4
  # Without /proc the loader does not find the libraries beside the programs.
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs -o mode=1777 tmp "$root/tmp"
  for directory in "${@:1:count}"; do
    mkdir -p "$root$directory"
    mount --bind "$directory" "$root$directory"
  done
  shift "$count"
  ip link set lo up
  exec chroot --userspec="$user" "$root" /bin/bash -c "cd \"\$0\" && exec \"\$@\"" "$here" "$@"
' swift-chroot-run "$root" "$(id -u):$(id -g)" "$PWD" "${#directories[@]}" "${directories[@]}" \
  /usr/bin/env -i HOME=/tmp PATH=/usr/bin:/bin:/usr/libexec/swift/bin LANG=C.UTF-8 "${variables[@]}" "$@"
