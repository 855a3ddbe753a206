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
    inner = np.asarray(f.across) >= 0
    cell, across = np.asarray(f.cell)[inner], np.asarray(f.across)[inner]
    offset, second = np.asarray(f.offset)[inner], np.asarray(f.second)[inner]
    scale = (2 / np.sqrt((offset**2).sum(1)))[:, None, None]
    mixed = scale * (second - np.asarray(f.first)[inner][:, :, None] * offset[:, None, :])
    own = np.asarray(curvature)[:, None, None] * np.eye(offset.shape[1])
    return blocks(own, cell, across, -scale * second, mixed)


def blocks(own: Array, cell: Array, across: Array, at: Array, mixed: Array) -> Any:
    """Return the matrix with diagonal blocks own[i] + sum of at[k] over the facets of cell i, and mixed[k] across."""
    sparse: Any = require("scipy.sparse", OPERATION, "quantization")
    n, d = own.shape[:2]
    every = np.arange(n)
    rows = np.concatenate([every, cell, cell])
    columns = np.concatenate([every, cell, across])
    data = np.concatenate([own, at, mixed])
    order = np.lexsort((columns, rows))
    rows, columns, data = rows[order], columns[order], data[order]
    new = np.concatenate([[True], (np.diff(rows) != 0) | (np.diff(columns) != 0)])
    begin = np.flatnonzero(new)
    summed = np.add.reduceat(data, begin, axis=0)
    pointer = np.concatenate([[0], np.cumsum(np.bincount(rows[begin], minlength=n))])
    matrix = sparse.bsr_matrix((summed, columns[begin], pointer), shape=(n * d, n * d)).tocsr()
    return (0.5 * (matrix + matrix.T)).tocsr()
