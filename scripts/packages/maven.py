"""Takes files of other libraries from the local Maven repository, which Maven fills; reads what AndroidX demands."""

import pathlib
import subprocess
import xml.etree.ElementTree as xml
import zipfile

from facts import POM

REPOSITORY = pathlib.Path.home() / ".m2/repository"
METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
GET = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get"


class Failure(Exception):
    """Maven did not supply a file; the text is its own."""


def fetch(module, version, kind="jar"):
    """Returns the path of a library's file."""
    group, artifact = module.split(":")
    file = REPOSITORY / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.{kind}"
    if not file.is_file():
        run("--quiet", GET, f"-Dartifact={module}:{version}:{kind}", "-Dtransitive=false")
    if not file.is_file():
        raise Failure(f"Maven did not put {module}:{version} into {REPOSITORY}")
    return file


def class_path(pom, output):
    """Returns the files of the runtime class path of a pom, in order."""
    goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
    run("--quiet", "--file", str(pom), goal, f"-Dmdep.outputFile={output}", "-Dmdep.includeScope=runtime")
    return pathlib.Path(output).read_text().split(":")


def run(*words):
    done = subprocess.run(["mvn", "--batch-mode", "-Dstyle.color=never", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failure("\n".join(line for line in done.stdout.splitlines() if "ERROR" in line) or done.stderr)


def aars(pom):
    """Returns the path of every AAR that a pom copies, by its name."""
    found = {}
    for item in xml.parse(pom).getroot().iter(POM + "artifactItem"):
        group, artifact, version, kind = (item.findtext(POM + part) for part in ("groupId", "artifactId", "version", "type"))
        if kind == "aar":
            found[f"{group}:{artifact}:{version}"] = fetch(f"{group}:{artifact}", version, kind)
    return found


def sdk_complaints(libraries, versions):
    """Returns the libraries that refuse an app with these versions: what Gradle's task `checkAarMetadata` would say."""
    found = []
    for name, file in libraries.items():
        with zipfile.ZipFile(file) as archive:
            lines = archive.read(METADATA).decode().splitlines() if METADATA in archive.namelist() else []
        facts = dict(line.split("=", 1) for line in lines if "=" in line)
        if int(facts.get("minCompileSdk", "1")) > int(versions["compile-sdk"]):
            found.append(
                f"{name} needs SDK {facts['minCompileSdk']}, and the sample compiles against {versions['compile-sdk']}"
            )
        plugin = facts.get("minAndroidGradlePluginVersion", "1.0.0")
        if _number(plugin) > _number(versions["agp"]):
            found.append(f"{name} needs agp {plugin}, and the sample has {versions['agp']}")
    if not libraries:
        found.append("the pom names no AAR: is the search broken?")
    return found


def _number(version):
    return [int(part) for part in version.split("-")[0].split(".")]
