#!/usr/bin/env python3
"""Check that the objects compiled for one instruction set leak nothing to the others.

The kernels are compiled once per level (baseline, avx2, avx512) and chosen at run time. An inline function or a
template instance is a *weak* symbol: of several copies the linker keeps one, perhaps the AVX-512 one, and a CPU
without AVX-512 then dies in code that has nothing to do with the kernel. So an object of a level may define strong
symbols in its own namespace deblai::<level> and local ones, and may want only a handful of C functions.

    symbols.py [--nm NM] BUILD_DIRECTORY        0 when all objects below are clean, 1 with a list of complaints
    symbols.py [--nm NM] [--cxx CXX] --self-test    compiles files that must be rejected, and one that must not
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

LEVELS = ("baseline", "avx2", "avx512")
UNDEFINED = {"memcpy", "memset", "memmove", "pow", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
# nm's letters: weak function, weak object, unique (one per process), common.
SHARED = {"W": "weak", "w": "weak", "V": "weak", "v": "weak", "u": "unique", "C": "common", "c": "common"}


def level_of(path: Path) -> str | None:
    """Return the level in a name such as simd/sliced_avx2.cpp.o."""
    match = re.fullmatch(rf".*_({'|'.join(LEVELS)})(\.\w+)*\.o(bj)?", path.name)
    return match[1] if match else None


def complaints(path: Path, level: str, nm: str) -> list[str]:
    """Return what is wrong with one object file, a line a symbol."""
    listing = subprocess.run([nm, "--format=posix", path], check=True, capture_output=True, text=True).stdout
    own = re.compile(rf"_ZN[KVRO]*6deblai{len(level)}{level}\d")
    found = []
    for line in listing.splitlines():
        name, kind, *address = line.split()
        if kind == "U" or (kind in "wv" and not address):
            if name not in UNDEFINED:
                found.append(f"{path}: wants {name}")
        elif kind in SHARED:
            found.append(f"{path}: {SHARED[kind]} symbol {name}")
        elif (kind.isupper() or kind == "i") and kind != "N" and not own.match(name):
            found.append(f"{path}: {name} is outside deblai::{level}")
    return found


def check(build: Path, nm: str) -> list[str]:
    """Return the complaints about every level's objects below a directory; no object at all is one, too."""
    objects = [(p, level_of(p)) for p in sorted(build.rglob("*.o")) if "simd" in p.parent.parts]
    levels = [(p, level) for p, level in objects if level]
    if not levels:
        return [f"{build}: no object of any instruction set (looked for simd/*_{{{','.join(LEVELS)}}}*.o)"]
    return [line for path, level in levels for line in complaints(path, level, nm)]


CLEAN = "namespace deblai::avx2 { namespace { int f(int x) { return x + 1; } } extern int (*const table)(int) = f; }"
# What each leak must be called.
LEAKS = {
    "weak symbol": "namespace deblai { __attribute__((noinline)) inline int leak(int x) { return x + 1; } }"
    " namespace deblai::avx2 { int use(int x) { return deblai::leak(x); } }",
    "outside deblai::avx2": "namespace deblai::avx512 { int use(int x) { return x + 1; } }",
    "wants malloc": "#include <cstdlib>\nnamespace deblai::avx2 { void* use() { return std::malloc(8); } }",
    "unique symbol": "namespace deblai::avx2 { template <class T> struct S { static inline int state = 1; };"
    " int use() { return ++S<int>::state; } }",
}


def self_test(nm: str, cxx: str) -> list[str]:
    """Return which of the files above were judged wrongly."""
    wrong = []
    for want, source in {"": CLEAN, **LEAKS}.items():
        with tempfile.TemporaryDirectory() as directory:
            simd = Path(directory) / "simd"
            simd.mkdir()
            (simd / "leak_avx2.cpp").write_text(source)
            subprocess.run(
                [cxx, "-std=c++20", "-O2", "-fPIC", "-c", "leak_avx2.cpp", "-o", "leak_avx2.cpp.o"],
                cwd=simd,
                check=True,
            )
            found = check(Path(directory), nm)
            if bool(found) != bool(want) or not any(want in line for line in found or [""]):
                wrong.append(f"self-test: expected {want or 'nothing'!r}, got {found}")
    with tempfile.TemporaryDirectory() as empty:
        if not check(Path(empty), nm):
            wrong.append("self-test: an empty directory passed")
    return wrong


def main() -> int:
    """Run the check that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path, nargs="?", help="the build directory")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if not arguments.self_test and arguments.build is None:
        parser.error("a build directory or --self-test is wanted")
    wrong = self_test(arguments.nm, arguments.cxx) if arguments.self_test else check(arguments.build, arguments.nm)
    print("\n".join(wrong) if wrong else "clean")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
