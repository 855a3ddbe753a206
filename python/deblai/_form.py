"""What a measure of the plane or of space is beyond pixels of a box, as arrays that kernels take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Form:
    """Arrays of NumPy, float64 or int64, C-ordered; None for what a measure is not. Equal only to itself.

    `corners` (k, d) and `planes` (m, d + 1), rows normal and offset, are those of a convex domain, in the plane
    counter-clockwise; `gaussians` (c, 6) weights, means and covariances xx, xy, yy; `points` (m, 2), `triangles`
    (t, 3) and `values` (m,) a density that is linear on triangles.
    """

    corners: Array | None = None
    planes: Array | None = None
    gaussians: Array | None = None
    points: Array | None = None
    triangles: Array | None = None
    values: Array | None = None

    def kernel(self) -> tuple[Array | None, ...]:
        """Return what the kernel of the plane takes, in its order."""
        return self.corners, self.gaussians, self.points, self.triangles, self.values

    def flat(self) -> list[Array]:
        """Return the arrays in order, empty for None."""
        given = (getattr(self, f.name) for f in fields(self))
        return [np.empty(0) if v is None else v for v in given]

    @classmethod
    def of(cls, flat: Sequence[Array]) -> Form | None:
        """Undo `flat`; None for no arrays."""
        return cls(*(v if v.size else None for v in flat)) if flat else None
