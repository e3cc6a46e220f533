"""What is promised about a written artifact, checked on its files: `complaints` returns what is wrong, a line each.

It reads the repository as an app's build does, and compares it with the owners of the facts (facts.py), not with the program
that wrote it. No class of an artifact is loaded here; the shrunk library runs in shrink.py.
"""

import hashlib
import io
import re
import struct
import xml.etree.ElementTree as xml
import zipfile

import elf
from facts import GROUP, JNA, POM

CHECKSUMS = ("md5", "sha1", "sha256", "sha512")
# Java 17, which Android's compilers of classes read, and the oldest Java of a host.
CLASS_VERSION = 61
TESTS = re.compile(
    r"org/nearside/(testing|bench|names|readme|shrink)/|Test(\$.*)?\.class$|^org/(junit|robolectric)/|^kotlin/test/"
)
HOSTS = re.compile(r"(linux|darwin|win32)-(x86-64|aarch64)/[^/]+\.(so|dylib|dll)$")
# What is for tests only, behind the marker: an app that uses it without an opt-in does not compile.
MARKER = b"Lorg/nearside/NearsideTestingApi;"
MARKED = [f"org/nearside/{name}.class" for name in ("ScriptedReply", "ReplyStep", "Nearside$Companion", "NearsideKt")]
PARTS = (
    "name",
    "description",
    "url",
    "licenses/license/name",
    "scm/url",
    "scm/connection",
    "developers/developer/organization",
)
METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
ANDROID = "{http://schemas.android.com/apk/res/android}"


def complaints(project, repository, artifact):
    """Returns what is wrong with an artifact in a repository."""
    name, version = artifact.name, project.version
    folder = repository / GROUP.replace(".", "/") / name
    main = f"{name}-{version}.{artifact.packaging}"
    wanted = {main, *(f"{name}-{version}{end}" for end in (".pom", "-sources.jar", "-javadoc.jar"))}
    present = {file.name for file in (folder / version).glob("*") if file.suffix[1:] not in CHECKSUMS}
    if present != wanted:
        return [f"{name}: the files are {sorted(present)}, not {sorted(wanted)}"]
    found = [*_checksums(folder), *_metadata(folder / "maven-metadata.xml", name, version)]
    found += _pom(project, artifact, (folder / version / f"{name}-{version}.pom").read_bytes())
    for file in sorted(present - {f"{name}-{version}.pom"}):
        found += [f"{file}: {wrong}" for wrong in _archive((folder / version / file).read_bytes())]
    entries = read_archive((folder / version / main).read_bytes())
    found += {
        "nearside-android": _aar,
        "nearside-jvm": _jvm,
        "nearside-testing": _testing,
        "nearside-testing-host": _testing_host,
    }[name](project, entries)
    return [line if line.startswith(name) else f"{name}: {line}" for line in found]


def read_archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _checksums(folder):
    files = [file for file in folder.rglob("*") if file.is_file()]
    for file in files:
        if file.suffix[1:] in CHECKSUMS:
            if not file.with_suffix("").is_file():
                yield f"{file.name} belongs to no file"
            continue
        for kind in CHECKSUMS:
            sum_file = file.with_name(f"{file.name}.{kind}")
            if not sum_file.is_file():
                yield f"{file.name} has no {kind}"
            elif sum_file.read_text() != hashlib.new(kind, file.read_bytes()).hexdigest():
                yield f"the {kind} of {file.name} is wrong"


def _metadata(file, name, version):
    if not file.is_file():
        return [f"{file.name} is missing"]
    tree = xml.parse(file).getroot()
    told = [tree.findtext(path) for path in ("groupId", "artifactId", "versioning/release", "versioning/versions/version")]
    return [] if told == [GROUP, name, version, version] else [f"{file.name} names {told}"]


def _pom(project, artifact, data):
    tree = xml.fromstring(data)
    told = [tree.findtext(POM + part) for part in ("groupId", "artifactId", "version", "packaging")]
    if told != [GROUP, artifact.name, project.version, artifact.packaging]:
        yield f"the POM names {told}"
    for part in PARTS:
        if not (tree.findtext("/".join(POM + step for step in part.split("/"))) or "").strip():
            yield f"the POM has no {part}, which Maven Central requires"
    persons = [tag for tag in ("name", "email", "id") if tree.find(f"{POM}developers/{POM}developer/{POM}{tag}") is not None]
    if persons:
        yield "the POM names a person; the project is the developer"
    licence = tree.findtext(f"{POM}licenses/{POM}license/{POM}name")
    if licence != "Apache-2.0 OR MIT":
        yield f"the POM's licence is {licence}"
    parts = {"groupId": "", "artifactId": "", "version": "", "type": "jar", "scope": "compile"}
    entries = tree.iterfind(f"{POM}dependencies/{POM}dependency")
    there = sorted(tuple(entry.findtext(POM + part, default) for part, default in parts.items()) for entry in entries)
    wishes = artifact.dependencies
    here = sorted((*wish.module.split(":"), project.version_of(wish.module), wish.kind, wish.scope) for wish in wishes)
    if there != here:
        yield f"the POM's dependencies are {there}, not {here}"


