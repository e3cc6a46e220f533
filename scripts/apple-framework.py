"""Makes a framework of a built library: apple-framework.py SYSTEM MINIMUM LIBRARY HEADERS OUT

SYSTEM is iphoneos, iphonesimulator or macosx; MINIMUM its first supported version; HEADERS the folder with the header and
the module map that UniFFI generated; OUT the folder in which `NearsideFFI.framework` is created. Runs on any system.

A framework contains its privacy manifest, and Apple's tools find its debug information. A Mac's has versions; the links to
the current one are what its tools expect.
"""

import pathlib
import plistlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "NearsideFFI"
PLATFORMS = {"iphoneos": "iPhoneOS", "iphonesimulator": "iPhoneSimulator", "macosx": "MacOSX"}


def info(system, minimum):
    """Returns the property list: what the App Store and the installer of a device read."""
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    minimum_key = "LSMinimumSystemVersion" if system == "macosx" else "MinimumOSVersion"
    return {
        "CFBundleDevelopmentRegion": "en",
        "CFBundleExecutable": NAME,
        "CFBundleIdentifier": "org.nearside.ffi",
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleName": NAME,
        "CFBundlePackageType": "FMWK",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "CFBundleSupportedPlatforms": [PLATFORMS[system]],
        minimum_key: minimum,
    }


def make(system, minimum, library, headers, out):
    framework = out / f"{NAME}.framework"
    shutil.rmtree(framework, ignore_errors=True)
    mac = system == "macosx"
    content = framework / "Versions" / "A" if mac else framework
    resources = content / "Resources" if mac else content
    for folder in (content / "Headers", content / "Modules", resources):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(library, content / NAME)
    shutil.copy2(headers / f"{NAME}.h", content / "Headers")
    module, count = re.subn(rf"^module {NAME}\b", f"framework module {NAME}", (headers / "module.modulemap").read_text())
    if count != 1:
        sys.exit(f"error: {headers}/module.modulemap declares no module {NAME}\nhelp: generate it again")
    (content / "Modules" / "module.modulemap").write_text(module)
    (resources / "Info.plist").write_bytes(plistlib.dumps(info(system, minimum)))
    shutil.copy2(ROOT / "bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy", resources)
    if mac:
        (framework / "Versions" / "Current").symlink_to("A")
        for name in (NAME, "Headers", "Modules", "Resources"):
            (framework / name).symlink_to(pathlib.Path("Versions", "Current", name))


def main():
    if len(sys.argv) != 6 or sys.argv[1] not in PLATFORMS:
        sys.exit("error: five arguments are needed\nhelp: use `apple-framework.py SYSTEM MINIMUM LIBRARY HEADERS OUT`")
    make(*sys.argv[1:3], *map(pathlib.Path, sys.argv[3:]))


main()
