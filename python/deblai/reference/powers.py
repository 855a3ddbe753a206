"""Powers of distances over cells of Voronoi in plain NumPy: Gauss rules on the rays from a site to its cell's border.

On a ray what is homogeneous is integrated exactly, so the volume itself is summed up, and no theorem of divergence is
used: with x on a facet at distance h from the site, a function f of degree k has the integral h f(x) dA / (k + d) over
the pyramid on dA.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._form import Form
from . import facets as edges
from . import laguerre, laguerre3, planes
from .laguerre import Array, Polygons, cut

NODES, WEIGHTS = (v / 2 for v in np.polynomial.legendre.leggauss(48))
NODES = NODES + 0.5


def cells(
    sites: Array, p: float, measure: Any, density: Array | None, form: Form | None, periodic: bool
) -> tuple[Array, ...]:
    """Return mass, integrals of r^p, gradient (n, d), second derivatives of fixed cells (n, d, d), and counts."""
    if sites.shape[1] == 3:
        return _solids(sites, p, measure, density, form, periodic)
    low, high = np.asarray(measure.lower, float), np.asarray(measure.upper, float)
    c = laguerre.cells(sites, None, low, high, periodic, density, form)
    at = laguerre.wrap(sites, low, high) if periodic else sites
    n = len(sites)
    energy, gradient, second = np.zeros(n), np.zeros((n, 2)), np.zeros((n, 2, 2))
    if form is not None and form.gaussians is not None:
        owner, a, b = _sides(c.polygons)
        for k, i in enumerate(owner):
            x, weight = _rays(a[k], b[k], _pieces_of(a[k], b[k], form))
            r, w = np.sqrt((x**2).sum(1)), weight * _gaussians(at[i] + x, low, high, form)
            energy[i] += w @ r**p
            gradient[i] -= p * ((w * r ** (p - 2)) @ x)
            second[i] += _bend(x[None], r[None], w[None], p)[0]
        return c.mass, energy, gradient, second, c.n_vertices[:, None].astype(np.int64)
    for part, value, slope in _parts(c.polygons, at, low, high, periodic, density, form):
        owner, a, b = _sides(part)
        x, weight = along(a, b)
        step = b - a
        size = np.sqrt((step**2).sum(1))
        height = (a[:, 0] * step[:, 1] - a[:, 1] * step[:, 0]) / np.where(size > 0, size, 1.0)
        weight = weight * height[:, None]
        constant, linear = value[owner, None], x @ slope
        r = np.sqrt((x**2).sum(2))
        np.add.at(energy, owner, (weight * r**p * (constant / (p + 2) + linear / (p + 3))).sum(1))
        pull = weight * r ** (p - 2) * (constant / (p + 1) + linear / (p + 2))
        np.add.at(gradient, owner, -p * np.einsum("mk,mkd->md", pull, x))
        np.add.at(second, owner, _bend(x, r, weight * (constant / p + linear / (p + 1)), p))
    return c.mass, energy, gradient, second, c.n_vertices[:, None].astype(np.int64)


def facets(
    sites: Array, p: float, measure: Any, density: Array | None, form: Form | None, periodic: bool
) -> tuple[Array, ...]:
    """Return rows as those of `deblai.results.Facets`, of the density times r^(p-2)."""
    low, high = np.asarray(measure.lower, float), np.asarray(measure.upper, float)
    if sites.shape[1] == 3:
        c, flat = _polyhedra(sites, measure, form, periodic)
        f: Any = laguerre3.facets(c, sites, None)
        found = []
        for k, i in enumerate(f.cell):
            corner = flat.vertices[flat.corners[flat.facet_offsets[k] : flat.facet_offsets[k + 1]]] - sites[i]
            parts = [(corner, 1 / c.volume)]
            if density is not None:
                parts = laguerre3.pieces_on(corner, sites[i], c, low, density)
            rules = [(*_facet(part)[:2], rho) for part, rho in parts]
            at, m = (np.concatenate(v) for v in zip(*((x, rho * w) for x, w, rho in rules), strict=True))
            found.append(_moments(at, m, p, 1.0))
    else:
        fixed = (sites, None, low, high, periodic)
        polygons = laguerre.cells(*fixed, form=form).polygons
        f = edges.facets(polygons, *fixed, None if form and form.triangles is not None else density, form)
        at = laguerre.wrap(sites, low, high) if periodic else sites
        _, a, b = _sides(polygons)
        found = []
        for i, u, v in zip(f.cell, a, b, strict=True):
            if form is not None and form.gaussians is not None:
                ends = np.linspace(0, 1, 1 + 2 * _pieces_of(u, v, form))[:, None]
                x, w = along(u + ends[:-1] * (v - u), u + ends[1:] * (v - u))
                x = x.reshape(-1, 2)
                found.append(_moments(x, w.ravel() * _gaussians(at[i] + x, low, high, form), p, 1.0))
                continue
            pieces = _pieces(at[i], u, v, low, high, periodic, density, form)
            begin, end, value, slope = (np.array(column) for column in zip(*pieces, strict=True))
            x, w = along(u + begin[:, None] * (v - u), u + end[:, None] * (v - u))
            rho = value[:, None] + np.einsum("mkd,md->mk", x, slope)
            found.append(_moments(x.reshape(-1, 2), (w * rho).ravel(), p, 1.0))
    mass, first, second = (np.array(v) for v in zip(*found, strict=True))
    return f.cell.astype(np.int64), f.across.astype(np.int64), mass, first, second, f.offset


def along(a: Array, b: Array) -> tuple[Array, Array]:
    """Return points (m, k, d) of segments and weights (m, k): Gauss rules in asinh of the distance from the foot."""
    step = b - a
    size = np.sqrt((step**2).sum(1))
    tangent = step / np.where(size > 0, size, 1.0)[:, None]
    begin = (a * tangent).sum(1)
    foot = a - begin[:, None] * tangent
    scale = np.maximum(np.sqrt((foot**2).sum(1)), 1e-9 * size + 1e-300)
    low, high = np.arcsinh(begin / scale), np.arcsinh((begin + size) / scale)
    u = low[:, None] + (high - low)[:, None] * NODES
    weight = (high - low)[:, None] * WEIGHTS * scale[:, None] * np.cosh(u)
    return foot[:, None] + (scale[:, None] * np.sinh(u))[..., None] * tangent[:, None], weight


def _pieces_of(a: Array, b: Array, form: Form) -> int:
    """Return in how many a side from a to b is cut, and the rays to it: of few standard deviations each."""
    assert form.gaussians is not None
    least = min(np.linalg.eigvalsh(row[[3, 4, 4, 5]].reshape(2, 2))[0] for row in form.gaussians)
    return 1 + int(max(np.hypot(*a), np.hypot(*b), np.hypot(*(b - a))) / np.sqrt(least) / 4)


def _rays(a: Array, b: Array, pieces: int) -> tuple[Array, Array]:
    """Return points and weights in the triangle of the site and a side, on rays: many, powers near the site."""
    ends = np.linspace(0, 1, pieces + 1)[:, None]
    x, weight = along(a + ends[:-1] * (b - a), a + ends[1:] * (b - a))
    q, w = ((np.arange(pieces)[:, None] + NODES) / pieces).ravel(), np.tile(WEIGHTS / pieces, pieces)
    s, w = q**4, w * 4 * q**3
    height = (a[0] * (b - a)[1] - a[1] * (b - a)[0]) / np.sqrt(((b - a) ** 2).sum())
    points = s[:, None] * x.reshape(-1, 1, 2)
    return points.reshape(-1, 2), (height * weight.reshape(-1, 1) * s * w).ravel()


def _gaussians(x: Array, low: Array, high: Array, form: Form) -> Array:
    """Return the density at points."""
    assert form.gaussians is not None
    whole = planes.total(low, high, form)
    return np.asarray(
        sum(planes._density(row, (planes._whitened(row, x) ** 2).sum(1)) for row in form.gaussians) / whole
    )


def _bend(x: Array, r: Array, weight: Array, p: float) -> Array:
    """Return the sums of p r^(p-2) I + p (p-2) r^(p-4) x x^T."""
    round_ = np.einsum("mk,mk->m", weight, p * r ** (p - 2))[:, None, None] * np.eye(x.shape[2])
    return np.asarray(round_ + np.einsum("mk,mki,mkj->mij", weight * p * (p - 2) * r ** (p - 4), x, x))


def _moments(x: Array, weight: Array, p: float, density: float) -> tuple[Array, Array, Array]:
    w = density * weight * (x**2).sum(1) ** (p / 2 - 1)
    return w.sum(), w @ x, (w[:, None] * x).T @ x


def _sides(p: Polygons) -> tuple[Array, Array, Array]:
    """Return owners and ends of all edges."""
    owner, k = np.nonzero(np.arange(p.x.shape[1]) < p.size[:, None])
    follower = np.where(k + 1 < p.size[owner], k + 1, 0)
    a, b = (np.stack([p.x[owner, m], p.y[owner, m]], 1) for m in (k, follower))
    return owner, a, b


def _parts(
    p: Polygons, at: Array, low: Array, high: Array, periodic: bool, density: Array | None, form: Form | None
) -> Iterator[tuple[Polygons, Array, Array]]:
    """Yield parts of the polygons with the density there, value (n,) at the site and slope (2,)."""
    one, zero = np.ones(len(at)), np.zeros(2)
    if form is not None and form.triangles is not None:
        whole = planes.total(low, high, form)
        for corner, value in planes._corners(form):
            part = p
            for k in range(3):
                e = corner[(k + 1) % 3] - corner[k]
                normal = np.array([e[1], -e[0]])
                part = cut(part, normal[0] * one, normal[1] * one, (corner[k] - at) @ normal, p.size)
            slope = np.linalg.solve(corner[1:] - corner[0], value[1:] - value[0]) / whole
            yield part, value[0] / whole + (at - corner[0]) @ slope, slope
    elif density is None:
        yield p, one / laguerre.moments(laguerre.domain(low, high, form))[0], zero
    else:
        weight = density / (density.sum() * ((high - low) / density.shape).prod())
        for index, part in laguerre.parts(p, at, low, high, periodic, density.shape):
            yield part, weight[index] * one, zero


def _pieces(
    site: Array, a: Array, b: Array, low: Array, high: Array, periodic: bool, density: Array | None, form: Form | None
) -> list[tuple[float, float, float, Array]]:
    """Return shares of a segment where pieces begin and end, the density there as value at the site and slope."""
    zero = np.zeros(2)
    if form is None or form.triangles is None:
        even = 1 / float(laguerre.moments(laguerre.domain(low, high, form))[0, 0])
        return [(*v, zero) for v in edges._pieces(site, a, b, low, high, periodic, density, even)]
    whole = planes.total(low, high, form)
    found: list[tuple[float, float, float, Array]] = [(0.0, 1.0, 0.0, zero)]
    for begin, end, share, corner, value in planes.spans(site, a, b, form):
        slope = share * np.linalg.solve(corner[1:] - corner[0], value[1:] - value[0]) / whole
        found.append((begin, end, share * value[0] / whole - corner[0] @ slope, slope))
    return found


def _polyhedra(sites: Array, measure: Any, form: Form | None, periodic: bool) -> tuple[Any, Any]:
    given = None if form is None or form.planes is None else (form.planes[:, :3], form.planes[:, 3])
    c = laguerre3.cells(sites, None, measure.lower, measure.upper, periodic, planes=given)
    return c, laguerre3.polyhedra(c, sites)


def _facet(corner: Array) -> tuple[Array, Array, float]:
    """Return points and weights of a facet, on rays from the foot of the site in its plane, and the distance of it."""
    normal = np.cross(corner[1:-1] - corner[0], corner[2:] - corner[0]).sum(0)
    normal /= np.sqrt((normal**2).sum())
    height = float(corner[0] @ normal)
    a = corner - height * normal
    b = np.roll(a, -1, 0)
    sides = np.sqrt(((b - a) ** 2).sum(1))
    a, b, sides = (v[sides > 0] for v in (a, b, sides))  # corners may be there twice
    x, weight = along(a, b)
    out = np.cross((b - a) / sides[:, None], normal)
    weight = weight * (a * out).sum(1)[:, None]
    points = height * normal + NODES[:, None] * x[..., None, :]
    return points.reshape(-1, 3), (weight[..., None] * NODES * WEIGHTS).ravel(), height


def _solids(
    sites: Array, p: float, measure: Any, density: Array | None, form: Form | None, periodic: bool
) -> tuple[Array, ...]:
    c, flat = _polyhedra(sites, measure, form, periodic)
    n = len(sites)
    energy, gradient, second = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3))
    for i, corner, rho in _faces(sites, c, flat, measure, density, periodic):
        x, weight, height = _facet(corner)
        w, r = rho * height * weight, np.sqrt((x**2).sum(1))
        energy[i] += w @ r**p / (p + 3)
        gradient[i] -= p / (p + 2) * ((w * r ** (p - 2)) @ x)
        second[i] += _bend(x[None], r[None], w[None], p)[0] / (p + 1)
    mass = c.mass
    if density is not None:
        mass = laguerre3.cells(sites, None, measure.lower, measure.upper, periodic, density=density).mass
    return mass, energy, gradient, second, np.diff(flat.offsets, axis=0)


def _faces(
    sites: Array, c: Any, flat: Any, measure: Any, density: Array | None, periodic: bool
) -> Iterator[tuple[int, Array, float]]:
    """Yield owner, corners and density of all faces of the parts of cells with constant density."""
    if density is None:
        for k, i in enumerate(np.repeat(np.arange(len(sites)), np.diff(flat.offsets[:, 1]))):
            corner = flat.vertices[flat.corners[flat.facet_offsets[k] : flat.facet_offsets[k + 1]]]
            yield int(i), corner - sites[i], 1 / c.volume
        return
    low, high = np.asarray(measure.lower, float), np.asarray(measure.upper, float)
    at = laguerre.wrap(sites, low, high) if periodic else sites
    d, h, label = laguerre3.half_spaces(at, np.zeros(len(at)), low, high, periodic)
    step = (high - low) / density.shape
    walls = np.concatenate([-np.eye(3), np.eye(3)])
    for corner, value in laguerre3.voxels(density, low, high, periodic):
        room = np.concatenate([at - corner, corner + step - at], 1)
        inner_d, inner_h, _ = laguerre3.with_planes(d, h, label, walls, room, -1)
        part = laguerre3.intersections(
            inner_d, inner_h, corner + step / 2 - at, np.full(len(at), np.sqrt((step**2).sum()) / 2)
        )
        for i, facet in zip(part.owner, part.facets, strict=True):
            span = np.cross(facet[1:-1] - facet[0], facet[2:] - facet[0]).sum(0)
            if (span**2).sum() > 1e-28 * (step**2).sum() ** 2:
                yield int(i), facet, value