def _archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [entry.filename for entry in archive.infolist()]
        dates = {entry.date_time for entry in archive.infolist()}
    rest = names[1:] if names[:1] == ["META-INF/MANIFEST.MF"] else names
    if rest != sorted(set(rest)):
        yield "the entries are not sorted, or there are two of a name"
    if dates != {(1980, 1, 1, 0, 0, 0)}:
        yield "the entries have dates of the build"
    if not names:
        yield "is empty"


def _aar(project, entries):
    wanted = {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt", METADATA, "LICENSE-APACHE", "LICENSE-MIT"}
    libraries = {native.entry: native for native in project.natives()}
    wanted |= libraries.keys()
    if entries.keys() != wanted:
        yield f"missing: {sorted(wanted - entries.keys())}; not expected: {sorted(entries.keys() - wanted)}"
        return
    for path, native in libraries.items():
        yield from (f"{path} {wrong}" for wrong in elf.complaints(entries[path], native.abi))
    yield from _manifest(project, entries["AndroidManifest.xml"])
    if entries["R.txt"]:
        yield "R.txt is not empty: the library has resources now; are they in the AAR?"
    if b"-keep class com.sun.jna" not in entries["proguard.txt"]:
        yield "proguard.txt lacks the rules for shrinking"
    facts = dict(line.split("=") for line in entries[METADATA].decode().split())
    if facts.get("minCompileSdk") != project.property("android.min.compile.sdk"):
        yield f"minCompileSdk is {facts.get('minCompileSdk')}"
    classes = read_archive(entries["classes.jar"])
    own = ("org/nearside/Nearside.class", "org/nearside/AndroidHost.class", "META-INF/nearside.kotlin_module")
    yield from _classes(classes, own)
    yield from _marked(classes)


def _manifest(project, data):
    tree = xml.fromstring(data)
    if tree.get("package") != GROUP:
        yield f"the manifest's package is {tree.get('package')}"
    oldest = [sdk.get(ANDROID + "minSdkVersion") for sdk in tree.iter("uses-sdk")]
    if oldest != [project.property("android.min.sdk")]:
        yield f"the manifest's oldest system is {oldest}"
    if not any(provider.get(ANDROID + "name") == "org.nearside.NativeLibraryStarter" for provider in tree.iter("provider")):
        yield "the manifest does not declare NativeLibraryStarter"


def _jvm(_project, entries):
    yield from _classes(entries, ("org/nearside/Nearside.class", "META-INF/nearside.kotlin_module"))
    yield from _marked(entries)
    yield from _hosts(entries)
    if any(name.startswith("org/nearside/Android") for name in entries):
        yield "has classes of Android"


def _testing(_project, entries):
    own = ("org/nearside/testing/FakeDeviceHost.class", "META-INF/nearside-testing.kotlin_module")
    yield from _classes(entries, own, testing=True)
    foreign = [name for name in entries if not name.startswith(("org/nearside/testing/", "META-INF/"))]
    if foreign:
        yield f"has more than its own classes: {foreign[:3]}"


def _testing_host(_project, entries):
    yield from _hosts(entries)
    if any(name.endswith(".class") for name in entries):
        yield "has classes"


def _marked(entries):
    for name in MARKED:
        if MARKER not in entries.get(name, b""):
            yield f"{name} has nothing that requires an opt-in: is scripts/patch-bindings.py complete?"


def _hosts(entries):
    libraries = [name for name in entries if not name.endswith(".class") and not name.startswith("META-INF/")]
    wrong = [name for name in libraries if not HOSTS.match(name)]
    if wrong or not libraries:
        yield f"JNA does not find {wrong or 'any library of a host'}"


def _classes(entries, wanted, testing=False):
    for name in wanted:
        if name not in entries:
            yield f"{name} is missing"
    for name, data in entries.items():
        if not name.endswith(".class"):
            continue
        if not testing and TESTS.search(name):
            yield f"{name} is for tests"
        (version,) = struct.unpack_from(">H", data, 6)
        if version > CLASS_VERSION:
            yield f"{name} needs a newer Java than 17"


def jna_complaints(project, jna, filters):
    """Compares our ABIs with those of JNA's AAR (its entries), and with the sample's `abiFilters`."""
    ours = {native.abi for native in project.natives()}
    theirs = {name.split("/")[1] for name in jna if re.fullmatch(r"jni/[^/]+/libjnidispatch\.so", name)}
    if not ours <= theirs:
        yield f"{JNA} has no library for {sorted(ours - theirs)}"
    if theirs - ours and set(filters) != ours:
        yield f"{JNA} brings {sorted(theirs - ours)}, too: the sample's abiFilters are {sorted(filters)}, not {sorted(ours)}"
    for abi in sorted(ours & theirs):
        yield from (f"{JNA}: {abi} {wrong}" for wrong in elf.complaints(jna[f"jni/{abi}/libjnidispatch.so"], abi))
