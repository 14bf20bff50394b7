#!/usr/bin/env python3
"""Prints what a program consists of: its sections, and the code and data of each module.

    bench/size.py .build/release/confab     the program before strip, because it needs the symbols

Tables as Markdown, in kB (1,000 bytes). A specialised function of the standard library counts for
the first of Confab's modules that its types name.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "Sources"
SECTIONS = {
    "code": r"\.text|\.plt|\.init|\.fini",
    "unwinding, for debuggers and profilers": r"\.eh_frame.*",
    "constants: texts, Unicode tables, pages": r"\.rodata.*",
    "Swift metadata": r"swift5_.*|\.swift_modhash",
    "data": r"\.data.*|\.got.*|\.init_array|\.fini_array|\.tm_clone_table",
    "relocations": r"\.rela.*|\.relr.*",
    "dynamic symbols": r"\.dyn.*|\.gnu\.hash|\.gnu\.version.*|\.hash",
    "debug information and symbols, which strip removes": r"\.debug_.*|\.symtab|\.strtab",
}
OTHERS = {
    "FoundationEssentials": r"FoundationEssentials|_FoundationCollections",
    "regular expressions": r"_StringProcessing|_RegexParser",
    "concurrency": r"_Concurrency|Synchronization|swift::(?:Async|Task|Job)|swift_task",
}


def run(*command, text=None):
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def table(title, sizes):
    print(f"| {title} | kB |\n|---|---:|")
    for name, size in sizes.most_common():
        if size >= 500:
            print(f"| {name} | {size / 1000:,.0f} |")
    print(f"| **sum** | **{sum(sizes.values()) / 1000:,.0f}** |\n")


def sections(program):
    sizes = Counter()
    # [Nr] Name Type Address Off Size
    row = re.compile(r"^\s*\[ *\d+\] (\S+)\s+(\S+)\s+[0-9a-f]+ [0-9a-f]+ ([0-9a-f]+)")
    for line in run("readelf", "--section-headers", "--wide", program):
        match = row.match(line)
        if not match or match[2] in ("NOBITS", "NULL"):
            continue
        kind = (kind for kind, names in SECTIONS.items() if re.fullmatch(names, match[1]))
        sizes[next(kind, "other")] += int(match[3], 16)
    return sizes


def modules(program):
    sizes = Counter()
    own = {folder.name for folder in SOURCES.glob("*/*")}
    words = re.compile(r"\b(" + "|".join(sorted(own)) + r")\.|extension in (\w+)")
    symbols = [line.split(None, 3) for line in run("nm", "-S", "--defined-only", program)]
    # Merged functions have several names at one address.
    unique = {row[0]: row for row in symbols if len(row) == 4 and row[2] not in "bB"}.values()
    names = "\n".join(row[3] for row in unique) + "\n"
    swift = run("swift", "demangle", "--compact", text=names)
    for (_, size, _, name), text in zip(unique, run("c++filt", text="\n".join(swift) + "\n")):
        found = words.search(text)
        module = found and (found[1] or found[2])
        if module not in own:
            other = (name for name, pattern in OTHERS.items() if re.search(pattern, text))
            is_runtime = name.startswith(("_Z", "swift_", "_swift")) or "swift::" in text
            module = next(other, None) or (
                "Swift's standard library"
                if name.startswith(("$s", "_$s", "symbolic", "get_"))
                else "Swift's runtime, with Unicode tables" if is_runtime else "C: pages and others"
            )
        else:
            module = f"`{module}`"
        sizes[module] += int(size, 16)
    return sizes


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 2
    table("sections", sections(sys.argv[1]))
    table("module: code and data", modules(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
