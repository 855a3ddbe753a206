"""Second derivatives of the energy of quantization: sparse, one block for each pair of cells that touch."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._extras import require
from ...results import Facets
from .landscape import OPERATION, Array


def assemble(curvature: Array, f: Facets) -> Any:
    r"""Return the Hessian of mean squares over free cells as a symmetric scipy.sparse CSR matrix (N d, N d).

    .. math::
        H_{ii} = 2 m_i I - \sum_j \frac{2}{d_{ij}} \int_{\Gamma_{ij}} v v^T \rho, \qquad
        H_{ij} = \frac{2}{d_{ij}} \int_{\Gamma_{ij}} v (x - y_j)^T \rho, \qquad v = x - y_i

    (Liu et al., "On centroidal Voronoi tessellation - energy smoothness and fast computation", ACM Trans. Graph. 28,
    2009). A cell that touches an image of itself moves with it.
    """
    cell, across, second = (np.asarray(v) for v in (f.cell, f.across, f.second))
    own = np.asarray(curvature)[:, None, None] * np.eye(second.shape[1])
    return blocks(own, cell, across, *couplings(f, np.asarray(f.first), second))


def couplings(f: Facets, first: Array, second: Array, factor: float = 2.0) -> tuple[Array, Array]:
    """Return the blocks of facets, of their cells and across, factor / d_ij times the integrals; 0 at the border."""
    offset = np.asarray(f.offset)
    apart = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    scale = np.divide(factor, apart, out=np.zeros_like(apart), where=np.asarray(f.across) >= 0)
    second = scale[:, None, None] * second
    return -second, second - (scale[:, None] * first)[:, :, None] * offset[:, None, :]


def blocks(own: Array, cell: Array, across: Array, at: Array, mixed: Array) -> Any:
    """Return the matrix with diagonal blocks own[i] + sum of at[k] over the facets of cell i, and mixed[k] across.

    Facets come in the order of their cells; those at the border, where `across` is negative, hold 0 in both.
    """
    sparse: Any = require("scipy.sparse", OPERATION, "quantization")
    n, d = own.shape[:2]
    pointer = np.zeros(n + 1, np.int32 if (len(cell) + n) * d * d < 2**31 else np.int64)
    np.cumsum(np.bincount(cell, minlength=n) + 1, out=pointer[1:])  # a row is its own block, then those of its facets
    every, place = pointer[:-1], np.arange(1, len(cell) + 1) + cell
    columns = np.empty(len(cell) + n, pointer.dtype)
    columns[every], columns[place] = np.arange(n), np.where(across < 0, cell, across)
    data = np.empty((len(columns), d, d))
    data[place] = mixed
    for k in range(d):
        for m in range(d):
            data[every, k, m] = own[:, k, m] + np.bincount(cell, at[:, k, m], minlength=n)
    matrix = sparse.bsr_matrix((data, columns, pointer), shape=(n * d, n * d)).tocsr()
    matrix.sum_duplicates()
    return matrix
