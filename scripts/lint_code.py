"""What lint.sh checks in the names and imports of Rust code: lint_code.py names|glossary|cycles [--table] [ROOT]

names: types that are defined twice (aliases inside of traits and impls are not definitions; what bindings/src declares with
uniffi under the name that it has in core is the same type or function), and vague function names that are defined more than three times
(methods in `impl Trait for` do not count: the trait named them). `--table` prints the counts of names instead.
glossary: identifiers in the first column of ARCHITECTURE.md's glossary that the Rust code does not contain.
cycles: circles of files, and rooms of core that use a later room. Each `use` and each path is resolved to the file that
defines the name, through re-exports. Siblings are compared: a use is an arrow between the two children, each with all that
is below it, of the deepest module that holds both files; for a circle between two folders means that neither can be read,
tested or moved alone, even if no two of their files use each other. A module and what is inside of it are another matter:
to declare, re-export and call its children is a module's job, and a child may use what its parents define. They are a
circle only where both are built of each other: a module's own file names a type of a child whose file uses the module's.
Test code counts nowhere.
"""

import collections
import pathlib
import re
import subprocess
import sys

CRATES = ["core", "llama", "bindings", "cli", "serve", "tests"]
ROOMS = ["chat", "device", "model", "engine", "route", "state", "config", "nearside"]
VAGUE = "run read show open finish parse check of settle words failed told decide forget choose learn judge beginning place known"
TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>\b[bc]?r(?P<hash>\#*)".*?"(?P=hash)|\"{3}.*?\"{3}|"(?:\\.|[^"\\])*")"""
    r"""|'(?:\\[^\n]{1,9}?|[^'\\\n])'""",
    re.S,
)
PUB = r"(pub(?:\([^)]*\))?\s+)?"
TEST = re.compile(rf"#!?\[cfg\((?:all\()?\s*test\b[^\n]*\]\s*(?:#\[.*\]\s*)*{PUB}(?=(\w+)(?: (\w+);)?)")
ITEMS = "mod fn async unsafe impl trait struct enum const static type let".split()
INNER = re.compile(r"(?m)^[ \t]+(?:pub )?type\b")
TYPE = re.compile(r"\b(struct|enum|trait|union|type)\s+([A-Z]\w*)")
ITEM = re.compile(r"\b(?:struct|enum|trait|union|type|fn|const|static)\s+(?:mut\s+)?(\w+)")
USE = re.compile(rf"(?m)^\s*{PUB}use\s+([^;]+);")


def end_of(code, start, ends="}"):
    """Returns the index behind the first of `ends` that is outside of brackets, or of the bracket that closes around it."""
    depth = 0
    for match in re.compile(r"[][(){};,]").finditer(code, start):
        depth += (match[0] in "([{") - (match[0] in ")]}")
        if depth < 0 or depth == 0 and match[0] in ends:
            return match.start() if depth < 0 else match.end()
    return len(code)


def erase(text, found):
    """Blanks what a pattern, or the range `found`, covers; lines stay lines."""
    if isinstance(found, range):
        return text[: found.start] + re.sub(r".", " ", text[found.start : found.stop]) + text[found.stop :]
    return found.sub(lambda match: re.sub(r".", " ", match[0]), text)


def module(path):
    """Returns the crate and modules of a file: `core/src/model/hub/mod.rs` is `("core", "model", "hub")`."""
    names = path.removesuffix(".rs").replace("/src/", "/").split("/")
    return tuple(names[:-1] if names[-1] in ("mod", "lib", "main") else names)


def read_files(root, *patterns):
    command = ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {path: pathlib.Path(root, path).read_text() for path in listed if pathlib.Path(root, path).is_file()}


def erase_tests(text, tests):
    """Erases items under `#[cfg(test)]`, and calls `tests` with the names of modules among them."""
    code, at = erase(text, TOKEN), 0
    while match := TEST.search(code, at):
        at = end_of(code, match.end(), ";" if match[2] == "use" else "};" if match[2] in ITEMS else "};,")
        tests.add(match[3])
        text, code = (erase(full, range(match.start(), at)) for full in (text, code))
    return text, code


def shipped(texts):
    """Returns the code of Rust files by path, without comments, texts and tests."""
    tests = {path: set() for path in texts}
    codes = {path: erase_tests(text, tests[path])[1] for path, text in texts.items()}
    gone = {(*module(path), name) for path, names in tests.items() for name in names}
    return {path: code for path, code in codes.items() if module(path) not in gone}


