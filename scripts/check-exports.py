"""Checks what a built library exports: check-exports.py LIBRARY HEADER

The library must export every function of the header that UniFFI generates for Swift, and beside them only UniFFI's own
descriptions. A symbol of SQLite, llama.cpp or Rust would be bound to an app's copy of the same code, or the other way round.

Works on Linux (.so) and on a Mac (.dylib, a framework's binary), with the `nm` of the system.
"""

import pathlib
import re
import subprocess
import sys


def main(library, header):
    functions = set(re.findall(r"\b((?:uniffi|ffi)_\w+)\(", pathlib.Path(header).read_text()))
    if not functions:
        sys.exit(f"error: {header} declares no function of UniFFI's\nhelp: generate it with `make bindings`")
    mac = sys.platform == "darwin"
    command = ["nm", "-gU", library] if mac else ["nm", "--dynamic", "--defined-only", library]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    # `ADDRESS TYPE NAME`; a Mac's names begin with an underscore. A file for several processors has a heading for each.
    names = [line.split()[2].split("@")[0] for line in lines if len(line.split()) == 3]
    exported = {name.removeprefix("_") if mac else name for name in names}
    foreign = sorted(name for name in exported - functions if not name.startswith("UNIFFI_META_"))
    missing = sorted(functions - exported)
    for what, found in (("exports", foreign), ("does not export", missing)):
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            print(f"{library} {what} {', '.join(found[:5])}{more}")
    return bool(foreign or missing)


if len(sys.argv) != 3:
    sys.exit("error: two arguments are needed\nhelp: use `check-exports.py LIBRARY HEADER`")
sys.exit(main(*sys.argv[1:]))
