"""Results of quantization: cells and quantizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from .. import errors


class Geometry(NamedTuple):
    """Polygons one after the other; see `Cells`."""

    offsets: Any
    vertices: Any
    neighbours: Any


@dataclass(frozen=True, repr=False, eq=False)
class Cells:
    """What `deblai.quantization.laguerre` returns.

    Polygons are computed when they are first asked for, from the sites as they were at the call.

    Attributes
    ----------
    mass : array (n,)
        Mass of each cell; the measure has mass 1. NaN where an interrupt came first.
    centroid : array (n, 2)
        Mean of the measure over the cell, the site where the cell has no mass; on the torus near the site.
    second_moment : array (n,)
        Integral of |x - y_i|^2 over the cell.
    empty : bool array (n,)
        Cells without inner points. (One in a part of the box without density has mass 0, but is not empty.)
    complete : bool array (n,)
        All True, but for the result of an interrupted call.
    energy : scalar
        Sum of `second_moment`.
    value : scalar
        Sum of integrals of |x - y_i|^2 - psi_i over the cells. A 0-d tensor that carries the graph for PyTorch.
    grad : dict
        Gradients of `value` in the arguments that were asked for, by name.
    backend : str
        Which code ran: "cpu/avx512", "cuda", "reference".
    offsets : int64 array (n + 1,)
        Vertices offsets[i] to offsets[i + 1] are those of cell i.
    vertices : array (total, 2)
        Counter-clockwise.
    neighbours : int64 array (total,)
        The site across the edge from vertex k to the next one, on small tori perhaps the cell's own; -1 for the
        border of the box.
    """

    mass: Any
    centroid: Any
    second_moment: Any
    empty: Any
    complete: Any
    energy: Any
    value: Any
    grad: dict[str, Any]
    backend: str
    _build: Callable[[], Any]

    def __repr__(self) -> str:
        n = self.mass.shape[0]
        try:
            empty, complete, energy = int(self.empty.sum()), int(self.complete.sum()), f"{float(self.energy):.6g}"
        except TypeError:  # tracers of JAX: no values yet
            return f"Cells(n={n}, energy={self.energy}, backend={self.backend!r})"
        partial = "" if complete == n else f", complete={complete}"
        return f"Cells(n={n}, empty={empty}{partial}, energy={energy}, backend={self.backend!r})"

    @cached_property
    def _geometry(self) -> Any:
        return self._build()

    @property
    def offsets(self) -> Any:
        """Where the vertices of each cell begin."""
        return self._geometry.offsets

    @property
    def vertices(self) -> Any:
        """The vertices of all cells."""
        return self._geometry.vertices

    @property
    def neighbours(self) -> Any:
        """What lies across the edge that begins at each vertex."""
        return self._geometry.neighbours

    def polygon(self, i: int) -> Any:
        """Return the vertices of cell i, counter-clockwise, shape (k, 2)."""
        return self.vertices[self._range(i)]

    def neighbours_of(self, i: int) -> Any:
        """Return the sites across the edges of cell i, in the order of its edges; the border is left out."""
        across = self.neighbours[self._range(i)]
        return across[across >= 0]

    def _range(self, i: int) -> slice:
        n = self.mass.shape[0]
        if not 0 <= i < n:
            raise errors.InvalidValue(f"[quantization.laguerre] i: expected a cell from 0 to {n - 1}, got {i!r}")
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


@dataclass(frozen=True, repr=False, eq=False)
class QuantizationResult:
    """What `deblai.quantization.lloyd` returns.

    Attributes
    ----------
    sites : array (k, d), or (k,) for samples (n,)
        The points that stand for the measure.
    weights : array (k,)
        The mass of each site's cell; they sum to 1.
    energy : scalar
        The mean squared distance to the nearest site: the squared W_2 between the measure and the weighted sites.
    labels : array (n,) of int32, or None
        The nearest site of each sample, the first of equals; None for a measure.
    n_iter : int
        How often the sites moved.
    converged : bool
        Whether the last step changed the energy by no more than the tolerance.
    history : list of float
        The energy before each move and at the end, decreasing; the last entry is `energy`.
    empty : array (k,) of bool
        Which sites have no mass.
    backend : str
        Which code ran.
    """

    sites: Any
    weights: Any
    energy: Any
    labels: Any
    n_iter: int
    converged: bool
    history: list[float]
    empty: Any
    backend: str

    def __repr__(self) -> str:
        return (
            f"QuantizationResult(n_sites={self.sites.shape[0]}, energy={float(self.energy):.6g}, "
            f"n_iter={self.n_iter}, converged={self.converged}, backend={self.backend!r})"
        )
