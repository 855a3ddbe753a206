"""Voronoi cells of the unit cube against peers, in one run, as ratios peer / deblai (bigger is better for deblai).

Volumes, centroids and second moments of uniform random sites, float64. The peers are bindings of voro++ (Rycroft, Chaos
2009): pyvoro2 with volumes, multivoro (threads) with the cells alone; geogram, cells cut into tetrahedra; and scipy's
Qhull, without any volume. Goals: 3 times voro++, twice geogram. Each runs in a process of its own and reads its own
clock, so that its environment and the pipe cost it nothing.
Floor: a cell takes about 25 cuts of 70 cycles a made vertex, 80 tests of 27 vertices (4 vectors of 8) and 81
tetrahedra: 1.3 us at 2.6 GHz on one core.
Usage: python bench/python/bench_laguerre3.py [--peers PYTHON] [--quick] [--no-save]
    python -m venv peers && peers/bin/pip install multivoro pyvoro2 geogram scipy
"""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

import deblai
import numpy as np
from peers import once, save, settled

SERVER = """
import sys, time
import numpy as np
peer, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
p = np.random.default_rng(0).random((n, 3))
if peer == "multivoro":
    from multivoro import compute_voronoi
    limits = np.array([[0.0] * 3, [1.0] * 3])
    def run():
        cells = compute_voronoi(p, limits=limits, radii=np.zeros(n), n_threads=threads)
        return cells, lambda: 1.0
elif peer == "pyvoro2":
    import pyvoro2
    box = pyvoro2.Box(((0, 1),) * 3)
    def run():
        cells = pyvoro2.compute(p, domain=box, return_vertices=False, return_adjacency=False, return_faces=False,
                                output="cells")
        return cells, lambda: sum(c["volume"] for c in cells)
elif peer == "geogram":
    import itertools
    import geogram
    geogram.initialize()
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
    simplices = []
    for order in itertools.permutations(range(3)):
        along = np.cumsum(np.concatenate([np.zeros((1, 3)), np.eye(3)[list(order)]]), 0)
        row = (along @ [4, 2, 1]).astype(np.uint32)
        simplices.append(row if np.linalg.det(along[1:]) > 0 else row[[1, 0, 2, 3]])
    simplices = np.array(simplices)
    def run():
        cells = geogram.Voronoi(p, None, domain_vertices=corners, domain_simplices=simplices)
        at, four = cells.q[:, :3], cells.t
        def total():
            corner = at[four]
            return abs(np.linalg.det(corner[:, 1:] - corner[:, :1]).sum()) / 6
        return cells, total
else:
    from scipy.spatial import Voronoi
    def run():
        return Voronoi(p), lambda: 1.0
for line in sys.stdin:
    begin = time.perf_counter()
    kept, total = run()
    print(time.perf_counter() - begin, total(), flush=True)
"""


class Peer:
    """A process that has a peer; its own clock is read."""

    def __init__(self, python: str, name: str, n: int) -> None:
        command = [python, "-c", SERVER, name, str(n), str(deblai.get_num_threads())]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def call(self) -> tuple[float, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("run\n")
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError("the peer stopped")
        return float(words[0]), float(words[1])

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)


def compare(python: str, name: str, n: int, pairs: int) -> dict[str, Any]:
    """Pairs as in `peers.paired`, with the peer's own seconds."""
    sites = np.random.default_rng(0).random((n, 3))

    def ours() -> Any:
        return deblai.quantization.laguerre(sites)

    rough, cells = once(ours)
    peer = Peer(python, name, n)
    try:
        times, total = [], 1.0
        for _ in range(pairs):
            mine = settled(ours, rough)
            seconds, total = peer.call()
            times.append((mine, seconds))
    finally:
        peer.close()
    a, b = np.array(times).T
    row = {"ours_s": np.median(a), "peer_s": np.median(b), "ratio": np.median(b / a)}
    row |= {"ratio_min": (b / a).min(), "ratio_max": (b / a).max(), "pairs": len(times)}
    row |= {"ours_error": abs(float(cells.mass.sum()) - 1), "peer_error": abs(total - 1)}
    return {key: float(value) for key, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="a Python that has multivoro, pyvoro2, geogram and scipy")
    parser.add_argument("--quick", action="store_true", help="100 000 sites only")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    if not options.peers:
        parser.error("give the Python that has the peers with --peers")
    rows = []
    for n in (100_000,) if options.quick else (100_000, 1_000_000):
        for name, goal in (("multivoro", 3.0), ("pyvoro2", 3.0), ("geogram", 2.0), ("scipy", 3.0)):
            try:
                row = {"peer": name, "n": n, "goal": goal} | compare(options.peers, name, n, 3 if n == 100_000 else 1)
            except RuntimeError as error:
                print(f"{name} n={n}: {error}")
                continue
            rows.append(row)
            print(
                f"{name:12} n={n:<8} deblai {row['ours_s']:.3f} s  peer {row['peer_s']:.3f} s  x{row['ratio']:.1f} "
                f"({row['ratio_min']:.1f}-{row['ratio_max']:.1f})  errors {row['ours_error']:.0e} "
                f"{row['peer_error']:.0e}  goal {goal:.0f} {'met' if row['ratio'] >= goal else 'NOT MET'}",
                flush=True,
            )
    if not options.no_save:
        print("written:", save("laguerre3_peers", rows))


if __name__ == "__main__":
    main()
