"""Laguerre cells of space in plain NumPy, float64: all pairs, facet by facet.

The facet between two sites is what every other bisector leaves of their own: a polygon in that plane, cut by lines. So
nothing is a polyhedron until the end, and all facets of all cells are cut at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .laguerre import Array, Polygons, cut, duplicates, moments, wrap

SMALL = 1e-13  # relative: facets and edges that are smaller come of rounding


class Cells(NamedTuple):
    """What the kernel computes, relative to the box of volume 1, and the facets relative to their sites."""

    mass: Array
    centroid: Array
    second_moment: Array
    owner: Array  # of each facet, ascending
    label: Array
    facets: list[Array]  # (k, 3), counter-clockwise from outside
    diagonal: float
    sides: Array  # of the box
    volume: float  # of the domain
    periodic: bool


def _sums(owner: Array, values: Array, n: int) -> Array:
    """Return the sum of the values of each owner, in their own precision."""
    out: Array = np.zeros(n, values.dtype)
    np.add.at(out, owner, values)
    return out


def _length(v: Array) -> Array:
    return np.asarray(np.sqrt((v**2).sum(-1)))


def half_spaces(sites: Array, psi: Array, low: Array, high: Array, periodic: bool) -> tuple[Array, Array, Array]:
    """Return (n, m, 3) normals D, (n, m) offsets h and labels of x.D <= h, near sites first."""
    n = len(sites)
    steps = (-1, 0, 1) if periodic else (0,)
    shifts = np.array([(i, j, k) for i in steps for j in steps for k in steps]) * (high - low)
    d = (sites[None, :, None] - sites[:, None, None] + shifts).reshape(n, -1, 3)
    other = np.repeat(np.arange(n), len(shifts))
    # of sites at one place only the first of the largest psi cuts
    first = np.lexsort((np.arange(n), -psi, *sites.T))
    _, start = np.unique(sites[first] + 0.0, axis=0, return_index=True)
    rules = np.isin(np.arange(n), first[start])
    h = np.where(rules[other], ((d**2).sum(2) + psi[:, None] - psi[other]) / 2, np.inf)
    h[(d == 0).all(2) & (h >= 0)] = np.inf
    label = np.broadcast_to(other, h.shape)
    if not periodic:
        faces = np.concatenate([-np.eye(3), np.eye(3)]).astype(sites.dtype)
        d = np.concatenate([np.broadcast_to(faces, (n, 6, 3)), d], 1)
        h = np.concatenate([sites - low, high - sites, h], 1)
        label = np.concatenate([np.full((n, 6), -1), label], 1)
    key = np.where(label < 0, 0.0, (d**2).sum(2))
    order = np.argsort(np.where(np.isfinite(h), key, np.inf), 1, kind="stable")
    order = order[:, : np.isfinite(h).sum(1).max() + 1]
    take = np.take_along_axis
    return take(d, order[..., None], 1), take(h, order, 1), take(label, order, 1)


def facet_polygons(d: Array, h: Array, centre: Array, radius: Array) -> tuple[Polygons, Array, Array, Array]:
    """Return the facets of cells, (rows) polygons in planes with origin (rows, 3) and frame (rows, 2, 3), and rows.

    `centre` (n, 3) and `radius` (n,) say where the box is, seen from each site. Rows number the planes (n, m).
    """
    m = h.shape[1]
    norm = np.sqrt((d**2).sum(2))
    unit = d / np.where(norm > 0, norm, 1.0)[..., None]
    t = h / np.where(norm > 0, norm, 1.0)
    # facets that miss the ball around the box are none
    rows = np.flatnonzero((norm > 0) & (np.abs(t - (unit * centre[:, None]).sum(2)) <= radius[:, None]))
    i, j = rows // m, rows % m
    normal, offset = unit[i, j], t[i, j]
    near = np.abs(offset) <= _length(centre[i]) + radius[i]
    base = np.where(near[:, None], 0.0, centre[i])
    origin = base + (offset - (base * normal).sum(1))[:, None] * normal
    axis = np.eye(3, dtype=h.dtype)[np.abs(normal).argmin(1)]
    one = np.cross(normal, axis)
    one /= _length(one)[:, None]
    frame = np.stack([one, np.cross(normal, one)], 1)
    w = 2 * (_length(origin - centre[i]) + radius[i])
    x, y = np.stack([-w, w, w, -w], 1), np.stack([-w, -w, w, w], 1)
    p = Polygons(x, y, np.zeros(x.shape, int), np.full(len(rows), 4))
    alive = np.arange(len(rows))
    for k in range(m):
        a, b = i[alive], j[alive]
        g, o = unit[a, k], t[a, k]
        in_plane = np.einsum("rcx,rx->rc", frame[alive], g)
        rest = o - (g * origin[alive]).sum(1)
        parallel = (in_plane**2).sum(1) < 1e-24
        same = parallel & (np.abs(rest) < 1e-12 * (1e-300 + radius[a])) & ((g * normal[alive]).sum(1) > 0)
        away = (k == b) | (norm[a, k] == 0) | ~np.isfinite(o)
        rest = np.where(same, np.where(k < b, -1.0, 1.0), rest)
        rest, in_plane = np.where(away, 1.0, rest), np.where((away | parallel)[:, None], 0.0, in_plane)
        p = cut(p, in_plane[:, 0], in_plane[:, 1], rest, np.zeros(len(alive), int))
        keep = p.size > 2
        if not keep.all():
            p, alive = Polygons(*(v[keep] for v in p)), alive[keep]
    return p, origin[alive], frame[alive], rows[alive]


class Solid(NamedTuple):
    """Volume, first and second moments of each cell relative to its site, and its facets; see `intersections`."""

    volume: Array
    first: Array
    second: Array
    owner: Array
    column: Array
    facets: list[Array]
    area: Array
    perimeter: Array


def intersections(d: Array, h: Array, centre: Array, radius: Array) -> Solid:
    """Return what half-spaces x.d <= h, rows (n, m), leave of a ball around `centre` that holds all of it."""
    n = len(d)
    p, origin, frame, rows = facet_polygons(d, h, centre, radius)
    owner, column = rows // h.shape[1], rows % h.shape[1]
    real = np.arange(p.x.shape[1]) < p.size[:, None]
    points = origin[:, None] + p.x[..., None] * frame[:, None, 0] + p.y[..., None] * frame[:, None, 1]
    count: Array = _sums(owner, p.size, n).astype(h.dtype)
    safe = np.where(count > 0, count, 1.0)[:, None]
    apex = np.stack([_sums(owner, (points[..., k] * real).sum(1), n) for k in range(3)], 1) / safe
    area, fx, fy, second = moments(p)
    seen = origin - apex[owner]
    first = area[:, None] * seen + fx[:, None] * frame[:, 0] + fy[:, None] * frame[:, 1]
    second = second + area * (seen**2).sum(1) + 2 * ((first - area[:, None] * seen) * seen).sum(1)
    normal = np.cross(frame[:, 0], frame[:, 1])
    t = (seen * normal).sum(1)
    volume = _sums(owner, t * area / 3, n)
    mean = np.stack([_sums(owner, t * first[:, k] / 4, n) for k in range(3)], 1)
    total = _sums(owner, t * second / 5, n) + 2 * (mean * apex).sum(1) + volume * (apex**2).sum(1)
    mean = mean + volume[:, None] * apex
    kept = volume > 0
    follower = np.where(np.arange(p.x.shape[1]) + 1 < p.size[:, None], np.arange(p.x.shape[1]) + 1, 0)
    step = np.where(real[..., None], np.take_along_axis(points, follower[..., None], 1) - points, 0.0)
    facets = [points[r, : p.size[r]] for r in range(len(points))]
    return Solid(
        np.where(kept, volume, 0.0),
        np.where(kept[:, None], mean, 0.0),
        np.where(kept, total, 0.0),
        owner,
        column,
        facets,
        area,
        _length(step).sum(1),
    )


def voxels(density: Array, low: Array, high: Array, periodic: bool) -> list[tuple[Array, float]]:
    """Return the lower corner of every voxel with mass, and of its images, and its density."""
    step = (high - low) / density.shape
    weight = density / (density.sum() * step.prod())
    shifts = (-1, 0, 1) if periodic else (0,)
    return [
        (low + np.array([i, j, k]) * (high - low) + np.array(index) * step, float(weight[index]))
        for index in np.ndindex(density.shape)
        for i in shifts
        for j in shifts
        for k in shifts
        if weight[index] > 0
    ]


def cells(
    sites: Array,
    psi: Array | None,
    lower: Any,
    upper: Any,
    periodic: bool = False,
    dtype: Any = np.float64,
    density: Array | None = None,
    planes: tuple[Array, Array] | None = None,
) -> Cells:
    """Return the cells of every site.

    Parameters
    ----------
    sites : array (n, 3)
    psi : array (n,) or None
    lower, upper : sequence of three floats
    periodic : bool
    dtype : float type, default float64
        What is computed in. Lines in which nearly parallel planes meet want a longer one: facets are not joined.
    density : array (nx, ny, nz) or None
        Values of the voxels: each is one more cell that every cell is cut with. None is uniform.
    planes : array (m, 3) and array (m,), or None
        The domain {x : normals x <= offsets} in the box; None is the box.
    """
    given = np.asarray(sites, dtype)
    low, high = np.asarray(lower, dtype), np.asarray(upper, dtype)
    at = wrap(given, low, high) if periodic else given
    weight = np.zeros(len(at), dtype) if psi is None else np.asarray(psi, dtype)
    n, diagonal = len(at), float(np.sqrt(((high - low) ** 2).sum()))
    gone = duplicates(at, weight)
    d, h, label = half_spaces(at, weight, low, high, periodic)
    gone |= ((d == 0).all(2) & (h < 0)).any(1)
    if planes is not None:
        normals, offsets = (np.asarray(v, dtype) for v in planes)
        d, h, label = with_planes(d, h, label, normals, offsets - at @ normals.T, -1)
    h[gone] = np.inf
    centre = np.zeros_like(at) if periodic else (low + high) / 2 - at
    radius = np.full(n, diagonal / 2, dtype)
    s = intersections(d, h, centre, radius)
    kept = s.volume > 0
    whole = s.volume.sum() if planes is not None else (high - low).prod()
    mass, first, second = s.volume / whole, s.first / whole, s.second / whole
    if density is not None:
        mass, first, second = np.zeros(n, dtype), np.zeros((n, 3), dtype), np.zeros(n, dtype)
        step = (high - low) / density.shape
        faces = np.concatenate([-np.eye(3), np.eye(3)]).astype(dtype)
        for corner, value in voxels(np.asarray(density, np.float64), low, high, periodic):
            walls = np.concatenate([at - corner, corner + step - at], 1)
            near = kept & (walls > -diagonal / 2).all(1) if periodic else kept
            if not near.any():
                continue
            walls_d, walls_h, _ = with_planes(d[near], h[near], label[near], faces, walls[near], -1)
            part = intersections(walls_d, walls_h, (corner + step / 2 - at)[near], _length(step) / 2 + 0 * radius[near])
            mass[near] += value * part.volume
            first[near] += value * part.first
            second[near] += value * part.second
    centroid = given + np.where(mass > 0, 1 / np.where(mass > 0, mass, 1.0), 0.0)[:, None] * first
    wide = (s.area > SMALL * diagonal * s.perimeter) & kept[s.owner]
    facets = [s.facets[r].astype(np.float64) for r in np.flatnonzero(wide)]
    mass, centroid, second = (v.astype(np.float64) for v in (mass, centroid, second))
    across = label[s.owner, s.column]
    return Cells(
        mass, centroid, second, s.owner[wide], across[wide], facets, diagonal, high - low, float(whole), periodic
    )


def with_planes(d: Array, h: Array, label: Array, normals: Array, offsets: Array, name: int) -> tuple[Array, ...]:
    """Put the same planes (m, 3), with offsets (n, m), before those of every cell."""
    n, m = offsets.shape
    d = np.concatenate([np.broadcast_to(normals, (n, m, 3)), d], 1)
    h = np.concatenate([offsets, h], 1)
    return d, h, np.concatenate([np.full((n, m), name), label], 1)


class Polyhedra(NamedTuple):
    """Vertices, facets and corners of all cells, one after the other, as the kernel writes them."""

    offsets: Array  # (n + 1, 3)
    vertices: Array
    neighbours: Array
    areas: Array
    facet_offsets: Array
    corners: Array


def polyhedra(c: Cells, sites: Array) -> Polyhedra:
    """Join the corners of each cell's facets that are closer than rounding."""
    n = len(sites)
    counts = np.zeros((n, 3), np.int64)
    vertices: list[Array] = []
    neighbours, areas, ends, corners = [], [], [0], []
    for i in range(n):
        mine = np.flatnonzero(c.owner == i)
        if not len(mine):
            continue
        points = np.concatenate([c.facets[f] for f in mine])
        close = ((points[:, None] - points[None]) ** 2).sum(2) < (10 * SMALL * c.diagonal) ** 2
        leader = close.argmax(1)
        facet_of = np.repeat(np.arange(len(mine)), [len(c.facets[f]) for f in mine])
        shared = np.array([len(set(facet_of[leader == v])) for v in leader])
        leads = np.unique(leader[shared >= 3])
        for k, f in enumerate(mine):
            loop = [v for v, s in zip(leader[facet_of == k], shared[facet_of == k], strict=True) if s >= 3]
            loop = [v for at, v in enumerate(loop) if v != loop[at - 1]]
            if len(loop) < 3:
                continue
            q = points[loop]
            neighbours.append(c.label[f])
            areas.append(np.linalg.norm(np.cross(q[1:-1] - q[0], q[2:] - q[0]).sum(0)) / 2)
            corners += (sum(len(v) for v in vertices) + np.searchsorted(leads, loop)).tolist()
            ends.append(len(corners))
            counts[i, 1:] += 1, len(loop)
        counts[i, 0] = len(leads)
        vertices.append(points[leads] + np.asarray(sites[i], np.float64))
    offsets = np.concatenate([np.zeros((1, 3), np.int64), np.cumsum(counts, 0)])
    flat = np.concatenate(vertices) if vertices else np.zeros((0, 3))
    numbers = (np.asarray(v, np.int64) for v in (neighbours, ends, corners))
    across, begin, corner = numbers
    return Polyhedra(offsets, flat, across, np.asarray(areas, np.float64), begin, corner)


