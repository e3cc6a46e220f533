#!/usr/bin/env python3
"""Checks the Kotlin artifacts and the sample's Gradle build, without Gradle or an Android SDK.

check-packages.py [--target DIR] [CHECK...]

  artifacts   the files, POMs, checksums and classes of all artifacts; the native libraries of the AAR
  jna         the processors of the AAR against those that JNA brings, and the sample's abiFilters
  androidx    the SDK that each AndroidX library of the sample demands, against the one that it is compiled against
  gradle      the sample's catalogue, build files, repositories and wrapper
  rules       the rules for shrinking: a shrunk and obfuscated library plays its scenarios, and does not without the rules

Prints `ok  NAME` or `FAIL NAME` for each, after its findings. DIR is the folder of the build, by default target/ in the clone;
the compiled classes must be there (`scripts/kotlin.sh check` compiles what is missing). The AAR is written with small native
libraries that stand in for those of a phone; what is in DIR/maven is read, too. Each check is also tried on broken input, and
must find it.
"""

import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "packages"))

import elf
import gradle
import maven
import shrink
import verify
from facts import ARTIFACTS, GROUP, JNA, Project
from write import MissingInput, Writer, archive, put


class Checks:
    """The checks, by name. Each returns its findings, a line each."""

    def __init__(self, target):
        self.target, self.project = target, Project()
        self.sample = gradle.Sample(self.project.root)

    def artifacts(self):
        with tempfile.TemporaryDirectory() as scratch:
            repository = self.written(pathlib.Path(scratch))
            again = self.written(pathlib.Path(scratch) / "again")
            found = [wrong for artifact in ARTIFACTS for wrong in verify.complaints(self.project, repository, artifact)]
            found += [f"{file} differs when it is written again" for file in differences(repository, again)]
            self.must_find(repository)
        # Those that apps get, if they are there: with the real libraries.
        real = self.target / "maven"
        written = [artifact for artifact in ARTIFACTS if (real / GROUP.replace(".", "/") / artifact.name).is_dir()]
        return found + [
            f"target/maven: {wrong}" for artifact in written for wrong in verify.complaints(self.project, real, artifact)
        ]

    def written(self, scratch):
        """Writes the artifacts of the build, with libraries that stand in for those of a phone."""
        build = scratch / "target"
        build.mkdir(parents=True)
        for name in ("kotlin", "kotlin-android", "kotlin-testing", "bindings"):
            (build / name).symlink_to(self.target / name)
        libraries = {
            build / f"android/jniLibs/{native.abi}/lib{native.name}.so": native.abi for native in self.project.natives()
        }
        for file, abi in (libraries | {build / "natives/linux-x86-64/libnearside_ffi.so": "x86_64"}).items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(elf.write(abi))
        writer = Writer(self.project, build, scratch / "maven")
        for artifact in ARTIFACTS:
            writer.write(artifact)
        return scratch / "maven"

    def must_find(self, sound):
        """Breaks a copy of the repository in each way, and expects a finding that says so."""
        version = self.project.version
        for name, file, change, told in BROKEN:
            artifact = next(artifact for artifact in ARTIFACTS if artifact.name == name)
            with tempfile.TemporaryDirectory() as scratch:
                repository = pathlib.Path(scratch) / "maven"
                shutil.copytree(sound, repository)
                path = repository / GROUP.replace(".", "/") / name / file.format(version=version)
                data = change(path.read_bytes())
                path.unlink()
                if data is not None and told in CHECKSUM_FAULTS:
                    path.write_bytes(data)
                elif data is not None:
                    put(path, data)
                expect(told, verify.complaints(self.project, repository, artifact), f"{name}/{file}")

    def jna(self):
        aar = verify.read_archive(maven.fetch(JNA, self.project.property("jna.version"), "aar").read_bytes())
        expect("abiFilters", verify.jna_complaints(self.project, aar, ["arm64-v8a", "x86_64", "x86"]), "a wider filter")
        expect(
            "no library for ['x86_64']", verify.jna_complaints(self.project, without(aar, "jni/x86_64/"), []), "a narrower JNA"
        )
        return list(verify.jna_complaints(self.project, aar, self.sample.filters()))

    def androidx(self):
        libraries = maven.aars(self.project.root / "android-sample/compile-android/classes/pom.xml")
        versions = self.sample.versions
        expect("compiles against 36", maven.sdk_complaints(libraries, versions | {"compile-sdk": "36"}), "compile-sdk 36")
        expect("needs agp", maven.sdk_complaints(libraries, versions | {"agp": "8.0.0"}), "an old plugin")
        return maven.sdk_complaints(libraries, versions)

    def gradle(self):
        for file, pattern, replacement, told in BROKEN_BUILDS:
            with tempfile.TemporaryDirectory() as scratch:
                root = pathlib.Path(scratch)
                shutil.copytree(
                    self.project.root / "android-sample", root / "android-sample", ignore=shutil.ignore_patterns("src")
                )
                path = root / "android-sample" / file
                text = path.read_bytes()
                broken = re.sub(pattern.encode(), replacement.encode(), text, count=1)
                assert broken != text, f"{pattern} is not in {file}: adapt BROKEN_BUILDS"
                path.write_bytes(broken)
                expect(told, gradle.complaints(self.project, gradle.Sample(root)), f"{file}: {replacement or pattern}")
        return gradle.complaints(self.project, self.sample)

    def rules(self):
        return shrink.complaints(self.project, self.target)


