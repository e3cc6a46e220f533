"""Reads what the loader of a phone looks at in a native library, and writes small libraries for the checks.

An ELF file is read here, because readelf is not always installed. Only what is promised about our libraries: the processor, the
libraries that they need, and the alignment of their segments.
"""

import struct
from typing import NamedTuple

PAGE = 16 * 1024
PROCESSORS = {183: "arm64-v8a", 62: "x86_64", 40: "armeabi-v7a", 3: "x86"}
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME = 0, 1, 5, 14
# Every phone has them, and apps may link to them: libc++_shared.so is none of them.
SYSTEM = {"libc.so", "libm.so", "libdl.so", "liblog.so"}


class Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int
    alignment: int


class Library(NamedTuple):
    """What the loader looks at. `abi` is unset for a processor that Android does not have."""

    abi: str
    bits: int
    segments: list
    needed: list
    soname: str


def read(data):
    """Returns what the loader looks at. Raises ValueError for bytes that are no library."""
    if data[:4] != b"\x7fELF":
        raise ValueError("is no ELF file")
    bits = 64 if data[4] == 2 else 32
    order = "<" if data[5] == 1 else ">"
    try:
        (machine,) = struct.unpack_from(order + "H", data, 18)
        if bits == 32:
            return Library(PROCESSORS.get(machine), bits, [], [], "")
        (start,) = struct.unpack_from(order + "Q", data, 32)
        size, count = struct.unpack_from(order + "HH", data, 54)
        segments = [_segment(order, data, start + index * size) for index in range(count)]
        needed, soname = _dynamic(order, data, segments)
    except (struct.error, IndexError) as cause:
        raise ValueError(f"cannot be read: {cause}") from cause
    return Library(PROCESSORS.get(machine), bits, segments, needed, soname)


def complaints(data, abi=None):
    """Returns why a phone with this ABI could not load the library, a line each."""
    try:
        library = read(data)
    except ValueError as cause:
        return [str(cause)]
    found = []
    if abi and library.abi != abi:
        found.append(f"is built for {library.abi or 'another processor'}, not for {abi}")
    if abi:
        found += [f"needs {name}, which a phone does not have" for name in library.needed if name not in SYSTEM]
    # Systems with 16 KB pages run 64-bit programs only.
    loaded = [segment for segment in library.segments if segment.kind == PT_LOAD] if library.bits == 64 else []
    for index, segment in enumerate(loaded):
        if segment.alignment < PAGE:
            found.append(f"segment {index} is aligned to {segment.alignment} bytes, not to {PAGE}")
        elif segment.offset % PAGE != segment.address % PAGE:
            found.append(f"segment {index} lies elsewhere in its page in the file than in memory")
    return found


def dynamic(data):
    """Returns the entries of the dynamic section of a 64-bit library, tag and value."""
    order = "<" if data[5] == 1 else ">"
    (start,) = struct.unpack_from(order + "Q", data, 32)
    size, count = struct.unpack_from(order + "HH", data, 54)
    return _entries(order, data, [_segment(order, data, start + index * size) for index in range(count)])


def _segment(order, data, at):
    (kind,) = struct.unpack_from(order + "I", data, at)
    offset, address, _, size, _, alignment = struct.unpack_from(order + "QQQQQQ", data, at + 8)
    return Segment(kind, offset, address, size, alignment)


def _entries(order, data, segments):
    entries = []
    for segment in segments:
        if segment.kind == PT_DYNAMIC:
            for at in range(segment.offset, segment.offset + segment.size, 16):
                tag, value = struct.unpack_from(order + "QQ", data, at)
                if tag == DT_NULL:
                    break
                entries.append((tag, value))
    return entries


def _dynamic(order, data, segments):
    entries = _entries(order, data, segments)
    strings = dict(entries).get(DT_STRTAB)
    if strings is None:
        return [], ""
    # The table is given by its address in memory.
    at = next(
        strings - s.address + s.offset for s in segments if s.kind == PT_LOAD and s.address <= strings < s.address + s.size
    )

    def text(offset):
        return data[at + offset : data.index(b"\0", at + offset)].decode()

    sonames = [text(value) for tag, value in entries if tag == DT_SONAME]
    return [text(value) for tag, value in entries if tag == DT_NEEDED], (sonames or [""])[0]


def write(abi, needed=("libc.so",), alignment=PAGE, shift=0):
    """Returns a library without code, which stands in for a real one: the loader's data, and nothing else."""
    machine = {name: number for number, name in PROCESSORS.items()}[abi]
    strings = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    headers = 64 + 2 * 56
    table = headers + 16 * (len(needed) + 2)
    size = table + len(strings)
    at = 1
    dynamic = b""
    for name in needed:
        dynamic += struct.pack("<QQ", DT_NEEDED, at)
        at += len(name) + 1
    dynamic += struct.pack("<QQ", DT_STRTAB, table + shift) + struct.pack("<QQ", DT_NULL, 0)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", PT_LOAD, 5, 0, shift, shift, size, size, alignment)
    dyn = struct.pack("<IIQQQQQQ", PT_DYNAMIC, 6, headers, headers + shift, headers + shift, len(dynamic), len(dynamic), 8)
    return header + load + dyn + dynamic + strings
