"""Batches of small problems: one call against a loop of calls, in pairs, at equal results.

A batch is an array (B, n, d), or a list given to `sinkhorn_batch`. Problems are solved side by side, each on one thread
and to the bit as alone; what a batch saves beside a loop is that a small problem does not fill the cores.
Usage: python bench/python/bench_multimarginal_batch.py [--no-save]
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
from deblai.multimarginal import sinkhorn, sinkhorn_batch
from peers import paired, save

CASES = [(64, 2, 50), (64, 3, 16), (64, 3, 50), (32, 4, 24), (8, 3, 150)]  # problems, N, n


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for (problems, count, n), ragged in itertools.product(CASES, (False, True)):
        rng = np.random.default_rng(0)
        solve: dict[str, Any] = {"n_marginals": count, "epsilon": 0.1}
        if ragged:
            clouds = [rng.standard_normal((int(k), 3)) for k in rng.integers(n // 2, 3 * n // 2, problems)]
            given: Any = [{"points": x} for x in clouds]
            at_once = lambda given=given, solve=solve: [r.value for r in sinkhorn_batch(given, **solve)]  # noqa: E731
        else:
            clouds = rng.standard_normal((problems, n, 3))
            at_once = lambda x=clouds, solve=solve: list(sinkhorn(x, **solve).value)  # noqa: E731

        def loop(clouds: Any = clouds, solve: Any = solve) -> list[float]:
            return [sinkhorn(x, **solve).value for x in clouds]

        row = paired(at_once, loop, 6.0)
        gap = np.abs(np.array(row.pop("ours_value")) - row.pop("peer_value")).max()
        row = {"problems": problems, "N": count, "n": n, "ragged": ragged, **row, "difference": float(gap)}
        rows.append(row)
        print(
            f"{problems:3} problems, N={count}, n={n:3} {'ragged' if ragged else '':6} {row['ours_s'] * 1e3:8.1f} ms, "
            f"loop {row['peer_s'] * 1e3:8.1f} ms, ratio {row['ratio']:.2f} "
            f"({row['ratio_min']:.2f}-{row['ratio_max']:.2f}), values differ by {gap:.0e}",
            flush=True,
        )
    if not options.no_save:
        print("written:", save("multimarginal_batch", rows))


if __name__ == "__main__":
    main()
