"""Samples in a file, of any size: pieces of it are read one after the other, and let go again."""

from __future__ import annotations

import mmap
import re
from typing import Any

import numpy as np

from ... import _dlpack, errors
from ..._array import NUMPY
from .descent import Array
from .samples import OPERATION, Dear, SampleSource, Totals

PIECE = 1 << 26  # bytes of samples at a time
LEAST = 4096  # samples
DRAWS = 10  # of each site, among which k-means++ chooses


class MappedSource(SampleSource):
    """A `numpy.memmap` (n, d), and weights (n,) in memory or in a file: no more than a piece of it is in memory."""

    def __init__(
        self, mapped: np.memmap[Any, Any], x: Array, weights: Any, n_sites: int, labels: Any, p: float
    ) -> None:
        self.file = getattr(mapped, "_mmap", None)
        self.shared = mapped.mode in ("r", "r+", "w+")  # of copies on write, changes would be lost
        super().__init__(NUMPY, x, weights, n_sites, labels, p)

    def _pieces(self) -> list[slice]:
        n, d = self.x.shape
        step = max(LEAST, PIECE // (d * self.x.itemsize))
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

    def _assign(self, sites: Array, labels: Any, cost: Any, plain: bool = False) -> Totals:
        if self.plan.backend == "reference":
            return super()._assign(sites, labels, cost, plain)
        found = Totals.zero(sites)
        for piece in self.pieces:
            some, costs = (None if v is None else v[piece] for v in (labels, cost))
            found = found.plus(self._assign_piece(piece, sites, some, costs, plain))
        if self.weights is not None and not 0 < found.mass.sum() < np.inf:
            self.require_weights()
        return found

    def _assign_piece(self, piece: slice, sites: Array, labels: Any, cost: Any, plain: bool = False) -> Totals:
        power = (2.0, 0.0) if plain else (self.p, self.near)
        x, weights = self._views(piece)
        weightless = self.weights is not None and not self.weights[piece].any()
        try:  # labels are those of any weights
            found = self._run((x, None if weightless else weights), sites, labels, cost, power)
        except errors.InvalidValue as error:
            raise errors.InvalidValue(
                re.sub(r" at \[(\d+)", lambda m: f" at [{int(m[1]) + piece.start}", str(error))
            ) from None
        finally:
            self._release(piece)
        return Totals.zero(sites) if weightless else found

    def _dearest(self, sites: Array, count: int) -> tuple[Totals, list[Dear]]:
        if self.plan.backend == "reference":
            return super()._dearest(sites, count)
        found, dearest = Totals.zero(sites), []
        for piece in self.pieces:
            size = piece.stop - piece.start
            labels, costs = np.empty(size, np.int32), np.empty(size, self.dtype)
            found = found.plus(self._assign_piece(piece, sites, labels, costs))
            weights = None if self.weights is None else self.weights[piece]
            dearest += self._pick(piece.start, labels, costs, weights, count)
            dearest = sorted(dearest, key=self._cost)[:count]
        return found, dearest

    def _cost(self, dear: Dear) -> tuple[float, int]:
        weight = 1.0 if self.weights is None else float(self.weights[dear.number])
        return -weight * dear.squared ** (self.p / 2), dear.number

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

    def _require_scale(self, sites: Array) -> None:
        """Look at a piece only."""
        if float(np.abs(self.x[self.pieces[0]]).max()) < np.sqrt(np.finfo(self.dtype).tiny):
            raise errors.InvalidValue(f"[{OPERATION}] x: squared distances underflow; rescale the samples")
