"""Gaussians and densities on triangles over polygons and along segments in plain NumPy, by brute force.

Polygons are cut into triangles until a Gauss rule is exact on each: small ones for Gaussians, whatever is in one
triangle of a mesh for densities that are linear there. Every polygon meets every triangle and every component.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import errors
from .._form import Form
from .laguerre import Polygons, cut, domain

Array = np.ndarray[Any, Any]
NODES, WEIGHTS = (v / 2 for v in np.polynomial.legendre.leggauss(24))
NODES = NODES + 0.5
SEEN, SMALL = 9.5, 2.5  # standard deviations: beyond is rounding, and triangles that one rule integrates


def integrate(p: Polygons, sites: Array, low: Array, high: Array, form: Form) -> Array:
    """Return mass, first moments and int |v|^2 of polygons relative to their sites, shape (4, c)."""
    found = _mesh(p, sites, form) if form.gaussians is None else _gaussians(p, sites, form)
    return found / total(low, high, form)


def total(low: Array, high: Array, form: Form) -> float:
    """Return the mass in the domain, which is divided out."""
    if form.gaussians is None:
        return float(sum(v.mean() * abs(np.linalg.det(c[1:] - c[0])) / 2 for c, v in _corners(form)))
    mass = float(_gaussians(domain(low, high, form), np.zeros((1, 2)), form)[0, 0])
    if not mass > 0:
        raise errors.InvalidValue(
            f"[quantization.laguerre] measure.domain: expected a positive finite total mass, got {mass:g}"
        )
    return mass


def along(site: Array, a: Array, b: Array, whole: float, form: Form) -> tuple[Array, Array]:
    """Return shares of the segment from a to b, relative to the site, and the mass in each, of a Gauss rule."""
    length = float(np.hypot(*(b - a)))
    shares, masses = [np.zeros(0)], [np.zeros(0)]
    if not length > 0:
        return shares[0], masses[0]
    if form.gaussians is not None:
        for row in form.gaussians:
            za, zb = (_whitened(row, (site + v)[None])[0] for v in (a, b))
            e = zb - za
            foot, reach = -(za @ e) / (e @ e), SEEN / np.linalg.norm(e)
            begin, end = np.clip([foot - reach, foot + reach], 0.0, 1.0)
            pieces = max(1, int(np.ceil((end - begin) * np.linalg.norm(e) / SMALL)))
            t = (begin + (end - begin) * (np.arange(pieces)[:, None] + NODES) / pieces).ravel()
            z = za + t[:, None] * e
            shares.append(t)
            masses.append(
                np.tile(WEIGHTS, pieces) * (end - begin) / pieces * length * _density(row, (z**2).sum(1)) / whole
            )
    else:
        for begin, end, share, corner, value in spans(site, a, b, form):
            t = begin + (end - begin) * NODES
            rho = _linear(corner, value, a + t[:, None] * (b - a)) / whole
            shares.append(t)
            masses.append(share * (end - begin) * length * WEIGHTS * rho)
    return np.concatenate(shares), np.concatenate(masses)


def spans(site: Array, a: Array, b: Array, form: Form) -> Iterator[tuple[float, float, float, Array, Array]]:
    """Yield begin and end of the segment in each triangle, how much counts, its corners from the site, its values."""
    for corner, value in _corners(form):
        v = corner - site
        begin, end, share, apart = 0.0, 1.0, 1.0, False
        for k in range(3):
            e = v[(k + 1) % 3] - v[k]
            s, u = ((e[1] * (x - v[k])[0] - e[0] * (x - v[k])[1]) / np.hypot(*e) for x in (a, b))
            if max(abs(s), abs(u)) < 1e-12:
                share = 0.5
            elif s > 0 and u > 0:
                apart = True
            elif s > 0:
                begin = max(begin, s / (s - u))
            elif u > 0:
                end = min(end, s / (s - u))
        if not apart and begin < end:
            yield begin, end, share, v, value


def _whitened(row: Array, x: Array) -> Array:
    root = np.linalg.cholesky(row[[3, 4, 4, 5]].reshape(2, 2))
    return np.asarray(np.linalg.solve(root, (x - row[1:3]).T).T)


def _density(row: Array, z2: Array) -> Array:
    return np.asarray(row[0] * np.exp(-z2 / 2) / (2 * np.pi * np.sqrt(row[3] * row[5] - row[4] ** 2)))


def _gaussians(p: Polygons, sites: Array, form: Form) -> Array:
    out = np.zeros((4, len(sites)))
    one, zero = np.ones(len(sites)), np.zeros(len(sites))
    assert form.gaussians is not None
    for row in form.gaussians:
        root = np.linalg.cholesky(row[[3, 4, 4, 5]].reshape(2, 2))
        z = _whitened(row, (np.stack([p.x, p.y], 2) + sites[:, None]).reshape(-1, 2)).reshape(*p.x.shape, 2)
        seen = Polygons(z[..., 0], z[..., 1], p.label, p.size)
        for nx, ny in ((one, zero), (-one, zero), (zero, one), (zero, -one)):
            seen = cut(seen, nx, ny, SEEN * one, p.size)
        owner, triangles = _fan(seen)
        owner, triangles = _halved(owner, triangles)
        at, weight = _rule(triangles)
        mass = weight * np.exp(-(at**2).sum(2) / 2) * row[0] / (2 * np.pi)
        out += _sums(owner, at @ root.T + row[1:3] - sites[owner][:, None], mass, len(sites))
    return out


def _mesh(p: Polygons, sites: Array, form: Form) -> Array:
    out = np.zeros((4, len(sites)))
    for corner, value in _corners(form):
        part = p
        for k in range(3):
            v, e = corner[k] - sites, corner[(k + 1) % 3] - corner[k]
            normal = np.array([e[1], -e[0]])
            part = cut(part, np.full(len(sites), normal[0]), np.full(len(sites), normal[1]), v @ normal, p.size)
        owner, triangles = _fan(part)
        at, weight = _rule(triangles)
        moved = at + sites[owner][:, None]
        out += _sums(owner, at, weight * _linear(corner, value, moved.reshape(-1, 2)).reshape(weight.shape), len(sites))
    return out


def _corners(form: Form) -> list[tuple[Array, Array]]:
    assert form.points is not None
    assert form.triangles is not None
    assert form.values is not None
    found = []
    for t in form.triangles:
        p, q = form.points[t[1]] - form.points[t[0]], form.points[t[2]] - form.points[t[0]]
        area = p[0] * q[1] - p[1] * q[0]
        if area != 0:
            turned = t if area > 0 else t[[0, 2, 1]]
            found.append((form.points[turned], form.values[turned]))
    return found


def _linear(corner: Array, value: Array, x: Array) -> Array:
    """Return the linear function with these values at the corners."""
    slope = np.linalg.solve(corner[1:] - corner[0], value[1:] - value[0])
    return np.asarray(value[0] + (x - corner[0]) @ slope)


def _fan(p: Polygons) -> tuple[Array, Array]:
    """Return triangles (m, 3, 2) from the first vertex of each polygon, and whose they are."""
    k = np.arange(1, p.x.shape[1] - 1)
    owner, k = np.nonzero(k + 1 < p.size[:, None])
    corner = [np.stack([p.x[owner, m], p.y[owner, m]], 1) for m in (np.zeros_like(k), k + 1, k + 2)]
    return owner, np.stack(corner, 1)


def _halved(owner: Array, triangles: Array) -> tuple[Array, Array]:
    """Halve the longest side of each triangle until all are small."""
    done = [(owner[:0], triangles[:0])]
    while len(owner):
        side = np.linalg.norm(triangles - np.roll(triangles, -1, 1), axis=2)
        large = side.max(1) > SMALL
        done.append((owner[~large], triangles[~large]))
        owner, triangles, k = owner[large], triangles[large], side[large].argmax(1)
        row = np.arange(len(k))
        a, b, c = (triangles[row, (k + j) % 3] for j in range(3))
        middle = (a + b) / 2
        owner = np.concatenate([owner, owner])
        triangles = np.concatenate([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)])
    return np.concatenate([o for o, _ in done]), np.concatenate([t for _, t in done])


def _rule(triangles: Array) -> tuple[Array, Array]:
    """Return points (m, k, 2) and weights (m, k): Gauss rules along rays from the first corner."""
    nodes, weights = NODES[:, None], WEIGHTS[:, None] * NODES[:, None] * WEIGHTS
    s, t = (v.ravel() for v in np.broadcast_arrays(nodes, NODES))
    p, q = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    twice = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    at = triangles[:, :1] + (s * (1 - t))[:, None] * p[:, None] + (s * t)[:, None] * q[:, None]
    return at, twice[:, None] * weights.ravel()


def _sums(owner: Array, v: Array, mass: Array, count: int) -> Array:
    """Return the moments of masses (m, k) at v (m, k, 2)."""
    rows = mass.sum(1), (mass * v[..., 0]).sum(1), (mass * v[..., 1]).sum(1), (mass * (v**2).sum(2)).sum(1)
    return np.stack([np.bincount(owner, r, count) for r in rows])
