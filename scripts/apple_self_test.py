"""Broken inputs for check-apple-project.py: each change must be found by its check, with this text in a finding.

A change replaces text in a copy of the project's own files, so that the rest of the input is sound; `None` removes the file. An
input that its check does not find is a finding here.
"""

import pathlib
import shutil

import small_yaml

ENTITLED = "App/LargeModels.entitlements\n"
PROJECT, APP = "ios-sample/project.yml", "ios-sample/App"
MANIFEST = f"{APP}/PrivacyInfo.xcprivacy"
LIBRARY = "bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy"
TEXTS = f"{APP}/Localizable.xcstrings"
COLOR = f"{APP}/Assets.xcassets/Accent.colorset/Contents.json"
ICONS = f"{APP}/Assets.xcassets/AppIcon.appiconset"

# Check, file, text, its replacement, and what is found.
CHANGES = [
    ("apple-project", PROJECT, "\ntargets:\n", "\ntarget:\n", "it has no targets"),
    ("apple-project", PROJECT, "name: NearsideSample\n", "name: NearsideSample\nnmae: x\n", "unknown key `nmae`"),
    ("apple-project", PROJECT, "name: NearsideSample\n", "name: &a NearsideSample\n", "line 4: not supported"),
    ("apple-project", PROJECT, "  Debug: debug\n", "  Debug: debgu\n", "`debgu` is neither"),
    ("apple-project", PROJECT, "type: application", "type: app", "unknown type `app`"),
    ("apple-project", PROJECT, "      - target: NearsideSample\n", "      - target: Other\n", "depends on `Other`"),
    ("apple-project", PROJECT, "package: Nearside\n", "package: Nearsied\n", "depends on `Nearsied`"),
    ("apple-project", PROJECT, "[NearsideSampleTests,", "[Tests,", "tests `Tests`"),
    ("apple-project", PROJECT, "        DebugLargeModels:\n", "        Large:\n", "settings for `Large`"),
    ("apple-project", PROJECT, "SWIFT_VERSION", "Swift_Version", "`Swift_Version` is no build setting"),
    ("apple-project", PROJECT, "config: DebugLargeModels", "config: Large", "`Large` is no configuration"),
    ("apple-project", PROJECT, "org.nearside.sample.tests", "org.nearside.sample", "a bundle id of its own"),
    ("apple-project", PROJECT, "org.nearside.sample.tests", "org_nearside", "`org_nearside` is no bundle id"),
    ("apple-project", PROJECT, "$(NEARSIDE_WARNINGS_AS_ERRORS:default=NO)", "YES", "warnings are errors"),
    ("apple-references", PROJECT, "- path: Sources", "- path: Source", "no source Source"),
    ("apple-references", PROJECT, "path: ../target/apple/nearside", "path: ../bindings", "which scripts/apple.sh writes"),
    ("apple-references", PROJECT, "product: NearsideKit", "product: Nearside", "no product Nearside"),
    ("apple-references", PROJECT, "excludes: [RealTests.swift", "excludes: [Real.swift", "has no Real.swift"),
    ("apple-references", PROJECT, ENTITLED, "App/Large.entitlements\n", "no entitlements App/Large"),
    ("apple-references", PROJECT, ENTITLED, "App/Large.entitlements\n", "LargeModels.entitlements is not used"),
    ("apple-references", PROJECT, "NAME: AppIcon", "NAME: Icon", "no asset Icon.appiconset"),
    ("apple-entitlements", PROJECT, "App/NearsideSample.ent", "App/LargeModels.ent", "a free account cannot sign"),
    ("apple-entitlements", f"{APP}/NearsideSample.entitlements", "increased-memory", "incresed-memory", "unknown entitlement"),
    ("apple-entitlements", f"{APP}/LargeModels.entitlements", "<true/>", "<string>yes</string>", "is no boolean"),
    ("apple-entitlements", f"{APP}/LargeModels.entitlements", "</dict>", "", "no property list"),
    ("apple-info", PROJECT, "UILaunchScreen", "UILaunchScren", "unknown property `UILaunchScren`"),
    ("apple-info", PROJECT, "        UILaunchScreen: {}\n", "", "needs `UILaunchScreen`"),
    ("apple-info", PROJECT, "Encryption: false", "Encryption: NO", "is no bool"),
    ("apple-info", PROJECT, "$(MARKETING_VERSION)", "$(MARKETING)", "uses the setting MARKETING"),
    ("apple-info", PROJECT, "OrientationLandscapeLeft", "OrientationLeft", "unknown orientation"),
    ("apple-info", PROJECT, "[en, ru]", "[en]", "CFBundleLocalizations says"),
    ("apple-info", f"{APP}/InfoPlist.xcstrings", None, None, "lacks `NSLocalNetworkUsageDescription`"),
    ("apple-info", f"{APP}/InfoPlist.xcstrings", "in your network", "somewhere", "differs between"),
    ("apple-privacy", MANIFEST, None, None, "there is none"),
    ("apple-privacy", MANIFEST, "NSPrivacyTrackingDomains", "NSPrivacyDomains", "unknown key `NSPrivacyDomains`"),
    ("apple-privacy", MANIFEST, "<key>NSPrivacyTracking</key>\n\t<false/>", "", "`NSPrivacyTracking` is missing"),
    ("apple-privacy", MANIFEST, "<false/>", "<string>no</string>", "is no bool"),
    ("apple-privacy", MANIFEST, "TypeOtherUserContent", "TypeUserContent", "unknown type of data"),
    ("apple-privacy", MANIFEST, "PurposeAppFunctionality", "PurposeApp", "unknown purpose"),
    ("apple-privacy", MANIFEST, "CollectedDataTypeLinked", "Linked", "lacks `NSPrivacyCollectedDataTypeLinked`"),
    ("apple-privacy", LIBRARY, "C617.1", "E174.1", "`E174.1` is no reason for"),
    ("apple-privacy", LIBRARY, "CategoryDiskSpace", "CategoryDisk", "unknown category"),
    ("apple-privacy", LIBRARY, "CategoryDiskSpace", "CategoryFileTimestamp", "stands twice"),
    ("apple-texts", TEXTS, '"ru"', '"rus"', "is missing in ru"),
    ("apple-texts", TEXTS, "около %1$@", "около", "placeholders differ in ru"),
    ("apple-texts", TEXTS, '"value": "about %1$@"', '"value": " "', "not translated into en"),
    ("apple-texts", TEXTS, '"state": "translated"', '"state": "new"', "not translated into en"),
    ("apple-texts", TEXTS, '"sourceLanguage": "en"', '"sourceLanguage": "ru"', "the source language"),
    ("apple-texts", TEXTS, '"about": {', '"add": {', "a key stands twice"),
    ("apple-texts", TEXTS, '"extractionState"', '"extracted"', "unknown key `extracted`"),
    ("apple-assets", COLOR, '"0x3A"', '"red"', "no components of a colour"),
    ("apple-assets", COLOR, '"srgb"', '"rgb"', "no colour"),
    ("apple-assets", COLOR, '"dark"', '"night"', "unknown appearance"),
    ("apple-assets", COLOR, '"version"', '"versoin"', "no info with author"),
    ("apple-assets", COLOR, "{", "", "Accent.colorset: "),
    ("apple-assets", COLOR, None, None, "no Contents.json"),
    ("apple-assets", f"{ICONS}/Contents.json", "icon.png", "icons.png", "no file icons.png"),
    ("apple-assets", f"{ICONS}/icon.png", b"\x89PNG", b"\x89JPG", "is no PNG"),
    ("apple-assets", f"{ICONS}/icon.png", b"\x00\x00\x04\x00", b"\x00\x00\x02\x00", "512 x 1024"),
    ("apple-assets", f"{ICONS}/icon.png", b"\x08\x02", b"\x08\x06", "alpha channel"),
]

