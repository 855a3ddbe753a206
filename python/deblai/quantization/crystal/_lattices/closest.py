"""Nearest points of lattices; J. H. Conway, N. J. A. Sloane, IEEE Trans. Inform. Theory 28, 1982 (SPLAG, chapter 20).

Each function takes points (n, b) and returns the lattice points (n, b) that are nearest to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CHUNK = 1 << 22  # floats of a temporary array


def integers(x: Array) -> Array:
    """Find points of Z^n: round."""
    return np.round(x)


def even(x: Array) -> Array:
    """Find points of D_n: round; if the sum is odd, round the entry that is farthest from an integer the other way."""
    y = np.round(x)
    odd = np.flatnonzero(y.sum(1) % 2 != 0)
    rest = x[odd] - y[odd]
    worst = np.abs(rest).argmax(1)
    y[odd, worst] += np.where(rest[np.arange(len(odd)), worst] < 0, -1.0, 1.0)
    return y


def balanced(x: Array) -> Array:
    """Find points of A_n, in the hyperplane of R^(n+1) of sum 0: round, then mend the sum where it costs least."""
    y = np.round(x)
    excess = y.sum(1).astype(np.int64)
    order = np.argsort(x - y, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(x.shape[1])[None], 1)
    down = rank < excess[:, None]
    up = rank >= x.shape[1] + excess[:, None]
    return np.asarray(y - down + up)


@dataclass(frozen=True, eq=False)
class Glued:
    """A union of cosets of a product of m equal blocks: the sum over blocks of alphabet[word[k]], for all words.

    `nearest` is that of a block, scaled by `scale`; `alphabet` (q, b) are vectors, `words` (M, m) numbers of them.
    """

    nearest: Callable[[Array], Array]
    alphabet: Array
    words: Array
    scale: float = 1.0

    def __call__(self, x: Array) -> Array:
        """Find the nearest point of each word's coset, and take the best."""
        m, (q, b) = self.words.shape[1], self.alphabet.shape
        step = max(1, CHUNK // (m * q * b + self.words.size))
        parts = [self._some(x[k : k + step].reshape(-1, m, b)) for k in range(0, len(x), step)]
        return np.concatenate([np.zeros((0, m * b)), *parts])

    def _some(self, x: Array) -> Array:
        n, m, b = x.shape
        q = len(self.alphabet)
        shifted = (x[:, :, None] - self.alphabet).reshape(-1, b) / self.scale
        found = (self.scale * self.nearest(shifted)).reshape(n, m, q, b) + self.alphabet
        cost = ((x[:, :, None] - found) ** 2).sum(3)
        places = np.arange(m)
        best = self.words[cost[:, places, self.words].sum(2).argmin(1)]
        return np.asarray(found[np.arange(n)[:, None], places, best].reshape(n, m * b))


@dataclass(frozen=True, eq=False)
class Leech:
    """The Leech lattice, times sqrt(8): x_i = m + 2 c_i mod 4 for a word c of Golay's code, sum = 4 m mod 8; m = 0, 1.

    For each m and c the entries are rounded to their classes; if the sum is wrong, the entry for which the other
    neighbour costs least takes that.
    """

    words: Array  # (4096, 24), zeros and ones

    def __call__(self, x: Array) -> Array:
        """Try all 2 x 4096 cosets."""
        step = CHUNK // (4 * len(self.words))
        parts = [self._some(x[k : k + step]) for k in range(0, len(x), step)]
        return np.concatenate([np.zeros((0, 24)), *parts])

    def _some(self, x: Array) -> Array:
        n, code = len(x), np.ascontiguousarray(self.words.T, np.float64)
        rows = np.arange(n)
        best, found = np.full(n, np.inf), np.zeros_like(x)
        for m in (0, 1):
            near = [4 * np.round((x - r) / 4) + r for r in (m, m + 2)]
            rest = [x - v for v in near]
            cost = [v**2 for v in rest]
            other = [(4 - np.abs(v)) ** 2 - v**2 for v in rest]  # what the other neighbour costs more
            both = np.concatenate([cost[1] - cost[0], near[1] - near[0]]) @ code
            total = cost[0].sum(1)[:, None] + both[:n]
            added = near[0].sum(1)[:, None] + both[n:]
            wrong = (np.round(added).astype(np.int64) - 4 * m) & 4 != 0
            bound = np.where(wrong, np.inf, total).min(1)
            row, word = np.nonzero(wrong & (total < bound[:, None]))  # the others cannot win
            penalty = np.where(self.words[word], other[1][row], other[0][row]).min(1)
            cheap = total[row, word]
            total[wrong] = np.inf
            total[row, word] = cheap + penalty
            word = total.argmin(1)
            chosen = self.words[word] > 0
            y = np.where(chosen, near[1], near[0])
            mend = np.flatnonzero(wrong[rows, word])
            place = np.where(chosen, other[1], other[0])[mend].argmin(1)
            y[mend, place] += 4 * np.where(x[mend, place] < y[mend, place], -1.0, 1.0)
            better = total[rows, word] < best
            best = np.where(better, total[rows, word], best)
            found[better] = y[better]
        return found
