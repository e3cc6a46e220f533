#!/usr/bin/env python3
"""Checks what only Xcode reads of the iOS sample, on any machine: check-apple-project.py [--self-test] [ROOT]

project.yml and the files that it names, entitlements, Info.plist's properties, privacy manifests (also the library's), string
catalogues and asset catalogues. Each check prints its findings, then `ok  NAME` or `FAIL NAME`. `--self-test` gives each check
broken inputs instead, and fails if one is not found.

The rules are those of Apple's and XcodeGen's documentation at `DAY` of apple_rules.py, as far as this project uses them: a
check knows fewer keys than Xcode, and rejects the others, so that a misspelt one is found. It does not prove that Xcode builds
the project.
"""

import json
import pathlib
import plistlib
import re
import struct
import sys
import tempfile

import apple_rules as rules
from small_yaml import YamlError, parse_yaml

SAMPLE = "ios-sample"
APPLE_PACKAGE = "target/apple/nearside"
LIBRARY_MANIFEST = "bindings/swift/Sources/NearsideKit/PrivacyInfo.xcprivacy"
PLACEHOLDER = re.compile(r"%(?:(\d+)\$)?(?:@|l{0,2}[du]|\.?\d*f|%)")


def load_plist(path):
    try:
        return plistlib.loads(path.read_bytes()), []
    except Exception as error:  # plistlib raises whatever its XML parser raises.
        return None, [f"{path.name}: no property list: {error}"]


def load_json(path):
    try:
        return json.loads(path.read_text(), object_pairs_hook=unique), []
    except (ValueError, OSError) as error:
        return None, [f"{path.name}: {error}"]


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"a key stands twice: {sorted({name for name in names if names.count(name) > 1})}")
    return dict(pairs)


def load_project(root):
    try:
        project = parse_yaml((root / SAMPLE / "project.yml").read_text())
        return (project, []) if "targets" in project else (None, ["project.yml: it has no targets"])
    except (YamlError, OSError) as error:
        return None, [f"project.yml: {error}"]


def with_project(check):
    """Gives a check the parsed project, or returns why there is none."""

    def checked(root):
        project, findings = load_project(root)
        return findings if project is None else list(check(root, project))

    return checked


def settings_of(owner):
    """Yields each setting with the configuration that it belongs to, or None."""
    settings = owner.get("settings", {})
    for name, value in settings.get("base", {}).items():
        yield None, name, value
    for config, values in settings.get("configs", {}).items():
        for name, value in values.items():
            yield config, name, value


def values_of(project, name):
    """Returns the values that the targets give to a setting."""
    return [value for target in project["targets"].values() for _, setting, value in settings_of(target) if setting == name]


def unknown(where, value, known):
    if not isinstance(value, dict):
        yield f"{where}: no mapping"
        return
    for key in value:
        if key not in known:
            yield f"{where}: unknown key `{key}`"


@with_project
def check_project(root, project):
    yield from unknown("project.yml", project, rules.PROJECT_KEYS)
    configs, targets = project.get("configs", {"Debug": "debug", "Release": "release"}), project.get("targets", {})
    for name, kind in configs.items():
        if kind not in ("debug", "release"):
            yield f"configuration {name}: `{kind}` is neither debug nor release"
    for name, target in targets.items():
        yield from unknown(f"target {name}", target, rules.TARGET_KEYS)
        if target.get("type") not in rules.TARGET_TYPES:
            yield f"target {name}: unknown type `{target.get('type')}`"
        yield from unknown(f"target {name}, settings", target.get("settings", {}), {"base", "configs"})
        for dependency in target.get("dependencies", []):
            if "target" in dependency and dependency["target"] not in targets:
                yield f"target {name} depends on `{dependency['target']}`, which is no target"
            if "package" in dependency and dependency["package"] not in project.get("packages", {}):
                yield f"target {name} depends on `{dependency['package']}`, which is no package"
        for test in target.get("scheme", {}).get("testTargets", []):
            if not targets.get(test, {}).get("type", "").startswith("bundle."):
                yield f"the scheme of {name} tests `{test}`, which is no test target"
    for owner, name in [(project, "project")] + [(target, name) for name, target in targets.items()]:
        for config, setting, _ in settings_of(owner):
            if config is not None and config not in configs:
                yield f"{name}: settings for `{config}`, which is no configuration"
            if not re.fullmatch(r"[A-Z][A-Z0-9_]*(\[(sdk|arch)=[a-z0-9_*]+\])?", setting):
                yield f"{name}: `{setting}` is no build setting"
    for name, scheme in project.get("schemes", {}).items():
        yield from unknown(f"scheme {name}", scheme, rules.SCHEME_KEYS)
        built = scheme.get("build", {}).get("targets", {})
        yield from (f"scheme {name}: `{target}` is no target" for target in built if target not in targets)
        used = [action.get("config") for action in scheme.values() if "config" in action]
        yield from (f"scheme {name}: `{config}` is no configuration" for config in used if config not in configs)
    ids = values_of(project, "PRODUCT_BUNDLE_IDENTIFIER")
    if len(set(ids)) < len(targets):
        yield "each target needs a bundle id of its own"
    for value in ids:
        if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", value):
            yield f"`{value}` is no bundle id"
    if any(value == "YES" for _, setting, value in settings_of(project) if setting == "SWIFT_TREAT_WARNINGS_AS_ERRORS"):
        yield "warnings are errors in what is opened in a newer Xcode"


