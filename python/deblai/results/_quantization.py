"""Results of quantization: cells and quantizers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import _extras, errors
from .._array import NUMPY, library_of


class Geometry(NamedTuple):
    """Polygons one after the other; see `Cells`."""

    offsets: Any
    vertices: Any
    neighbours: Any


class Facets(NamedTuple):
    """The density on the facets of cells; see `Cells.facets`.

    In the plane row k is the edge from vertex k to the next, in space row k is facet k, in the order of `neighbours`.

    Attributes
    ----------
    cell : int64 array (total,)
        The cell i that the facet belongs to. Each facet between two cells has a row of either.
    across : int64 array (total,)
        The site j across, perhaps i itself on small tori; -1 for the border of the domain.
    mass : array (total,)
        Integral of the density over the facet.
    first : array (total, d)
        Integral of x - y_i.
    second : array (total, d, d)
        Integral of (x - y_i)(x - y_i)^T.
    offset : array (total, d)
        y_j - y_i, to the image across on the torus; 0 at the border of the domain.
    """

    cell: Any
    across: Any
    mass: Any
    first: Any
    second: Any
    offset: Any


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
        border of the domain.
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
    _integrate: Callable[[], Facets]

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

    def facets(self) -> Facets:
        r"""Return the density on every facet of every cell, edges in the plane: what second derivatives are made of.

        For the facet :math:`\Gamma` between cells i and j, with :math:`v = x - y_i`,

        .. math::
            \int_\Gamma \rho \, ds, \quad \int_\Gamma v \, \rho \, ds, \quad \int_\Gamma v v^T \rho \, ds

        exactly; where a facet runs along the border between pixels, with the mean of both. Computed when first asked
        for, from the sites as they were at the call and the density as it is.

        Examples
        --------
        >>> import numpy as np, deblai
        >>> f = deblai.quantization.laguerre(np.array([[0.25, 0.5], [0.75, 0.5]])).facets()
        >>> inner = f.across >= 0
        >>> f.cell[inner].tolist(), f.mass[inner].tolist(), f.offset[inner].tolist()
        ([0, 1], [1.0, 1.0], [[0.5, 0.0], [-0.5, 0.0]])
        """
        return self._facets

    @cached_property
    def _facets(self) -> Facets:
        return self._integrate()

    def laplacian(self) -> Any:
        r"""Return d mass / d psi as a symmetric scipy.sparse CSR matrix (n, n), float64, whose rows add up to 0.

        .. math::
            \frac{\partial m_i}{\partial \psi_j} = -\int_{\Gamma_{ij}} \frac{\rho \, ds}{2 |y_i - y_j|}
            \quad (i \ne j)

        It is positive semidefinite: minus the second derivative of the dual of semi-discrete transport. SciPy comes
        with the extra ``quantization``.

        Examples
        --------
        >>> import numpy as np, deblai
        >>> deblai.quantization.laguerre(np.array([[0.25, 0.5], [0.75, 0.5]])).laplacian().toarray()
        array([[ 1., -1.],
               [-1.,  1.]])
        """
        sparse = _extras.require("scipy.sparse", "quantization.laguerre", "quantization")
        library = library_of(self.mass) or NUMPY
        f = [library.numpy(v) for v in (self.facets().cell, self.facets().across, self.facets().mass)]
        offset = library.numpy(self.facets().offset).astype(np.float64)
        inner = (f[1] >= 0) & (f[0] != f[1])
        coupling = f[2][inner].astype(np.float64) / (2 * np.sqrt((offset[inner] ** 2).sum(1)))
        n = self.mass.shape[0]
        graph = sparse.csr_matrix((coupling, (f[0][inner], f[1][inner])), shape=(n, n))
        graph = 0.5 * (graph + graph.T)
        return (sparse.diags(np.asarray(graph.sum(1)).ravel()) - graph).tocsr()

    def _range(self, i: int) -> slice:
        n = self.mass.shape[0]
        try:
            inside = not isinstance(i, bool) and 0 <= operator.index(i) < n
        except TypeError:
            inside = False
        if not inside:
            raise errors.InvalidValue(f"[quantization.laguerre] i: expected a cell from 0 to {n - 1}, got {i!r}")
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


@dataclass(frozen=True, repr=False, eq=False)
class Stability:
    """Second derivatives of the energy of a quantizer in its sites.

    Attributes
    ----------
    morse_index : int
        How many eigenvalues are negative (beyond rounding): 0 where the sites are a local minimum, or nearly.
    smallest, largest : float
        The ends of the spectrum, apart from `translations`.
    translations : int
        How many zeros of the spectrum are moves of all sites alike, which change nothing: the dimension for a uniform
        measure on a torus, else 0.
    """

    morse_index: int
    smallest: float
    largest: float
    _spectrum: Callable[[], Any]
    translations: int = 0

    def __repr__(self) -> str:
        return f"Stability(morse_index={self.morse_index}, smallest={self.smallest:.6g}, largest={self.largest:.6g})"

    @cached_property
    def eigenvalues(self) -> Any:
        """All eigenvalues in rising order; quadratic time in their number."""
        return self._spectrum()


class Restart(NamedTuple):
    """How one start of `deblai.quantization.quantize` ended."""

    energy: float
    residual: float | None
    n_iter: int
    converged: bool


class RestartStatistics(NamedTuple):
    """What the starts of `deblai.quantization.quantize` came to; see `QuantizationResult.statistics`.

    Attributes
    ----------
    runs, converged : int
        How many descents there were, and how many of them converged.
    best, worst, mean, deviation : float
        Their energies: the least, the largest, the mean and the standard deviation.
    hits : int
        How many ended at the least energy.
    distinct : int
        How many different energies there are.
    """

    runs: int
    converged: int
    best: float
    worst: float
    mean: float
    deviation: float
    hits: int
    distinct: int


@dataclass(frozen=True, repr=False, eq=False)
class QuantizationResult:
    """What `deblai.quantization.lloyd` and `deblai.quantization.quantize` return.

    Attributes
    ----------
    sites : array (k, d), or (k,) for samples (n,)
        The points that stand for the measure.
    weights : array (k,)
        The mass of each site's cell; they sum to 1.
    energy : scalar
        The mean squared distance to the nearest site: the squared W_2 between the measure and the weighted sites. The
        p-th power of W_p for another p, or for given weights.
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
    gradient_norm : float or None
        Euclidean norm of the gradient of the energy in the sites; None where it was not computed.
    residual : float or None
        What `tol` of `quantize` is compared with: how far the sides of a cell are from pulling equally at the site,
        relative to what they pull, for the worst site.
    certified : bool
        Whether a theorem says that stationary sites are the best of all; see `quantize`. The residual says how nearly
        these are stationary.
    restarts : tuple of Restart
        `energy`, `residual`, `n_iter` and `converged` of every start of `quantize`, the first one included.
    p : float
        The power of distances whose mean is `energy`.
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
    gradient_norm: float | None = None
    residual: float | None = None
    certified: bool = False
    _stability: Callable[[], Stability] | None = None
    restarts: tuple[Restart, ...] = ()
    p: float = 2

    @cached_property
    def stability(self) -> Stability:
        """The Hessian of the energy at the sites: its spectrum, and how many directions lower the energy."""
        if self._stability is None:
            raise errors.InvalidValue("[quantization] stability: expected a result of quantize by Newton's method")
        return self._stability()

    def statistics(self, rtol: float = 1e-9) -> RestartStatistics:
        """Return how the energies of all starts are spread, and how many of them reached the best.

        Energies are the same up to `rtol`. Where few of many starts are at the best, others may be better still.

        Examples
        --------
        >>> import deblai
        >>> square = deblai.measures.UniformBox((0, 0), (1, 1))
        >>> s = deblai.quantization.quantize(square, 5, restarts=9, rng=0).statistics()
        >>> s.runs, s.converged, s.hits, s.distinct
        (10, 10, 1, 2)
        """
        energies = np.sort([v.energy for v in self.restarts] or [float(self.energy)])
        converged = sum(v.converged for v in self.restarts) if self.restarts else int(self.converged)
        return RestartStatistics(
            len(energies),
            converged,
            float(energies[0]),
            float(energies[-1]),
            float(energies.mean()),
            float(energies.std()),
            int((energies <= energies[0] * (1 + rtol)).sum()),
            1 + int((np.diff(energies) > rtol * energies[1:]).sum()),
        )

    def __repr__(self) -> str:
        return (
            f"QuantizationResult(n_sites={self.sites.shape[0]}, energy={float(self.energy):.6g}, "
            f"n_iter={self.n_iter}, converged={self.converged}, backend={self.backend!r})"
        )
