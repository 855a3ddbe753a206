"""Results: frozen, with a one-line repr; arrays in the caller's library, dtype and device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from . import errors

__all__ = ["Cells", "FlowResult", "MultimarginalResult", "QuantizationResult", "SlicedResult"]


def _with_error(value: Any, stderr: Any) -> str:
    try:
        return f"{float(value):.6g} ± {float(stderr):.2g}"
    except TypeError:  # a tracer of JAX: no value yet
        return str(value)


@dataclass(frozen=True, repr=False)
class SlicedResult:
    """What `deblai.sliced.wasserstein` returns.

    Attributes
    ----------
    value : scalar
        SW_p, the p-th root of `value_p`. A 0-d tensor that carries the graph for PyTorch.
    value_p : scalar
        SW_p^p: the mean of W_p^p over the directions.
    stderr, stderr_p : scalar
        Standard errors of `value` and `value_p` from the spread over directions, as for independent directions;
        NaN for a single random one, 0 in one dimension, where the distance is exact. The finite number of
        samples in `x` and `y` is not in them.
    p : float
        The exponent.
    n_projections : int
        The number of directions behind the numbers.
    per_direction : array (n_projections,)
        W_p^p along each direction.
    directions : array (n_projections, d)
        The directions.
    grad : dict
        Gradients of `value_p` in the arguments that were asked for, by name.
    backend : str
        Which code ran: "cpu/avx512", "cuda", "reference".
    """

    value: Any
    value_p: Any
    stderr: Any
    stderr_p: Any
    p: float
    n_projections: int
    per_direction: Any
    directions: Any
    grad: dict[str, Any] = field(default_factory=dict)
    backend: str = ""

    def __repr__(self) -> str:
        return (
            f"SlicedResult(value={_with_error(self.value, self.stderr)}, p={self.p:g}, "
            f"n_projections={self.n_projections}, backend={self.backend!r})"
        )


@dataclass(frozen=True, repr=False)
class FlowResult:
    """What `deblai.sliced.gradient_flow` returns.

    Attributes
    ----------
    x : array (n, d)
        The particles after the last step.
    history : list of float
        SW_2^2 between particles and target before each step, estimated with that step's directions.
    n_iter : int
        Steps taken.
    stopped : bool
        Whether the callback asked to stop.
    backend : str
        Which code ran.
    """

    x: Any
    history: list[float]
    n_iter: int
    stopped: bool
    backend: str

    def __repr__(self) -> str:
        first, last = (self.history[0], self.history[-1]) if self.history else (float("nan"),) * 2
        return f"FlowResult(n_iter={self.n_iter}, SW2^2 {first:.4g} -> {last:.4g}, backend={self.backend!r})"


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
    _build: Callable[[], Geometry]

    def __repr__(self) -> str:
        n = self.mass.shape[0]
        try:
            empty, complete, energy = int(self.empty.sum()), int(self.complete.sum()), f"{float(self.energy):.6g}"
        except TypeError:  # tracers of JAX: no values yet
            return f"Cells(n={n}, energy={self.energy}, backend={self.backend!r})"
        partial = "" if complete == n else f", complete={complete}"
        return f"Cells(n={n}, empty={empty}{partial}, energy={energy}, backend={self.backend!r})"

    @cached_property
    def _geometry(self) -> Geometry:
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
class MultimarginalResult:
    """What `deblai.multimarginal.sinkhorn` returns.

    Attributes
    ----------
    value : scalar
        The dual value, sum_p <a_p, f_p> - epsilon (mass - 1): a lower bound of the minimum of
        <c, plan> + epsilon KL(plan | product of the marginals), equal to it at convergence. A 0-d tensor that carries
        the graph for PyTorch.
    value_linear : scalar
        <c, plan>, the cost alone; NaN after an interrupt.
    potentials : list of array (n_p,), or array (n,) in symmetric mode
        The potentials f_p, in the cost's units; with the same mean under each marginal.
    marginal_error : float
        The largest L1 distance between a marginal of the plan and what it should be, of the final potentials.
    converged : bool
        Whether `marginal_error` is at most `tol`.
    n_iter : int
        Sweeps over all potentials.
    history : array (n_iter, 2)
        Marginal error met in each sweep, and dual value (NaN from the reference backend).
    epsilon : float
        The entropic weight.
    n_marginals : int
        The number of marginals.
    grad : dict
        Gradients of `value` in the arguments that were asked for: "points", "weights", "cost".
    backend : str
        Which code ran.
    """

    value: Any
    value_linear: Any
    potentials: Any
    marginal_error: float
    converged: bool
    n_iter: int
    history: Any
    epsilon: float
    n_marginals: int
    grad: dict[str, Any] = field(default_factory=dict)
    backend: str = ""
    _plans: Any = None

    def pair_marginal(self, p: int = 0, q: int = 1) -> Any:
        """Return the plan's marginal of the pair (p, q), shape (n_p, n_q): the pair density where marginals are equal.

        Computed when asked for, from arguments as they were at the call; on a graph also of pairs without a cost.
        """
        return self._plans.pair(p, q)

    def plan(self) -> Any:
        """Return the whole plan, n_1 x ... x n_N entries: for small problems."""
        return self._plans.whole()

    def __repr__(self) -> str:
        state = f"{'converged' if self.converged else 'NOT converged'} in {self.n_iter}"
        return (
            f"MultimarginalResult(value={float(self.value):.8g}, value_linear={float(self.value_linear):.8g}, "
            f"marginal_error={self.marginal_error:.2g}, {state}, backend={self.backend!r})"
        )


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