@with_project
def check_references(root, project):
    sample = root / SAMPLE
    made = {target["info"]["path"] for target in project["targets"].values() if "info" in target}
    for name, package in project.get("packages", {}).items():
        # scripts/apple.sh makes that folder, on a Mac, with the products of the manifest at the root.
        if package["path"] != f"../{APPLE_PACKAGE}":
            yield f"package {name}: {package['path']} is not {APPLE_PACKAGE}, which scripts/apple.sh writes"
            continue
        manifest = root / "Package.swift"
        dependencies = [item for target in project["targets"].values() for item in target.get("dependencies", [])]
        for product in [item["product"] for item in dependencies if item.get("package") == name]:
            if f'.library(name: "{product}"' not in manifest.read_text():
                yield f"package {name} has no product {product}"
    for name, target in project["targets"].items():
        for source in target.get("sources", []):
            path, excludes = (source, []) if isinstance(source, str) else (source["path"], source.get("excludes", []))
            if not (sample / path).exists():
                yield f"target {name}: no source {path}"
            for excluded in excludes:
                if not (sample / path / excluded).exists() and f"{path}/{excluded}" not in made:
                    yield f"target {name}: {path} has no {excluded}, which is excluded"
        for _, setting, value in settings_of(target):
            if setting == "CODE_SIGN_ENTITLEMENTS" and not (sample / value).is_file():
                yield f"target {name}: no entitlements {value}"
            suffix = rules.ASSET_SETTINGS.get(setting)
            if suffix and not list(sample.glob(f"App/*.xcassets/{value}.{suffix}")):
                yield f"target {name}: no asset {value}.{suffix}"
    used = values_of(project, "CODE_SIGN_ENTITLEMENTS")
    for path in sorted((sample / "App").glob("*.entitlements")):
        if f"App/{path.name}" not in used:
            yield f"{path.name} is not used"


@with_project
def check_entitlements(root, project):
    for name, target in project["targets"].items():
        files = {config: value for config, setting, value in settings_of(target) if setting == "CODE_SIGN_ENTITLEMENTS"}
        for config, file in files.items():
            path = root / SAMPLE / file
            if not path.is_file():
                continue  # check_references reports it.
            entitlements, findings = load_plist(path)
            yield from findings
            for key, value in (entitlements or {}).items():
                if key not in rules.ENTITLEMENTS:
                    yield f"{path.name}: unknown entitlement `{key}`"
                elif not isinstance(value, bool):
                    yield f"{path.name}: `{key}` is no boolean"
                elif config is None and rules.ENTITLEMENTS[key] == "paid":
                    yield f"{path.name}: a free account cannot sign `{key}`; put it into a configuration of its own"