def differences(one, other):
    files = {file.relative_to(one) for file in one.rglob("*") if file.is_file()}
    files |= {file.relative_to(other) for file in (other / "maven").rglob("*") if file.is_file()}
    return sorted(str(file) for file in files if (one / file).read_bytes() != (other / file).read_bytes())


def without(entries, start):
    return {name: data for name, data in entries.items() if not name.startswith(start)}


def expect(told, found, case):
    """Fails unless a finding contains the text: a check that finds nothing in broken input proves nothing."""
    found = list(found)
    if not any(told in line for line in found):
        raise AssertionError(f"broken input was not found: {case}; expected `{told}`, found {found[:5]}")


def entry(name, data):
    """Returns a change of an archive: the entry gets these bytes, or goes."""

    def change(whole):
        entries = verify.read_archive(whole)
        if data is None:
            del entries[name]
        else:
            entries[name] = data
        return archive(entries)

    return change


def class_entry(name):
    """Returns a change of the AAR: a class of its classes.jar is another one, without content."""

    def change(whole):
        classes = verify.read_archive(whole)["classes.jar"]
        return entry("classes.jar", entry(name, b"\xca\xfe\xba\xbe\0\0\0\x3d")(classes))(whole)

    return change


def replaced(old, new):
    return lambda data: data.replace(old.encode(), new.encode())


