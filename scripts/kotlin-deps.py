#!/usr/bin/env python3
"""Holds the Maven poms of the Kotlin library to Gradle's version catalogue.

Apps get what Gradle builds, tests on a host run what Maven builds: both have to name the same libraries in the same
versions. A property `NAME.version` of a pom is the version `NAME` of the catalogue; every library of a pom is in the
catalogue, and every one of the catalogue in a pom. Prints what differs, and exits with 1.
"""

import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree as xml

FOLDER = pathlib.Path("bindings/kotlin")
POM = "{http://maven.apache.org/POM/4.0.0}"
# What Gradle finds by itself and Maven has to be told, the parts of Robolectric and of JUnit; and the lint.
ONLY_MAVEN = {
    "android",
    "monitor",
    "org.robolectric:android-all",
    "org.junit:junit-bom",
    "org.junit.vintage:junit-vintage-engine",
    "ktlint",
    "com.pinterest.ktlint:ktlint-cli",
}
# What only a build for Android needs; Gradle runs Robolectric on JUnit 4, and Maven through JUnit 5.
ONLY_GRADLE = {"agp", "compile-sdk", "min-sdk", "org.jetbrains.kotlin:kotlin-test-junit"}


def catalogue():
    read = tomllib.loads((FOLDER / "gradle/libs.versions.toml").read_text())
    versions = read["versions"]
    libraries = {entry["module"]: versions[entry["version"]["ref"]] for entry in read["libraries"].values()}
    return versions, libraries


def poms():
    versions, libraries = {}, {}
    for path in sorted(FOLDER.glob("*pom.xml")):
        tree = xml.parse(path).getroot()
        properties = {
            child.tag.removeprefix(POM): child.text for block in tree.iter(POM + "properties") for child in block
        }

        def resolved(text):
            return re.sub(r"\$\{([^}]+)}", lambda match: properties.get(match[1], match[0]), text)

        for name, value in properties.items():
            if name.endswith(".version"):
                versions[name.removesuffix(".version")] = value
        for entry in tree.iter(POM + "dependency"):
            group, artifact, version = (entry.findtext(POM + part) for part in ("groupId", "artifactId", "version"))
            # Gradle finds the part for the JVM by itself.
            libraries[f"{group}:{artifact.removesuffix('-jvm')}"] = resolved(version)
    return versions, libraries


def differences(kind, gradle, maven):
    for name in sorted(gradle.keys() | maven.keys()):
        there, here = gradle.get(name), maven.get(name)
        alone = name in ONLY_MAVEN and there is None or name in ONLY_GRADLE and here is None
        if not alone and there != here:
            yield f"{kind} `{name}`: {there or 'not there'} in the catalogue, {here or 'not there'} in the poms"


def main():
    (versions, libraries), (pom_versions, pom_libraries) = catalogue(), poms()
    dashed = {name.replace(".", "-"): value for name, value in pom_versions.items()}
    found = [*differences("version", versions, dashed), *differences("library", libraries, pom_libraries)]
    for line in found:
        print(line)
    if not found:
        print(f"{len(pom_libraries)} libraries and {len(pom_versions)} versions, the same for Gradle and Maven")
    return int(bool(found))


sys.exit(main())
