#!/usr/bin/env bash
# Fetches llama.cpp's own programs, which benchmarks and tests compare Nearside with, from Debian's newest packages.
#
# They are unpacked into $NEARSIDE_PEERS (default ~/.cache/nearside/peers), libc included, not installed: the system does
# not change. The folder has two launchers:
#
#   run-as VARIANT PROGRAM ARGS    with one CPU variant, such as haswell (AVX2)
#   run PROGRAM ARGS               with haswell, for which Nearside itself is built on x86-64
#
# Debian's llama.cpp picks the fastest of its 14 CPU variants by itself; a fair comparison needs a fixed one.
set -euo pipefail
source "$(dirname "$0")/paths.sh"
peers=${NEARSIDE_PEERS:-$cache/peers}
[ -x "$peers/run-as" ] && exit 0

keys=/usr/share/keyrings/debian-archive-keyring.gpg
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
if [ "$(uname -m)" != x86_64 ] || [ -z "$mirror" ] || [ ! -f $keys ]; then
  fail 'the programs of llama.cpp come from Debian packages for x86-64, and this is another system' 'put programs `run` and `run-as` of your own into a folder and set NEARSIDE_PEERS to it'
fi

mkdir -p "$(dirname "$peers")"
rm -rf "$peers".new.*
new=$(mktemp -d "$peers.new.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"/{lists/partial,packages,root}

# Own lists of sources and packages, so that the system's stay unchanged. The list of the newest packages has an expiry
# date; a mirror that is a few days behind is good enough here, and still signed.
echo "deb [signed-by=$keys check-valid-until=no] $mirror sid main" >"$new/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::SourceList="$new/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$new/lists" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root "$@"
}
printf 'Fetching llama.cpp from Debian\n'
apt update
(cd "$new/packages" && apt download llama.cpp-tools libllama0 libggml0 libc6 libgcc-s1 libgomp1 libstdc++6 libssl3t64 zlib1g libzstd1)
for package in "$new"/packages/*.deb; do
  dpkg -x "$package" "$new/root"
done
rm -rf "$new/packages" "$new/lists"

cat >"$new/run-as" <<'R'
#!/bin/bash
# run-as VARIANT PROGRAM ARGS: runs one of llama.cpp's programs with one CPU variant, such as haswell.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
libraries=$here/root/usr/lib/x86_64-linux-gnu
variant=$1 program=$2
shift 2
export GGML_BACKEND_PATH=$libraries/ggml/backends0/libggml-cpu-$variant.so
[ -e "$GGML_BACKEND_PATH" ] || { echo "error: no CPU variant \`$variant\`; see $(dirname "$GGML_BACKEND_PATH")" >&2; exit 1; }
run=("$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/llama" "$here/root/usr/bin/$program" "$@")
# If llama.cpp is installed too, its variants would be found first: hide them from this process.
installed=/usr/lib/x86_64-linux-gnu/ggml/backends0
if [ -e $installed ] && [ "$(readlink -f "$GGML_BACKEND_PATH")" != "$(readlink -f "$installed/libggml-cpu-$variant.so")" ]; then
  exec unshare --mount --map-root-user bash -c 'mount -t tmpfs none "$0" && exec "$@"' $installed "${run[@]}"
fi
exec "${run[@]}"
R
cat >"$new/run" <<'R'
#!/bin/bash
exec "$(dirname "$0")/run-as" haswell "$@"
R
chmod +x "$new/run-as" "$new/run"
rm -rf "$peers"
mv "$new" "$peers"
trap - EXIT
printf 'Ready: %s/run llama-bench --help\n' "$peers"