def names(codes, table=False):
    core, public, often = (collections.defaultdict(list) for _ in range(3))
    for path, code in codes.items():
        if path.startswith("tests/"):
            continue
        for match in TYPE.finditer(erase(code, INNER)):
            before = re.split("[;}]", code[max(0, match.start() - 500) : match.start()])[-1]
            if path.startswith("core/"):
                core[match[2]].append(path)
            if re.search(r"\bpub (unsafe )?$", before) and not (path.startswith("bindings/") and "uniffi::" in before):
                public[match[2]].append(path)
        for match in re.finditer(r"(?m)^[ \t]*(?:unsafe\s+)?impl\b([^{;]*)\{", code):
            if re.search(r"\bfor\s+[^<\s]", match[1]):
                code = erase(code, range(match.start(), end_of(code, match.end() - 1)))
        for name in set() if path.startswith("bindings/") else re.findall(r"\bfn\s+(\w+)", code):
            often[name].append(path)
    twice = {name: max(core[name], public[name], key=len) for name in sorted({*core, *public})}
    found = [("type", name, paths) for name, paths in twice.items() if len(paths) > 1]
    found += [("fn", name, often[name]) for name in VAGUE.split() if table or len(often[name]) > 3]
    for kind, name, paths in found:
        yield f"{name} {len(paths)}" if table else f"{kind} {name} is defined {len(paths)} times: {' '.join(paths)}"


def glossary(codes, page):
    known = set(re.findall(r"\b[A-Z]\w*", " ".join(codes.values())))
    section = re.search(r"(?ms)^#+ [^\n]*glossary[^\n]*$(.*?)(?=^#+ |\Z)", page, re.I)
    column = "\n".join(re.findall(r"(?m)^\s*\|([^|\n]*)\|", section[1])) if section else ""
    if not column:
        yield "ARCHITECTURE.md has no section `Glossary` with a table"
    for name in re.findall(r"\b[A-Z]\w*", " ".join(re.findall(r"`[^`\n]*`", column))):
        if name not in known:
            yield f"ARCHITECTURE.md: the glossary names `{name}`, which the Rust code does not know"


def expand(tree):
    """Returns the paths of a `use` with the name that each gets."""
    while group := re.search(r"([\w:]*)\{([^{}]*)\}", tree := re.sub(r"\s+(?!as )(?<! as )", "", tree)):
        tree = tree.replace(group[0], ",".join(group[1] + part for part in group[2].split(",") if part))
    found = (path.replace("::self", "").partition(" as ") for path in tree.split(","))
    return [(tuple(path.split("::")), alias or path.rsplit("::")[-1]) for path, _, alias in found]


class Tree:
    """The modules of all crates with their imports."""

    def __init__(self, codes):
        self.paths = {module(path): path for path in codes}
        self.codes = {module(path): code for path, code in codes.items()}
        self.uses, self.items = {}, {}
        for at, code in self.codes.items():
            self.uses[at] = [(public, *use) for public, tree in USE.findall(code) for use in expand(tree)]
            while (flat := re.sub(r"\{[^{}]*\}", ";", code)) != code:
                code = flat
            self.items[at] = set(ITEM.findall(code))

    def resolve(self, at, path, seen=()):
        """Returns the module whose file defines `path`, as seen from the module `at`; None if another crate does."""
        if path[0] not in ("crate", "self", "super") and (*at, path[0]) not in self.paths or (at, path) in seen:
            return None
        seen = (*seen, (at, path))
        for name in path:
            if name in ("crate", "self", "super"):
                at = at[:1] if name == "crate" else at[:-1] if name == "super" else at
            elif (*at, name) in self.paths:
                at = (*at, name)
            elif name not in self.items.get(at, [name]):
                for _, origin, alias in self.uses[at]:
                    found = alias in (name, "*") and self.resolve(at, origin, seen)
                    if found and (alias == name or name in self.items[found]):
                        return found
                return at
            else:
                return at
        return at

    def arrows(self):
        """Yields from, to and the name, once for each use that is not a re-export of a module's own content."""
        for at, code in self.codes.items():
            rest = re.sub(r"pub\(in [^)]*\)", "", USE.sub("", code))
            found = {path for public, path, _ in self.uses[at] if not (public and path[0] not in ("crate", "super"))}
            found |= {tuple(path.split("::")) for path in re.findall(r"(?<![\w:])[a-z]\w*(?:::\w+)+", rest)}
            for path in sorted(found):
                to = self.resolve(at, path[:-1] if path[-1] == "*" else path)
                if to not in (None, at):
                    yield at, to, path[-1]


