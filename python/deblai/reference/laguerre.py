"""Laguerre cells in plain NumPy, float64: every cell is clipped by every other site, and every image of it.

All cells are clipped at once: polygons are rows of padded arrays, and one step cuts each by one half-plane of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .._form import Form

Array = np.ndarray[Any, Any]


class Polygons(NamedTuple):
    """Rows of counter-clockwise polygons; label[k] says what lies across the edge from vertex k to the next."""

    x: Array
    y: Array
    label: Array
    size: Array


class Cells(NamedTuple):
    """What the kernel computes, and the polygons relative to their sites."""

    mass: Array
    centroid: Array
    second_moment: Array
    n_vertices: Array
    polygons: Polygons


def rectangles(low: Array, high: Array, label: Array) -> Polygons:
    """Return boxes with corners low and high, shape (c, 2)."""
    x = np.stack([low[:, 0], high[:, 0], high[:, 0], low[:, 0]], 1)
    y = np.stack([low[:, 1], low[:, 1], high[:, 1], high[:, 1]], 1)
    return Polygons(x, y, np.repeat(label[:, None], 4, 1), np.full(len(low), 4))


def cut(p: Polygons, nx: Array, ny: Array, h: Array, label: Array) -> Polygons:
    """Cut off v.n > h from each polygon; the new edge gets the label."""
    k = np.arange(p.x.shape[1])
    real = k < p.size[:, None]
    s = np.where(real, p.x * nx[:, None] + p.y * ny[:, None] - h[:, None], -np.inf)
    rows = np.flatnonzero((s > 0).any(1))
    if not len(rows):
        return p
    x, y, edge, size, s, real = p.x[rows], p.y[rows], p.label[rows], p.size[rows], s[rows], real[rows]
    follower = np.where(k + 1 < size[:, None], k + 1, 0)
    x1, y1, s1 = (np.take_along_axis(v, follower, 1) for v in (x, y, s))
    inside, inside1 = (s <= 0) & real, (s1 <= 0) & real
    crossing = (inside != inside1) & real
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(crossing, s / (s - s1), 0.0)
    # each vertex gives itself, where it is inside, and then the crossing of the edge that begins there
    shape = (len(rows), 2 * len(k))
    keep = np.stack([inside, crossing], 2).reshape(shape)
    new_x = np.stack([x, x + t * (x1 - x)], 2).reshape(shape)
    new_y = np.stack([y, y + t * (y1 - y)], 2).reshape(shape)
    new_label = np.stack([edge, np.where(inside, label[rows, None], edge)], 2).reshape(shape)
    order = np.argsort(~keep, 1, kind="stable")
    size = keep.sum(1)
    width = max(int(size.max()), p.x.shape[1])
    padding = ((0, 0), (0, width - p.x.shape[1]))
    out = [np.pad(v, padding) for v in p[:3]]
    for target, values in zip(out, (new_x, new_y, new_label), strict=True):
        target[rows] = np.pad(np.take_along_axis(values, order, 1), ((0, 0), (0, max(0, width - shape[1]))))[:, :width]
    sizes = p.size.copy()
    sizes[rows] = size
    return Polygons(out[0], out[1], out[2], sizes)


def moments(p: Polygons) -> Array:
    """Return area, first moments and int |v|^2 of each polygon, shape (4, c): a fan from the first vertex."""
    k = np.arange(p.x.shape[1])
    real = k < p.size[:, None]
    x0, y0 = p.x[:, :1], p.y[:, :1]
    px, py = np.where(real, p.x - x0, 0.0), np.where(real, p.y - y0, 0.0)
    qx, qy = np.roll(px, -1, 1), np.roll(py, -1, 1)
    a = (px * qy - py * qx) / 2
    mass, fx, fy = a.sum(1), (a * (px + qx)).sum(1) / 3, (a * (py + qy)).sum(1) / 3
    second = (a * (px * px + py * py + qx * qx + qy * qy + px * qx + py * qy)).sum(1) / 6
    u, v = x0[:, 0], y0[:, 0]
    return np.stack([mass, fx + mass * u, fy + mass * v, second + 2 * (fx * u + fy * v) + mass * (u * u + v * v)])


def half_planes(sites: Array, psi: Array, box: Array, periodic: bool) -> tuple[Array, Array, Array, Array]:
    """Return (n, k) arrays nx, ny, h and label of all that may cut each cell, near ones first."""
    n = len(sites)
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if periodic else [(0, 0)]
    d = np.concatenate([sites[None, :] - sites[:, None] + np.array(s) * box for s in shifts], 1)
    other = np.tile(np.arange(n), len(shifts))
    h = ((d**2).sum(2) + psi[:, None] - psi[other]) / 2
    never = (other == np.arange(n)[:, None]) & (d == 0).all(2)
    h[never] = np.inf
    order = np.argsort((d**2).sum(2), 1)
    d = np.take_along_axis(d, order[:, :, None], 1)
    return d[:, :, 0], d[:, :, 1], np.take_along_axis(h, order, 1), other[order]


def clip(polygons: Polygons, nx: Array, ny: Array, h: Array, label: Array) -> Polygons:
    """Cut each polygon by each of its half-planes."""
    for k in range(nx.shape[1]):
        polygons = cut(polygons, nx[:, k], ny[:, k], h[:, k], label[:, k])
    return polygons


def duplicates(sites: Array, psi: Array) -> Array:
    """Return which sites repeat an earlier one with the same psi."""
    keys = np.concatenate([sites, psi[:, None]], 1) + 0.0  # -0 is 0
    first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)[1:]
    return np.asarray(first[inverse.ravel()] != np.arange(len(sites)))


def wrap(sites: Array, lower: Array, upper: Array) -> Array:
    """Return the sites as points of the torus [lower, upper)."""
    length = upper - lower
    wrapped = sites - length * np.floor((sites - lower) / length)
    return np.where((wrapped >= lower) & (wrapped < upper), wrapped, lower)


def integrate(polygons: Polygons, sites: Array, lower: Array, upper: Array, periodic: bool, density: Array) -> Array:
    """Return moments of a pixel density."""
    total = np.zeros((4, len(sites)))
    weight = density / (density.sum() * ((upper - lower) / density.shape).prod())
    for index, part in pieces(polygons, sites, lower, upper, periodic, density.shape):
        total += weight[index] * part
    return total


def potential(sites: Array, psi: Array, lower: Any, upper: Any, periodic: bool, shape: tuple[int, ...]) -> Array:
    """Return the integral of min_i |x - y_i|^2 - psi_i over each pixel of a grid."""
    low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    out = np.zeros(shape)
    c = cells(sites, psi, low, high, periodic)
    at = wrap(sites, low, high) if periodic else sites
    for index, part in pieces(c.polygons, at, low, high, periodic, shape):
        out[index] += (part[3] - psi * part[0]).sum()
    return out


def pieces(
    polygons: Polygons, sites: Array, lower: Array, upper: Array, periodic: bool, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield moments of polygons in pixels."""
    for index, p in parts(polygons, sites, lower, upper, periodic, shape):
        yield index, np.where(p.size > 2, moments(p), 0.0)


