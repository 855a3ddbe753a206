"""One problem of semi-discrete transport on NumPy arrays, from the sites' first cells to bounds of the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _extras, errors
from ..._array import NUMPY, Library
from ..._form import Form
from ...results import Cells
from .. import _cells
from .diagram import Diagram, Scene
from .levels import near_together
from .multigrid import dot
from .newton import Newton
from .start import filled, start

Array = np.ndarray[Any, Any]

OPERATION = "quantization.semidiscrete"
CHUNK = 1 << 20
BYTES = {2: 1500, 3: 5000}  # a site: a diagram, the one before, and the levels of a system


class Problem(NamedTuple):
    """Checked arrays, float64; `masses` has sum 1, `total` what they had before."""

    sites: Array
    masses: Array
    total: float
    init: Array | None
    density: Array | None
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    periodic: bool
    tol: float
    max_iter: int
    form: Form | None = None

    @classmethod
    def of(cls, library: Library, sites: Any, masses: Any, init: Any, density: Any, *fixed: Any) -> Problem:
        """Look at the entries."""
        host = [None if v is None else np.array(library.numpy(v), np.float64) for v in (sites, masses, init, density)]
        for name, v in zip(("sites", "masses", "init", "measure.values"), host, strict=True):
            if v is not None and not np.isfinite(v).all():
                raise errors.InvalidValue(f"[{OPERATION}] {name}: expected finite values, got nan or inf")
        y, m, psi, pixels = host
        assert y is not None
        if not (np.abs(y) < 1e50).all():
            raise errors.InvalidValue(f"[{OPERATION}] sites: expected values below 50 powers of ten")
        for name, v in (("masses", m), ("measure.values", pixels)):
            if v is not None and not ((v >= 0).all() and 0 < v.sum() < np.inf):
                raise errors.InvalidValue(f"[{OPERATION}] {name}: expected nonnegative values of positive finite sum")
        m = np.ones(len(y)) if m is None else m
        total = float(m.sum())
        q = cls(y, m / total, total, psi, pixels, *fixed)
        q._require_distinct()
        return q

    def require_memory(self) -> None:
        """Raise before a run that would not fit."""
        pixels = 0 if self.density is None else self.density.size
        _backend.require_memory(OPERATION, BYTES[len(self.lower)] * len(self.sites) + 3 * 8 * pixels)

    def cells(self, sites: Array, psi: Array) -> Cells:
        """Return the cells of some sites."""
        fixed = self.density, self.lower, self.upper, self.periodic, self.form
        q = _cells.Problem(NUMPY, sites, psi, *fixed)
        return _cells.summarize(q, _cells.evaluate(q), ())

    def wrapped(self, x: Array) -> Array:
        """Return points of the torus in its box; others as they are."""
        if not self.periodic:
            return x
        from ...reference.laguerre import wrap

        return wrap(x, np.array(self.lower), np.array(self.upper))

    def _require_distinct(self) -> None:
        kept = np.flatnonzero(self.masses > 0)
        places = self.wrapped(self.sites[kept]) + 0.0
        order = np.lexsort(places.T)
        again = np.flatnonzero((places[order[1:]] == places[order[:-1]]).all(1))
        if len(again):
            j, i = sorted(kept[order[[again[0], again[0] + 1]]])
            raise errors.InvalidValue(
                f"[{OPERATION}] sites: expected distinct places of what has mass, got site {i} at that of site {j}; "
                "add their masses up"
            )

    def nearest(self, psi: Array, x: Array) -> Array:
        """Return the site whose cell each point lies in: the nearest one under a tree of sites lifted by psi."""
        if not np.isfinite(x).all():
            raise errors.InvalidValue(f"[{OPERATION}] x: expected finite values, got nan or inf")
        spatial = _extras.require("scipy.spatial", OPERATION, "quantization")
        low, size = np.array(self.lower), np.subtract(self.upper, self.lower)
        lift = np.sqrt(psi.max() - psi)
        at = self.wrapped(self.sites) - low
        torus = [*size, 0.0] if self.periodic else None
        tree = spatial.cKDTree(np.column_stack([at, lift]), boxsize=torus)
        points = self.wrapped(x.astype(np.float64)) - low
        return np.asarray(tree.query(np.column_stack([points, np.zeros(len(points))]))[1], np.int64)

    def spread(self, psi: Array) -> float:
        """Return a bound of |x - y_j|^2 - psi_j - min_i (|x - y_i|^2 - psi_i) in the box."""
        low, high = np.array(self.lower), np.array(self.upper)
        if self.periodic:
            near, far = np.zeros(len(psi)), np.full(len(psi), float(((high - low) ** 2).sum()) / 4)
        else:
            to_low, to_high = low - self.sites, self.sites - high
            near = (np.maximum(np.maximum(to_low, to_high), 0) ** 2).sum(1)
            far = (np.maximum(np.abs(to_low), np.abs(to_high)) ** 2).sum(1)
        return float((far - psi).max() - (near - psi).min())


class Solution(NamedTuple):
    """What the result is made of, for all sites."""

    psi: Array
    value: float
    value_upper: float
    masses: Array
    mass_error: float
    centroids: Array
    grad_sites: Array
    grad_masses: Array
    converged: bool
    stopped: bool
    stalled: bool
    n_iter: int
    history: list[float]
    grad_density: Callable[[], Array]


def solve(q: Problem, plan: _backend.Plan, callback: Callable[[int, Array, float], bool | None]) -> Solution:
    """Run Newton's method on the sites that have mass."""
    q.require_memory()
    kept = np.flatnonzero(q.masses > 0)
    kept = kept[near_together(q.wrapped(q.sites[kept]))]  # memory is read in this order
    wanted = q.masses[kept]
    scene = Scene(np.ascontiguousarray(q.sites[kept]), q.density, q.lower, q.upper, q.periodic, plan, q.form)
    newton = Newton(scene, wanted, q.tol, q.max_iter)

    def whole(psi: Array) -> Array:
        out = np.full(len(q.masses), np.nan)
        out[kept] = psi
        return out

    try:
        first = None if q.init is None else newton.at(q.init[kept])
        if first is None or first.cells.empty:
            psi, cells = filled(scene, wanted, q.max_iter)
            first = newton.at(psi, cells=cells)
        if first.cells.empty:
            near = kept[np.diff(first.cells.begin).argmin()]
            raise errors.InvalidValue(
                f"[{OPERATION}] sites: expected distances that psi can tell apart; the cell of site {near} is empty at "
                "the start: it is too near to another"
            )
        newton.run(first, lambda step, now: callback(step, whole(now.psi), now.error))
    except KeyboardInterrupt:
        if newton.best is None:  # on the way to the start: there is a plain one
            newton.best = newton.at(start(scene, wanted))
            newton.history.append(newton.best.error)
        raise errors.Interrupted(
            f"[{OPERATION}] interrupted after {newton.n_iter} of {q.max_iter} steps", _solution(q, newton, kept)
        ) from None
    return _solution(q, newton, kept)