@with_project
def check_info(root, project):
    for name, target in project["targets"].items():
        if "info" not in target:
            continue
        properties = target["info"].get("properties", {})
        defined = {setting for owner in (project, target) for _, setting, _ in settings_of(owner)}
        for key, value in properties.items():
            kind = rules.INFO_KEYS.get(key)
            if kind is None:
                yield f"target {name}: unknown property `{key}` in Info.plist"
            elif not isinstance(value, kind):
                yield f"target {name}: `{key}` is no {kind.__name__}"
            for used in re.findall(r"\$\((\w+)\)", value if isinstance(value, str) else ""):
                if used not in defined:
                    yield f"target {name}: `{key}` uses the setting {used}, which is not defined"
            if key.startswith("UISupportedInterfaceOrientations"):
                yield from (f"target {name}: unknown orientation `{one}`" for one in value if one not in rules.ORIENTATIONS)
        yield from (f"target {name}: Info.plist needs `{key}`" for key in rules.INFO_REQUIRED if key not in properties)
        used = languages(root)
        if used and sorted(properties.get("CFBundleLocalizations", [])) != sorted(used):
            named = properties.get("CFBundleLocalizations")
            yield f"target {name}: the texts are in {sorted(used)}, CFBundleLocalizations says {named}"
        catalogue, _ = load_json(root / SAMPLE / "App/InfoPlist.xcstrings")
        translated = set((catalogue or {}).get("strings", {}))
        shown = {key for key in properties if key.endswith("UsageDescription")}
        yield from (f"InfoPlist.xcstrings: `{key}` is no property of Info.plist" for key in sorted(translated - set(properties)))
        yield from (f"InfoPlist.xcstrings lacks `{key}`, which the system shows" for key in sorted(shown - translated))
        for key in sorted(shown & translated):
            english = catalogue["strings"][key].get("localizations", {}).get("en", {}).get("stringUnit", {}).get("value")
            if english != properties[key]:
                yield f"`{key}` differs between Info.plist and InfoPlist.xcstrings"


def languages(root):
    catalogue, _ = load_json(root / SAMPLE / "App/Localizable.xcstrings")
    entries = (catalogue or {}).get("strings", {}).values()
    return {language for entry in entries for language in entry.get("localizations", {})}


def check_manifests(root):
    findings = []
    for path in (root / SAMPLE / "App/PrivacyInfo.xcprivacy", root / LIBRARY_MANIFEST):
        manifest, wrong = load_plist(path) if path.is_file() else (None, ["there is none"])
        wrong += list(privacy(manifest)) if manifest is not None else []
        findings += [f"{path.relative_to(root)}: {finding}" for finding in wrong]
    return findings


def privacy(manifest):
    yield from (f"`{key}` is missing" for key in rules.PRIVACY_KEYS if key not in manifest)
    for key, value in manifest.items():
        kind = rules.PRIVACY_KEYS.get(key)
        if kind is None:
            yield f"unknown key `{key}`"
        elif not isinstance(value, kind):
            yield f"`{key}` is no {kind.__name__}"
            return
    if manifest.get("NSPrivacyTracking") is False and manifest.get("NSPrivacyTrackingDomains"):
        yield "domains that track, without tracking"
    seen = set()
    for entry in manifest.get("NSPrivacyAccessedAPITypes", []):
        category, reasons = entry.get("NSPrivacyAccessedAPIType", ""), entry.get("NSPrivacyAccessedAPITypeReasons", [])
        allowed = rules.API_REASONS.get(category.removeprefix("NSPrivacyAccessedAPICategory"))
        yield from unknown(category, entry, {"NSPrivacyAccessedAPIType", "NSPrivacyAccessedAPITypeReasons"})
        if allowed is None or not category.startswith("NSPrivacyAccessedAPICategory"):
            yield f"unknown category `{category}`"
            continue
        if category in seen or not reasons:
            yield f"`{category}` stands twice, or without a reason"
        seen.add(category)
        yield from (f"`{reason}` is no reason for {category}" for reason in reasons if reason not in allowed)
    for entry in manifest.get("NSPrivacyCollectedDataTypes", []):
        yield from (f"a collected type lacks `{key}`" for key in rules.COLLECTED_KEYS if key not in entry)
        yield from (f"unknown key `{key}` of a collected type" for key in entry if key not in rules.COLLECTED_KEYS)
        kind = entry.get("NSPrivacyCollectedDataType", "")
        if kind.removeprefix("NSPrivacyCollectedDataType") not in rules.COLLECTED_TYPES:
            yield f"unknown type of data `{kind}`"
        for purpose in entry.get("NSPrivacyCollectedDataTypePurposes", []):
            if purpose.removeprefix("NSPrivacyCollectedDataTypePurpose") not in rules.PURPOSES:
                yield f"unknown purpose `{purpose}`"


def check_texts(root):
    findings = []
    paths = sorted((root / SAMPLE).glob("App/*.xcstrings"))
    if not paths:
        return ["there is no string catalogue"]
    for path in paths:
        catalogue, wrong = load_json(path)
        findings += wrong + [f"{path.name}: {finding}" for finding in catalogue_findings(catalogue or {"sourceLanguage": "en"})]
    return findings


