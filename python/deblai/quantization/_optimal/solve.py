"""Quantization in the plane and in space: landscapes, methods, starts, the best of several runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import _backend, errors
from ..._array import gather
from ...measures import Grid
from ...results import QuantizationResult, Restart, Stability
from .. import _checks
from .._options import choice
from . import several, starts
from .descent import LBFGS, Anderson, Descent, Lloyd, Method
from .landscape import OPERATION, Array, Landscape, Point
from .newton import Auto, Newton
from .powers import Powers, hexagon
from .refined import Halted
from .spectrum import stability
from .squares import Squares
from .transports import Transports

METHODS: dict[str, Callable[[Landscape], Method]] = {
    "auto": Auto,
    "lloyd": Lloyd,
    "anderson": Anderson,
    "lbfgs": LBFGS,
    "newton": Newton,
}


@dataclass
class Found:
    """One run."""

    point: Point
    n_iter: int
    converged: bool
    stopped: bool
    history: list[float]


class SpaceSolver:
    """A checked problem of the plane or of space; `found` are its runs so far."""

    def __init__(self, measure: Any, count: int, p: float, given: Array | None, options: Any, callback: Any) -> None:
        choice("method", options.method, tuple(METHODS))
        density = _checks.box(OPERATION, measure, options.periodic, (2, 3), (*_checks.BOXES, *_checks.FORMS))
        named = isinstance(options.init, str) or options.init is None
        init = None if named else options.init
        self.library, (init, density) = gather(OPERATION, {"init": init, "measure.values": density})
        self.like: Any = next((v for v in (init, density) if v is not None), np.zeros(1))
        if self.library.device(self.like) != "cpu":
            raise errors.InvalidType(
                f"[{OPERATION}] measure: expected arrays on the CPU, got {self.library.device(self.like)}"
            )
        if density is not None:
            measure = Grid(np.asarray(self.library.numpy(density), np.float64), measure.lower, measure.upper)
        if named and options.init is not None:
            choice("init", options.init, starts.names(measure.dim))
        self.count, self.p, self.given, self.options, self.callback = count, p, given, options, callback
        self.dim, self.measure = measure.dim, measure
        self.land = self._landscape()
        self.first = None if init is None else self._sites(self.library.numpy(init))
        self.start = self._starter(options.init if named else None)
        self.plan = _backend.plan(OPERATION, "cpu")
        self.found: list[Found] = []
        self.steps = 0

    def _landscape(self) -> Landscape:
        if self.given is not None:
            if self.p != 2:
                raise errors.InvalidValue(f"[{OPERATION}] p: expected 2 with given weights, got {self.p:g}")
            return Transports(self.measure, self.options.periodic, self.given, self.options.tol)
        if self.p == 2:
            return Squares(self.measure, self.options.periodic)
        return Powers(self.measure, self.options.periodic, self.p)

    def _sites(self, init: Any) -> Array:
        if init.shape != (self.count, self.dim):
            raise errors.InvalidValue(
                f"[{OPERATION}] init: expected shape ({self.count}, {self.dim}) to match n_sites and the measure, "
                f"got {tuple(init.shape)}"
            )
        sites = np.array(init, np.float64)
        if not (np.abs(sites) < 1e100).all():
            raise errors.InvalidValue(f"[{OPERATION}] init: expected finite values, got nan, inf or more than 1e100")
        return sites

    def _starter(self, init: str | None) -> Callable[[np.random.Generator], Array]:
        return starts.starter(self.land, self.count, init, self.given is None)

    def run(self) -> None:
        """Descend from each start."""
        rng, named = self.options.rng, self.options.init
        self._descend(self._begin(rng) if self.first is None else self.first)
        if self.first is not None or named in starts.CELLS:
            named = None
        again = self._starter(named)
        if not self.found:
            assert self.given is not None  # others always have cells
            raise errors.InvalidValue(
                f"[{OPERATION}] weights: expected what cells can hold but for rounding, got {self.given.min():.1e} to "
                f"{self.given.max():.1e} of the whole"
            )
        if self.found[-1].stopped or self.certified(self.found[-1]):
            return
        alone = self.callback is not None or self.given is not None
        if not alone and several.together(self.land, self.options, self.count, self.plan):
            runs = self.options.restarts
            if named == "refined" or (named is None and self.count > starts.FEW):
                self._descend_all(several.starts(self.land, self.options.periodic, self.count, runs, rng))
            else:
                self._descend_all([again(rng) for _ in range(runs)])
            return
        for _ in range(self.options.restarts):
            self._descend(again(rng))
            if self.found[-1].stopped or self.certified(self.found[-1]):
                return

    def _begin(self, rng: np.random.Generator) -> Array:
        """Make the first start; after a Ctrl-C that is the result."""
        try:
            return self.start(rng)
        except Halted as stop:
            point = self.land.at(self.land.inside(stop.sites))
            if point is not None:
                self.found.append(Found(point, 0, False, True, [point.energy]))
            raise

    def _descend_all(self, starts: list[Array]) -> None:
        """Descend from starts at the same time, up to the first that is certified."""
        options = self.options
        together = several.descend(self.land, options.periodic, starts, options.tol, options.max_iter, options.rng)
        for sites, history, converged, empty in several.ends(together):
            stuck = not converged and len(history) <= options.max_iter
            if (empty or stuck) and together.stopped is None:
                self._descend(sites, history[:-1])
            else:
                point = self.land.at(sites)
                assert point is not None  # free weights always have cells
                self._require_range(point)
                self.steps += len(history) - 1
                self.found.append(Found(point, len(history) - 1, converged, False, history))
            if together.stopped is None and self.certified(self.found[-1]):
                return
        if together.stopped is not None:
            raise together.stopped

    def _require_range(self, now: Point) -> None:
        """Raise where the squares of forces are beyond floats."""
        if not 1e-130 < (now.mass * now.radius ** (self.p - 1)).max() < 1e130:
            raise errors.InvalidValue(
                f"[{OPERATION}] p: expected powers of distances that floats can hold, got an energy of "
                f"{now.energy:.1e} for p = {self.p:g}; rescale the measure"
            )

    def _descend(self, sites: Array, before: Sequence[float] = ()) -> None:
        descent = Descent(self.land, self.options.tol, self.options.max_iter, self.options.rng)

        def called(step: int, now: Point) -> bool | None:
            self._require_range(now)
            if self.callback is None:
                return None
            found: bool | None = self.callback(step, self.export(now.sites), now.energy, now.residual)
            return found

        try:
            start = self.land.at(self.land.inside(sites))
            if start is not None:
                descent.run(start, METHODS[self.options.method](self.land), called)
        finally:
            steps = len(before) + descent.n_iter
            self.steps += steps
            if descent.point is not None:
                history = [*before, *descent.history]
                self.found.append(Found(descent.point, steps, descent.converged, descent.stopped, history))

    def export(self, sites: Array) -> Any:
        """Return sites as the caller's arrays are, those of a torus in its box."""
        return self.library.export(self.land.home(sites), self.like)

    @property
    def best(self) -> Found:
        """The run with the least energy; of equal ones the first."""
        least = min(run.point.energy for run in self.found)
        return next(run for run in self.found if run.point.energy <= least * (1 + 1e-14))

    def certified(self, run: Found) -> bool:
        """Return whether a theorem says that no sites are better: one in a convex energy, hexagons on a torus."""
        if not run.converged:
            return False
        if self.count == 1 and not self.options.periodic:
            return True
        if not (self.dim == 2 and self.given is None and self.land.invariant):
            return False
        share = self.measure.volume / self.count
        return bool(run.point.energy <= hexagon(self.p) * share ** (self.p / 2) * (1 + 1e-12))

    def result(self) -> QuantizationResult:
        """Return the best run."""
        best, library, like = self.best, self.library, self.like
        point, translations = best.point, self.dim if self.land.invariant else 0

        def spectrum() -> Stability:
            return stability(point.hessian, translations)

        return QuantizationResult(
            self.export(point.sites),
            library.export(point.mass if self.given is None else self.given, like),
            library.scalars([point.energy], like)[0] if like.dtype != np.float64 else point.energy,
            None,
            best.n_iter,
            best.converged,
            best.history,
            library.device_array(point.empty, like),
            self.plan.label,
            float(np.sqrt((point.gradient**2).sum())),
            point.residual,
            self.certified(best),
            spectrum,
            tuple(Restart(v.point.energy, v.point.residual, v.n_iter, v.converged) for v in self.found),
        )
