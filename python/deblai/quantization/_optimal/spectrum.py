"""Whether stationary sites are a minimum: eigenvalues of the Hessian."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._extras import require
from ...results import Stability
from .landscape import OPERATION, ULP, Array

DENSE = 1200  # rows


def stability(hessian: Any, translations: int) -> Stability:
    """Return the ends of the spectrum and the number of negative eigenvalues, apart from the translations'.

    Large matrices are factorised: the signs of pivots are those of eigenvalues (Sylvester).
    """
    n = hessian.shape[0]
    linalg: Any = require("scipy.linalg", OPERATION, "quantization")
    reduced = hasattr(hessian, "augmented")
    reach = float(abs(2 * hessian.direct if reduced else hessian).sum(1).max())  # no eigenvalue is larger
    rounding = 64 * ULP * reach
    shifts = np.kron(np.ones((n // max(1, translations), 1)), np.eye(translations)) if translations else None
    if shifts is not None:
        shifts /= np.sqrt(len(shifts) // translations)

    def spectrum() -> Array:
        matrix = hessian.toarray()
        if shifts is None:
            return np.asarray(linalg.eigvalsh(matrix))
        apart = linalg.eigvalsh(matrix + 2 * reach * (shifts @ shifts.T))[: n - translations]
        return np.sort(np.concatenate([apart, np.zeros(translations)]))

    if n == translations:
        return Stability(0, 0.0, 0.0, spectrum, translations)
    if n <= DENSE:
        values = spectrum()
        negative = int((values < -rounding).sum())
        zeros = np.flatnonzero(values == 0)[:translations]
        rest = np.delete(values, zeros)
        return Stability(negative, float(rest[0]), float(rest[-1]), lambda: values, translations)
    sparse: Any = require("scipy.sparse.linalg", OPERATION, "quantization")
    whole = hessian.augmented() if reduced else hessian
    extra = whole.shape[0] - n
    shift = max(rounding, 1e-10 * reach)
    lu = sparse.splu(
        (whole + shift * require("scipy.sparse", OPERATION, "quantization").identity(n + extra)).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    negative = int((lu.U.diagonal() < 0).sum()) - extra
    first = np.random.default_rng(0).standard_normal(n)
    product = sparse.LinearOperator((n, n), lambda v: hessian @ v, dtype=np.float64)

    def end(which: str) -> float:
        return float(sparse.eigsh(product, k=1, which=which, v0=first, tol=1e-10, return_eigenvectors=False)[0])

    def solve(v: Array) -> Array:
        return np.asarray(lu.solve(np.concatenate([v, np.zeros(extra)]))[:n])

    if negative:
        smallest = end("SA")
    else:
        inverse = sparse.LinearOperator((n, n), solve, dtype=np.float64)
        count = 1 + translations
        near = sparse.eigsh(product, k=count, sigma=-shift, OPinv=inverse, v0=first, return_eigenvectors=False)
        smallest = float(np.max(near))
    return Stability(negative, smallest, end("LA"), spectrum, translations)
