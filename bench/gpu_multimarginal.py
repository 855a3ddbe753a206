"""Multi-marginal Sinkhorn on a GPU against PyTorch's logsumexp on the same tensors, in one run.

Ratios are peer / deblai. Both do the same number of plain sweeps from zero, in float32 or float64, the peer from a cost
matrix that it has made before and, for three marginals, a chunk of rows at a time. Calls are timed in pairs, each with
a synchronisation; the error is that of the potentials, in units of epsilon, against the peer in float64. `tensor_share`
is what three marginals in float64 reach of the 67 TFLOP/s of the FP64 tensor cores. A certificate is held against the
least reduced cost of all triples alone, in float64; its error is that of the lower bound.
Usage: python bench/gpu_multimarginal.py RESULTS.json
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import deblai
import torch

SWEEPS = 5
TENSOR_PEAK = 67e12  # of float64, an H100's or H200's
CASES = [(2, 1000, 0.05), (2, 10_000, 0.05), (3, 100, 0.1), (3, 300, 0.1), (3, 1000, 0.1), (3, 1000, 0.005)]
CASES_DOUBLE = [(2, 10_000, 0.05), (3, 300, 0.1), (3, 1000, 0.1)]


def timed(f: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    torch.cuda.synchronize()
    begin = perf_counter()
    value = f()
    torch.cuda.synchronize()
    return perf_counter() - begin, value


def costs(x: torch.Tensor, n_marginals: int) -> torch.Tensor:
    if n_marginals == 2:
        return ((x[:, None] - x[None]) ** 2).sum(-1)
    return 1 / ((x[:, None] - x[None]) ** 2).sum(-1).sqrt()  # infinite on the diagonal


def peer_sweeps(scaled: torch.Tensor, n_marginals: int, sweeps: int) -> torch.Tensor:
    """Potentials over epsilon of equal marginals, as deblai leaves them: those that the last sweep measured."""
    n = len(scaled)
    f = torch.zeros(n, dtype=scaled.dtype, device=scaled.device)
    log_n = torch.log(torch.tensor(float(n)))
    for _ in range(sweeps - 1):
        if n_marginals == 2:
            image = -torch.logsumexp(scaled + f - log_n, dim=1)
        else:
            pair = scaled + f[:, None] + f[None] - 2 * log_n
            rows = max(1, 2**28 // n**2)
            image = -torch.cat(
                [
                    torch.logsumexp(
                        (pair + scaled[i : i + rows, :, None] + scaled[i : i + rows, None, :]).flatten(1), dim=1
                    )
                    for i in range(0, n, rows)
                ]
            )
        f = ((n_marginals - 1) * f + image) / n_marginals
    return f


def row(n_marginals: int, n: int, epsilon: float, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    rng = torch.Generator(device="cuda").manual_seed(0)
    x = torch.rand(n, 3, device="cuda", generator=rng, dtype=dtype)
    cost = "sqeuclidean" if n_marginals == 2 else "coulomb"
    scaled = -costs(x, n_marginals) / epsilon

    def ours() -> torch.Tensor:
        r = deblai.multimarginal.sinkhorn(
            x, n_marginals=n_marginals, cost=cost, epsilon=epsilon, tol=0, max_iter=SWEEPS, memory=0, method="sinkhorn"
        )
        return r.potentials / epsilon

    def peer() -> torch.Tensor:
        return peer_sweeps(scaled, n_marginals, SWEEPS)

    ours(), peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(7)]
    mine, theirs = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
    truth = peer_sweeps(-costs(x.double(), n_marginals) / epsilon, n_marginals, SWEEPS)
    error = float((pairs[-1][0][1].double() - truth).abs().max())
    kind = "" if dtype == torch.float32 else " float64"
    name = f"N={n_marginals} n={n} eps={epsilon}{kind} {SWEEPS} sweeps and the evaluation"
    print(f"{name:52} deblai {1e3 * mine:8.3f} ms  torch {1e3 * theirs:8.3f} ms  x{theirs / mine:6.2f}  {error:.1e}")
    found = {"case": name, "deblai_s": mine, "torch_s": theirs, "ratio": theirs / mine, "error": error}
    if n_marginals == 3 and kind:
        found["tensor_share"] = 2.0 * (SWEEPS + 1) * n**3 / mine / TENSOR_PEAK
        print(f"{'':52} {100 * found['tensor_share']:.0f} % of the FP64 tensor cores")
    return found


def least_of_triples(c: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    n = len(c)
    pair, rows = c - f[:, None] - f[None], max(1, 2**28 // n**2)
    least = [
        (pair + c[i : i + rows, :, None] + c[i : i + rows, None, :]).amin((1, 2)) - f[i : i + rows]
        for i in range(0, n, rows)
    ]
    return torch.cat(least).min()


def certificate(n: int, epsilon: float) -> dict[str, Any]:
    rng = torch.Generator(device="cuda").manual_seed(0)
    x = torch.rand(n, 3, device="cuda", generator=rng, dtype=torch.float64)
    r = deblai.multimarginal.sinkhorn(x, n_marginals=3, cost="coulomb", epsilon=epsilon)
    c = costs(x, 3)

    def ours() -> torch.Tensor:
        return torch.tensor(r.certify().lower)

    def peer() -> torch.Tensor:
        return 3 * r.potentials.mean() + least_of_triples(c, r.potentials)

    ours(), peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(3)]
    mine, theirs = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
    error = abs(float(pairs[-1][0][1]) - float(pairs[-1][1][1]))
    name = f"N=3 n={n} eps={epsilon} certificate"
    print(f"{name:52} deblai {1e3 * mine:8.3f} ms  torch {1e3 * theirs:8.3f} ms  x{theirs / mine:6.2f}  {error:.1e}")
    return {"case": name, "deblai_s": mine, "torch_s": theirs, "ratio": theirs / mine, "error": error}


def main() -> None:
    warnings.simplefilter("ignore", deblai.ConvergenceWarning)
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name())
    rows = [row(*case) for case in CASES] + [row(*case, torch.float64) for case in CASES_DOUBLE]
    rows += [certificate(300, 0.1), certificate(1000, 0.1)]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
