#!/usr/bin/env python3
"""Checks that native libraries can be loaded on systems with 16 KB memory pages.

kotlin-pages.py FILE...: prints a line for each file, and exits with 1 if one of them cannot be loaded. It reads the program
headers of the ELF file itself, because readelf is not always installed: every loadable segment of a 64-bit library must be
aligned to at least 16 KB, and have the same offset within its page in the file and in memory.
"""

import struct
import sys

PAGE = 16 * 1024
PT_LOAD = 1


def complaints(path):
    """Returns the problems of this file, a line each."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:4] != b"\x7fELF":
            return ["is no ELF file"]
        if header[4] != 2:
            return []  # Systems with 16 KB pages run 64-bit programs only.
        order = "<" if header[5] == 1 else ">"
        (start,) = struct.unpack_from(order + "Q", header, 32)
        size, count = struct.unpack_from(order + "HH", header, 54)
        found = []
        for index in range(count):
            file.seek(start + index * size)
            entry = file.read(size)
            (kind,) = struct.unpack_from(order + "I", entry, 0)
            offset, address = struct.unpack_from(order + "QQ", entry, 8)
            (alignment,) = struct.unpack_from(order + "Q", entry, 48)
            if kind != PT_LOAD:
                continue
            if alignment < PAGE:
                found.append(f"segment {index} is aligned to {alignment} bytes")
            elif offset % PAGE != address % PAGE:
                found.append(f"segment {index} lies elsewhere in its page in the file than in memory")
        return found


def main(paths):
    failed = False
    for path in paths:
        try:
            wrong = complaints(path)
        except (OSError, struct.error) as cause:
            wrong = [f"cannot be read: {cause}"]
        print(f"{'FAIL' if wrong else 'ok  '} {path}" + "".join(f"\n     {line}" for line in wrong))
        failed = failed or bool(wrong)
    if failed:
        print("help: link with -Wl,-z,max-page-size=16384, which NDK r28 and later do by themselves", file=sys.stderr)
    return int(failed)


sys.exit(main(sys.argv[1:]))
