#!/usr/bin/env python3
"""Checks that a phone could load a library: check-phone-library.py ABI LIBRARY EXPORTS

It needs only libraries that every phone has, its segments fit pages of 16 KB, its relocations are packed, and it exports exactly
symbols that the version script EXPORTS names.
"""

import fnmatch
import pathlib
import re
import struct
import sys

from packages import elf

DT_ANDROID_RELR = 0x6FFFE000
SHT_DYNSYM = 11


def exported(data):
    """Returns the names of the defined dynamic symbols."""
    (start,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, start + index * size) for index in range(count)]
    names = set()
    for _, kind, _, _, offset, length, link, _, _, _ in sections:
        if kind != SHT_DYNSYM:
            continue
        strings = sections[link][4]
        for at in range(offset, offset + length, 24):
            name, _, _, section = struct.unpack_from("<IBBH", data, at)
            if section and name:
                end = data.index(b"\0", strings + name)
                names.add(data[strings + name : end].decode())
    return names


def complaints(abi, data, patterns):
    found = elf.complaints(data, abi)
    tags = [tag for tag, _ in elf.dynamic(data)]
    if DT_ANDROID_RELR not in tags:
        found.append("its relocations are not packed")
    names = exported(data)
    foreign = sorted(name for name in names if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
    found += [f"exports {name}" for name in foreign[:5]]
    if len(names) - len(foreign) < 100:
        found.append(f"exports only {len(names) - len(foreign)} functions of the interface")
    return found


def main(abi, library, exports):
    rules = re.search(r"global:(.*?)local:", pathlib.Path(exports).read_text(), re.DOTALL)[1]
    found = complaints(abi, pathlib.Path(library).read_bytes(), rules.replace(";", " ").split())
    for line in found:
        print(f"{library}: {line}", file=sys.stderr)
    return bool(found)


sys.exit(main(*sys.argv[1:]))
