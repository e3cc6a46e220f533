"""Writes the Swift package that apps add: swift-package.py OUT (--local FILE | --url ADDRESS --checksum SUM) [--generated FOLDER]

The package contains the generated Swift code, so that an app needs no Rust. Its manifest is that of this repository, without
what only development needs, and with the native library as a binary:

  --local FILE                    an XCFramework, or its zip, copied into the package
  --url ADDRESS --checksum SUM    the zip at that address, with the SHA-256 that the package manager compares
  --generated FOLDER              where `NearsideFFI` and `NearsideKit/Generated` are; default bindings/swift/Sources

The manifest has no unsafe flags: the package manager refuses those in a dependency. OUT is replaced. An app names the
package by the folder's name or by the last part of its repository's address, in lower case: both should be `nearside`.

The package manager of Linux cannot use an XCFramework. There the manifest names the library only, and the linker and the
loader find it in LIBRARY_PATH and LD_LIBRARY_PATH, or in /usr/local/lib.
"""

import argparse
import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bindings/swift/Sources"

LIBRARY = """\
#if os(Linux)
    // The package manager supports no XCFramework here: README.md names the directories in which the library is found.
    let ffi: Target = .systemLibrary(name: "NearsideFFI", path: "Sources/NearsideFFI")
    let link: [LinkerSetting] = [.linkedLibrary("nearside_ffi")]
#else
    let ffi: Target = .binaryTarget(BINARY)
    // A dynamic framework names the frameworks that it needs itself.
    let link: [LinkerSetting] = []
#endif
"""

OPENING = """\
// swift-tools-version: 6.0
// Nearside VERSION: apps import `NearsideKit`, their tests also `NearsideTesting`. Written by a script of Nearside's
// repository; changes belong there.
"""

README = """\
# Nearside VERSION for Swift

Runs language models in apps for iOS and macOS. This is the package of a release: the Swift code, and the address or the file of
the native library. The project itself, with its documentation and its licence, is the repository that this comes from.

```swift
dependencies: [.package(path: "../nearside")],  // or by the address of the repository
targets: [.executableTarget(name: "Tides", dependencies: [.product(name: "NearsideKit", package: "nearside")])]
```

On Linux the native library does not come with the package: build it with `make bindings` in the project, and name its folder to
the linker and the loader:

```console
$ LIBRARY_PATH=FOLDER LD_LIBRARY_PATH=FOLDER swift run
```
"""


def part(text, name, replacement):
    """Replaces a part of the manifest, from `// part NAME` to `// end`."""
    text, count = re.subn(rf"^// part {name}\n.*?^// end\n", lambda _: replacement, text, flags=re.M | re.S)
    if count != 1:
        sys.exit(f"error: Package.swift has {count} parts `{name}`\nhelp: mark one with `// part {name}` and `// end`")
    return text


def manifest(binary, version):
    text = (ROOT / "Package.swift").read_text()
    text = part(text, "library", LIBRARY.replace("BINARY", binary))
    text = part(text, "development", "").rstrip() + "\n"
    opening = re.match(r"(//.*\n)+", text)[0]
    return OPENING.replace("VERSION", version) + text.removeprefix(opening).replace('"bindings/swift/', '"')


def arguments():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[0].split(": ", 1)[1], add_help=False)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--local", type=pathlib.Path)
    parser.add_argument("--url")
    parser.add_argument("--checksum")
    parser.add_argument("--generated", type=pathlib.Path, default=SOURCES)
    options = parser.parse_args()
    if bool(options.local) == bool(options.url) or bool(options.url) != bool(options.checksum):
        parser.error("either --local, or --url with --checksum")
    if options.checksum and not re.fullmatch(r"[0-9a-f]{64}", options.checksum):
        parser.error("the checksum is no SHA-256")
    return options


def main():
    options = arguments()
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    generated = {name: options.generated / name for name in ("NearsideFFI", "NearsideKit/Generated")}
    for folder in generated.values():
        if not folder.is_dir():
            sys.exit(f"error: there is no generated code in {folder}\nhelp: generate it with `make bindings`")
    out = options.out
    if out.exists() and not (out / "Package.swift").exists() and any(out.iterdir()):
        sys.exit(f"error: {out} is no package\nhelp: name a new folder, or one that an earlier run wrote")
    shutil.rmtree(out, ignore_errors=True)
    for module in ("NearsideKit", "NearsideTesting"):
        shutil.copytree(SOURCES / module, out / "Sources" / module, ignore=shutil.ignore_patterns("Generated"))
    for name, folder in generated.items():
        shutil.copytree(folder, out / "Sources" / name)
    for licence in ROOT.glob("LICENSE-*"):
        shutil.copy2(licence, out)
    (out / "README.md").write_text(README.replace("VERSION", version))
    where = [f'url: "{options.url}"', f'checksum: "{options.checksum}"']
    if options.local:
        file = "NearsideFFI.xcframework" + (".zip" if options.local.is_file() else "")
        if options.local.is_file():
            shutil.copy2(options.local, out / file)
        else:
            # A Mac's framework contains links.
            shutil.copytree(options.local, out / file, symlinks=True)
        where = [f'path: "{file}"']
    binary = ",\n        ".join(['\n        name: "NearsideFFI"', *where])
    (out / "Package.swift").write_text(manifest(binary, version))


main()
