"""Mean squares to sites of given masses: cells of optimal transport."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ... import errors
from ..._extras import require
from .._laguerre import laguerre
from .._transport.semidiscrete import semidiscrete
from .hessian import assemble
from .landscape import OPERATION, Array, Domain, Point

LOOSE = 1e-8  # relative errors of masses that rounding may leave


class Transports(Domain):
    r"""F(y) = W_2^2 between the measure and masses at y, by `semidiscrete`.

    By the envelope theorem its gradient is 2 nu_i (y_i - b_i), with the means of the cells.
    """

    def __init__(self, measure: Any, periodic: bool, wanted: Array, tol: float) -> None:
        super().__init__(measure, periodic, 2.0)
        self.wanted, self.tol = wanted, min(1e-9, max(1e-12, tol))

    def at(self, sites: Array, near: Point | None = None) -> Point | None:
        """Find the cells, from the potentials of a point near by."""
        init = None if near is None else near.psi
        at = self.home(sites)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.ConvergenceWarning)
            try:
                found = semidiscrete(self.measure, at, self.wanted, init=init, tol=self.tol, periodic=self.periodic)
            except errors.InvalidValue as error:
                if near is None:
                    text = str(error).replace("[quantization.semidiscrete] sites:", f"[{OPERATION}] init:")
                    raise errors.InvalidValue(text) from None
                return None  # two sites have met
        if found.mass_error > LOOSE:
            return None
        psi = np.asarray(found.psi)
        c = laguerre(sites, psi, measure=self.measure, periodic=self.periodic, grad="sites")
        each, mass = np.asarray(c.second_moment), np.asarray(c.mass)
        energy = float(each.sum() + psi @ (self.wanted - mass))
        return Point(
            sites,
            2.0,
            self.wanted,
            each,
            np.asarray(c.grad["sites"]),
            2 * self.wanted,
            lambda: Reduced(assemble(2 * mass, c.facets()), *_mixed(c), len(mass)),
            energy,
            psi,
        )


def _mixed(c: Any) -> tuple[Any, Any]:
    """Return the second derivatives of the dual in sites and potentials, and minus those in potentials."""
    sparse: Any = require("scipy.sparse", OPERATION, "quantization")
    f = c.facets()
    inner = (np.asarray(f.across) >= 0) & (np.asarray(f.across) != np.asarray(f.cell))
    cell, across = np.asarray(f.cell)[inner], np.asarray(f.across)[inner]
    part = np.asarray(f.first)[inner] / np.sqrt((np.asarray(f.offset)[inner] ** 2).sum(1))[:, None]
    n, d = len(np.asarray(c.mass)), part.shape[1]
    rows = (cell[:, None] * d + np.arange(d)).ravel()
    columns = np.concatenate([np.repeat(across, d), np.repeat(cell, d)])
    data = np.concatenate([part.ravel(), -part.ravel()])
    return sparse.csr_matrix((data, (np.tile(rows, 2), columns)), shape=(n * d, n)), c.laplacian()


class Reduced:
    """The Hessian of W_2^2 in the sites: that of fixed potentials, and what their change adds.

    With A the second derivatives in sites, B the mixed ones and L the Laplacian of masses, it is A + B L^+ B^T. No
    inverse is stored: L is factorised, one potential held.
    """

    def __init__(self, direct: Any, mixed: Any, laplacian: Any, count: int) -> None:
        linalg: Any = require("scipy.sparse.linalg", OPERATION, "quantization")
        self.direct, self.mixed, self.laplacian, self.shape = direct, mixed[:, 1:], laplacian[1:, 1:], direct.shape
        self._solve = linalg.splu(self.laplacian.tocsc()).solve if count > 1 else None

    def __matmul__(self, v: Array) -> Array:
        out: Array = self.direct @ v
        return out if self._solve is None else np.asarray(out + self.mixed @ self._solve(self.mixed.T @ v))

    def toarray(self) -> Array:
        """Return the dense matrix."""
        out = self @ np.eye(self.shape[0])
        return np.asarray((out + out.T) / 2)

    def augmented(self) -> Any:
        """Return a sparse matrix with as many negative eigenvalues more as L has rows (Haynsworth)."""
        sparse: Any = require("scipy.sparse", OPERATION, "quantization")
        return sparse.bmat([[self.direct, self.mixed], [self.mixed.T, -self.laplacian]])