def circles(arrows):
    """Returns the sets of nodes that reach each other."""
    nodes = {node for arrow in arrows for node in arrow}
    reach = {node: {end for start, end in arrows if start == node} for node in nodes}
    while True:
        more = {node: ends.union(*(reach[end] for end in ends)) for node, ends in reach.items()}
        if more == reach:
            return {frozenset(end for end in reach[node] if node in reach[end]) for node in nodes if node in reach[node]}
        reach = more


def cycles(codes):
    tree, uses = Tree(codes), collections.defaultdict(list)
    for start, end, name in tree.arrows():
        uses[start, end].append(name)
    siblings = collections.defaultdict(list)
    for (start, end), taken in sorted(uses.items()):
        line = f"{tree.paths[start]} -> {tree.paths.get(end, '/'.join(end))}: {' '.join(taken)}"
        depth = next((i for i, (a, b) in enumerate(zip(start, end)) if a != b), None)
        if depth:
            siblings[start[: depth + 1], end[: depth + 1]].append("  " + line)
        elif len(start) < len(end) and (end, start) in uses and any(re.match("[A-Z].*[a-z]", name) for name in taken):
            yield f"circle of a module and its child: {line}, and back: {' '.join(uses[end, start])}"
        if start[0] == "core" and start[1:] and end[1:]:
            room, other = (ROOMS.index(at[1]) if at[1] in ROOMS else -1 for at in (start, end))
            if room < other:
                yield f"order of rooms: {line}"
    for circle in sorted(map(sorted, circles(siblings))):
        arrows = [line for (a, b), lines in siblings.items() if a in circle and b in circle for line in lines]
        files = {file for line in arrows for file in re.findall(r"\S+\.rs", line)}
        yield f"circle of {len(files)} files: {' '.join('/'.join(node) for node in circle)}"
        yield from arrows


def self_test():
    raw = {
        "core/src/lib.rs": "mod a; mod b; pub use b::deep::Deep; #[cfg(test)] mod tests { struct Twice; }",
        "core/src/a.rs": "use crate::{Deep as D, b::{self, Y}}; // use crate::z;\nstruct Twice; const S: &str = \"struct Twice\";",
        "core/src/b/mod.rs": "mod deep; use deep::Deep; pub struct Y; impl Drop for Y { fn run() {} } fn run() {}",
        "core/src/b/deep.rs": "use super::Y; struct Twice; pub struct Deep(crate::a::Twice); trait T {\n type Twice; }",
        "core/src/chat.rs": "#[cfg(test)] mod check; use crate::model::M;",
        "core/src/chat/check.rs": "struct Twice;",
        "core/src/model.rs": "pub struct M; impl M { fn f() -> char { '\"' } } /* struct Twice; */",
        "bindings/src/m.rs": "#[uniffi::remote(Record)] pub struct M {}",
        "cli/src/main.rs": "pub struct M;",
    }
    codes = shipped({path: text.replace("; ", ";\n") for path, text in raw.items()})
    assert [line.split()[1] for line in names(codes)] == ["M", "Twice"] and "run 1" in names(codes, True)
    found = [line.partition(":") for line in cycles(codes)]
    assert [head[:15] for head, _, _ in found if head[0] != " "] == ["circle of a mod", "order of rooms", "circle of 3 fil"]
    assert ("  core/src/a.rs -> core/src/b/deep.rs", ":", " Deep") in found
    assert "`Gone`" in "".join(glossary(codes, "## Glossary\n| model (`M`, `Gone::new`) | `Else` |\n"))
    assert list(glossary(codes, "")) and not list(glossary(codes, "## Glossary\n| `M` | `Else` |\n"))


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("names", "glossary", "cycles"):
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    check, table = sys.argv[1], "--table" in sys.argv
    root = pathlib.Path(next((word for word in sys.argv[2:] if word[0] != "-"), "."))
    self_test()
    codes = shipped(read_files(root, *(f"{crate}/src/*.rs" for crate in CRATES)))
    page = (root / "ARCHITECTURE.md").read_text()
    found = names(codes, table) if check == "names" else glossary(codes, page) if check == "glossary" else cycles(codes)
    print(*(found := list(found)), sep="\n", end="\n" * bool(found))
    return bool(found) and not table


if __name__ == "__main__":
    sys.exit(main())
