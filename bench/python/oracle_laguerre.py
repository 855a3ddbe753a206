"""Random Laguerre diagrams of the plane and of space against clipping by all pairs, in NumPy; not part of the suite.

Usage: python bench/python/oracle_laguerre.py [--diagrams N] [--seconds S] [--seed K]

Kinds: uniform sites, weights of any size, clusters over six orders of magnitude, lattices, duplicates, collinear and
coplanar sites, sites outside; box and torus. Goal: masses, first and second moments within 1e-11 of brute force and
masses that add up to 1 within 1e-12, for 10 000 diagrams. Brute force runs in long doubles where facets are tiny.
Floor: brute force is all of the time. Prints the worst errors of each kind and a verdict; exit status 1 on failure.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from deblai.measures import UniformBox
from deblai.quantization import laguerre
from deblai.reference import laguerre as plane
from deblai.reference import laguerre3 as space

Array = np.ndarray[Any, Any]


def draw(kind: str, rng: np.random.Generator, n: int, dim: int) -> tuple[Array, Array | None]:
    """Return sites of the unit box and psi."""
    sites, psi = rng.random((n, dim)), None
    if kind == "weights":
        psi = 10.0 ** rng.uniform(-6, 1) * rng.random(n)
    elif kind == "clusters":
        sites = 0.5 + 10.0 ** -rng.integers(0, 7, (n, 1)) * (sites - 0.5)
    elif kind == "lattice":
        m = int(rng.integers(1, 4))
        sites = (rng.integers(0, m, (n, dim)) + rng.integers(0, 2) / 2) / m
    elif kind == "duplicates":
        sites, psi = sites[rng.integers(0, max(1, n // 2), n)], 0.01 * rng.integers(0, 3, n)
    elif kind == "flat":
        sites[:, rng.integers(1, dim) :] = 0.5
    elif kind == "outside":
        sites, psi = 4 * sites - 1.5, rng.random(n)
    return sites, psi


KINDS = ("uniform", "weights", "clusters", "lattice", "duplicates", "flat", "outside")


def errors(kind: str, rng: np.random.Generator, dim: int, periodic: bool) -> tuple[float, float]:
    """Return the largest error of one diagram, relative to the largest moment, and that of the sum of masses."""
    n = int(rng.integers(1, (8 if periodic else 24) if dim == 3 else (16 if periodic else 48)))
    sites, psi = draw(kind, rng, n, dim)
    low, high = (0.0,) * dim, (1.0, 1.25, 1.0)[:dim]
    cells = laguerre(sites, psi, measure=UniformBox(low, high), periodic=periodic)
    if dim == 2:
        expected: Any = plane.cells(sites, psi, low, high, periodic)
    else:
        dtype = np.longdouble if kind == "clusters" else np.float64
        expected = space.cells(sites, psi, low, high, periodic, dtype)
    first = [c.mass[:, None] * (c.centroid - sites) for c in (cells, expected)]
    scale = max(1.0, float(expected.second_moment.max()))
    worst = max(
        np.abs(cells.mass - expected.mass).max(),
        np.abs(first[0] - first[1]).max() / scale,
        np.abs(cells.second_moment - expected.second_moment).max() / scale,
    )
    return float(worst), abs(float(cells.mass.sum()) - 1)


def main() -> int:
    """Compare and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--diagrams", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=np.inf, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    begin, done, bad = time.monotonic(), 0, 0
    worst: dict[tuple[str, int, bool], list[float]] = {}
    cases = [(kind, dim, periodic) for dim in (2, 3) for periodic in (False, True) for kind in KINDS]
    while done < given.diagrams and time.monotonic() - begin < given.seconds:
        case = cases[done % len(cases)]
        found = errors(case[0], np.random.default_rng([given.seed, done]), *case[1:])
        if not (found[0] < 1e-11 and found[1] < 1e-12):
            bad += 1
            print(f"diagram {done}, seed {given.seed}, {case}: error {found[0]:.2e}, sum of masses {found[1]:.2e}")
        have = worst.setdefault(case, [0.0, 0.0, 0.0])
        worst[case] = [max(have[0], found[0]), max(have[1], found[1]), have[2] + 1]
        done += 1
    print(f"{'kind':12} {'dim':>3} {'torus':>5} {'diagrams':>8} {'error':>9} {'sum - 1':>9}")
    for (kind, dim, periodic), (error, total, count) in sorted(worst.items()):
        print(f"{kind:12} {dim:3} {periodic!s:>5} {count:8.0f} {error:9.1e} {total:9.1e}")
    seconds = time.monotonic() - begin
    print(f"{'PASS' if bad == 0 else 'FAIL'}: {done} diagrams, {bad} beyond 1e-11 or 1e-12, in {seconds:.0f} s")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
