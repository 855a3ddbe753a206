"""Crystals of the plane: how often random starts find the best, and how defects grow with the number of sites.

Goal: on the torus that the triangular lattice of 144 sites fits, some of the random starts of `quantize` end at its
energy to 1e-12, which is the least of all (arXiv:2503.22680); the success rate is printed. Then, for each of eight
numbers of sites on the unit square and on its torus, which no triangular lattice fits: the best of some runs of Lloyd's
iteration that is shaken less and less, settled by `quantize`; cells that are no hexagons, those at the border apart,
and the exponent of their growth by least squares of logarithms, with its standard error. Literature: with a border of
the order of sqrt(n); on the hexagonal torus at most n^(1/4), conjectured log n. What is found here are local minima:
upper bounds of the energy, and not the defects of the best.
Usage: python bench/python/bench_crystal.py [--quick] [--no-save]
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import deblai
import numpy as np
from deblai.quantization import crystal
from peers import save

HEXAGON = 5 / (18 * np.sqrt(3))
SQUARE = deblai.measures.UniformBox((0, 0), (1, 1))
SHAKE = 0.06  # of the spacing
STEPS = 10  # times the number of sites: grains grow slowly
SIZES, QUICK = (48, 96, 192, 288, 384, 576, 768, 1152), (30, 60, 120)


def successes(starts: int) -> dict[str, Any]:
    """How many random starts end at the lattice's energy."""
    best, torus = crystal.lattice("triangular").torus((12, 6))
    least = HEXAGON * torus.volume / len(best)
    begin, excess = time.perf_counter(), []
    for seed in range(starts):
        r = deblai.quantization.quantize(torus, len(best), periodic=True, init="random", rng=seed, tol=1e-8)
        excess.append(float(r.energy) / least - 1)
    seconds = time.perf_counter() - begin
    found = np.array(excess)
    count = int((found <= 1e-12).sum())
    rate = count / starts
    row = {
        "what": "success",
        "n": len(best),
        "starts": starts,
        "found": count,
        "rate": rate,
        "rate_stderr": float(np.sqrt(rate * (1 - rate) / starts)),
        "least_excess": float(found.min()),
        "second_excess": float(found[found > 1e-12].min(initial=np.inf)),
        "seconds_each": seconds / starts,
    }
    print(
        f"n = {len(best)}, torus of the lattice: {count} of {starts} random starts find it to 1e-12, "
        f"{100 * rate:.0f} +- {100 * row['rate_stderr']:.0f} %; the next best is {row['second_excess']:.1e} above; "
        f"{row['seconds_each']:.2f} s each"
    )
    return row


def shaken(n: int, periodic: bool, steps: int, rng: np.random.Generator) -> Any:
    """A quantizer from sites that are shaken less and less."""
    sites = rng.random((n, 2))
    for step in range(steps):
        sites = deblai.quantization.laguerre(sites, measure=SQUARE, periodic=periodic).centroid
        sites = sites + SHAKE * n**-0.5 * (1 - step / steps) * rng.standard_normal((n, 2))
        sites = np.mod(sites, 1) if periodic else np.clip(sites, 0, 1)
    return deblai.quantization.quantize(SQUARE, n, periodic=periodic, init=sites, tol=1e-5)


def defects(n: int, periodic: bool, runs: int, steps: int) -> dict[str, Any]:
    """The best of some runs, and its defects."""
    begin = time.perf_counter()
    rng = np.random.default_rng(n)
    r = min((shaken(n, periodic, steps, rng) for _ in range(runs)), key=lambda found: float(found.energy))
    b = crystal.bonds(r, measure=SQUARE, periodic=periodic)
    d, h = crystal.defects(b), crystal.hexagonality(b)
    row = {
        "what": "torus" if periodic else "square",
        "n": n,
        "deficit": h.deficit,
        "inner": d.count,
        "inner_cells": int((~np.asarray(b.border)).sum()),
        "all": int((np.asarray(b.coordination) != 6).sum()),
        "dislocations": len(d.dislocations),
        "global_order": crystal.bond_order(b).global_order,
        "seconds": time.perf_counter() - begin,
    }
    print(
        f"{row['what']:7} n = {n:5}: {row['inner']:4} of {row['inner_cells']} inner cells are no hexagons, "
        f"{row['all']:4} of all; {row['dislocations']:3} dislocations; energy {100 * h.deficit:.3f} % above hexagons; "
        f"|mean psi_6| = {row['global_order']:.2f}; {row['seconds']:.0f} s",
        flush=True,
    )
    return row


def exponent(rows: list[dict[str, Any]], name: str) -> tuple[float, float] | None:
    """The slope of log(defects) in log(n), and its standard error; numbers of sites without defects are left out."""
    n, count = np.array([(row["n"], row[name]) for row in rows if row[name]], float).reshape(-1, 2).T
    if len(n) < 3:
        return None
    (slope, _), cov = np.polyfit(np.log(n), np.log(count), 1, cov=True)
    return float(slope), float(np.sqrt(cov[0, 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few starts, few sites")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    warnings.simplefilter("ignore", deblai.ConvergenceWarning)
    starts, sizes, runs = (10, QUICK, 1) if options.quick else (100, SIZES, 3)
    rows = [successes(starts)]
    for periodic in (False, True):
        some = [defects(n, periodic, runs, STEPS * n) for n in sizes]
        rows += some
        for name in ("inner", "all") if not periodic else ("all",):
            fit = exponent(some, name)
            if fit is None:
                print(f"{some[0]['what']}: too few sizes with defects for an exponent of '{name}'")
                continue
            print(f"{some[0]['what']}: defects ('{name}') grow as n^({fit[0]:.2f} +- {fit[1]:.2f})")
            rows.append({"what": f"exponent {some[0]['what']} {name}", "value": fit[0], "stderr": fit[1]})
    if not options.no_save:
        print(save("crystal", rows, steps_each_site=STEPS, runs=runs, shake=SHAKE))


if __name__ == "__main__":
    main()
