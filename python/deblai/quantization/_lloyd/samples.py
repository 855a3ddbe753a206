"""Samples as a source of Lloyd's iteration: one call of the kernel for each piece of them in a step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import _backend, _core, _dlpack, errors
from ..._array import Library, view_of
from .descent import Array, Step

OPERATION = "quantization.lloyd"


class Nearest(NamedTuple):
    """Cells of given sites, with a label and a squared distance for each sample."""

    step: Step
    labels: Any
    costs: Any


def _step(sites: Array, mass: Array, sums: Array, energy: float, labels: Any) -> Step:
    total, filled = mass.sum(), mass[:, None] > 0
    centroid = np.where(filled, sums / np.where(filled, mass[:, None], 1.0), sites)
    return Step(mass / total, centroid, float(energy / total), labels)


class SampleSource:
    """Checked samples (n, d) and weights (n,) of one library, dtype and device.

    `labels` is whether they are kept, or the array (n,) that they are written to.
    """

    def __init__(self, library: Library, x: Any, weights: Any, n_sites: int, labels: Any = True) -> None:
        self.library, self.x, self.weights, self.wanted = library, x, weights, labels
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
            _backend.require_memory(OPERATION, _core.lloyd_workspace(*views, sites, self.plan.threads))
        keeps = labels is not False and len(self.pieces) == 1
        self._labels = [self._fresh(np.int32) if keeps else None for _ in range(2)]

    def step(self, sites: Array) -> Step:
        """Find the nearest site of every sample."""
        self._labels.reverse()  # those of the step before stay as they are
        mass, sums, energy = self._assign(sites, self._labels[0], None)
        if not energy > 16 * np.finfo(self.dtype).tiny * mass.sum():
            self._require_scale()
        return _step(sites, mass, sums, energy, self._labels[0])

    def nearest(self, sites: Array) -> Nearest:
        """Find the nearest site of every sample and the squared distance to it."""
        labels, costs = self._fresh(np.int32), self._fresh(self.dtype)
        return Nearest(_step(sites, *self._assign(sites, labels, costs), labels), labels, costs)

    def exported(self, array: Any) -> Any:
        """Return one number a sample in the caller's library."""
        return self.library.device_array(array, self.x) if isinstance(array, np.ndarray) else array

    def move(self, sites: Array, now: Step) -> tuple[Array, bool]:
        """Send sites to their centroids, and those of empty cells to the samples that cost most."""
        empty = list(np.flatnonzero(now.mass == 0))
        if not empty or now.energy == 0:
            return now.centroid.astype(self.dtype), False
        mass, sums, dearest = self._dearest(sites, len(empty))
        relocated = False
        for i, j, cost in dearest:
            w = 1.0 if self.weights is None else float(self.weights[i])
            if not cost > 0 or not mass[j] - w > 1e-9 * mass[j]:  # alone in its cell: nothing to gain
                continue
            point = self.host(self.x[i]).astype(np.float64)
            mass[j] -= w
            sums[j] -= w * point
            now.centroid[j] = sums[j] / mass[j]
            now.centroid[empty.pop(0)] = point
            relocated = True
        return now.centroid.astype(self.dtype), relocated

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
        return self._assign(sites, None, None)[0]

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

    def _dearest(self, sites: Array, count: int) -> tuple[Array, Array, list[tuple[int, int, float]]]:
        """Return masses and sums, and number, label and cost of the samples that cost most, first the dearest."""
        labels, costs = self._fresh(np.int32), self._fresh(self.dtype)
        mass, sums, _ = self._assign(sites, labels, costs)
        return mass, sums, self._pick(0, self.host(labels), self.host(costs), self.host(self.weights), count)

    def _pick(self, first: int, labels: Array, costs: Array, weights: Any, count: int) -> list[tuple[int, int, float]]:
        cost = costs.astype(np.float64)
        if weights is not None:
            cost *= weights
        count = min(count, len(cost))
        dearest = np.argpartition(-cost, count - 1)[:count]
        dearest = dearest[np.lexsort((dearest, -cost[dearest]))]
        return [(first + int(i), int(labels[i]), float(cost[i])) for i in dearest]

    def _assign(self, sites: Array, labels: Any, cost: Any) -> tuple[Array, Array, float]:
        if self.plan.backend == "reference":
            from ...reference import lloyd

            mass, sums, energy, *found = lloyd.assign(self.host(self.x), self.host(self.weights), sites)
            for to, values in zip((labels, cost), found, strict=True):
                if to is not None:
                    to[:] = values
            return mass, sums, energy
        mass, sums = np.empty(len(sites)), np.empty(sites.shape)
        x, weights = self.views
        totals = _dlpack.view(mass, True), _dlpack.view(sums, True)
        each = self._target(labels), self._target(cost)
        if self.plan.backend == "cuda":
            there = self.library.view(self.library.export(sites, self.x))
            energy = _backend.cuda_module().lloyd(x, weights, there, *totals, *each, *self._queue())
        else:
            energy = _core.lloyd(x, weights, _dlpack.view(sites), *totals, *each, self.plan.threads, self.plan.simd)
        return mass, sums, energy

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

    def _require_scale(self) -> None:
        x = self.host(self.x)
        widest, limits = float(np.ptp(x, axis=0).max()), np.finfo(self.dtype)
        if 0 < widest < np.sqrt(limits.tiny / limits.eps):
            raise errors.InvalidValue(f"[{OPERATION}] x: squared distances underflow; rescale the samples")

    def _require_entries(self) -> None:
        if not np.isfinite(self.host(self.x)).all():
            raise errors.InvalidValue(f"[{OPERATION}] x: expected finite values, got nan or inf")
        self.require_weights()
