"""Linear systems of graph Laplacians: conjugate gradients, preconditioned by smoothed aggregation (Vanek et al. 1996).

Aggregates are the neighbourhoods of a maximal independent set of distance two (Bell, Dalton, Olson 2012); every step is
a product of sparse matrices or a sum over rows, so that nothing loops over sites.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _extras
from ._diagram import Diagram

Array = np.ndarray[Any, Any]

OPERATION = "quantization.semidiscrete"
DIRECT = 3000  # up to here a factorization is as fast
PATIENCE = 40  # iterations before a hierarchy is made anew
COARSEST = 100
MOST_LEVELS = 20
WEAK = 0.02  # of the geometric mean of two diagonal entries: what an aggregate does not reach across
DAMPING = 2 / 3  # of Jacobi's steps; the largest eigenvalue of D^-1 A is at most 2


def _sparse() -> Any:
    return _extras.require("scipy.sparse", OPERATION, "quantization")


class Multigrid:
    """A hierarchy of a symmetric Laplacian (CSR, rows that add up to 0, positive diagonal)."""

    def __init__(self, matrix: Any) -> None:
        self.levels: list[_Level] = []
        while matrix.shape[0] > COARSEST and len(self.levels) < MOST_LEVELS:
            level = _Level(matrix)
            if level.prolong.shape[1] > 0.8 * matrix.shape[0]:
                break
            self.levels.append(level)
            matrix = level.coarse()
        n = matrix.shape[0]
        self.inverse: Any = None
        if n > 10 * COARSEST:  # no aggregates to be found: Jacobi's step is what is left
            self.step = DAMPING / matrix.diagonal()
        else:
            self.inverse = np.linalg.pinv(matrix.toarray(), rcond=1e-13 * n, hermitian=True)

    def cycle(self, b: Array, level: int = 0) -> Array:
        """Return an approximate solution: one V-cycle, symmetric."""
        if level == len(self.levels):
            coarse: Array = self.step * b if self.inverse is None else np.einsum("ij,j->i", self.inverse, b)
            return coarse
        now = self.levels[level]
        x: Array = now.step * b
        x += now.prolong @ self.cycle(now.restrict @ (b - now.matrix @ x), level + 1)
        x += now.step * (b - now.matrix @ x)
        return x


class _Level:
    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        diagonal = matrix.diagonal()
        self.step = DAMPING / diagonal
        label = aggregates(matrix, diagonal)
        n = len(label)
        tentative = _sparse().csr_matrix((np.ones(n), label, np.arange(n + 1)), shape=(n, label.max() + 1))
        smooth = matrix @ tentative
        smooth.data *= np.repeat(-self.step, np.diff(smooth.indptr))
        self.prolong = (tentative + smooth).tocsr()
        self.restrict = self.prolong.T.tocsr()

    def coarse(self) -> Any:
        return (self.restrict @ (self.matrix @ self.prolong)).tocsr()


def aggregates(matrix: Any, diagonal: Array) -> Array:
    """Return the aggregate of every row."""
    n, begin, across = matrix.shape[0], matrix.indptr, matrix.indices
    row = np.repeat(np.arange(n, dtype=np.int32), np.diff(begin))
    scale = np.sqrt(diagonal)
    strong = (-matrix.data > WEAK * scale[row] * scale[across]) | (row == across)
    across = across[strong]
    first = np.concatenate([[0], np.cumsum(np.bincount(row[strong], minlength=n))])[:-1]

    def largest(key: Array) -> Array:
        return np.asarray(np.maximum.reduceat(key[across], first))

    out, root = np.int64(0), np.int64(1) << 40
    key = np.random.default_rng(0).permutation(n).astype(np.int64) + 1  # 0: out, above `root`: a root
    while True:
        around = largest(largest(key))
        undecided = (key > out) & (key < root)
        if not undecided.any():
            break
        key = np.where(undecided & (around == key), key + root, np.where(undecided & (around > root), out, key))
    roots = key > root
    label = np.where(roots, np.cumsum(roots), 0)
    for _ in range(2):
        label = np.where(label > 0, label, largest(label))
    label -= 1
    return np.asarray(label)


def dot(a: Array, b: Array) -> float:
    """Return <a, b>, without the threads of a BLAS that spin between calls."""
    return float(np.einsum("i,i->", a, b))


def solve(matrix: Any, b: Array, preconditioner: Any, rtol: float, max_iter: int = 200) -> tuple[Array, int]:
    """Return the solution of mean zero to a relative residual, and the number of iterations."""
    r = b - b.mean()
    x = np.zeros_like(r)
    wanted = rtol * dot(r, r) ** 0.5
    direction, rho = np.zeros_like(r), 1.0
    for iteration in range(max_iter):
        if not dot(r, r) > wanted**2:
            break
        z = preconditioner(r)
        z -= z.mean()
        rho, before = dot(r, z), rho
        if not rho > 0:
            break
        direction = z + (rho / before if iteration else 0.0) * direction
        along = matrix @ direction
        alpha = rho / dot(direction, along)
        x += alpha * direction
        r -= alpha * along
    else:
        iteration = max_iter
    x -= x.mean()
    return x, iteration


def assemble(cells: Diagram, error: float) -> Any:
    """Return the Laplacian d mass / d psi (CSR), symmetric to the bit.

    Where the density has holes cells may lose touch. A little of the uniform one, which vanishes with the error,
    keeps them together.
    """
    sparse = _sparse()
    coupling, n = cells.coupling, len(cells.mass)
    if cells.bare is not None:
        coupling = coupling + 1e-3 * min(1.0, error) * cells.bare
    graph = sparse.csr_matrix((coupling, cells.across, cells.begin), shape=(n, n))
    graph = 0.5 * (graph + graph.T)
    degree = np.asarray(graph.sum(1)).ravel()
    return (sparse.diags(degree) - graph).tocsr()


def direct(matrix: Any, b: Array) -> Array:
    """Return the solution of mean zero, by a factorization with the first unknown held."""
    x = np.zeros(len(b))
    if len(b) > 1:
        rest = matrix[1:, 1:].tocsc()
        options = {"SymmetricMode": True}
        x[1:] = (
            _extras.require("scipy.sparse.linalg", OPERATION, "quantization")
            .splu(rest, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
            .solve(b[1:])
        )
    x -= x.mean()
    return x


class Laplacian:
    """Solves Newton's systems; keeps the hierarchy of a system for those that follow while it serves them."""

    def __init__(self) -> None:
        self._cycle: Any = None

    def solve(self, cells: Diagram, residual: Array, error: float, rtol: float) -> Array:
        """Return the direction whose mass derivative is the residual, to a relative accuracy."""
        matrix = assemble(cells, error)
        if matrix.shape[0] <= DIRECT:
            return direct(matrix, residual)
        rtol = max(rtol, 1e-11)
        if self._cycle is not None:
            found, iterations = solve(matrix, residual, self._cycle, rtol, PATIENCE)
            if iterations < PATIENCE:
                return found
        self._cycle = Multigrid(matrix).cycle
        return solve(matrix, residual, self._cycle, rtol)[0]
