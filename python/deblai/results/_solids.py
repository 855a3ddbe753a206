"""Cells of space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import errors
from ._quantization import Cells


class Solids(NamedTuple):
    """Polyhedra one after the other; see `Cells3`."""

    offsets: Any
    vertices: Any
    facet_offsets: Any
    neighbours: Any
    areas: Any
    corner_offsets: Any
    corners: Any


@dataclass(frozen=True, repr=False, eq=False)
class Cells3(Cells):
    """What `deblai.quantization.laguerre` returns for sites in space.

    Masses, centroids (n, 3), second moments and the other attributes are those of `Cells`; the geometry below is
    computed when it is first asked for, from the sites as they were at the call. Vertices that coincide are one, and
    what touches a cell without an area in common is no neighbour.

    Attributes
    ----------
    n_vertices, n_facets : int64 array (n,)
        Numbers of vertices and facets of each cell.
    offsets : int64 array (n + 1,)
        Vertices offsets[i] to offsets[i + 1] are those of cell i.
    vertices : array (total, 3)
        Vertices of all cells, on the torus near the sites.
    facet_offsets : int64 array (n + 1,)
        Facets facet_offsets[i] to facet_offsets[i + 1] are those of cell i.
    neighbours : int64 array (n_facets,)
        The site across each facet, on small tori perhaps the cell's own; -1 for the border of the domain.
    areas : array (n_facets,)
        The area of each facet; `facets` has the integral of the density over it.
    corner_offsets : int64 array (n_facets + 1,)
        Corners corner_offsets[f] to corner_offsets[f + 1] are those of facet f.
    corners : int64 array (n_corners,)
        Rows of `vertices`, counter-clockwise around each facet as seen from outside of the cell.
    """

    _counts: Any = None

    def __repr__(self) -> str:
        return super().__repr__().replace("Cells(", "Cells3(", 1)

    def _count(self, k: int) -> Any:
        counts: Any = self._counts if self._counts is not None else self._build()
        return counts[:, k]

    @property
    def n_vertices(self) -> Any:
        """The number of vertices of each cell."""
        return self._count(0)

    @property
    def n_facets(self) -> Any:
        """The number of facets of each cell."""
        return self._count(1)

    @property
    def facet_offsets(self) -> Any:
        """Where the facets of each cell begin."""
        return self._geometry.facet_offsets

    @property
    def areas(self) -> Any:
        """The area of each facet."""
        return self._geometry.areas

    @property
    def corner_offsets(self) -> Any:
        """Where the corners of each facet begin."""
        return self._geometry.corner_offsets

    @property
    def corners(self) -> Any:
        """The corners of all facets as rows of `vertices`."""
        return self._geometry.corners

    def polygon(self, i: int) -> Any:
        """Raise: cells of space are polyhedra."""
        raise errors.InvalidValue("[quantization.laguerre] polygon: cells of space are polyhedra, see polyhedron(i)")

    def polyhedron(self, i: int) -> tuple[Any, list[Any]]:
        """Return the vertices (k, 3) of cell i, and of each facet the corners as rows of these vertices."""
        vertices = self._range(i)
        facets = []
        for f in range(int(self.facet_offsets[i]), int(self.facet_offsets[i + 1])):
            corners = slice(int(self.corner_offsets[f]), int(self.corner_offsets[f + 1]))
            facets.append(self.corners[corners] - vertices.start)
        return self.vertices[vertices], facets

    def neighbours_of(self, i: int) -> Any:
        """Return the sites across the facets of cell i, in the order of its facets; the border is left out."""
        across = self.neighbours[self._facet_range(i)]
        return across[across >= 0]

    def areas_of(self, i: int) -> Any:
        """Return the areas of the facets that cell i shares with `neighbours_of(i)`, in the same order."""
        facets = self._facet_range(i)
        return self.areas[facets][self.neighbours[facets] >= 0]

    def _facet_range(self, i: int) -> slice:
        self._range(i)
        return slice(int(self.facet_offsets[i]), int(self.facet_offsets[i + 1]))
