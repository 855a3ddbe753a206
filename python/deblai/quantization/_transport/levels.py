"""Potentials of many sites from those of fewer, down to a few whose potentials are those of entropic transport.

Entropic potentials are smooth, so no cell is empty under them, whatever the density and its holes are: with points x_q
of weights w_q inside of the domain and any phi,

    psi(y) = - e log sum_q w_q exp((phi_q - |x_q - y|^2) / e)

makes |y|^2 - psi(y) convex, with a gradient 2 z(y) where z is a mean of the x_q, that lies in the cell of y.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from ..._form import Form
from .diagram import Scene
from .newton import Newton, Point

Array = np.ndarray[Any, Any]

FEW = 250  # sites of the lowest level
RATIO = 5  # of sites of one level and the next
POINTS = 1000  # of the density, in the lowest level
LOOSE = 0.5  # relative error of masses that is left for the next level
SWEEPS = 8  # of Sinkhorn, for each of the entropic weights, which are halved
CHUNK, CUT = 128, 30.0  # sites that look at the same points; e^-CUT of the nearest is too little to look at


def climb(scene: Scene, wanted: Array, max_iter: int) -> Array | None:
    """Return potentials whose cells are not empty, and have what is wanted seen from afar; None where it found none."""
    given = _points(scene)
    if given is None:
        return None
    order = near_together(scene.sites)
    out = np.empty(len(wanted))
    found = _climb(scene._replace(sites=scene.sites[order]), wanted[order], max_iter, given)
    if found is None:
        return None
    out[order] = found
    return out


def _climb(scene: Scene, wanted: Array, max_iter: int, given: tuple[Array, Array]) -> Array | None:
    n, y = len(wanted), scene.sites
    if n <= FEW:
        return _entropic(*given, y, wanted)
    few = n // RATIO
    group = np.minimum(np.arange(n) // RATIO, few - 1)
    masses = np.bincount(group, wanted)
    means = np.stack([np.bincount(group, wanted * v) / masses for v in y.T], 1)
    lower = scene._replace(sites=means)
    psi = _climb(lower, masses, max_iter, given)
    if psi is None:
        return None
    newton = Newton(lower, masses, LOOSE, max_iter)
    first = newton.at(psi)
    if first.cells.empty:
        return None
    newton.run(first, lambda *_: None)
    assert newton.best is not None
    return _between(means, newton.best, y)


def _between(sites: Array, found: Point, y: Array) -> Array | None:
    """Return the soft potentials of the cells' means, at other places; as soft as neighbours are far from another."""
    cells, b = found.cells, found.cells.centroid
    row = np.repeat(np.arange(len(sites)), np.diff(cells.begin))
    steps = ((b[row] - b[cells.across]) * (sites[row] - sites[cells.across])).sum(1)
    kept = cells.mass > 0
    soft = float(np.median(steps))
    if not (soft > 0 and kept.any()):
        return None
    middle, mean = b.mean(0), sites.mean(0)
    beside = _beside(sites, middle, mean)
    phi = -2 * ((b - middle) * (sites - mean)).sum(1) - (found.psi - beside)
    return _smooth(b[kept] - middle, cells.mass[kept], phi[kept], y - mean, soft) + _beside(y, middle, mean)


def _beside(y: Array, middle: Array, mean: Array) -> Array:
    """Return what |x - y|^2 is more than -2 <x - middle, y - mean>, but for a function of x."""
    return np.asarray((y**2).sum(1) - 2 * _products(y - mean, middle[None])[:, 0])


def _smooth(x: Array, weight: Array, phi: Array, y: Array, soft: float) -> Array:
    """Return -e log sum_q w_q exp((phi_q + 2 <x_q, y>) / e) at each y, from the points that count near by."""
    level, out = np.log(weight) + phi / soft, np.empty(len(y))
    for k in range(0, len(y), CHUNK):
        part = y[k : k + CHUNK]
        mid = (part.min(0) + part.max(0)) / 2
        reach = float(np.sqrt(((part - mid) ** 2).sum(1).max()))
        at = level + (2 / soft) * _products(x, mid[None])[:, 0]
        top = int(at.argmax())
        counts = at + (2 * reach / soft) * np.sqrt(((x - x[top]) ** 2).sum(1)) > at[top] - CUT
        out[k : k + CHUNK] = -soft * _log_sum_exp((2 / soft) * _products(part, x[counts]) + level[counts])
    return out


def _products(x: Array, y: Array) -> Array:
    """Return all <x_i, y_j>, the same for any number of a BLAS's threads."""
    return np.asarray(np.einsum("id,jd->ij", x, y))


def _log_sum_exp(a: Array) -> Array:
    top = a.max(1)
    return np.asarray(top + np.log(np.exp(a - top[:, None]).sum(1)))


def _entropic(x: Array, weight: Array, y: Array, wanted: Array) -> Array | None:
    """Return potentials of entropic transport of points to the sites: Sinkhorn, the entropic weight being halved."""
    if len(y) == 1:
        return np.zeros(1)
    middle, mean = (np.einsum("i,id->d", w, v) for w, v in ((weight, x), (wanted, y)))
    cost = -2 * _products(x - middle, y - mean)
    last = _apart(x) * _apart(y)
    soft = max(float(np.abs(cost).max()) / 2, last)
    psi, lx, ly = np.zeros(len(y)), np.log(weight), np.log(wanted)
    while True:
        phi = -soft * _log_sum_exp((psi - cost) / soft + ly)
        psi = -soft * _log_sum_exp(((phi[:, None] - cost) / soft + lx[:, None]).T)
        plan = np.exp((phi[:, None] + psi - cost) / soft)
        v = np.ones(len(y))
        for _ in range(SWEEPS):
            u = 1 / np.einsum("qk,k->q", plan, v * wanted)
            v = 1 / np.einsum("q,qk->k", u * weight, plan)
        psi = psi + soft * np.log(v)
        if not np.isfinite(psi).all():
            return None
        if soft <= last:
            return psi + _beside(y, middle, mean)
        soft = max(soft / 2, last)


