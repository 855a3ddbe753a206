"""What functions of crystals take: sites, results or bonds, and the domain they live in."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import errors
from ..._array import Library, gather
from ...measures import Gaussian, Mixture, Polytope, UniformBox
from ...results import Bonds, QuantizationResult
from .. import _checks

Array = np.ndarray[Any, Any]
ROOM = "quantization.crystal"
UNIT = {2: UniformBox((0.0, 0.0), (1.0, 1.0)), 3: UniformBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))}


class Cloud(NamedTuple):
    """Sites (n, d) in float64 of NumPy, the caller's array, and their domain, a UniformBox or a Polytope."""

    library: Library
    given: Any
    points: Array
    measure: Any
    domain: Any
    periodic: bool

    @property
    def dim(self) -> int:
        return int(self.points.shape[1])

    @property
    def lower(self) -> Array:
        return np.array(self.domain.lower, float)

    @property
    def sides(self) -> Array:
        return np.array(self.domain.upper, float) - self.lower

    def real(self, values: Array) -> Any:
        """Return values in the caller's library, dtype and device."""
        return self.library.export(values, self.given)

    def whole(self, values: Array) -> Any:
        """Return integers, bools or complex numbers in the caller's library and device, with their own dtype."""
        return self.library.device_array(np.ascontiguousarray(values), self.given)


def array(operation: str, sites: Any, name: str = "sites") -> tuple[Library, Any, Array]:
    """Return the library of sites, or of a result's, as they are, and as finite float64 (n, d); (n,) is (n, 1)."""
    if isinstance(sites, QuantizationResult):
        sites = sites.sites
    library, (given,) = gather(operation, {name: sites})
    if given is None:
        raise errors.InvalidType(f"[{operation}] {name}: expected an array, got None")
    points = np.array(library.numpy(given), np.float64, order="C")
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or 0 in points.shape:
        raise errors.InvalidValue(f"[{operation}] {name}: expected shape (n, d) with n >= 1, got {points.shape}")
    if not np.isfinite(points).all():
        raise errors.InvalidValue(f"[{operation}] {name}: expected finite values, got nan or inf")
    return library, given, points


def cloud(operation: str, sites: Any, measure: Any, periodic: Any, dims: tuple[int, ...] = (2, 3)) -> Cloud:
    """Check sites and their domain; bonds bring their own."""
    if isinstance(sites, Bonds):
        if measure is not None or periodic is not False:
            raise errors.InvalidValue(f"[{operation}] measure, periodic: expected none beside bonds, which have theirs")
        measure, periodic, sites = sites.measure, sites.periodic, sites.sites
    library, given, points = array(operation, sites)
    if measure is None:
        measure = UNIT.get(points.shape[1], UNIT[2])
    _checks.box(operation, measure, periodic, dims, _checks.BOXES + _checks.FORMS)
    _checks.sites(operation, points, measure.dim)
    return Cloud(library, given, points, measure, domain(measure), bool(periodic))


def domain(measure: Any) -> Any:
    """Return where a measure lives, as a UniformBox or a Polytope: its cells are those of the measure."""
    if isinstance(measure, UniformBox | Polytope):
        return measure
    if isinstance(measure, Gaussian | Mixture) and measure.domain is not None:
        return measure.domain
    return UniformBox(measure.lower, measure.upper)