def _solution(q: Problem, newton: Newton, kept: Array) -> Solution:
    assert newton.best is not None
    now, n = newton.best, len(q.masses)
    cells, residual = now.cells, newton.wanted - now.cells.mass
    psi, masses, centroids, pull = np.zeros(n), np.zeros(n), q.sites.copy(), np.zeros_like(q.sites)
    psi[kept], masses[kept], centroids[kept] = now.psi, cells.mass, cells.centroid
    pull[kept] = 2 * cells.mass[:, None] * (q.sites[kept] - cells.centroid)
    if len(kept) < n:
        left_out = np.flatnonzero(q.masses == 0)
        psi[left_out] = _largest_empty(q, newton.scene, now.psi, q.sites[left_out])
    value = float(cells.second_moment.sum() + now.psi @ residual)
    moved = 0.5 * float(np.abs(residual).sum())
    spread = q._replace(sites=q.sites[kept]).spread(now.psi)
    return Solution(
        psi,
        value,
        value + moved * spread,
        masses,
        now.error,
        centroids,
        pull,
        (psi - q.masses @ psi) / q.total,
        newton.converged,
        newton.stopped,
        newton.stalled,
        newton.n_iter,
        newton.history,
        lambda: _grad_density(newton.scene, now.psi, cells),
    )


def _grad_density(scene: Scene, psi: Array, cells: Diagram) -> Array:
    """Return the derivatives of the dual in the pixels, which are divided by their total mass.

    Those of the integral of a function u by v_p are (int_p u - |p| int u drho) / int v.
    """
    if scene.density is None or scene.density.ndim != 2:
        raise errors.InvalidValue(
            f"[{OPERATION}] grad: expected a measures.Grid of the plane for the gradient in the density"
        )
    pixel = float(np.subtract(scene.upper, scene.lower).prod()) / scene.density.size
    mean = float(cells.second_moment.sum() - dot(psi, cells.mass))
    out: Array = (scene.potential(psi) - pixel * mean) / (pixel * scene.density.sum())
    return out


def _largest_empty(q: Problem, scene: Scene, psi: Array, others: Array) -> Array:
    """Return the largest psi that leaves the cells of other sites without inner points.

    It is the least of |x - y|^2 - min_i (|x - y_i|^2 - psi_i), which is least at a vertex.
    """
    with _backend.use_backend(scene.plan.backend):
        cells = q.cells(scene.sites, psi)
        owner = np.repeat(np.arange(len(psi)), np.diff(cells.offsets))
        x = cells.vertices
    height = ((x - scene.sites[owner]) ** 2).sum(1) - psi[owner]
    size = np.subtract(q.upper, q.lower)
    out = np.empty(len(others))
    step = max(1, CHUNK // len(x))
    for k in range(0, len(others), step):
        d = x - others[k : k + step, None]
        if q.periodic:
            d -= size * np.round(d / size)
        out[k : k + step] = ((d**2).sum(2) - height).min(1)
    return out