YAML = 'a: b # c\n"d e": "f # g"\nh: [i, j]\nk:\n  - l\n  - m: n\n    o: {}\np: true\nq: YES\n'
PARSED = {"a": "b", "d e": "f # g", "h": ["i", "j"], "k": ["l", {"m": "n", "o": {}}], "p": True, "q": "YES"}
WRONG_YAML = ["a: b\na: c\n", "a: |\n  b\n", "a: *b\n", "a:\n", "a: b\n  c: d\n", "a: [b\n", "\ta: b\n", "a: b: c\n", "a\n"]
WRONG_YAML += ["- a\nb: c\n", "a: b\n---\nc: d\n"]


def run(checks, root, tempfile):
    """Yields the name of each check, and the changes that it did not find."""
    yield "self-test of small_yaml", list(yaml_findings())
    for name, check in checks.items():
        findings = [] if any(change[0] == name for change in CHANGES) else [f"{name} has no broken input"]
        for change in [change for change in CHANGES if change[0] == name]:
            with tempfile.TemporaryDirectory() as folder:
                findings += apply(pathlib.Path(folder), root, check, *change[1:])
        yield f"self-test of {name}", findings


def yaml_findings():
    if small_yaml.parse_yaml(YAML) != PARSED:
        yield f"it reads {small_yaml.parse_yaml(YAML)}"
    for text in WRONG_YAML:
        try:
            yield f"{text!r} is read as {small_yaml.parse_yaml(text)}"
        except small_yaml.YamlError:
            pass


def apply(copy, root, check, file, old, new, expected):
    shutil.copytree(root / "ios-sample", copy / "ios-sample", ignore=shutil.ignore_patterns(".build", "*.xcodeproj"))
    (copy / LIBRARY).parent.mkdir(parents=True)
    shutil.copy(root / LIBRARY, copy / LIBRARY)
    shutil.copy(root / "Package.swift", copy)
    path = copy / file
    if old is None:
        path.unlink()
    else:
        content = path.read_bytes()
        old, new = (text if isinstance(text, bytes) else text.encode() for text in (old, new))
        if old not in content:
            return [f"{file} has no {old!r}: bring this test up to date"]
        path.write_bytes(content.replace(old, new, 1))
    findings = check(copy)
    if any(expected in finding for finding in findings):
        return []
    return [f"{file}, {old!r} to {new!r}: {expected!r} is not in {findings}"]