def parts(
    polygons: Polygons, sites: Array, lower: Array, upper: Array, periodic: bool, shape: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Polygons]]:
    """Yield the parts of polygons in pixels: every polygon is clipped by every pixel, and every image of it."""
    pixel = (upper - lower) / shape
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if periodic else [(0, 0)]
    one, zero = np.ones(len(sites)), np.zeros(len(sites))
    for shift in shifts:
        for index in np.ndindex(shape):
            low = lower + np.array(shift) * (upper - lower) + np.array(index) * pixel - sites
            high = low + pixel
            p = cut(polygons, -one, zero, -low[:, 0], polygons.size)
            p = cut(p, one, zero, high[:, 0], polygons.size)
            p = cut(p, zero, -one, -low[:, 1], polygons.size)
            yield index, cut(p, zero, one, high[:, 1], polygons.size)


def domain(low: Array, high: Array, form: Form | None) -> Polygons:
    """Return the polygon or box that a measure of the plane fills, as one row."""
    if form is None or form.corners is None:
        return rectangles(low[None], high[None], np.array([-1]))
    x, y = form.corners.T
    return Polygons(x[None], y[None], np.full((1, len(x)), -1), np.array([len(x)]))


def cells(
    sites: Array,
    psi: Array | None,
    lower: Any,
    upper: Any,
    periodic: bool = False,
    density: Array | None = None,
    form: Form | None = None,
) -> Cells:
    """Return the cells of every site.

    Parameters
    ----------
    sites : array (n, 2)
    psi : array (n,) or None
    lower, upper : sequence of two floats
    periodic : bool
    density : array (nx, ny) or None
        Values of the pixels; None is uniform.
    form : Form or None
        What the measure is beyond a box and pixels.
    """
    given = np.asarray(sites, np.float64)
    low, high = np.asarray(lower, np.float64), np.asarray(upper, np.float64)
    at = wrap(given, low, high) if periodic else given
    weight = np.zeros(len(at)) if psi is None else np.asarray(psi, np.float64)
    if periodic:
        half = np.repeat((high - low)[None] / 2, len(at), 0)
        start = rectangles(-half, half, np.arange(len(at)))
    elif form is None or form.corners is None:
        start = rectangles(low - at, high - at, np.full(len(at), -1))
    else:
        x, y = np.moveaxis(form.corners - at[:, None], 2, 0)
        start = Polygons(x, y, np.full(x.shape, -1), np.full(len(at), x.shape[1]))
    p = clip(start, *half_planes(at, weight, high - low, periodic))
    area = moments(p)
    gone = duplicates(at, weight) | (p.size < 3) | ~(area[0] > 0)
    p = p._replace(size=np.where(gone, 0, p.size))
    if form is not None and (form.gaussians is not None or form.triangles is not None):
        from . import planes

        total = planes.integrate(p, at, low, high, form)
    elif density is None:
        total = area / (moments(domain(low, high, form))[0] if form else (high - low).prod())
    else:
        total = integrate(p, at, low, high, periodic, density)
    mass, fx, fy, second = np.where(gone, 0.0, total)
    safe = np.where(mass > 0, mass, 1.0)
    return Cells(mass, given + np.stack([fx / safe, fy / safe], 1), second, p.size, p)