def _apart(x: Array) -> float:
    """Return the median distance to the nearest other point."""
    square = ((x[:, None] - x) ** 2).sum(2)
    np.fill_diagonal(square, np.inf)
    return float(np.median(np.sqrt(square.min(1))))


def _points(scene: Scene) -> tuple[Array, Array] | None:
    """Return points and weights of sum 1 that stand for the density; None where that is even."""
    if scene.density is not None:
        x, weight = _of_pixels(scene.density, np.array(scene.lower), np.array(scene.upper))
    elif scene.form is not None and scene.form.gaussians is not None:
        x, weight = _of_gaussians(scene.form.gaussians)
    elif scene.form is not None and scene.form.triangles is not None:
        x, weight = _of_triangles(scene.form)
    else:
        return None
    inside = ((x > scene.lower) & (x < scene.upper)).all(1) & (weight > 0)
    if scene.form is not None and scene.form.planes is not None:
        inside &= (x @ scene.form.planes[:, :-1].T < scene.form.planes[:, -1]).all(1)
    if inside.sum() < 4 or weight[inside].sum() < 0.5 * weight.sum():
        return None
    x, weight = x[inside], weight[inside] / weight[inside].sum()
    return (x, weight) if len(x) <= 2 * POINTS else _fewer(x, weight)


def _fewer(x: Array, weight: Array) -> tuple[Array, Array]:
    """Return the means of what lies in the same box of a lattice."""
    low, dim = x.min(0), x.shape[1]
    k = int(POINTS ** (1 / dim))
    at = np.minimum(((x - low) * (k / np.maximum(x.max(0) - low, 1e-300))).astype(np.int64), k - 1)
    box = np.unique(at @ (k ** np.arange(dim)), return_inverse=True)[1].ravel()
    mass = np.bincount(box, weight)
    return np.stack([np.bincount(box, weight * v) / mass for v in x.T], 1), mass


def _of_pixels(density: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Return middles of pixels, or of blocks or of parts of them, as many as are wanted."""
    dim, some = density.ndim, int((density > 0).sum())
    size = (high - low) / density.shape
    if some > POINTS:
        k = int(np.ceil((some / POINTS) ** (1 / dim)))
        padded = np.pad(density, [(0, -m % k) for m in density.shape])
        blocks = padded.reshape([v for m in padded.shape for v in (m // k, k)]).sum(tuple(range(1, 2 * dim, 2)))
        at = np.argwhere(blocks > 0)
        end = np.minimum((at + 1) * k, density.shape)
        return low + (at * k + end) / 2 * size, blocks[tuple(at.T)]
    k, at = int((POINTS / some) ** (1 / dim)), np.argwhere(density > 0)
    part = np.indices([k] * dim).reshape(dim, -1).T
    x = low + ((at[:, None] * k + part).reshape(-1, dim) + 0.5) * (size / k)
    return x, np.repeat(density[tuple(at.T)], k**dim)


def _of_gaussians(rows: Array) -> tuple[Array, Array]:
    """Return images of a square of normal quantiles, for each component."""
    rows = rows[rows[:, 0] > 0]
    k = max(3, int((POINTS / len(rows)) ** 0.5))
    z = np.array([NormalDist().inv_cdf((i + 0.5) / k) for i in range(k)])
    square = np.stack(np.meshgrid(z, z), 2).reshape(-1, 2)
    covariances = rows[:, [3, 4, 4, 5]].reshape(-1, 2, 2)
    x = rows[:, None, 1:3] + square @ np.linalg.cholesky(covariances).transpose(0, 2, 1)
    return x.reshape(-1, 2), np.repeat(rows[:, 0], k * k)


def _of_triangles(form: Form) -> tuple[Array, Array]:
    """Return means of small triangles in each of those of a mesh."""
    assert form.points is not None
    assert form.triangles is not None
    assert form.values is not None
    k = max(1, int((POINTS / len(form.triangles)) ** 0.5))
    i, j = (v.ravel() for v in np.indices((k, k)))
    up = np.stack([i, j], 1)[i + j < k] + 1 / 3
    down = np.stack([i, j], 1)[i + j < k - 1] + 2 / 3
    at = np.concatenate([up, down]) / k
    share = np.column_stack([1 - at.sum(1), at])
    a, b, c = (form.points[form.triangles[:, m]] for m in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    x = np.einsum("pm,tmd->tpd", share, form.points[form.triangles]).reshape(-1, 2)
    return x, ((form.values[form.triangles] @ share.T) * area[:, None]).ravel()


def near_together(x: Array) -> Array:
    """Return an order of the points along a curve of nested squares or cubes (Morton)."""
    low = x.min(0)
    size = float((x - low).max())
    key = np.zeros(len(x), np.uint64)
    if size > 0:
        dim = x.shape[1]
        for axis in range(dim):
            place = ((x[:, axis] - low[axis]) * (65535 / size)).astype(np.uint64)
            for bit in range(16):
                key |= (place >> np.uint64(bit) & np.uint64(1)) << np.uint64(dim * bit + axis)
    return np.argsort(key, kind="stable")
