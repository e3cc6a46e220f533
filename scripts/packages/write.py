"""Writes the Kotlin artifacts into a folder with the layout of a Maven repository: write.py TARGET [ARTIFACT...]

TARGET is the folder of the build: the compiled classes (`kotlin.sh package` compiles them), the documentation, the native
libraries in natives/ (hosts) and android/jniLibs/ (phones). The repository is TARGET/maven. Without names it writes all.

Nothing of the machine or the moment is in the files: entries are sorted and have one date, so that the same classes give the same
bytes. The folder of an artifact is replaced as a whole.
"""

import datetime
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml
import zipfile
from xml.sax.saxutils import escape

from facts import ARTIFACTS, GROUP, POM, Project

LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")
CHECKSUMS = ("md5", "sha1", "sha256", "sha512")
DATE = (1980, 1, 1, 0, 0, 0)
# Older than every Gradle plugin that can read the AAR: nothing of it needs a newer one.
AAR_METADATA = """aarFormatVersion=1.0
aarMetadataVersion=1.0
minCompileSdk={compile_sdk}
minCompileSdkExtension=0
minAndroidGradlePluginVersion=1.0.0
coreLibraryDesugaringEnabled=false
"""


class MissingInput(Exception):
    """Something that an artifact is made of is not there; the text names it and the remedy."""


class Writer:
    """Writes artifacts from the folder of a build into a repository."""

    def __init__(self, project, target, out, moment=None):
        self.project, self.target, self.out = project, pathlib.Path(target), pathlib.Path(out)
        self.moment = moment or source_date(project.root)
        self.sources = project.root / "bindings/kotlin/src"
        self.generated = self.target / "bindings/kotlin"

    def write(self, artifact):
        """Writes the artifact with its POM, sources, documentation and checksums."""
        name, version = artifact.name, self.project.version
        folder = self.out / GROUP.replace(".", "/") / name
        files = {
            f"{name}-{version}.pom": pom(self.project, artifact).encode(),
            f"{name}-{version}.{artifact.packaging}": archive(self.contents(name)),
            f"{name}-{version}-sources.jar": archive(self.source_files(name)),
            f"{name}-{version}-javadoc.jar": archive(self.documentation(name)),
        }
        shutil.rmtree(folder, ignore_errors=True)
        for file, data in files.items():
            put(folder / version / file, data)
        put(folder / "maven-metadata.xml", metadata(name, version, self.moment).encode())

    def contents(self, name):
        match name:
            case "nearside-android":
                return self.aar()
            case "nearside-jvm":
                return self.classes("kotlin") | self.host_libraries() | self.jar_extras("org.nearside")
            case "nearside-testing":
                return self.classes("kotlin-testing") | self.jar_extras("org.nearside.testing")
            case "nearside-testing-host":
                return self.host_libraries() | self.jar_extras("org.nearside.testing.host")

    def aar(self):
        root, project = self.project.root, self.project
        jni = self.target / "android/jniLibs"
        entries = {
            "AndroidManifest.xml": manifest(project, self.sources / "android/AndroidManifest.xml"),
            "classes.jar": archive(self.classes("kotlin-android")),
            "R.txt": b"",
            "proguard.txt": (self.sources / "android/consumer-rules.pro").read_bytes(),
            "META-INF/com/android/build/gradle/aar-metadata.properties": AAR_METADATA.format(
                compile_sdk=project.property("android.min.compile.sdk")
            ).encode(),
        }
        # At the top level, which no app merges with the licences of other libraries.
        entries |= {name: (root / name).read_bytes() for name in LICENCES}
        for native in project.natives():
            file = jni / native.abi / f"lib{native.name}.so"
            if not file.is_file():
                raise MissingInput(f"the native library {file} is missing; `make android` builds it")
            entries[native.entry] = file.read_bytes()
        return entries

    def classes(self, build):
        folder = self.target / build / "classes"
        found = tree(folder)
        if not any(name.endswith(".class") for name in found):
            raise MissingInput(f"no classes in {folder}; `scripts/kotlin.sh package` compiles them")
        return found

    def host_libraries(self):
        found = tree(self.target / "natives")
        if not found:
            raise MissingInput(f"no library of a host in {self.target}/natives; run `scripts/bindings.sh natives`")
        return found

    def jar_extras(self, module):
        lines = ("Manifest-Version: 1.0", f"Automatic-Module-Name: {module}", f"Implementation-Version: {self.project.version}")
        licences = {f"META-INF/{module}/{name}": (self.project.root / name).read_bytes() for name in LICENCES}
        return {"META-INF/MANIFEST.MF": "\r\n".join([*lines, "", ""]).encode()} | licences

    def source_files(self, name):
        match name:
            case "nearside-android":
                folders = [self.sources / "main/kotlin", self.sources / "android/kotlin", self.generated]
            case "nearside-jvm":
                folders = [self.sources / "main/kotlin", self.generated]
            case "nearside-testing":
                folders = [self.sources / "testing/kotlin"]
            case _:
                return readme(name, "It has no sources: it contains the native libraries that `nearside-jvm` contains, too.")
        files = {}
        for folder in folders:
            files |= tree(folder)
        return files

    def documentation(self, name):
        build = {"nearside-android": "kotlin-android", "nearside-jvm": "kotlin", "nearside-testing": "kotlin-testing"}.get(name)
        pages = tree(self.target / build / "dokka") if build else {}
        return pages or readme(name, f"The documentation is at {self.project.text('url')}.")