AAR, POM_FILE = "{version}/nearside-android-{version}.aar", "{version}/nearside-android-{version}.pom"
ARM = "jni/arm64-v8a/libnearside_ffi.so"
CHECKSUM_FAULTS = ("the sha256 of", "has no md5")
# The artifact, its file, a change that breaks it, and what the finding says.
BROKEN = (
    ("nearside-android", POM_FILE, lambda data: None, "the files are"),
    ("nearside-android", AAR, lambda data: data + b"\0", "the sha256 of"),
    ("nearside-android", POM_FILE + ".md5", lambda data: None, "has no md5"),
    ("nearside-android", POM_FILE, replaced("5.19.1", "5.18.0"), "the POM's dependencies are"),
    ("nearside-android", POM_FILE, replaced("<type>aar</type>", ""), "the POM's dependencies are"),
    ("nearside-android", POM_FILE, replaced("Apache-2.0 OR MIT", "MIT"), "licence is MIT"),
    ("nearside-android", POM_FILE, replaced("<organization>", "<name>A. Person</name><organization>"), "names a person"),
    ("nearside-android", "maven-metadata.xml", replaced("<release>", "<release>9."), "maven-metadata.xml names"),
    ("nearside-android", AAR, entry(ARM, None), "missing: ['" + ARM),
    ("nearside-android", AAR, entry("jni/x86/libnearside_ffi.so", elf.write("x86_64")), "not expected: ['jni/x86"),
    (
        "nearside-android",
        AAR,
        entry(ARM, elf.write("arm64-v8a", needed=("libc.so", "libc++_shared.so"))),
        "needs libc++_shared.so",
    ),
    ("nearside-android", AAR, entry(ARM, elf.write("arm64-v8a", alignment=4096)), "aligned to 4096"),
    ("nearside-android", AAR, entry(ARM, elf.write("x86_64")), "is built for x86_64"),
    ("nearside-android", AAR, entry(ARM, b"text"), "is no ELF file"),
    ("nearside-android", AAR, entry("proguard.txt", b""), "lacks the rules"),
    ("nearside-android", AAR, entry("R.txt", b"int string app 0"), "R.txt is not empty"),
    ("nearside-android", AAR, class_entry("org/nearside/testing/ScriptedKt.class"), "is for tests"),
    ("nearside-android", AAR, class_entry("org/nearside/KeyTest$1.class"), "is for tests"),
    ("nearside-android", AAR, class_entry("org/nearside/ReplyStep.class"), "nothing that requires an opt-in"),
    (
        "nearside-jvm",
        "{version}/nearside-jvm-{version}.jar",
        entry("linux-x86-64/libnearside_ffi.so", None),
        "JNA does not find",
    ),
    (
        "nearside-jvm",
        "{version}/nearside-jvm-{version}.jar",
        entry("org/nearside/AndroidHost.class", b"\0" * 8),
        "has classes of Android",
    ),
    (
        "nearside-testing",
        "{version}/nearside-testing-{version}.jar",
        entry("linux-x86-64/libnearside_ffi.so", b""),
        "more than its own classes",
    ),
    (
        "nearside-testing-host",
        "{version}/nearside-testing-host-{version}.jar",
        entry("org/nearside/A.class", b"\0" * 8),
        "has classes",
    ),
)
# A file of the sample's build, a pattern and its replacement that break it, and what the finding says.
BROKEN_BUILDS = (
    ("gradle/libs.versions.toml", 'compile-sdk = "37"', 'compile-sdk = "36"', "compose 1.12.1 needs compile-sdk at least 37"),
    ("gradle/libs.versions.toml", 'compile-sdk = "37"', 'compile-sdk = "38"', "needs compile-sdk at most 37"),
    ("gradle/libs.versions.toml", 'target-sdk = "37"', 'target-sdk = "35"', "needs target-sdk at least 36"),
    ("gradle/libs.versions.toml", 'kotlin = ".*"', 'kotlin = "2.0.0"', "`kotlin` is 2.0.0"),
    ("gradle/libs.versions.toml", 'min-sdk = "28"', 'min-sdk = "21"', "below that of the library"),
    ("gradle/libs.versions.toml", 'material3 = ".*"', 'material3 = "1.0.0"', "material3`: 1.0.0 in the catalogue"),
    ("gradle/libs.versions.toml", 'ref = "lifecycle"', 'ref = "none"', "the version `none`, which does not exist"),
    (
        "gradle/libs.versions.toml",
        'org.jetbrains.kotlin.plugin.compose"',
        'org.jetbrains.kotlin.android"',
        "does not go with agp",
    ),
    ("compile-android/pom.xml", "<jna.version>.*?<", "<jna.version>1<", "`jna` is 1"),
    ("build.gradle.kts", "libs.nearside", "libs.nearby", "`libs.nearby` is not in the catalogue"),
    ("build.gradle.kts", "buildFeatures {", "buildFeatures {{", "is not closed"),
    ("settings.gradle.kts", r"\)\n", "))\n", "closes nothing"),
    ("settings.gradle.kts", 'rootProject.name = "nearside-sample"', 'rootProject.name = "x', "a string does not end"),
    ("settings.gradle.kts", r"exclusiveContent", "content", "lacks `exclusiveContent`"),
    ("settings.gradle.kts", r"\Z", 'includeBuild("../x")\n', "an ordinary consumer"),
    (
        "settings.gradle.kts",
        r"mavenCentral\(\)\n    }\n}\n\nrootProject",
        'maven("https://repo.example.org")\n    }\n}\n\nrootProject',
        "names the repository",
    ),
    ("gradle/wrapper/gradle-wrapper.jar", "PK", "pk", "is not the wrapper"),
    ("gradle/wrapper/gradle-wrapper.properties", r"gradle-9\.7\.0", "gradle-9.5.0", "needs gradle at least 9.6.0"),
    ("gradle/wrapper/gradle-wrapper.properties", r"services\.gradle\.org", "example.org", "does not take Gradle from"),
    (
        "gradle/wrapper/gradle-wrapper.properties",
        "distributionSha256Sum=8",
        "distributionSha256Sum=9",
        "has not the known distributionSha256Sum",
    ),
)
NAMES = ("artifacts", "jna", "androidx", "gradle", "rules")


def main(words):
    target = Project().root / "target"
    if words[:1] == ["--target"]:
        target, words = pathlib.Path(words[1]), words[2:]
    unknown = set(words) - set(NAMES)
    if unknown:
        sys.exit(f"error: no check is called `{'`, `'.join(sorted(unknown))}`\nhelp: there are {', '.join(NAMES)}")
    checks, failed = Checks(target.resolve()), False
    for name in words or NAMES:
        try:
            found = getattr(checks, name)()
        except (MissingInput, maven.Failure, AssertionError) as cause:
            found = [str(cause)]
        print("".join(f"{line}\n" for line in found) + f"{'FAIL' if found else 'ok  '} {name}", flush=True)
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
