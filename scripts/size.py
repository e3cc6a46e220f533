#!/usr/bin/env python3
"""Prints what a library is made of, from the map that lld wrote of it.

size.py MAP BYTES [--all]: a line for each part, with the bytes of its code, its read-only data, its unwinding tables and its
other data. BYTES is the size of the file; the last line has what belongs to no part: strings that the linker merged,
relocations, symbol names, and the search table of the unwinding tables.
"""

import collections
import re
import sys

# The part of a file of llama.cpp, by the first pattern that its name matches.
FILES = [
    ("kernels", r"^(ops|unary-ops|binary-ops|repack|quants|ggml-quants|tiled|tiled-kernel|vec|sgemm|ggml-cpu|traits)\."),
    ("models", r"^(unity_\d+_cxx|llama-model|llama-arch|llama-graph|llama-hparams)\."),
    ("llama.cpp", r"^(llama|ggml|gguf|unicode)"),
    ("SQLite", r"sqlite3"),
    ("TLS", r"^[0-9a-f]{16}-(p256|curve|chacha|aes|sha|gfp|ghash|x86_64-mont|mont|poly|limbs|cpu|crypto|ecp|vpaes|fiat|constant)"),
    ("our C++", r"(guard|huge_pages|limits|model|no_quantizers|sampler|[0-9a-f]{16}-chat)\.o"),
    ("chat templates", r"\.cpp\."),
]
# The part of a crate.
CRATES = {
    "nearside": "our Rust",
    "nearside_ffi": "our Rust",
    "nearside_llama": "our Rust",
    "nearside_fakes": "stand-ins for tests",
    "uniffi_core": "UniFFI",
    "rustls": "TLS",
    "webpki": "TLS",
    "ring": "TLS",
    "tokio_rustls": "TLS",
    "hyper_rustls": "TLS",
    "rustls_pki_types": "TLS",
    "reqwest": "HTTP",
    "hyper": "HTTP",
    "hyper_util": "HTTP",
    "http": "HTTP",
    "tower": "HTTP",
    "url": "HTTP",
    "idna": "HTTP",
    "tokio": "tokio",
    "core": "Rust's library",
    "alloc": "Rust's library",
    "std": "Rust's library",
    "serde": "JSON",
    "serde_core": "JSON",
    "serde_json": "JSON",
    "rusqlite": "SQLite",
    "gimli": "Rust's backtraces",
    "addr2line": "Rust's backtraces",
    "backtrace_rs": "Rust's backtraces",
    "rustc_demangle": "Rust's backtraces",
    "miniz_oxide": "Rust's backtraces",
}
# Crates whose generic code belongs to the crate that it is used for.
GENERIC = {"core", "alloc", "std", "tokio", "futures_util", "serde", "serde_core", "serde_json", "hashbrown", "anyhow"}
COLUMNS = {
    "code": (".text", ".init", ".fini", ".plt"),
    "read-only": (".rodata",),
    "unwinding": (".eh_frame", ".gcc_except_table"),
}


def demangled(symbol):
    """Returns the path of a mangled Rust symbol, as `<nearside::Config as core::clone::Clone>::clone`."""
    names, rest = [], symbol.removeprefix("_ZN")
    while found := re.match(r"\d+", rest):
        length = int(found[0])
        names.append(rest[found.end() : found.end() + length])
        rest = rest[found.end() + length :]
    text = "::".join(names)
    for code, sign in {"$LT$": "<", "$GT$": ">", "$RF$": "&", "$u20$": " ", "$C$": ",", "..": "::"}.items():
        text = text.replace(code, sign)
    return text


def part_of_symbol(section, in_detail):
    name = section.split("_ZN", 1)
    if len(name) == 1:
        return "UniFFI" if "uniffi_nearside" in section or "ffi_nearside" in section else "other Rust"
    crates = re.findall(r"(?<![a-z0-9_:])_*([a-z][a-z0-9_]*)::", demangled("_ZN" + name[1]))
    named = next((crate for crate in crates if crate not in GENERIC), crates[0] if crates else None)
    if in_detail:
        return named or "other Rust"
    return CRATES.get(named, "other Rust")


def part_of(file, section, in_detail):
    """Returns the part that a section of an object file belongs to; none for what the linker made itself."""
    if file.startswith("<internal>"):
        return None
    member = re.search(r"\(([^()]+)\)$", file)
    member = member[1] if member else file.rsplit("/", 1)[-1]
    if member.endswith(".rcgu.o") or "nearside_ffi" in member:
        return part_of_symbol(section, in_detail)
    if in_detail:
        return re.sub(r"^[0-9a-f]{16}-|\.c(pp|xx)?\.o$|\.o$", "", member)
    return next((part for part, pattern in FILES if re.search(pattern, member)), "runtime")


def read(path, in_detail):
    parts = collections.defaultdict(collections.Counter)
    output = None
    line_of = re.compile(r"\s*[0-9a-f]+\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+ (\s*)(\S.*)$")
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = line_of.match(line)
            if not found:
                continue
            size, depth, text = int(found[1], 16), len(found[2]), found[3]
            if depth == 0:
                output = text
            elif depth == 8 and not output.startswith((".bss", ".tbss", ".debug", ".comment", ".symtab", ".strtab")):
                source, _, section = text.rpartition(":(")
                part = part_of(source, section.rstrip(")"), in_detail)
                if part:
                    column = next((name for name, outputs in COLUMNS.items() if output in outputs), "other")
                    parts[part][column] += size
    return parts


def main(path, total, *options):
    parts = read(path, "--all" in options)
    columns = [*COLUMNS, "other"]
    print(f"{'':28}" + "".join(f"{name:>12}" for name in [*columns, "all"]))
    for part, sizes in sorted(parts.items(), key=lambda item: -item[1].total()):
        print(f"{part[:28]:28}" + "".join(f"{sizes[name]:>12,}" for name in columns) + f"{sizes.total():>12,}")
    rest = int(total) - sum(sizes.total() for sizes in parts.values())
    print(f"{'the linker’s own':28}{'':48}{rest:>12,}")


main(*sys.argv[1:])