def source_date(root):
    """Returns the date of the files' owner: SOURCE_DATE_EPOCH, else that of the commit."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        shown = subprocess.run(["git", "-C", root, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False)
        seconds = shown.stdout.strip() or "0"
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def tree(folder):
    """Returns the files below a folder, by their path in it."""
    folder = pathlib.Path(folder)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def archive(entries):
    """Returns a ZIP file. The manifest of a jar comes first; otherwise the order is that of the names."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as output:
        for name in sorted(entries, key=lambda name: (name != "META-INF/MANIFEST.MF", name)):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
            output.writestr(entry, entries[name], compresslevel=9)
    return data.getvalue()


def readme(name, text):
    return {"README.txt": f"{GROUP}:{name}\n\n{text}\n".encode()}


def manifest(project, source):
    """Returns the library's manifest with the package and the oldest system, which a build for Android would add."""
    text = source.read_text()
    start = "<manifest "
    if text.count(start) != 1:
        raise MissingInput(f"{source} has no element `manifest` to add the package to")
    text = text.replace(start, f'<manifest package="{GROUP}" ')
    end = text.index(">", text.index(start)) + 1
    sdk = f'\n  <uses-sdk android:minSdkVersion="{project.property("android.min.sdk")}" />'
    text = text[:end] + sdk + text[end:]
    xml.fromstring(text)
    return text.encode()


def pom(project, artifact):
    """Returns the POM: the description of the library's own pom, and the artifact's dependencies."""
    body = [
        f"  <groupId>{GROUP}</groupId>",
        f"  <artifactId>{artifact.name}</artifactId>",
        f"  <version>{project.version}</version>",
        f"  <packaging>{artifact.packaging}</packaging>",
        f"  <name>{artifact.name}</name>",
        f"  <description>{escape(artifact.description)} {escape(project.text('description'))}</description>",
        f"  <url>{project.text('url')}</url>",
    ]
    for part in ("licenses", "developers", "scm"):
        body += _copied(project.tree.find(POM + part), 1)
    body.append("  <dependencies>")
    for dependency in artifact.dependencies:
        group, name = dependency.module.split(":")
        body += ["    <dependency>", f"      <groupId>{group}</groupId>", f"      <artifactId>{name}</artifactId>"]
        body.append(f"      <version>{project.version_of(dependency.module)}</version>")
        body += [f"      <type>{dependency.kind}</type>"] * (dependency.kind != "jar")
        body += [f"      <scope>{dependency.scope}</scope>", "    </dependency>"]
    head = ['<?xml version="1.0" encoding="UTF-8"?>', '<project xmlns="http://maven.apache.org/POM/4.0.0">']
    return "\n".join([*head, "  <modelVersion>4.0.0</modelVersion>", *body, "  </dependencies>", "</project>", ""])


def _copied(element, depth):
    """Returns the lines of an element of the library's pom."""
    name, indent = element.tag.removeprefix(POM), "  " * depth
    if not len(element):
        return [f"{indent}<{name}>{escape(element.text.strip())}</{name}>"]
    return [f"{indent}<{name}>", *(line for child in element for line in _copied(child, depth + 1)), f"{indent}</{name}>"]


def metadata(name, version, moment):
    """Returns the list of versions, from which Maven and Gradle resolve ranges and `latest`."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>{GROUP}</groupId>
  <artifactId>{name}</artifactId>
  <versioning>
    <latest>{version}</latest>
    <release>{version}</release>
    <versions>
      <version>{version}</version>
    </versions>
    <lastUpdated>{moment:%Y%m%d%H%M%S}</lastUpdated>
  </versioning>
</metadata>
"""


def put(file, data):
    """Writes a file and its checksums."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    for kind in CHECKSUMS:
        file.with_name(f"{file.name}.{kind}").write_text(hashlib.new(kind, data).hexdigest())


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    target, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    known = [artifact.name for artifact in ARTIFACTS]
    if unknown := set(names) - set(known):
        sys.exit(f"error: no artifact `{'`, `'.join(unknown)}`\nhelp: there are {', '.join(known)}")
    writer = Writer(Project(), target, target / "maven")
    for artifact in ARTIFACTS:
        if names and artifact.name not in names:
            continue
        try:
            writer.write(artifact)
        except MissingInput as cause:
            problem, _, remedy = str(cause).partition("; ")
            sys.exit(f"error: {problem}\nhelp: {remedy}")
        print(f"{GROUP}:{artifact.name}:{writer.project.version}")


if __name__ == "__main__":
    main()
