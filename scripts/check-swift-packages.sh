#!/usr/bin/env bash
# Checks the Swift packages as far as a machine without Xcode can. Needs the output of `make bindings`.
#
#   check-swift-packages.sh [CHECK...]    all checks when none is named; each prints `ok  CHECK` or `FAIL CHECK`
#
#   exports        the library exports the functions of its C header, and hides SQLite, llama.cpp and Rust
#   manifests      the package manager reads the manifest of the clone, of a package with a local binary and of one with an
#                  address, and finds the expected targets, products, systems and settings; no unsafe flags in the last two
#   frameworks     the parts of a framework for each of Apple's systems, of a stand-in for the library
#   test-only      an app that imports NearsideKit cannot name what only tests may call
#   by-path        README.md's quick start, with the package of a release in the place of the clone, answers
#   by-address     the same with the package as a tag of a git repository, so that the package manager applies the rules for
#                  dependencies; the binary is the library of this machine
#
# On Linux the manifests of a release are read twice: as they are, and with the branch for Apple's systems. That proves that
# the branch compiles and declares an XCFramework, not that Xcode links it.
set -uo pipefail
source "$(dirname "$0")/paths.sh"
source "$(dirname "$0")/runners.sh"
cd "$root" || exit 1
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
extra_mounts=("$outside")
header=$root/bindings/swift/Sources/NearsideFFI/NearsideFFI.h
address=https://example.org/NearsideFFI.xcframework.zip
checksum=$(printf nearside | sha256sum | cut -d ' ' -f 1)

case $(uname) in Darwin) library=$programs/libnearside_ffi.dylib ;; *) library=$programs/libnearside_ffi.so ;; esac

check_exports() { python3 -B scripts/check-exports.py "$library" "$header"; }

# dump FOLDER FILE: writes what the package manager read.
dump() { in_swift "$1" swift package --manifest-cache none dump-package >"$2"; }

check_manifests() {
  local shape
  printf 'not an XCFramework' >"$outside/NearsideFFI.xcframework.zip"
  python3 -B scripts/swift-package.py "$outside/local/nearside" --local "$outside/NearsideFFI.xcframework.zip" &&
    python3 -B scripts/swift-package.py "$outside/published/nearside" --url "$address" --checksum "$checksum" || return
  dump "$root" "$outside/clone.json" || return
  for shape in local published; do
    dump "$outside/$shape/nearside" "$outside/$shape-here.json" || return
    sed -i.bak 's/^#if os(Linux)$/#if false/' "$outside/$shape/nearside/Package.swift"
    dump "$outside/$shape/nearside" "$outside/$shape-apple.json" || return
  done
  python3 -B - "$outside" "$address" "$checksum" "$(uname)" <<'P'
import json, pathlib, sys

folder, address, checksum, system = pathlib.Path(sys.argv[1]), *sys.argv[2:]
failures = []

def expect(shape, what, found, wanted):
    if found != wanted:
        failures.append(f"{shape}: {what} is {found}, not {wanted}")

for path in sorted(folder.glob("*.json")):
    shape, package = path.stem, json.loads(path.read_text())
    targets = {target["name"]: target for target in package["targets"]}
    expect(shape, "name", package["name"], "nearside")
    expect(shape, "dependencies", package["dependencies"], [])
    platforms = {entry["platformName"]: entry["version"] for entry in package["platforms"]}
    expect(shape, "platforms", platforms, {"ios": "16.0", "macos": "13.0"})
    products = {product["name"]: product["targets"] for product in package["products"]}
    expect(shape, "products", products, {name: [name] for name in ("NearsideKit", "NearsideTesting")})
    expect(shape, "languages", package["swiftLanguageVersions"], ["6"])
    library = {"NearsideFFI", "NearsideKit", "NearsideTesting"}
    development = {"NearsideBench", "NearsideTests", "NearsideUnitTests"} if shape == "clone" else set()
    expect(shape, "targets", set(targets), library | development)
    settings = [s["kind"] for target in targets.values() for s in target["settings"]]
    unsafe = [kind for kind in settings if "unsafeFlags" in kind]
    linked = [kind["linkedLibrary"]["_0"] for kind in settings if "linkedLibrary" in kind]
    expect(shape, "the number of unsafe settings", len(unsafe), int(shape == "clone"))
    apple = shape.endswith("-apple") or (system == "Darwin" and shape != "clone")
    expect(shape, "linked libraries", linked, [] if apple else ["nearside_ffi"])
    ffi = targets["NearsideFFI"]
    expect(shape, "the library's kind", ffi["type"], "binary" if apple else "system")
    if apple and shape.startswith("published"):
        expect(shape, "the binary", (ffi.get("url"), ffi.get("checksum")), (address, checksum))
    elif apple:
        expect(shape, "the binary", (ffi.get("path"), ffi.get("url")), ("NearsideFFI.xcframework.zip", None))
    for target in targets.values():
        base = folder / shape.split("-")[0] / "nearside" if shape != "clone" else pathlib.Path()
        if target["type"] != "binary" and not (base / target["path"]).is_dir():
            failures.append(f"{shape}: {target['name']} has no folder {target['path']}")
print("\n".join(failures), end="\n" if failures else "")
sys.exit(bool(failures))
P
}

