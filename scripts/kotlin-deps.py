#!/usr/bin/env python3
"""Compares the Maven poms of the Kotlin library and of the Android sample with Gradle's version catalogues.

Gradle builds for apps, Maven for tests on a host: both must name the same libraries in the same versions. A property
`NAME.version` of a pom is the version `NAME` of the catalogue; the poms and the catalogue name the same libraries. The
sample's catalogue names the app's direct dependencies, its poms also the transitive ones: there the catalogue must be a
subset of the poms. Prints the differences, and exits with 1 if there are any.
"""

import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree as xml

FOLDER = pathlib.Path("bindings/kotlin")
POM = "{http://maven.apache.org/POM/4.0.0}"
# Libraries that Gradle resolves by itself and Maven must name: the parts of Robolectric and of JUnit; and the lint.
ONLY_MAVEN = {
    "android",
    "monitor",
    "org.robolectric:android-all",
    "org.junit:junit-bom",
    "org.junit.vintage:junit-vintage-engine",
    "ktlint",
    "com.pinterest.ktlint:ktlint-cli",
}
# Libraries of Android builds only; Gradle runs Robolectric on JUnit 4, and Maven through JUnit 5.
ONLY_GRADLE = {"agp", "compile-sdk", "min-sdk", "org.jetbrains.kotlin:kotlin-test-junit"}


# Compilers that Maven downloads as libraries.
ONLY_BUILDS = {
    "kotlin-serialization-compiler-plugin-embeddable",
    "kotlin-compose-compiler-plugin-embeddable",
    "android-all-instrumented",
    "monitor",
}
SAMPLE = pathlib.Path("android-sample")


def catalogue(folder):
    read = tomllib.loads((folder / "gradle/libs.versions.toml").read_text())
    versions = read["versions"]
    libraries = {entry["module"]: versions[entry["version"]["ref"]] for entry in read["libraries"].values()}
    return versions, libraries


def poms(paths):
    versions, libraries = {}, {}
    trees = [xml.parse(path).getroot() for path in sorted(paths)]
    # A pom inherits the properties of its parent.
    inherited = {child.tag.removeprefix(POM): child.text for tree in trees for child in tree.iterfind(f"{POM}properties/*")}
    for tree in trees:
        own = {child.tag.removeprefix(POM): child.text for block in tree.iter(POM + "properties") for child in block}
        properties = inherited | own

        def resolved(text):
            return re.sub(r"\$\{([^}]+)}", lambda match: properties.get(match[1], match[0]), text)

        for name, value in properties.items():
            if name.endswith(".version"):
                versions[name.removesuffix(".version")] = value
        for entry in [*tree.iter(POM + "dependency"), *tree.iter(POM + "artifactItem")]:
            group, artifact, version = (entry.findtext(POM + part) for part in ("groupId", "artifactId", "version"))
            if artifact in ONLY_BUILDS:
                continue
            # Gradle resolves the JVM variant by itself.
            libraries[f"{group}:{artifact.removesuffix('-jvm')}"] = resolved(version)
    return versions, libraries


def differences(kind, gradle, maven):
    for name in sorted(gradle.keys() | maven.keys()):
        there, here = gradle.get(name), maven.get(name)
        alone = name in ONLY_MAVEN and there is None or name in ONLY_GRADLE and here is None
        if not alone and there != here:
            yield f"{kind} `{name}`: {there or 'not there'} in the catalogue, {here or 'not there'} in the poms"


def sample():
    """Returns the libraries of the sample's catalogue that its poms lack, or have in another version."""
    _, asked = catalogue(SAMPLE)
    _, compiled = poms(SAMPLE.glob("compile-android/**/pom.xml"))
    for module, version in asked.items():
        if module.startswith("org.nearside:"):
            continue
        # Gradle selects the Android variant of a library, the poms name it; coroutines-android is a thin layer on the core.
        name = module.removesuffix("-ktx")
        there = [compiled.get(other) for other in (name, name + "-android", name.replace("-android", "-core"))]
        if version not in there:
            found = next((other for other in there if other), "not there")
            yield f"the sample's library `{module}`: {version} in the catalogue, {found} in the poms"


def main():
    (versions, libraries), (pom_versions, pom_libraries) = catalogue(FOLDER), poms(FOLDER.glob("*pom.xml"))
    dashed = {name.replace(".", "-"): value for name, value in pom_versions.items()}
    found = [*differences("version", versions, dashed), *differences("library", libraries, pom_libraries), *sample()]
    for line in found:
        print(line)
    if not found:
        print(f"{len(pom_libraries)} libraries and {len(pom_versions)} versions, the same for Gradle and Maven")
    return int(bool(found))


sys.exit(main())
