"""What is promised about the sample's Gradle build, checked on its files; Gradle itself runs nowhere here.

The catalogue and the library's poms name the same versions; plugins, Gradle and SDKs go together (PAIRS); every alias and
accessor of the build files is in the catalogue; the build takes the library from the folder and everything else from the two
usual repositories; the wrapper is Gradle's own.
"""

import hashlib
import re
import tomllib
import xml.etree.ElementTree as xml

from facts import GROUP, POM

# What goes together only so: (what, from this version on), the comparison, (what, the version), the source. Read on that day.
READ_ON = "2026-11-30"
PAIRS = (
    (("agp", "9.4"), "at least", ("gradle", "9.6.0"), "developer.android.com/build/releases/agp-9-4-0-release-notes"),
    (("agp", "9.4"), "at most", ("compile-sdk", "37"), "developer.android.com/build/releases/agp-9-4-0-release-notes"),
    (("agp", "9.0"), "at least", ("gradle", "9.1.0"), "developer.android.com/build/releases/agp-9-0-0-release-notes"),
    (("compose", "1.12"), "at least", ("compile-sdk", "37"), "minCompileSdk of androidx.compose.ui:ui-android 1.12.1"),
    (("lifecycle", "2.11"), "at least", ("compile-sdk", "37"), "minCompileSdk of lifecycle-runtime-compose-android 2.11.0"),
    (("Google Play", "2026-08-31"), "at least", ("target-sdk", "36"), "support.google.com/googleplay/android-developer/answer/11926878"),
)
# AGP 9 compiles Kotlin itself and refuses the plugin that did.
REFUSED_PLUGINS = {"org.jetbrains.kotlin.android": ("agp", "9.0")}
# Versions that the library's pom owns, by their name in the catalogue and in the other poms.
SHARED = {name: f"{name}.version" for name in ("kotlin", "coroutines", "serialization", "jna")}
# gradle-wrapper.jar is that of Gradle 9.4.0 and 9.4.1, which starts later ones, too; github.com/gradle/actions lists the hash:
# sources/src/wrapper-validation/wrapper-checksums.json. The scripts are those that came with the jar.
WRAPPER = {
    "gradle/wrapper/gradle-wrapper.jar": "55243ef57851f12b070ad14f7f5bb8302daceeebc5bce5ece5fa6edb23e1145c",
    "gradlew": "aed171fb114f82e6eaea4970a245a200e0582a7dcc8ec0891ca41b6e4a62b754",
    "gradlew.bat": "fedad02c18e266ec094995a5751b7fe1eb6e74f66bf75db64fae2e50eb22c234",
}
DISTRIBUTION = re.compile(r"https\\://services\.gradle\.org/distributions/gradle-([\d.]+)-bin\.zip")
# The distribution of each Gradle version, as its publisher's container images name it (GRADLE_DOWNLOAD_SHA256).
DISTRIBUTIONS = {"9.7.0": "84fbba45c7f4c64abc77460e1c00f541e9f960e3c7ed2538f1ede19eacd873ae"}
TOKEN = re.compile(r'"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*(?:.|\n)*?\*/')
CLOSES = {")": "(", "]": "[", "}": "{"}


class Sample:
    """The files of the sample's build."""

    def __init__(self, root):
        self.folder = root / "android-sample"
        self.catalogue = tomllib.loads((self.folder / "gradle/libs.versions.toml").read_text())
        self.versions = self.catalogue["versions"]
        self.scripts = {file.name: file.read_text() for file in sorted(self.folder.glob("*.gradle.kts"))}
        self.wrapper = (self.folder / "gradle/wrapper/gradle-wrapper.properties").read_text()

    def filters(self):
        """Returns the ABIs that an APK keeps."""
        found = re.search(r"abiFilters \+= listOf\(([^)]*)\)", self.scripts["build.gradle.kts"])
        return re.findall(r'"([^"]+)"', found[1]) if found else []


def complaints(project, sample):
    """Returns what is wrong with the sample's build, a line each."""
    return [
        *_catalogue(sample.catalogue),
        *_versions(project, sample),
        *_pairs(sample),
        *(f"{name}: {wrong}" for name, text in sample.scripts.items() for wrong in _script(text, sample.catalogue)),
        *_repositories(sample),
        *wrapper_complaints(sample),
    ]


def _catalogue(catalogue):
    """The catalogue is complete in itself, and names nothing that nothing uses."""
    versions = catalogue["versions"]
    used = set()
    for kind in ("libraries", "plugins"):
        for alias, entry in catalogue.get(kind, {}).items():
            reference = entry.get("version", {}).get("ref")
            used.add(reference)
            if reference not in versions:
                yield f"catalogue: `{alias}` has the version `{reference}`, which does not exist"
    for name in versions.keys() - used - {"compile-sdk", "min-sdk", "target-sdk"}:
        yield f"catalogue: nothing has the version `{name}`"