check_frameworks() {
  local system headers=${header%/*}
  for system in iphoneos iphonesimulator macosx; do
    python3 -B scripts/apple-framework.py "$system" 16.0 "$library" "$headers" "$outside/$system" || return
  done
  python3 -B - "$outside" "$library" <<'P'
import pathlib, plistlib, sys

folder, library = map(pathlib.Path, sys.argv[1:])
failures = []
for system in ["iphoneos", "iphonesimulator", "macosx"]:
    key = "LSMinimumSystemVersion" if system == "macosx" else "MinimumOSVersion"
    framework = folder / system / "NearsideFFI.framework"
    resources = framework / "Resources" if system == "macosx" else framework
    info = plistlib.loads((resources / "Info.plist").read_bytes())
    facts = {
        "the system's first version": info.get(key) == "16.0",
        "the system": info["CFBundleSupportedPlatforms"][0].lower() == system,
        "an executable of the bundle's name": (framework / info["CFBundleExecutable"]).stat().st_size == library.stat().st_size,
        "a framework's module": (framework / "Modules/module.modulemap").read_text().startswith("framework module NearsideFFI {"),
        "the header": (framework / "Headers/NearsideFFI.h").is_file(),
        "a privacy manifest": plistlib.loads((resources / "PrivacyInfo.xcprivacy").read_bytes())["NSPrivacyTracking"] is False,
        "versions on a Mac only": (framework / "Versions/Current").is_symlink() == (system == "macosx"),
    }
    failures += [f"{system}: without {name}" for name, holds in facts.items() if not holds]
print("\n".join(failures), end="\n" if failures else "")
sys.exit(bool(failures))
P
}

# compiles MODULE LINE: whether a file that imports the module and contains the line compiles.
compiles() {
  printf 'import Foundation\nimport %s\nfunc app(_ config: Config) async throws { %s }\n' "$1" "$2" >"$outside/app.swift"
  in_swift "$root" swiftc -swift-version 6 -typecheck -parse-as-library -I "$target/swift/debug/Modules" \
    -I "${header%/*}" "$outside/app.swift" >"$outside/app.log" 2>&1
}

check_test-only() {
  local line
  local host='final class Here: DeviceHost { func facts() throws -> DeviceFacts { fatalError() } }'
  in_swift "$root" swift build --scratch-path "$target/swift" -Xswiftc -warnings-as-errors --target NearsideTesting \
    >/dev/null || return
  # What is allowed compiles, so that a failure below has the reason that it should have.
  if ! compiles NearsideKit "$host; _ = try await Nearside.open(config: config)
      _ = try Nearside(config: config, host: Here())" ||
    ! compiles NearsideTesting '_ = try Nearside.scripted { ReplyStep.stall }; _ = FakeDeviceHost()'; then
    cat "$outside/app.log"
    return 1
  fi
  for line in '_ = try Nearside.scripted(config: config, script: .init(steps: []))' '_ = ReplyStep.stall' \
    'let steps: [ScriptedReply] = []; _ = steps' '_ = try liveObjects()' 'try panicOnPurpose(text: "")' \
    "$host; _ = try Nearside.withHost(config: config, host: Here())" '_ = try Nearside.scripted { "Hello." }' \
    '_ = try Nearside.forTests(config: config, script: nil, host: nil, clock: nil, inMemory: true)' 'try scriptApp(json: nil)' \
    '_ = try tinyModel()' '_ = TestClock(unixMs: 0)' '_ = try TestHub.start(files: [])' \
    '_ = try TestProvider.start(exchanges: [])' '_ = try testTape(text: "")' '_ = try testModels(ids: [], path: "")'; do
    ! compiles NearsideKit "$line" || { printf 'an app can write `%s`\n' "$line"; return 1; }
  done
}

# answers FOLDER [PATH]: whether README.md's program in the folder gets an answer of a real model, with the library of this
# machine, and with PATH before the usual folders of programs.
answers() {
  if ! in_swift "$1" "$root/scripts/with-local-hub.sh" timeout 550 env LIBRARY_PATH="$programs" LD_LIBRARY_PATH="$programs" \
    ${2:+"GIT_EXEC_PATH=$2" "PATH=$2:/usr/bin:/bin"} swift run --scratch-path "$outside/build" \
    -Xlinker --allow-shlib-undefined >"$outside/answer.out" 2>&1 || ! grep -q 'tokens' "$outside/answer.out"; then
    cat "$outside/answer.out"
    return 1
  fi
}

# quickstart FOLDER: writes README.md's Swift files.
quickstart() {
  python3 - "$1" <<'P'
import pathlib, re, sys

for name, block in re.findall(r"<!-- file: swift/(\S+) -->\n+```\w+\n(.*?)```", pathlib.Path("README.md").read_text(), re.S):
    path = pathlib.Path(sys.argv[1], name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block)
P
}

release() { python3 -B scripts/swift-package.py "$1" --url "$address" --checksum "$checksum"; }

check_by-path() {
  release "$outside/nearside" && quickstart "$outside/by-path" && answers "$outside/by-path" && plays_script "$outside/by-path"
}

# plays_script FOLDER: whether the program that was just built plays the script of its launch argument, text or file.
plays_script() {
  local script='{"steps": [{"type": "text", "text": "As the script says."}]}' given
  printf '%s' "$script" >"$outside/script.json"
  for given in "$script" "$outside/script.json"; do
    if ! in_swift "$1" "$root/scripts/with-local-hub.sh" env LD_LIBRARY_PATH="$programs" "$outside/build/debug/Tides" \
      -nearsideScript "$given" >"$outside/script.out" 2>&1 || ! grep -q 'As the script says' "$outside/script.out"; then
      cat "$outside/script.out"
      return 1
    fi
  done
}

# tag_tree FOLDER TAG: commits what is in the folder.
tag_tree() {
  git -C "$1" add --all && git -C "$1" -c user.name=check -c user.email=check@localhost commit -qm "$2" && git -C "$1" tag "$2"
}

# As in the real repository, the tag with a letter has the sources, whose manifest is refused in a dependency. The Debian
# root has no git; this machine's runs in it, from a folder of its own.
check_by-address() {
  local package=$outside/address/nearside git=$outside/git
  mkdir -p "$package" && git -C "$package" init -q && cp Package.swift "$package/" && tag_tree "$package" v0.1.0 || return
  release "$outside/released/nearside" && cp -R "$outside/released/nearside/." "$package/" && tag_tree "$package" 0.1.0 || return
  quickstart "$outside/by-address" || return
  python3 - "$outside/by-address/Package.swift" "$package" <<'P'
import pathlib, sys

path, text = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]).read_text()
changed = text.replace('.package(path: "../nearside")', f'.package(url: "file://{sys.argv[2]}", from: "0.1.0")')
if changed == text:
    sys.exit("README.md: no dependency on `../nearside`")
path.write_text(changed)
P
  mkdir -p "$git"
  cp "$(command -v git)" "$git/" && ln -s git "$git/git-upload-pack" || return
  answers "$outside/by-address" "$git"
}

# On a Mac a package of a release needs its XCFramework, which only a release has.
checks=(exports manifests frameworks test-only)
[ "$(uname)" = Darwin ] || checks+=(by-path by-address)
[ $# -gt 0 ] || set -- "${checks[@]}"
failures=0
for check; do
  declare -F "check_$check" >/dev/null ||
    fail "no check is called \`$check\`" 'the checks are exports, manifests, frameworks, test-only, by-path and by-address'
  start=$SECONDS
  if "check_$check"; then result='ok  '; else result='FAIL' failures=$((failures + 1)); fi
  printf '%s swift-%s (%d s)\n' "$result" "$check" $((SECONDS - start))
done
[ "$failures" -eq 0 ]
