"""The facts about the Kotlin artifacts, each read from its owner: facts.py version|min-sdk|natives

bindings/kotlin/pom.xml owns versions and the description, bindings/kotlin/natives.txt the native libraries of the AAR, and
this file the artifacts. Cargo.toml must name the same version. As a program it prints a fact for shell scripts.
"""

import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree as xml
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
POM = "{http://maven.apache.org/POM/4.0.0}"
GROUP = "org.nearside"
JNA = "net.java.dev.jna:jna"
STDLIB = "org.jetbrains.kotlin:kotlin-stdlib"
COROUTINES = "org.jetbrains.kotlinx:kotlinx-coroutines-core"
SERIALIZATION = "org.jetbrains.kotlinx:kotlinx-serialization-json"
TESTING = GROUP + ":nearside-testing"


class Native(NamedTuple):
    """A native library of the AAR."""

    name: str
    abi: str
    triple: str
    features: str

    @property
    def entry(self):
        return f"jni/{self.abi}/lib{self.name}.so"


class Dependency(NamedTuple):
    module: str
    scope: str
    kind: str = "jar"


class Artifact(NamedTuple):
    """An artifact: its name, its packaging, a sentence about it, and its dependencies."""

    name: str
    packaging: str
    description: str
    dependencies: tuple


LIBRARY = (Dependency(STDLIB, "compile"), Dependency(COROUTINES, "compile"), Dependency(SERIALIZATION, "compile"))
ARTIFACTS = (
    # JNA's jar has no library for Android, and its AAR none for a host.
    Artifact("nearside-android", "aar", "Nearside for Android apps.", (*LIBRARY, Dependency(JNA, "runtime", "aar"))),
    Artifact("nearside-jvm", "jar", "Nearside for desktops and servers.", (*LIBRARY, Dependency(JNA, "runtime"))),
    # No dependency on JNA or on the library: a test on a device has both from the app, in another form than a host.
    Artifact(
        "nearside-testing",
        "jar",
        "Scripts, recorded providers and fake devices for the tests of apps.",
        (Dependency(STDLIB, "compile"), Dependency(SERIALIZATION, "runtime")),
    ),
    Artifact(
        "nearside-testing-host",
        "jar",
        "The native libraries for unit tests of Android apps on a host.",
        (Dependency(TESTING, "compile"), Dependency(JNA, "runtime")),
    ),
)


class Project:
    """The library's pom, with its properties resolved."""

    def __init__(self, root=ROOT):
        self.root = pathlib.Path(root)
        self.tree = xml.parse(self.root / "bindings/kotlin/pom.xml").getroot()
        self.properties = {child.tag.removeprefix(POM): child.text for child in self.tree.find(POM + "properties")}
        self.version = self.text("version")
        cargo = tomllib.loads((self.root / "Cargo.toml").read_text())["workspace"]["package"]["version"]
        if cargo != self.version:
            raise SystemExit(
                f"error: version {self.version} in the library's pom, {cargo} in Cargo.toml\nhelp: make them equal"
            )

    def text(self, *path):
        found = self.tree.findtext("/".join(POM + part for part in path))
        return re.sub(r"\$\{([^}]+)}", lambda match: self.properties.get(match[1], match[0]), found or "")

    def property(self, name):
        return self.properties[name]

    def version_of(self, module):
        """Returns the version of a dependency; the pom names the JVM's variant of a library of all platforms."""
        if module.startswith(GROUP + ":"):
            return self.version
        group, artifact = module.split(":")
        for entry in self.tree.iterfind(f"{POM}dependencies/{POM}dependency"):
            if entry.findtext(POM + "groupId") == group and entry.findtext(POM + "artifactId") in (artifact, artifact + "-jvm"):
                return re.sub(r"\$\{([^}]+)}", lambda match: self.properties[match[1]], entry.findtext(POM + "version"))
        raise SystemExit(f"error: the library's pom has no dependency `{module}`\nhelp: add it, or remove it from facts.py")

    def natives(self):
        lines = (self.root / "bindings/kotlin/natives.txt").read_text().splitlines()
        rows = [line.split() for line in lines if line.strip() and not line.startswith("#")]
        return [Native(*row, *[""] * (4 - len(row))) for row in rows]


def main():
    project = Project()
    match sys.argv[1:]:
        case ["version"]:
            print(project.version)
        case ["min-sdk"]:
            print(project.property("android.min.sdk"))
        case ["natives"]:
            for native in project.natives():
                print(*native)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