def catalogue_findings(catalogue):
    yield from unknown("the catalogue", catalogue, {"sourceLanguage", "strings", "version"})
    if catalogue.get("sourceLanguage") != "en":
        yield "the source language is not English"
    for key, entry in catalogue.get("strings", {}).items():
        yield from unknown(f"`{key}`", entry, {"comment", "extractionState", "localizations", "shouldTranslate"})
        texts = {language: list(units(value)) for language, value in entry.get("localizations", {}).items()}
        for language in rules.LANGUAGES:
            if not texts.get(language):
                yield f"`{key}` is missing in {language}"
        for language, found in texts.items():
            for unit in found:
                if unit.get("state") != "translated" or not unit.get("value", "").strip():
                    yield f"`{key}` is not translated into {language}"
                if placeholders(unit.get("value", "")) != placeholders(texts.get("en", [{}])[0].get("value", "")):
                    yield f"`{key}`: the placeholders differ in {language}"


def units(value):
    """Yields the texts of a language: one, or one for each variation."""
    if "stringUnit" in value:
        yield value["stringUnit"]
    for variations in value.get("variations", {}).values():
        for variation in variations.values():
            yield from units(variation)


def placeholders(text):
    return sorted({match[0] for match in PLACEHOLDER.finditer(text) if match[0] != "%%"})


def check_assets(root):
    findings = []
    for contents in sorted((root / SAMPLE).glob("App/*.xcassets/**/Contents.json")):
        where = contents.parent.relative_to(root / SAMPLE / "App")
        value, wrong = load_json(contents)
        wrong += list(asset(contents.parent, value)) if value is not None else []
        findings += [f"{where}: {finding}" for finding in wrong]
    for folder in sorted((root / SAMPLE).glob("App/*.xcassets/**/")):
        if not (folder / "Contents.json").is_file():
            findings.append(f"{folder.relative_to(root / SAMPLE / 'App')}: no Contents.json")
    return findings


def asset(folder, value):
    if value.get("info", {}).get("version") != 1 or "author" not in value.get("info", {}):
        yield "no info with author and version 1"
    entries = value.get("colors", []) + value.get("images", [])
    named = {entry["filename"] for entry in entries if "filename" in entry}
    here = {path.name for path in folder.iterdir() if path.is_file()} - {"Contents.json"}
    yield from (f"no file {name}" for name in sorted(named - here))
    yield from (f"{name} is not used" for name in sorted(here - named))
    for entry in value.get("colors", []):
        color = entry.get("color", {})
        components = color.get("components", {})
        if color.get("color-space") not in ("srgb", "display-p3") or set(components) != {"red", "green", "blue", "alpha"}:
            yield f"no colour: {color}"
        elif not all(re.fullmatch(r"0x[0-9A-Fa-f]{2}|0\.\d+|1\.0+|\d{1,3}", part) for part in components.values()):
            yield f"no components of a colour: {components}"
        for appearance in entry.get("appearances", []):
            if (appearance.get("appearance"), appearance.get("value")) not in rules.APPEARANCES:
                yield f"unknown appearance {appearance}"
    if folder.suffix == ".appiconset":
        for name in sorted(named & here):
            yield from icon(folder / name)


def icon(path):
    head = path.read_bytes()[:26]
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        yield f"{path.name} is no PNG"
        return
    width, height, _, color = struct.unpack(">IIBB", head[16:26])
    if (width, height) != (1024, 1024):
        yield f"{path.name} has {width} x {height} pixels instead of 1024 x 1024"
    if color not in (0, 2, 3):
        yield f"{path.name} has an alpha channel"


CHECKS = {
    "apple-project": check_project,
    "apple-references": check_references,
    "apple-entitlements": check_entitlements,
    "apple-info": check_info,
    "apple-privacy": check_manifests,
    "apple-texts": check_texts,
    "apple-assets": check_assets,
}


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    root = pathlib.Path(words[0] if words else pathlib.Path(__file__).parent.parent)
    if "--self-test" in sys.argv:
        import apple_self_test

        results = apple_self_test.run(CHECKS, root, tempfile)
    else:
        results = ((name, check(root)) for name, check in CHECKS.items())
    failed = False
    for name, findings in results:
        print("".join(f"{finding}\n" for finding in findings), end="")
        print(f"{'FAIL' if findings else 'ok  '} {name}")
        failed = failed or bool(findings)
    return failed


if __name__ == "__main__":
    sys.exit(main())
