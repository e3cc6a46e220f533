"""Proves the rules for shrinking: the library, JNA and a program that plays scenarios are shrunk and obfuscated by the rules of
the AAR, and run on this machine's JVM.

ProGuard stands in for R8, which reads the same rules. It gets no other rule than the entry point of the program: neither
Android's defaults nor those of other libraries help. Without the rules the program must fail, else its scenarios prove nothing.
"""

import pathlib
import subprocess
import tempfile

import maven

MAIN = "org.nearside.shrink.MainKt"
# Something that no rule keeps, so that it must get another name: the result was obfuscated.
RENAMED = "org.nearside.FlowsKt"
PLAYED = "scenarios played"


def complaints(project, target):
    """Returns what is wrong with the rules, a line each."""
    rules = project.root / "bindings/kotlin/src/android/consumer-rules.pro"
    with tempfile.TemporaryDirectory() as scratch:
        build = Build(project, target, pathlib.Path(scratch))
        found = build.run(rules.read_text())
        if not found and "the program failed" not in "\n".join(build.run("-dontwarn **")):
            found = ["the program also runs without the rules: do its scenarios cross the boundary?"]
    return found


class Build:
    """The classes that are shrunk, and the libraries that they use."""

    def __init__(self, project, target, scratch):
        self.target, self.scratch = target, scratch
        kotlin = project.root / "bindings/kotlin"
        proguard = scratch / "proguard.classpath"
        self.proguard = ":".join(maven.class_path(kotlin / "proguard.pom.xml", proguard))
        path = maven.class_path(kotlin / "pom.xml", scratch / "library.classpath")
        self.jna = [file for file in path if "/jna-" in file]
        self.libraries = [file for file in path if file not in self.jna]
        self.classes = [target / "kotlin/classes", target / "kotlin-testing/classes", target / "kotlin/test-classes"]

    def run(self, rules):
        """Shrinks by these rules and runs the result; returns what went wrong."""
        jar, mapping = self.scratch / "shrunk.jar", self.scratch / "mapping.txt"
        jar.unlink(missing_ok=True)
        config = self.scratch / "config.pro"
        config.write_text(self.config(jar, mapping) + rules)
        command = ["java", "-cp", self.proguard, "proguard.ProGuard", f"@{config}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not jar.is_file():
            return [f"ProGuard failed: {line}" for line in (done.stdout + done.stderr).splitlines() if "Note:" not in line][
                -12:
            ]
        found = []
        if f"{RENAMED} -> {RENAMED}:" in mapping.read_text():
            found.append(f"{RENAMED} kept its name: the rules keep everything")
        libraries = ":".join([str(jar), *self.libraries])
        command = ["java", f"-Djna.library.path={self.target / 'release'}", "-cp", libraries, MAIN]
        played = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if played.returncode or PLAYED not in played.stdout:
            found += ["the program failed:", *(played.stdout + played.stderr).splitlines()[:8]]
        return found

    def config(self, jar, mapping):
        lines = [f'-injars "{self.classes[0]}"', f'-injars "{self.classes[1]}"(!META-INF/**)']
        lines.append(f'-injars "{self.classes[2]}"(org/nearside/shrink/**)')
        lines += [f'-injars "{file}"(!META-INF/**)' for file in self.jna]
        lines += [f'-outjars "{jar}"', f'-printmapping "{mapping}"']
        lines += [f'-libraryjars "{file}"(!META-INF/versions/**)' for file in self.libraries]
        modules = ("java.base", "java.desktop", "java.logging")
        lines += [f"-libraryjars <java.home>/jmods/{name}.jmod(!**.jar;!module-info.class)" for name in modules]
        lines += [f"-keep class {MAIN} {{ public static void main(java.lang.String[]); }}"]
        lines += ["-allowaccessmodification", "-repackageclasses x"]
        return "\n".join(lines) + "\n"