class Facets(NamedTuple):
    """One row for each facet, in the order of `Polyhedra.neighbours`; see `deblai.results.Facets`."""

    cell: Array
    across: Array
    mass: Array
    first: Array
    second: Array
    offset: Array


def facets(c: Cells, sites: Array, psi: Array | None, lower: Any = None, density: Array | None = None) -> Facets:
    """Return the integrals over the facets of the cells of these sites and psi, relative to the sites.

    On voxels every facet is cut by every plane of the grid, whose lower corner is `lower`.
    """
    at, p = np.asarray(sites, np.float64), polyhedra(c, sites)
    weight = np.zeros(len(at)) if psi is None else np.asarray(psi, np.float64)
    cell = np.repeat(np.arange(len(at)), np.diff(p.offsets[:, 1]))
    sides = np.asarray(c.sides, np.float64)
    steps = (-1, 0, 1) if c.periodic else (0,)
    shifts = np.array([(i, j, k) for i in steps for j in steps for k in steps]) * sides
    n = len(cell)
    mass, first, second, offset = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros((n, 3))
    for f, (i, j) in enumerate(zip(cell, p.neighbours, strict=True)):
        corner = p.vertices[p.corners[p.facet_offsets[f] : p.facet_offsets[f + 1]]] - at[i]
        normal = np.cross(corner[1:-1] - corner[0], corner[2:] - corner[0]).sum(0)
        pieces = [(corner, 1 / c.volume)] if density is None else pieces_on(corner, at[i], c, lower, density)
        for piece, value in pieces:
            area = _length(np.cross(piece[1:-1] - piece[0], piece[2:] - piece[0])) / 2 * value
            a, b, d = np.broadcast_to(piece[0], piece[2:].shape), piece[1:-1], piece[2:]
            middles = np.stack([(a + b) / 2, (b + d) / 2, (d + a) / 2], 1)  # exact for polynomials of degree 2
            mass[f] += area.sum()
            first[f] += np.einsum("t,tmx->x", area / 3, middles)
            second[f] += np.einsum("t,tmx,tmy->xy", area / 3, middles, middles)
        if j < 0:
            continue
        straight = at[j] - at[i]
        to = straight - (np.round(straight / sides) * sides if c.periodic else 0) + shifts
        to = to[(to != 0).any(1)]
        off = np.abs(corner @ to.T - ((to**2).sum(1) + weight[i] - weight[j]) / 2).max(0) / _length(to)
        offset[f] = to[np.where(to @ normal >= 0, off, np.inf).argmin()]
    return Facets(cell, p.neighbours, mass, first, second, offset)


