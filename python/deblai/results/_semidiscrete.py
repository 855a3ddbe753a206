"""The result of semi-discrete transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._quantization import Cells


@dataclass(frozen=True, repr=False, eq=False)
class SemidiscreteResult:
    """What `deblai.quantization.semidiscrete` returns.

    Attributes
    ----------
    psi : array (n,)
        The potential: cells of `laguerre` with this psi have the masses wanted. Its mean under those masses is 0. Of a
        site of mass 0 the largest value that leaves its cell without inner points.
    value : scalar
        The squared W_2: the dual at `psi`, whose error is of second order in that of the masses. For PyTorch and JAX
        it carries the derivatives.
    value_lower, value_upper : float
        Bounds of the squared W_2, but for rounding: the dual, and the cost of a plan that keeps to the cells as far as
        the masses wanted allow.
    masses : array (n,)
        The masses of the cells, which have sum 1.
    mass_error : float
        The largest relative difference to the masses wanted.
    centroids : array (n, d)
        Mean of the measure over each cell: where the barycentric projection sends a site. The site itself if its mass
        is 0; on the torus near the site.
    converged : bool
        Whether `mass_error` is at most the tolerance.
    n_iter : int
        Steps of Newton's method.
    history : list of float
        `mass_error` before each step and at the end.
    grad : dict
        Gradients of `value` by name: "sites" and "masses"; "density", in the values of a Grid, is computed when it is
        asked for by ``grad["density"]``.
    backend : str
        Which code ran.
    """

    psi: Any
    value: Any
    value_lower: Any
    value_upper: Any
    masses: Any
    mass_error: Any
    centroids: Any
    converged: Any
    n_iter: Any
    history: list[float]
    grad: dict[str, Any]
    backend: str
    _assign: Callable[[Any], Any]
    _cells: Callable[[], Cells]

    def __repr__(self) -> str:
        n = self.psi.shape[0]
        try:
            numbers = f"value={float(self.value):.6g}, mass_error={float(self.mass_error):.1e}"
        except TypeError:  # tracers of JAX: no values yet
            numbers = f"value={self.value}"
        return (
            f"SemidiscreteResult(n={n}, {numbers}, n_iter={self.n_iter}, converged={self.converged}, "
            f"backend={self.backend!r})"
        )

    def map(self, x: Any) -> Any:
        """Return the index of the site that each point (m, d) goes to, int64 (m,): the transport map."""
        return self._assign(x)

    def cells(self) -> Cells:
        """Return the cells of `psi`, with polygons and neighbours."""
        return self._cells()
