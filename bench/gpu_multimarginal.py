"""Multi-marginal Sinkhorn on a GPU against PyTorch's logsumexp on the same tensors, in one run.

Ratios are peer / deblai. Both do the same number of plain sweeps from zero, in float32 or float64, the peer from a cost
matrix that it has made before and, for three marginals, a chunk of rows at a time; on graphs it passes messages, of a
chain by logsumexp, of a ring by matrix products without log-domain safety. Calls are timed in pairs, each with a
synchronisation; the error is that of the potentials, in units of epsilon, against the peer in float64. `tensor_share`
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

Potentials = Callable[[], list[torch.Tensor]]
SWEEPS = 5
TENSOR_PEAK = 67e12  # of float64, an H100's or H200's
CASES = [(2, 1000, 0.05), (2, 10_000, 0.05), (3, 100, 0.1), (3, 300, 0.1), (3, 1000, 0.1), (3, 1000, 0.005)]
CASES_DOUBLE = [(2, 10_000, 0.05), (3, 300, 0.1), (3, 1000, 0.1)]
GRAPHS = [("chain", 10, 2000, 0.05), ("chain", 10, 10_000, 0.05), ("ring", 5, 300, 0.05), ("ring", 5, 1000, 0.05)]


def timed(f: Potentials) -> tuple[float, list[torch.Tensor]]:
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

    def truth() -> torch.Tensor:
        return peer_sweeps(-costs(x.double(), n_marginals) / epsilon, n_marginals, SWEEPS)

    kind = "" if dtype == torch.float32 else " float64"
    name = f"N={n_marginals} n={n} eps={epsilon}{kind} {SWEEPS} sweeps and the evaluation"
    found = compare(name, lambda: [ours()], lambda: [peer()], lambda: [truth()])
    if n_marginals == 3 and kind:
        found["tensor_share"] = 2.0 * (SWEEPS + 1) * n**3 / found["deblai_s"] / TENSOR_PEAK
        print(f"{'':60} {100 * found['tensor_share']:.0f} % of the FP64 tensor cores")
    return found


def compare(name: str, ours: Potentials, peer: Potentials, truth: Potentials) -> dict[str, Any]:
    ours(), peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(7)]
    mine, theirs = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
    found = zip(pairs[-1][0][1], truth(), strict=True)
    error = max(float((got.double() - want).abs().max()) for got, want in found)
    print(f"{name:60} deblai {1e3 * mine:8.3f} ms  torch {1e3 * theirs:8.3f} ms  x{theirs / mine:6.2f}  {error:.1e}")
    return {"case": name, "deblai_s": mine, "torch_s": theirs, "ratio": theirs / mine, "error": error}


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

    def ours() -> list[torch.Tensor]:
        return [torch.tensor(r.certify().lower)]

    def peer() -> list[torch.Tensor]:
        return [3 * r.potentials.mean() + least_of_triples(c, r.potentials)]

    ours(), peer()
    pairs = [(timed(ours), timed(peer)) for _ in range(3)]
    mine, theirs = median(a[0] for a, _ in pairs), median(b[0] for _, b in pairs)
    error = abs(float(pairs[-1][0][1][0]) - float(pairs[-1][1][1][0]))
    name = f"N=3 n={n} eps={epsilon} certificate"
    print(f"{name:60} deblai {1e3 * mine:8.3f} ms  torch {1e3 * theirs:8.3f} ms  x{theirs / mine:6.2f}  {error:.1e}")
    return {"case": name, "deblai_s": mine, "torch_s": theirs, "ratio": theirs / mine, "error": error}


def peer_chain(M: list[torch.Tensor], sweeps: int) -> list[torch.Tensor]:
    """Potentials over epsilon, each of mean 0, of M[p] between p and p + 1; the last marginal goes first."""
    n, N = len(M[0]), len(M) + 1
    log_n, zero = torch.log(torch.tensor(float(n))), torch.zeros(n, dtype=M[0].dtype, device=M[0].device)
    g = [zero - log_n] * N
    for _ in range(sweeps):
        up, down = [zero], zero
        for p in range(N - 1):
            up.append(torch.logsumexp(M[p] + (g[p] + up[p])[:, None], 0))
        for p in reversed(range(N)):
            g[p] = -(up[p] + down) - log_n
            if p:
                down = torch.logsumexp(M[p - 1] + (g[p] + down)[None], 1)
    return [f - f.mean() for f in g]


def peer_ring(M: list[torch.Tensor], sweeps: int) -> list[torch.Tensor]:
    """The same, M[N - 1] being between the last marginal and the first."""
    n, N = len(M[0]), len(M)
    K = [torch.exp(m) for m in M]
    u = [torch.ones(n, dtype=K[0].dtype, device=K[0].device) / n] * N
    for _ in range(sweeps):
        heads, tail = [K[0], K[0]], K[N - 1]
        for p in range(1, N - 1):
            heads.append(heads[p] @ (u[p][:, None] * K[p]))
        for p in range(N - 1, 0, -1):
            u[p] = 1 / (n * (heads[p].T * u[0] * tail).sum(1))
            tail = K[p - 1] @ (u[p][:, None] * tail)
        u[0] = 1 / (n * tail.diagonal())
    return [torch.log(v) - torch.log(v).mean() for v in u]


def graph_row(graph: str, N: int, n: int, epsilon: float) -> dict[str, Any]:
    rng = torch.Generator(device="cuda").manual_seed(0)
    x = [torch.rand(n, 3, device="cuda", generator=rng) for _ in range(N)]
    peer_of, last = (peer_chain, N - 1) if graph == "chain" else (peer_ring, N)

    def scaled(points: list[torch.Tensor]) -> list[torch.Tensor]:
        return [-(torch.cdist(points[p], points[(p + 1) % N]) ** 2) / epsilon for p in range(last)]

    def ours() -> list[torch.Tensor]:
        r = deblai.multimarginal.sinkhorn(
            x, cost="sqeuclidean", graph=graph, epsilon=epsilon, tol=0, max_iter=SWEEPS, memory=0, method="sinkhorn"
        )
        return [f / epsilon - (f / epsilon).mean() for f in r.potentials]

    M = scaled(x)
    name = f"{graph} N={N} n={n} eps={epsilon} {SWEEPS} sweeps and the evaluation"
    return compare(name, ours, lambda: peer_of(M, SWEEPS), lambda: peer_of(scaled([v.double() for v in x]), SWEEPS))


def main() -> None:
    warnings.simplefilter("ignore", deblai.ConvergenceWarning)
    torch.backends.cuda.matmul.allow_tf32 = False
    print(torch.cuda.get_device_name())
    rows = [row(*case) for case in CASES] + [row(*case, torch.float64) for case in CASES_DOUBLE]
    rows += [graph_row(*case) for case in GRAPHS]
    rows += [certificate(300, 0.1), certificate(1000, 0.1)]
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