def _versions(project, sample):
    owned = {name: project.property(key) for name, key in SHARED.items()} | {"nearside": project.version}
    for name, version in owned.items():
        if sample.versions.get(name, version) != version:
            yield f"catalogue: `{name}` is {sample.versions[name]}, and {version} in bindings/kotlin/pom.xml"
    if int(sample.versions["min-sdk"]) < int(project.property("android.min.sdk")):
        yield f"catalogue: min-sdk is {sample.versions['min-sdk']}, below that of the library"
    libraries = {}
    for file in sorted(sample.folder.rglob("pom.xml")):
        tree = xml.parse(file).getroot()
        values = {child.tag.removeprefix(POM): child.text for child in tree.iterfind(f"{POM}properties/*")}
        for name, key in SHARED.items():
            if values.get(key, owned[name]) != owned[name]:
                where = file.relative_to(sample.folder.parent)
                yield f"{where}: `{name}` is {values[key]}, and {owned[name]} in bindings/kotlin/pom.xml"
        if "compile-android" in file.parts:
            libraries |= _libraries(tree, owned)
    for entry in sample.catalogue["libraries"].values():
        module, version = entry["module"], sample.versions.get(entry.get("version", {}).get("ref"))
        if module.startswith(GROUP + ":") or version is None:
            continue
        # Gradle selects the Android variant of a library, the poms name it; coroutines-android is a thin layer on the core.
        name = module.removesuffix("-ktx")
        there = {libraries.get(other) for other in (name, name + "-android", name.replace("-android", "-core-jvm"))} - {None}
        if there != {version}:
            found = ", ".join(sorted(there)) or "not there"
            yield f"the sample's library `{module}`: {version} in the catalogue, {found} in compile-android's poms"


def _libraries(tree, owned):
    """Returns the versions of the libraries that a pom names."""
    libraries = {}
    for entry in [*tree.iter(POM + "dependency"), *tree.iter(POM + "artifactItem")]:
        group, artifact, version = (entry.findtext(POM + part) or "" for part in ("groupId", "artifactId", "version"))
        libraries[f"{group}:{artifact}"] = re.sub(r"\$\{(\w+)\.version}", lambda match: owned.get(match[1], match[0]), version)
    return libraries


def _number(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def _pairs(sample):
    found = DISTRIBUTION.search(sample.wrapper)
    present = sample.versions | {"Google Play": READ_ON} | ({"gradle": found[1]} if found else {})
    for (what, since), comparison, (other, limit), source in PAIRS:
        if what not in present or other not in present or _number(present[what]) < _number(since):
            continue
        value = _number(present[other])
        if value < _number(limit) if comparison == "at least" else value > _number(limit):
            yield f"{what} {present[what]} needs {other} {comparison} {limit}, not {present[other]} ({source})"
    for entry in sample.catalogue.get("plugins", {}).values():
        what, since = REFUSED_PLUGINS.get(entry["id"], ("agp", "999"))
        if _number(present.get(what, "0")) >= _number(since):
            yield f"the plugin `{entry['id']}` does not go with {what} {present[what]}"


def _script(text, catalogue):
    code = TOKEN.sub(lambda match: '""' if match[0].startswith('"') else " ", text)
    if '"' in code.replace('""', ""):
        yield "a string does not end"
    opened = []
    for character in code:
        if character in "([{":
            opened.append(character)
        elif character in CLOSES and (not opened or opened.pop() != CLOSES[character]):
            yield f"a `{character}` closes nothing"
            break
    if opened:
        yield f"a `{opened[-1]}` is not closed"
    kinds = ("versions", "libraries", "plugins")
    names = {kind: {re.sub("[-_]", ".", alias) for alias in catalogue.get(kind, {})} for kind in kinds}
    for accessor in re.findall(r"\blibs((?:\.\w+)+)", code):
        parts = accessor[1:].removesuffix(".get.toInt").removesuffix(".get").split(".")
        kind = parts.pop(0) if parts[0] in ("versions", "plugins") else "libraries"
        if ".".join(parts) not in names[kind]:
            yield f"`libs{accessor}` is not in the catalogue"


def _repositories(sample):
    settings = sample.scripts["settings.gradle.kts"]
    code = TOKEN.sub(lambda match: match[0] if match[0].startswith('"') else " ", settings)
    here = ("exclusiveContent", f'includeGroup("{GROUP}")', "FAIL_ON_PROJECT_REPOS", "nearside.maven")
    for wanted in ("google()", "mavenCentral()", *here):
        if wanted not in code:
            yield f"settings.gradle.kts lacks `{wanted}`"
    if "includeBuild" in code:
        yield "settings.gradle.kts includes another build: the sample is an ordinary consumer"
    for name, text in sample.scripts.items():
        yield from (f"{name} names the repository {address}" for address in re.findall(r'"(https?://[^"]*)"', text))


def wrapper_complaints(sample):
    for name, wanted in WRAPPER.items():
        file = sample.folder / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
            yield f"{name} is not the wrapper of Gradle that is known here"
    found = DISTRIBUTION.search(sample.wrapper)
    told = re.search(r"^distributionSha256Sum=(.*)$", sample.wrapper, re.M)
    if not found:
        yield "gradle-wrapper.properties does not take Gradle from where it is published"
    elif not told or told[1] != DISTRIBUTIONS.get(found[1]):
        yield f"gradle-wrapper.properties has not the known distributionSha256Sum of Gradle {found[1]}"
