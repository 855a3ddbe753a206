"""What `quantize` is on the line: checked arguments, and the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import errors
from ..._array import NUMPY, gather
from ...measures import Grid, Law, UniformBox
from ...results import QuantizationResult, Restart
from .._options import choice, vector
from .line import OPERATION, Line
from .quadrature import Array
from .solve import LineProblem


class LineSolver:
    """A checked problem of the line; `found` are its runs so far."""

    def __init__(self, measure: Any, count: int, p: float, given: Array | None, options: Any, callback: Any) -> None:
        choice("method", options.method, ("auto", "newton"))
        if options.periodic:
            raise errors.InvalidValue(f"[{OPERATION}] periodic: expected False on the line, got True")
        if given is not None and (options.init is not None or options.restarts):
            name = "restarts" if options.init is None else "init"
            raise errors.InvalidValue(
                f"[{OPERATION}] {name}: expected none with given weights on the line, whose sites are unique"
            )
        self.line, self.library, self.like = _line(measure, p)
        self.start = None if options.init is None else _start(options.init, count, self.line)
        self.options, self.given = options, given

        def called(step: int, sites: Array, energy: float, residual: float) -> bool | None:
            return None if callback is None else callback(step, self.export(sites), energy, residual)

        self.problem = LineProblem(self.line, count, p, given, options.tol, options.max_iter, called)

    def export(self, array: Array) -> Any:
        """Return an array as the caller's are."""
        return self.library.export(array, self.like)

    def run(self) -> None:
        """Solve from all starts."""
        self.problem.run(self.start, self.options.restarts, self.options.rng)

    @property
    def steps(self) -> int:
        """How often sites moved, over all starts."""
        return self.problem.steps

    @property
    def found(self) -> list[Any]:
        """Runs so far."""
        return self.problem.found

    @property
    def best(self) -> Any:
        """The run with the least energy."""
        return self.problem.best

    def result(self) -> QuantizationResult:
        """Return the best run."""
        best, like = self.problem.best, self.like
        return QuantizationResult(
            self.export(best.point.sites),
            self.export(best.masses),
            self.library.scalars([best.point.energy], like)[0] if like.dtype != np.float64 else best.point.energy,
            None,
            best.n_iter,
            best.converged,
            best.history,
            self.library.device_array(best.masses == 0, like),
            "scipy",
            float(np.linalg.norm(best.point.gradient)),
            best.point.residual,
            best.converged and (self.line.unique or self.given is not None),
            best.stability,
            tuple(Restart(v.point.energy, v.point.residual, v.n_iter, v.converged) for v in self.found),
        )


def _line(measure: Any, p: float) -> tuple[Line, Any, Any]:
    """Return what the solver needs of a measure, and the library, and an array, of its results."""
    from .law import LawLine
    from .pixels import PixelLine

    if isinstance(measure, Law):
        return LawLine(measure, p), NUMPY, np.zeros(1)
    if isinstance(measure, UniformBox):
        return PixelLine.of(measure, np.ones(1)), NUMPY, np.zeros(1)
    if isinstance(measure, Grid):
        library, (values,) = gather(OPERATION, {"measure.values": measure.values})
        return PixelLine.of(measure, np.asarray(library.numpy(values), np.float64)), library, values
    raise errors.InvalidType(
        f"[{OPERATION}] measure: expected measures.Law, UniformBox or Grid on the line, got {type(measure).__name__}"
    )


def _start(init: Any, count: int, line: Line) -> Array:
    if isinstance(init, str):
        raise errors.InvalidType(f"[{OPERATION}] init: expected an array of sites on the line, got {init!r}")
    sites = np.sort(vector("init", init, count))
    if not (np.diff(sites) > 0).all():
        raise errors.InvalidValue(f"[{OPERATION}] init: expected different sites, got some of them twice")
    if not (line.lower < sites[0] and sites[-1] < line.upper):
        raise errors.InvalidValue(
            f"[{OPERATION}] init: expected sites inside of ({line.lower:g}, {line.upper:g}), got {sites[0]:g} to "
            f"{sites[-1]:g}"
        )
    return sites
