"""Samples in a file, of any size: pieces of it are read one after the other, and let go again."""

from __future__ import annotations

import mmap
import re
from typing import Any

import numpy as np

from ... import _core, _dlpack, errors
from ..._array import NUMPY
from .descent import Array
from .samples import SampleSource

PIECE = 1 << 26  # bytes of samples at a time
DRAWS = 10  # of each site, among which k-means++ chooses


class MappedSource(SampleSource):
    """A `numpy.memmap` (n, d), and weights (n,) in memory or in a file: no more than a piece of it is in memory."""

    def __init__(self, mapped: np.memmap[Any, Any], x: Array, weights: Any, n_sites: int, labels: Any) -> None:
        self.file = getattr(mapped, "_mmap", None)
        self.shared = mapped.mode in ("r", "r+", "w+")  # of copies on write, changes would be lost
        super().__init__(NUMPY, x, weights, n_sites, labels)

    def _pieces(self) -> list[slice]:
        n, d = self.x.shape
        step = max(4096, PIECE // (d * self.x.itemsize))
        return [slice(k, min(k + step, n)) for k in range(0, n, step)]

    def _views(self, piece: slice) -> tuple[Any, Any]:
        weights = None if self.weights is None else _dlpack.view(self.weights[piece])
        return _dlpack.view(self.x[piece]), weights

    def seeds(self, n_sites: int, rng: np.random.Generator) -> Array:
        """Choose by k-means++ among samples drawn by weight, ten times as many."""
        count = min(DRAWS * n_sites, self.x.shape[0])
        if self.weights is not None:
            count = min(count, int(np.count_nonzero(self.weights)))
        drawn = self.draws(max(count, n_sites), rng)
        return SampleSource(NUMPY, drawn, None, n_sites).seeds(n_sites, rng)

    def _assign(self, sites: Array, labels: Any, cost: Any) -> tuple[Array, Array, float]:
        if self.plan.backend == "reference":
            return super()._assign(sites, labels, cost)
        mass, sums, energy = np.zeros(len(sites)), np.zeros(sites.shape), 0.0
        for piece in self.pieces:
            targets = (None if v is None else v[piece] for v in (labels, cost))
            found = self._assign_piece(piece, sites, *targets)
            mass += found[0]
            sums += found[1]
            energy += found[2]
        if self.weights is not None and not 0 < mass.sum() < np.inf:
            self.require_weights()
        return mass, sums, energy

    def _assign_piece(self, piece: slice, sites: Array, labels: Any, cost: Any) -> tuple[Array, Array, float]:
        mass, sums = np.zeros(len(sites)), np.zeros(sites.shape)
        weightless = self.weights is not None and not self.weights[piece].any()
        x, weights = self._views(piece)
        if weightless:
            weights = None  # labels are those of any weights
        targets = _dlpack.view(mass, True), _dlpack.view(sums, True), self._target(labels), self._target(cost)
        try:
            energy = _core.lloyd(x, weights, _dlpack.view(sites), *targets, self.plan.threads, self.plan.simd)
        except errors.InvalidValue as error:
            raise errors.InvalidValue(
                re.sub(r" at \[(\d+)", lambda m: f" at [{int(m[1]) + piece.start}", str(error))
            ) from None
        finally:
            self._release(piece)
        return (mass * 0, sums * 0, 0.0) if weightless else (mass, sums, energy)

    def _dearest(self, sites: Array, count: int) -> tuple[Array, Array, list[tuple[int, int, float]]]:
        if self.plan.backend == "reference":
            return super()._dearest(sites, count)
        mass, sums, found = np.zeros(len(sites)), np.zeros(sites.shape), []
        for piece in self.pieces:
            size = piece.stop - piece.start
            labels, costs = np.empty(size, np.int32), np.empty(size, self.dtype)
            here = self._assign_piece(piece, sites, labels, costs)
            mass += here[0]
            sums += here[1]
            weights = None if self.weights is None else self.weights[piece]
            found += self._pick(piece.start, labels, costs, weights, count)
            found = sorted(found, key=lambda v: (-v[2], v[0]))[:count]
        return mass, sums, found

    def _release(self, piece: slice) -> None:
        """Tell the system that these pages are not wanted for now."""
        if self.file is None or not self.shared or not hasattr(mmap, "MADV_DONTNEED") or min(self.x.strides) < 0:
            return
        rows = self.x[piece]
        base = np.frombuffer(self.file, np.uint8).__array_interface__["data"][0]
        begin = rows.__array_interface__["data"][0] - base
        length = sum((m - 1) * s for m, s in zip(rows.shape, rows.strides, strict=True)) + rows.itemsize
        begin, end = begin // mmap.PAGESIZE * mmap.PAGESIZE, begin + length
        self.file.madvise(mmap.MADV_DONTNEED, begin, end - begin)

    def _require_scale(self) -> None:
        if self.x.nbytes <= PIECE:
            super()._require_scale()
