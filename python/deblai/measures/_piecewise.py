"""Continuous densities of the plane that are linear on triangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import errors
from .._form import Form
from ._entries import host

Array = np.ndarray[Any, Any]
OPERATION = "measures.PiecewiseLinear"


@dataclass(frozen=True, eq=False, repr=False)
class PiecewiseLinear:
    """A density that is linear on the triangles of a mesh, and 0 elsewhere.

    Parameters
    ----------
    points : array (m, 2)
        The nodes. Any library; kept as float64 of NumPy.
    triangles : array of int (t, 3)
        The nodes of each triangle, in either orientation, none on top of another; together they need not be convex,
        nor connected. ``scipy.spatial.Delaunay(points).simplices`` will do. Triangles without an area hold nothing.
    values : array (m,)
        The density at the nodes, nonnegative, of any positive mass: it is divided out where it is used.

    Attributes
    ----------
    dim : int
        2.
    volume : float
        The area of the triangles.
    mass : float
        The integral of the density.
    lower, upper : tuple of float
        The box of the triangles, from which cells start.

    Raises
    ------
    InvalidValue
        Shapes that do not fit, numbers of no node, NaN, infinite or negative entries, no mass, two triangles on the
        same side of an edge.
    InvalidType
        Anything but numbers.

    Examples
    --------
    >>> from deblai.measures import PiecewiseLinear
    >>> PiecewiseLinear([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], [0.0, 0.0, 6.0])
    PiecewiseLinear(points=3, triangles=1, mass=1)
    """

    points: Any
    triangles: Any
    values: Any

    def __post_init__(self) -> None:
        points, values = host(OPERATION, "points", self.points), host(OPERATION, "values", self.values)
        triangles = host(OPERATION, "triangles", self.triangles, integers=True)
        if points.ndim != 2 or points.shape[1] != 2:
            raise errors.InvalidValue(f"[{OPERATION}] points: expected shape (m, 2), got {tuple(points.shape)}")
        if triangles.ndim != 2 or triangles.shape[1] != 3 or len(triangles) == 0:
            raise errors.InvalidValue(
                f"[{OPERATION}] triangles: expected shape (t, 3) with t >= 1, got {tuple(triangles.shape)}"
            )
        if values.shape != points.shape[:1]:
            raise errors.InvalidValue(
                f"[{OPERATION}] values: expected {len(points)} values to match points, got shape {tuple(values.shape)}"
            )
        if not ((triangles >= 0) & (triangles < len(points))).all():
            raise errors.InvalidValue(
                f"[{OPERATION}] triangles: expected numbers of points from 0 to {len(points) - 1}, got "
                f"{triangles.min()} to {triangles.max()}"
            )
        if not (values >= 0).all():
            raise errors.InvalidValue(f"[{OPERATION}] values: expected nonnegative values, got {values.min():g}")
        if not (np.abs(points) < 1e100).all():
            raise errors.InvalidValue(f"[{OPERATION}] points: expected values below 100 powers of ten")
        corner = points[triangles]
        p, q = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
        area = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / 2
        turned = triangles[np.arange(len(triangles))[:, None], np.where(area[:, None] < 0, [0, 2, 1], [0, 1, 2])]
        real = turned[area != 0]
        edges = np.concatenate([real[:, [0, 1]], real[:, [1, 2]], real[:, [2, 0]]])
        if len(np.unique(edges[:, 0] * len(points) + edges[:, 1])) < len(edges):
            raise errors.InvalidValue(
                f"[{OPERATION}] triangles: expected none on top of another, got two on the same side of an edge"
            )
        mass = float((np.abs(area) * values[triangles].mean(1)).sum())
        if not 0 < mass < np.inf:
            raise errors.InvalidValue(f"[{OPERATION}] values: expected a positive finite total mass, got {mass:g}")
        used = points[np.unique(real)]
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "triangles", turned)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "_sums", (float(np.abs(area).sum()), mass, used.min(0), used.max(0)))

    def __repr__(self) -> str:
        return f"PiecewiseLinear(points={len(self.points)}, triangles={len(self.triangles)}, mass={self.mass:.6g})"

    @classmethod
    def from_grid(cls, values: Any, lower: Sequence[float], upper: Sequence[float]) -> PiecewiseLinear:
        """Return the density with given values at the nodes of a regular grid, two triangles a rectangle.

        Parameters
        ----------
        values : array (m_1, m_2)
            At least two nodes along each axis, the outer ones on the border of the box; axis k is coordinate k. Each
            rectangle is cut from its lower left to its upper right corner.
        lower, upper : sequence of two floats
            Opposite corners of the box.

        Returns
        -------
        PiecewiseLinear

        Examples
        --------
        >>> from deblai.measures import PiecewiseLinear
        >>> PiecewiseLinear.from_grid([[0, 1], [0, 1]], (0, 0), (1, 1))
        PiecewiseLinear(points=4, triangles=2, mass=0.5)
        """
        from ._boxes import UniformBox

        operation = f"{OPERATION}.from_grid"
        v, box = host(operation, "values", values), UniformBox(lower, upper)
        if v.ndim != 2 or min(v.shape) < 2:
            raise errors.InvalidValue(
                f"[{operation}] values: expected shape (m_1, m_2) of at least 2 nodes each, got {tuple(v.shape)}"
            )
        if box.dim != 2:
            raise errors.InvalidValue(f"[{operation}] lower: expected 2 coordinates, got {box.dim}")
        axes = [np.linspace(a, b, m) for a, b, m in zip(box.lower, box.upper, v.shape, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        node = np.arange(v.size).reshape(v.shape)
        a, b, c, d = (n.ravel() for n in (node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:]))
        return cls(points, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]), v.ravel())

    @property
    def dim(self) -> int:
        """The dimension."""
        return 2

    @property
    def volume(self) -> float:
        """The area of the triangles."""
        return float(self._sums[0])  # type: ignore[attr-defined]

    @property
    def mass(self) -> float:
        """The integral of the density."""
        return float(self._sums[1])  # type: ignore[attr-defined]

    @property
    def lower(self) -> tuple[float, ...]:
        """The least coordinates of triangles."""
        return tuple(self._sums[2].tolist())  # type: ignore[attr-defined]

    @property
    def upper(self) -> tuple[float, ...]:
        """The largest coordinates of triangles."""
        return tuple(self._sums[3].tolist())  # type: ignore[attr-defined]

    @cached_property
    def _form(self) -> Form:
        return Form(points=self.points, triangles=self.triangles, values=self.values)