def pieces_on(corner: Array, site: Array, c: Cells, lower: Any, density: Array) -> list[tuple[Array, float]]:
    """Return a facet's parts in the voxels and the density on each: the mean of both sides between two of them."""
    shape = np.array(density.shape)
    low, step = np.asarray(lower, np.float64) - site, np.asarray(c.sides, np.float64) / shape
    weight = density / (density.sum(dtype=np.float64) * step.prod())
    parts = [corner]
    for axis in range(3):
        most = shape[axis]
        for line in low[axis] + step[axis] * np.arange(
            -2 * most if c.periodic else 1, 3 * most if c.periodic else most
        ):
            parts = [q for part in parts for q in _split(part, axis, line)]
    out = []
    for part in parts:
        u = (part.mean(0) - low) / step
        on = np.abs(u - np.round(u)) < 1e-9
        below, above = np.where(on, np.round(u) - 1, np.floor(u)), np.where(on, np.round(u), np.floor(u))
        sides = np.stack([below, above]).astype(int)
        sides = sides % shape if c.periodic else np.clip(sides, 0, shape - 1)
        out.append((part, float(np.mean(weight[np.ix_(*sides.T)]))))
    return out


def _split(p: Array, axis: int, line: float) -> list[Array]:
    """Return the parts of a polygon below and above a plane of the grid."""
    s = p[:, axis] - line
    if not (s.min() < -1e-12 and s.max() > 1e-12):
        return [p]
    halves = []
    for sign in (1, -1):
        points = []
        for k in range(len(p)):
            u, v = sign * s[k - 1], sign * s[k]
            if u * v < 0:
                points.append(p[k - 1] + u / (u - v) * (p[k] - p[k - 1]))
            if v <= 0:
                points.append(p[k])
        halves.append(np.array(points))
    return [h for h in halves if len(h) > 2]
