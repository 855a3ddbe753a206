"""Samples as a source of Lloyd's iteration: one call of the kernel for each piece of them in a step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _core, _dlpack, errors
from ..._array import Library, view_of
from .descent import Array, Step

OPERATION = "quantization.lloyd"
NEAR, NEAREST = 1e-2, 1e-8  # of the root mean square distance: samples within it are at the site, at first and last


class Totals(NamedTuple):
    """Of the samples of each site: mass, pull and sum of pulls times samples; for squares pulls are weights.

    With r the distance, the pull of a sample of weight w is w r^(p - 2), and its energy w r^p. Those nearer than can
    be told have no pull: `still` is their mass.
    """

    mass: Array
    pull: Array
    still: Array
    sums: Array
    energy: float

    @classmethod
    def zero(cls, sites: Array) -> Totals:
        """Begin a sum."""
        zero = np.zeros(len(sites))
        return cls(zero, zero, zero, np.zeros(sites.shape), 0.0)

    def plus(self, more: Totals) -> Totals:
        """Add."""
        sums, energy = self.sums + more.sums, self.energy + more.energy
        return Totals(self.mass + more.mass, self.pull + more.pull, self.still + more.still, sums, energy)

    def step(self, sites: Array, labels: Any, p: float = 2) -> Step:
        """Return what the iteration asks for; a cell without pull has its site as centroid."""
        total, pull = self.mass.sum(), self.pull[:, None]
        centroid = np.where(pull > 0, self.sums / np.where(pull > 0, pull, 1.0), sites)
        if p < 2:
            for j in np.flatnonzero((self.still > 0) & (self.pull > 0)):
                centroid[j] = sites[j] + _held(self.pull[j], self.still[j], p, centroid[j] - sites[j])
        return Step(self.mass / total, centroid, float(self.energy / total), labels)


def _held(pull: float, still: float, p: float, way: Array) -> Array:
    """Return the part of the way that is gone with mass at the start, which at distance t pulls by still t^(p - 1).

    It is the root of (pull + still t^(p - 2)) t = pull |way|, for p = 1 that of Vardi and Zhang, PNAS 97, 2000.
    """
    whole = float(np.sqrt(way @ way))
    if p == 1:
        return way * max(0.0, 1 - still / (pull * whole)) if whole > 0 else way
    low, high = 0.0, 1.0  # shares: the left side grows with t
    for _ in range(60):
        middle = (low + high) / 2
        more = middle + still / pull * middle ** (p - 1) * whole ** (p - 2) > 1 if whole > 0 else True
        low, high = (low, middle) if more else (middle, high)
    return way * low


class Nearest(NamedTuple):
    """Cells of given sites, with a label and a squared distance for each sample."""

    step: Step
    labels: Any
    costs: Any


class Dear(NamedTuple):
    """A sample, its site and the squared distance."""

    number: int
    label: int
    squared: float


class SampleSource:
    """Checked samples (n, d) and weights (n,) of one library, dtype and device.

    `labels` is whether they are kept, or the array (n,) that they are written to; p the power of distances.
    """

    def __init__(self, library: Library, x: Any, weights: Any, n_sites: int, labels: Any = True, p: float = 2) -> None:
        self.library, self.x, self.weights, self.wanted, self.p = library, x, weights, labels, p
        self.near = self.nearest_near = (
            0.0  # set from the first squared distances where p < 2, for which r^(p - 2) has no bound
        )
        self.share = 1.0 if p <= 2 else 1 / (p - 1)  # of the way to the centroids
        self.device = library.device(x)
        self.plan = _backend.plan(OPERATION, self.device)
        self.dtype = np.dtype(library.dtype(x))
        self.pieces = self._pieces()
        self.views = (view_of(OPERATION, "x", library, x), view_of(OPERATION, "weights", library, weights))
        if self.plan.backend == "reference":
            self._require_entries()
        elif self.plan.backend == "cpu":  # a device says itself what does not fit
            views = self._views(self.pieces[0])
            sites = _dlpack.view(np.zeros((n_sites, x.shape[1]), self.dtype))
            _backend.require_memory(OPERATION, _core.lloyd_workspace(*views, sites, p, self.plan.threads))
        keeps = labels is not False and len(self.pieces) == 1
        self._labels = [self._fresh(np.int32) if keeps else None for _ in range(2)]

    def step(self, sites: Array) -> Step:
        """Find the nearest site of every sample."""
        self._labels.reverse()  # those of the step before stay as they are
        if self.p < 2 and not self.near:
            squares = self._assign(sites, None, None, plain=True)
            size = float(np.sqrt(squares.energy / squares.mass.sum()))
            self.near, self.nearest_near = NEAR * size, NEAREST * size
        found = self._assign(sites, self._labels[0], None)
        if not found.energy > 16 * np.finfo(self.dtype).tiny * found.mass.sum():
            self._require_scale(sites)
        if not found.energy / found.mass.sum() <= np.finfo(self.dtype).max:
            raise errors.InvalidValue(f"[{OPERATION}] x: the energy overflows; rescale the samples")
        return found.step(sites, self._labels[0], self.p)

    def nearest(self, sites: Array) -> Nearest:
        """Find the nearest site of every sample and the squared distance to it."""
        labels, costs = self._fresh(np.int32), self._fresh(self.dtype)
        found = self._assign(sites, labels, costs)
        if not found.energy > 16 * np.finfo(self.dtype).tiny * found.mass.sum():
            self._require_scale(sites)
        return Nearest(found.step(sites, labels), labels, costs)

    def exported(self, array: Any) -> Any:
        """Return one number a sample in the caller's library."""
        return self.library.device_array(array, self.x) if isinstance(array, np.ndarray) else array

    def move(self, sites: Array, now: Step) -> tuple[Array, bool]:
        """Send sites to their centroids, and those of empty cells to the samples that cost most.

        For p > 2 only 1 / (p - 1) of the way, the step of Newton's method on the line, or less.
        """
        to = now.centroid if self.share == 1 else sites + self.share * (now.centroid - sites)
        empty = list(np.flatnonzero(now.mass == 0))
        if not empty or now.energy == 0:
            return to.astype(self.dtype), False
        found, dearest = self._dearest(sites, len(empty))
        relocated = False
        for i, j, squared in dearest:
            w = 1.0 if self.weights is None else float(self.weights[i])
            if (
                not squared > self.near**2 or not found.mass[j] - w > 1e-9 * found.mass[j]
            ):  # alone in its cell: nothing to gain
                continue
            point = self.host(self.x[i]).astype(np.float64)
            pull = w if self.p == 2 else w * squared ** (self.p / 2 - 1)
            found.mass[j] -= w
            found.pull[j] -= pull
            found.sums[j] -= pull * point
            if found.pull[j] > 0:
                to[j] = sites[j] + self.share * (found.sums[j] / found.pull[j] - sites[j])
            to[empty.pop(0)] = point
            relocated = True
        return to.astype(self.dtype), relocated

    def finer(self) -> bool:
        """Take fewer samples for being at their site, down to rounding.

        Others pull by their weight over r^(2 - p): a close pair would hold a site where it is.
        """
        if not self.near > 1.1 * self.nearest_near:
            return False
        self.near /= 10
        return True

    def shorter(self, before: Array, sites: Array) -> Array | None:
        """Return sites half as far from those before where steps were too long, which they can be for p > 2."""
        if self.share == 1 or self.share < 1e-3 / (self.p - 1):
            return None
        self.share /= 2
        return np.asarray((before.astype(np.float64) + sites) / 2, self.dtype)

    def seeds(self, n_sites: int, rng: np.random.Generator) -> Array:
        """Choose samples by k-means++; the uniforms are drawn here, so that every backend chooses the same."""
        uniforms = rng.random(n_sites)
        if self.plan.backend == "reference":
            from ...reference import lloyd

            return self._at(lloyd.seed(self.host(self.x), self.host(self.weights), uniforms))
        chosen = np.empty(n_sites, np.int32)
        arrays = (*self.views, _dlpack.view(uniforms), _dlpack.view(chosen, True))
        if self.plan.backend == "cuda":
            _backend.cuda_module().lloyd_seed(*arrays, *self._queue())
        else:
            _core.lloyd_seed(*arrays, self.plan.threads, self.plan.simd)
        return self._at(chosen)

    def draws(self, n_sites: int, rng: np.random.Generator) -> Array:
        """Choose distinct samples at random, by weight."""
        weights = self.host(self.weights)
        if weights is None:
            return self._at(rng.choice(self.x.shape[0], n_sites, replace=False))
        self.require_weights()
        w = weights.astype(np.float64)
        if (positive := np.count_nonzero(w)) < n_sites:
            raise errors.InvalidValue(
                f"[{OPERATION}] n_sites: expected at most the {positive} samples of positive weight, got {n_sites}"
            )
        return self._at(rng.choice(len(w), n_sites, replace=False, p=w / w.sum()))

    def costs(self, sites: Array) -> Array:
        """Return the squared distance of every sample to the nearest site (n,)."""
        costs = self._fresh(self.dtype)
        self._assign(sites, None, costs)
        return np.asarray(self.host(costs))

    def masses(self, sites: Array) -> Array:
        """Return the mass of the samples nearest to each site."""
        return self._assign(sites, None, None).mass

    def rows(self, indices: Array) -> Array:
        """Return some samples."""
        return self._at(indices)

    def finish(self, labels: Any, sites: Array) -> Any:
        """Return labels in the caller's library, None where they are not wanted; those of pieces are found now."""
        if self.wanted is False:
            return None
        if labels is None:
            labels = np.empty(self.x.shape[0], np.int32) if self.wanted is True else self.wanted
            self._assign(sites, labels, None)
            return labels
        if self.wanted is not True:
            self.wanted[:] = self.host(labels)
            return self.wanted
        return self.exported(labels)

    def host(self, array: Any) -> Any:
        """Return a NumPy array with the same values, None for None."""
        return array if array is None or isinstance(array, np.ndarray) else self.library.numpy(array)

    def require_weights(self) -> None:
        """Raise where weights are not weights."""
        w = self.host(self.weights)
        if w is None:
            return
        bad = np.flatnonzero(~((w >= 0) & (w < np.inf)))
        if len(bad):
            raise errors.InvalidValue(
                f"[{OPERATION}] weights: expected finite nonnegative weights, got {w[bad[0]]:g} at [{bad[0]}]"
            )
        if not 0 < (total := w.sum(dtype=float)) < np.inf:
            raise errors.InvalidValue(f"[{OPERATION}] weights: expected a positive finite total mass, got {total:g}")

    def _pieces(self) -> list[slice]:
        """Return the ranges of samples that calls of the kernel are for."""
        return [slice(0, self.x.shape[0])]

    def _views(self, piece: slice) -> tuple[Any, Any]:
        return self.views

    def _dearest(self, sites: Array, count: int) -> tuple[Totals, list[Dear]]:
        """Return the totals, and the samples that cost most, first the dearest."""
        labels, costs = self._fresh(np.int32), self._fresh(self.dtype)
        found = self._assign(sites, labels, costs)
        return found, self._pick(0, self.host(labels), self.host(costs), self.host(self.weights), count)

    def _pick(self, first: int, labels: Array, squares: Array, weights: Any, count: int) -> list[Dear]:
        cost = squares.astype(np.float64) ** (self.p / 2)
        if weights is not None:
            cost *= weights
        count = min(count, len(cost))
        dearest = np.argpartition(-cost, count - 1)[:count]
        dearest = dearest[np.lexsort((dearest, -cost[dearest]))]
        return [Dear(first + int(i), int(labels[i]), float(squares[i])) for i in dearest]

    def _assign(self, sites: Array, labels: Any, cost: Any, plain: bool = False) -> Totals:
        """Find the nearest sites; `plain`: with the totals of squares, whatever p is."""
        power = (2.0, 0.0) if plain else (self.p, self.near)
        if self.plan.backend == "reference":
            from ...reference import lloyd

            found = lloyd.assign(self.host(self.x), self.host(self.weights), sites, *power)
            for to, values in zip((labels, cost), found[4:], strict=True):
                if to is not None:
                    to[:] = values
            mass, pulls, sums, energy = found[:4]
            return Totals(mass, pulls[:, 0], pulls[:, 1], sums, energy)
        views = self._views(self.pieces[0])
        return self._run(views, sites, labels, cost, power)

    def _run(self, views: Any, sites: Array, labels: Any, cost: Any, power: tuple[float, float]) -> Totals:
        """Call the kernel."""
        mass, sums = np.empty(len(sites)), np.empty(sites.shape)
        pull = None if power[0] == 2 else np.empty((len(sites), 2))
        arguments: tuple[Any, ...] = (
            *(_dlpack.view(v, True) for v in (mass, sums)),
            *(self._target(v) for v in (labels, cost)),
            *power,
            None if pull is None else _dlpack.view(pull, True),
        )
        kernel: Any = _core.lloyd
        there: Any = _dlpack.view(sites)
        where: tuple[Any, Any] = self.plan.threads, self.plan.simd
        if self.plan.backend == "cuda":
            kernel, where = _backend.cuda_module().lloyd, self._queue()
            there = self.library.view(self.library.export(sites, self.x))
        energy = kernel(*views, there, *arguments, *where)
        if pull is None:
            return Totals(mass, mass.copy(), np.zeros(len(sites)), sums, energy)
        return Totals(mass, pull[:, 0], pull[:, 1], sums, energy)

    def _queue(self) -> tuple[int, int]:
        return self.library.stream(self.x), int(self.device.partition(":")[2] or 0)

    def _fresh(self, dtype: Any) -> Any:
        """Return one number a sample for kernels to write: a NumPy array on the CPU, whatever the library."""
        array = np.zeros(self.x.shape[0], dtype)
        return array if self.device == "cpu" else self.library.device_array(array, self.x)

    def _target(self, array: Any) -> Any:
        return None if array is None else (_dlpack if isinstance(array, np.ndarray) else self.library).view(array, True)

    def _at(self, indices: Array) -> Array:
        where = self.library.device_array(indices.astype(np.int64), self.x)
        return np.ascontiguousarray(self.host(self.x[where]))

    def _require_scale(self, sites: Array) -> None:
        """Raise where no energy is left though samples differ."""
        limits = np.finfo(self.dtype)
        if self.p != 2 and float(self.costs(sites).max()) > limits.tiny:
            raise errors.InvalidValue(f"[{OPERATION}] x: powers of distances underflow; rescale the samples")
        widest = float(np.ptp(self.host(self.x), axis=0).max())
        if 0 < widest < np.sqrt(limits.tiny / limits.eps):
            raise errors.InvalidValue(f"[{OPERATION}] x: squared distances underflow; rescale the samples")

    def _require_entries(self) -> None:
        if not np.isfinite(self.host(self.x)).all():
            raise errors.InvalidValue(f"[{OPERATION}] x: expected finite values, got nan or inf")
        self.require_weights()
