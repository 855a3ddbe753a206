"""Lloyd's algorithm on samples in a file that is larger than what memory it may use: most memory, rate, labels.

Goal: 20 GB of samples within 1 GB. The memory is the most that the process has held (VmHWM), labels in a file included.
Usage: python bench/python/bench_lloyd_file.py [--gb 20] [--folder DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import deblai
import numpy as np
from peers import save

D, K, ITERATIONS = 64, 100, 2
BLOCK = 1 << 18  # samples written at a time


def most_memory() -> float:
    """Return the most bytes that this process has held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def write(path: Path, count: int) -> np.ndarray:
    """Write normal samples; return the first ones."""
    block = np.random.default_rng(0).standard_normal((BLOCK, D), dtype=np.float32)
    with path.open("wb") as out:
        header = {"descr": "<f4", "fortran_order": False, "shape": (count, D)}
        np.lib.format.write_array_header_1_0(out, header)
        for k in range(0, count, BLOCK):
            np.roll(block, k // BLOCK, axis=1)[: count - k].tofile(out)
    return block[:K].copy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gb", type=float, default=20.0)
    parser.add_argument("--folder", default=None, help="where the file goes; the temporary folder by default")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", deblai.ConvergenceWarning)
    count = int(options.gb * 1e9) // (4 * D)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        init = write(Path(folder) / "x.npy", count)
        x = np.load(Path(folder) / "x.npy", mmap_mode="r")
        labels = np.lib.format.open_memmap(Path(folder) / "labels.npy", mode="w+", dtype=np.int32, shape=(count,))
        start = time.perf_counter()
        r = deblai.quantization.lloyd(x, K, init=init, max_iter=ITERATIONS, tol=0, labels=labels)
        seconds = time.perf_counter() - start
        passes = ITERATIONS + 2  # the energy at the end, and the labels
        row = {
            "file_bytes": x.nbytes,
            "n": count,
            "d": D,
            "k": K,
            "passes": passes,
            "seconds": seconds,
            "bytes_per_s": passes * x.nbytes / seconds,
            "most_bytes": most_memory(),
            "goal_bytes": 1e9,
            "energy": float(r.energy),
        }
    verdict = "within" if row["most_bytes"] <= row["goal_bytes"] else "NOT within"
    print(
        f"{row['file_bytes'] / 1e9:.1f} GB, n={count}, d={D}, k={K}: {passes} passes in {seconds:.0f} s, "
        f"{row['bytes_per_s'] / 1e9:.2f} GB/s; most memory {row['most_bytes'] / 1e6:.0f} MB, {verdict} 1 GB"
    )
    if not options.no_save:
        print("written:", save("lloyd_file", [row]))


if __name__ == "__main__":
    main()
