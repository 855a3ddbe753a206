"""Voronoi cells of the unit square against peers, in one run, as ratios peer / deblai (bigger is better for deblai).

Goal at 100 000 and 1 000 000 sites: 30 times scipy, 3 times pysdot, and at 1 000 000 below 1 GB beside the sites. One
bounded Lloyd step each: masses and centroids (ours also second moments) of the same uniform random sites, float64.
scipy mirrors a strip of sites at each side, runs Qhull and adds up areas; pysdot (numpy < 2, so in an environment of
its own) computes masses and centroids in two calls, timed here for each. Errors are those of the sum of masses.
Usage: python bench/python/bench_laguerre.py [--pysdot PYTHON] [--quick]
    python -m venv pysdot && pysdot/bin/pip install 'numpy<2' pysdot==0.2.16
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import deblai
import numpy as np
from peers import paired, save

SERVER = """
import sys, time
import numpy as np
from pysdot import PowerDiagram
from pysdot.domain_types import ConvexPolyhedraAssembly
domain = ConvexPolyhedraAssembly()
domain.add_box([0, 0], [1, 1])
n, seed = int(sys.argv[1]), 0
p = np.random.default_rng(seed).random((n, 2))
pd = PowerDiagram(p, np.ones(n), domain)
for line in sys.stdin:
    # fresh arrays, or the diagram of the last call would be reused
    pd.set_positions(p.copy())
    pd.set_weights(np.ones(n))
    begin = time.perf_counter()
    result = pd.integrals() if line.strip() == "masses" else pd.centroids()
    seconds = time.perf_counter() - begin
    print(seconds, float(np.sum(result)), flush=True)
"""


def sites(n: int) -> np.ndarray:
    return np.random.default_rng(0).random((n, 2))


def scipy_step(p: np.ndarray) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Masses and centroids from Qhull: a border strip of sites is mirrored at each side of the square."""
    from scipy.spatial import Voronoi

    n = len(p)
    w = min(0.5, 6 / n**0.5)

    def f() -> tuple[np.ndarray, np.ndarray]:
        every = [p]
        for k in (0, 1):
            for low in (True, False):
                strip = p[p[:, k] < w if low else p[:, k] > 1 - w].copy()
                strip[:, k] = -strip[:, k] if low else 2 - strip[:, k]
                every.append(strip)
        v = Voronoi(np.concatenate(every))
        edge = np.asarray(v.ridge_vertices)
        kept = (edge >= 0).all(1) & (v.ridge_points < n).any(1)
        pair, a, b = v.ridge_points[kept], v.vertices[edge[kept, 0]], v.vertices[edge[kept, 1]]
        mass, first = np.zeros(n), np.zeros((n, 2))
        for side in (0, 1):
            inside = pair[:, side] < n
            i = pair[inside, side]
            u, t = a[inside] - p[i], b[inside] - p[i]
            area = 0.5 * np.abs(u[:, 0] * t[:, 1] - u[:, 1] * t[:, 0])
            mass += np.bincount(i, area, n)
            for k in (0, 1):
                first[:, k] += np.bincount(i, area * (u[:, k] + t[:, k]) / 3, n)
        return mass, p + first / mass[:, None]

    return f


class Pysdot:
    """A process that has pysdot; its own clock is read, so that the pipe costs it nothing."""

    def __init__(self, python: str, n: int) -> None:
        self.process = subprocess.Popen(
            [python, "-c", SERVER, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def call(self, what: str) -> tuple[float, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(what + "\n")
        seconds, value = self.process.stdout.readline().split()
        return float(seconds), float(value)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=20)


def compare_pysdot(python: str, n: int, what: str) -> dict[str, Any]:
    """Pairs as in `peers.paired`, with the peer's own seconds."""
    from peers import once, settled

    peer = Pysdot(python, n)
    p = sites(n)

    def ours() -> Any:
        return deblai.quantization.laguerre(p)

    rough, cells = once(ours)
    _, total = peer.call(what)
    times = []
    for _ in range(11 if n < 1_000_000 else 3):
        mine = settled(ours, rough)
        peer.call(what)
        times.append((mine, peer.call(what)[0]))
    peer.close()
    a, b = np.array(times).T
    row = {"ours_s": np.median(a), "peer_s": np.median(b), "ratio": np.median(b / a)}
    row |= {"ratio_min": (b / a).min(), "ratio_max": (b / a).max(), "pairs": len(times)}
    row = {key: float(value) for key, value in row.items()}
    exact = 1.0 if what == "masses" else float(cells.centroid.sum())
    return row | {"ours_error": abs(float(cells.mass.sum()) - 1), "peer_error": abs(total / exact - 1)}


def peak(n: int) -> float:
    """Return the megabytes by which a process grows for the cells, their results included."""
    code = f"""
import numpy as np, deblai
def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
sites = np.random.default_rng(0).random(({n}, 2))
deblai.quantization.laguerre(sites[:100])
before = peak()
deblai.quantization.laguerre(sites)
print((peak() - before) / 1024)
"""
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def compare_scipy(n: int) -> dict[str, Any]:
    p = sites(n)
    row = paired(lambda: deblai.quantization.laguerre(p), scipy_step(p), budget=30.0)
    cells, (mass, centroid) = row.pop("ours_value"), row.pop("peer_value")
    row["ours_error"], row["peer_error"] = abs(float(cells.mass.sum()) - 1), abs(float(mass.sum()) - 1)
    assert np.abs(cells.mass - mass).max() < 1e-12
    row["memory_over_sites_mb"] = peak(n)
    assert np.abs(cells.centroid - centroid).max() < 1e-9
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pysdot", help="a Python that has pysdot")
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for n in (100_000,) if options.quick else (10_000, 100_000, 1_000_000):
        goals: list[tuple[str, float, Callable[[], dict[str, Any]]]] = [("scipy", 30.0, lambda n=n: compare_scipy(n))]
        if options.pysdot:
            for what in ("masses", "centroids"):
                goals.append((f"pysdot {what}", 3.0, lambda n=n, w=what: compare_pysdot(options.pysdot, n, w)))
        else:
            print("pysdot: missing, give the Python that has it with --pysdot")
        for peer, goal, run in goals:
            row = {"peer": peer, "n": n, "goal": goal if n >= 100_000 else None} | run()
            rows.append(row)
            verdict = "" if row["goal"] is None else f"goal {goal:.0f} {'met' if row['ratio'] >= goal else 'NOT MET'}"
            print(
                f"{peer:18} n={n:<7} deblai {row['ours_s']:.4f} s  peer {row['peer_s']:.4f} s  x{row['ratio']:.1f} "
                f"({row['ratio_min']:.1f}-{row['ratio_max']:.1f})  errors {row['ours_error']:.0e} "
                f"{row['peer_error']:.0e}  {verdict}",
                flush=True,
            )
    if not options.no_save:
        print("written:", save("laguerre_peers", rows))


if __name__ == "__main__":
    main()
