"""Convex polygons and polyhedra, from their corners or from half-spaces; SciPy's Qhull and HiGHS do the geometry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import _extras, errors
from .._form import Form
from ._entries import host

Array = np.ndarray[Any, Any]
OPERATION = "measures.Polytope"
FLAT = 1e-13  # of the volume of the box: less is rounding
SAME = 1e-9  # of unit normals, and of offsets over the diameter


@dataclass(frozen=True, eq=False, repr=False)
class Polytope:
    """The uniform probability on a convex polygon or polyhedron.

    Parameters
    ----------
    vertices : array (k, 2) or (k, 3)
        Points whose convex hull it is, in any order; those that are no corners are dropped. Any library; kept as
        float64 of NumPy.

    Attributes
    ----------
    vertices : ndarray (k, d)
        The corners; in the plane counter-clockwise.
    normals, offsets : ndarray (m, d) and (m,)
        One row a facet: the set is ``normals @ x <= offsets``, with unit normals.
    facets : list of ndarray
        The corners of each facet, by number: in the plane the two of an edge, in space counter-clockwise from outside.
    volume : float
        The area or volume.
    lower, upper : tuple of float
        The smallest box around it.
    dim : int
        2 or 3.

    Raises
    ------
    InvalidValue
        NaN or infinite entries, points without an area (volume), other shapes.
    InvalidType
        Anything but numbers.
    MissingExtra
        SciPy is missing; it comes with the extra ``quantization``.

    Examples
    --------
    >>> from deblai.measures import Polytope
    >>> triangle = Polytope([[0.0, 0.0], [1.0, 0.0], [0.2, 0.2], [0.0, 1.0]])
    >>> triangle
    Polytope(dim=2, vertices=3, volume=0.5)
    >>> triangle.lower, triangle.upper
    ((0.0, 0.0), (1.0, 1.0))
    """

    vertices: Any

    def __post_init__(self) -> None:
        points = host(OPERATION, "vertices", self.vertices)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise errors.InvalidValue(
                f"[{OPERATION}] vertices: expected shape (k, 2) or (k, 3), got {tuple(points.shape)}"
            )
        dim, what = points.shape[1], {2: "an area", 3: "a volume"}[points.shape[1]]
        low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(dim), np.zeros(dim))
        size = high - low
        if not ((size > 1e-100) & (size < 1e100) & (np.abs(low) < 1e100)).all():
            raise errors.InvalidValue(
                f"[{OPERATION}] vertices: expected points that span {what}, with sides and corners between 1e-100 and "
                f"1e100, got a box of sides {size.tolist()}"
            )
        spatial = _extras.require("scipy.spatial", OPERATION, "quantization")
        unit = (points - low) / size
        try:
            hull = spatial.ConvexHull(unit)
        except spatial.QhullError:
            hull = None
        if hull is None or not hull.volume > FLAT:
            raise errors.InvalidValue(
                f"[{OPERATION}] vertices: expected points that span {what}, got {len(points)} in a flat position"
            )
        object.__setattr__(self, "vertices", points[hull.vertices])
        object.__setattr__(self, "_box", (low, high))
        object.__setattr__(self, "_volume", float(hull.volume * size.prod()))
        object.__setattr__(self, "_sides", _facets(unit, hull))

    def __repr__(self) -> str:
        return f"Polytope(dim={self.dim}, vertices={len(self.vertices)}, volume={self.volume:.6g})"

    @classmethod
    def from_halfspaces(cls, normals: Any, offsets: Any) -> Polytope:
        """Return the uniform probability on ``{x : normals @ x <= offsets}``.

        Parameters
        ----------
        normals : array (m, 2) or (m, 3)
            Outward, of any length.
        offsets : array (m,)
            As many.

        Returns
        -------
        Polytope

        Raises
        ------
        InvalidValue
            Shapes that do not fit, NaN or infinite entries, normals that are 0, a set that is empty, flat or unbounded.
        MissingExtra
            SciPy is missing.

        Examples
        --------
        >>> from deblai.measures import Polytope
        >>> square = Polytope.from_halfspaces([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 1, 1])
        >>> square.volume
        4.0
        """
        operation = f"{OPERATION}.from_halfspaces"
        a, b = host(operation, "normals", normals), host(operation, "offsets", offsets)
        if a.ndim != 2 or a.shape[1] not in (2, 3):
            raise errors.InvalidValue(f"[{operation}] normals: expected shape (m, 2) or (m, 3), got {tuple(a.shape)}")
        if b.shape != a.shape[:1]:
            raise errors.InvalidValue(
                f"[{operation}] offsets: expected {len(a)} values to match normals, got shape {tuple(b.shape)}"
            )
        length = np.linalg.norm(a, axis=1)
        if not (length > 0).all():
            raise errors.InvalidValue(f"[{operation}] normals: expected directions, got 0 in row {length.argmin()}")
        a, b = a / length[:, None], b / length
        optimize = _extras.require("scipy.optimize", operation, "quantization")
        dim = a.shape[1]
        extremes = []
        for way in np.concatenate([np.eye(dim), -np.eye(dim)]):
            found = optimize.linprog(way, a, b, bounds=[(None, None)] * dim)
            if found.status != 0:
                what = "none" if found.status == 2 else "an unbounded one"
                raise errors.InvalidValue(f"[{operation}] offsets: expected a bounded set, got {what}")
            extremes.append(found.x)
        size = np.ptp(extremes, axis=0).max()
        # the largest ball inside
        found = optimize.linprog(
            [0.0] * dim + [-1.0],
            np.concatenate([a, np.ones((len(a), 1))], 1),
            b,
            bounds=[(None, None)] * dim + [(None, None)],
        )
        if found.status != 0 or not found.x[dim] > FLAT * size:
            raise errors.InvalidValue(f"[{operation}] offsets: expected a set with inner points, got a flat one")
        spatial = _extras.require("scipy.spatial", operation, "quantization")
        corners = spatial.HalfspaceIntersection(
            np.concatenate([a, -(b - a @ found.x[:dim])[:, None] / size], 1), np.zeros(dim)
        ).intersections
        return cls(found.x[:dim] + size * corners)

    @property
    def dim(self) -> int:
        """The dimension."""
        return int(self.vertices.shape[1])

    @property
    def volume(self) -> float:
        """The area or volume."""
        return float(self._volume)  # type: ignore[attr-defined]

    @property
    def lower(self) -> tuple[float, ...]:
        """The least coordinates."""
        return tuple(self._box[0].tolist())  # type: ignore[attr-defined]

    @property
    def upper(self) -> tuple[float, ...]:
        """The largest coordinates."""
        return tuple(self._box[1].tolist())  # type: ignore[attr-defined]

    @property
    def facets(self) -> list[Array]:
        """The corners of each facet."""
        return list(self._sides)  # type: ignore[attr-defined]

    @cached_property
    def normals(self) -> Array:
        """Outward unit normals."""
        return np.stack([self._plane(f) for f in self.facets])

    @cached_property
    def offsets(self) -> Array:
        """The offsets of the facets: the largest of ``normals @ vertices``."""
        return np.asarray((self.normals @ self.vertices.T).max(1))

    @cached_property
    def _form(self) -> Form:
        return Form(corners=self.vertices, planes=np.column_stack([self.normals, self.offsets]))

    def _plane(self, facet: Array) -> Array:
        p = self.vertices[facet]
        if self.dim == 2:
            normal = np.array([p[1, 1] - p[0, 1], p[0, 0] - p[1, 0]])
        else:  # Newell's sum
            v = p - p[0]
            normal = np.cross(v, np.roll(v, -1, 0)).sum(0)
        return np.asarray(normal / np.linalg.norm(normal))


def _facets(unit: Array, hull: Any) -> list[Array]:
    """Return the corners of each facet, numbered as in the hull's vertices; triangles of one plane are one facet."""
    number = np.full(len(unit), -1)
    number[hull.vertices] = np.arange(len(hull.vertices))
    if unit.shape[1] == 2:
        k = np.arange(len(hull.vertices))
        return list(np.stack([k, np.roll(k, -1)], 1))
    planes: list[Array] = []
    members: list[set[int]] = []
    for equation, simplex in zip(hull.equations, hull.simplices, strict=True):
        near = [k for k, plane in enumerate(planes) if np.abs(plane - equation).max() < SAME]
        if not near:
            planes.append(equation)
            members.append(set())
        members[near[0] if near else -1].update(number[simplex[number[simplex] >= 0]].tolist())
    corners = unit[hull.vertices]
    facets = []
    for plane, chosen in zip(planes, members, strict=True):
        index = np.array(sorted(chosen))
        v = corners[index] - corners[index].mean(0)
        normal = plane[:3]
        u = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
        angle = np.arctan2(v @ np.cross(normal, u), v @ u)
        facets.append(index[np.argsort(angle)])
    return facets
