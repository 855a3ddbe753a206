"""What the lattices are made of: blocks, glue, numbers from books.

Glue is that of SPLAG, chapter 4; kissing numbers are those of its tables 1.2 and 1.3, and of chapter 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import closest, moments
from .closest import Array, Glued

SPLAG = "Conway, Sloane, Sphere Packings, Lattices and Groups"


class Kind(NamedTuple):
    """A lattice in the coordinates in which its points are easy, rows of `frame` (d, D) being axes of its space.

    `generators` (k, D) span it, `scale` times `closest(x / scale)` is the nearest point of it.
    """

    frame: Array
    generators: Array
    closest: Callable[[Array], Array]
    kissing: int
    moment: float
    status: str
    source: str
    scale: float = 1.0


def plane(n: int) -> Array:
    """Return orthonormal rows (n, n + 1) that are orthogonal to (1, ..., 1)."""
    rows = np.zeros((n, n + 1))
    for k in range(n):
        rows[k, : k + 1], rows[k, k + 1] = 1.0, -(k + 1.0)
    return np.asarray(rows / np.sqrt((rows**2).sum(1, keepdims=True)))


def roots_a(n: int) -> Array:
    """Return simple roots of A_n."""
    return np.asarray(np.eye(n, n + 1) - np.eye(n, n + 1, 1))


def roots_d(n: int) -> Array:
    """Return simple roots of D_n."""
    return np.concatenate([np.eye(n)[:1] + np.eye(n)[1:2], np.eye(n - 1, n) - np.eye(n - 1, n, 1)])


def glue_a(n: int, i: int) -> Array:
    """Return the glue vector [i] of A_n."""
    j = n + 1 - i
    return np.repeat([i / (n + 1), -j / (n + 1)], [j, i])


def cubic(n: int) -> Kind:
    """Return Z^n."""
    return Kind(np.eye(n), np.eye(n), closest.integers, 2 * n, 1 / 12, "exact", "a cube")


def a(n: int) -> Kind:
    """Return A_n."""
    source = f"{SPLAG}, chapter 21, theorem 6"
    return Kind(plane(n), roots_a(n), closest.balanced, n * (n + 1), moments.a(n), "exact", source)


def d(n: int) -> Kind:
    """Return D_n."""
    source = f"{SPLAG}, chapter 21, theorem 8"
    return Kind(np.eye(n), roots_d(n), closest.even, 2 * n * (n - 1), moments.d(n), "exact", source)


def a_dual(n: int) -> Kind:
    """Return A_n^*: all glue of A_n."""
    alphabet = np.array([glue_a(n, i) for i in range(n + 1)])
    decode = Glued(closest.balanced, alphabet, np.arange(n + 1)[:, None])
    span = np.concatenate([roots_a(n), alphabet[1:2]])
    kissing = 2 if n == 1 else 2 * (n + 1)
    return Kind(plane(n), span, decode, kissing, moments.a_dual(n), "exact", "permutohedra, by their facets")


def d_dual(n: int) -> Kind:
    """Return D_n^*: Z^n and its centres."""
    decode = Glued(closest.integers, np.array([np.zeros(n), np.full(n, 0.5)]), np.arange(2)[:, None])
    span = np.concatenate([np.eye(n), np.full((1, n), 0.5)])
    kissing = {3: 8, 4: 24}.get(n, 2 * n)
    source = "half of a cube, cut by its diagonals' middle planes, by the sum of uniform variables"
    return Kind(np.eye(n), span, decode, kissing, moments.d_dual(n), "exact", source)


def e6(dual: bool) -> Kind:
    """Return E_6 = A_2^3 with the glue of words (k, k, k), E_6^* with that of (k, k + j, k + 2 j)."""
    words = np.array([(k, (k + j) % 3, (k + 2 * j) % 3) for j in range(3 if dual else 1) for k in range(3)])
    alphabet = np.array([glue_a(2, i) if i else np.zeros(3) for i in range(3)])
    decode = Glued(closest.balanced, alphabet, words)
    moment = 12619 / 204120 * 3 ** (1 / 6) if dual else 5 / (56 * 3 ** (1 / 6))
    source = f"R. T. Worley, SIAM J. Discrete Math. 1, 1988; {SPLAG}, table 21.1"
    if not dual:
        source = f"{SPLAG}, chapter 21"
    return Kind(_blocks(plane(2), 3), _span(roots_a(2), decode), decode, 54 if dual else 72, moment, "exact", source)


def e7(dual: bool) -> Kind:
    """Return E_7 = A_7 with the glue [4], E_7^* with [2]."""
    used = (0, 2, 4, 6) if dual else (0, 4)
    alphabet = np.array([glue_a(7, i) if i else np.zeros(8) for i in used])
    decode = Glued(closest.balanced, alphabet, np.arange(len(used))[:, None])
    moment = 21361 / 322560 * 2 ** (1 / 7) if dual else 163 / (2016 * 2 ** (1 / 7))
    source = f"R. T. Worley, SIAM J. Algebraic Discrete Methods 8, 1987; {SPLAG}, table 21.1"
    if not dual:
        source = f"{SPLAG}, chapter 21"
    return Kind(plane(7), _span(roots_a(7), decode), decode, 56 if dual else 126, moment, "exact", source)


def e8() -> Kind:
    """Return E_8 = D_8 and its halves."""
    decode = Glued(closest.even, np.array([np.zeros(8), np.full(8, 0.5)]), np.arange(2)[:, None])
    return Kind(np.eye(8), _span(roots_d(8), decode), decode, 240, 929 / 12960, "exact", f"{SPLAG}, chapter 21")


def k12() -> Kind:
    """Return the Coxeter-Todd lattice: Eisenstein integers in six places that are words of the hexacode modulo 2."""
    times = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]])  # of 0, 1, w, w^2
    plus = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
    rows = np.array([[1, 0, 0, 1, 3, 2], [0, 1, 0, 1, 2, 3], [0, 0, 1, 1, 1, 1]])
    words = np.array([_sum(plus, [times[c, row] for c, row in zip(w, rows, strict=True)]) for w in _words(4, 3)])
    alphabet = np.array([[0, 0, 0], [1, -1, 0], [0, 1, -1], [-1, 0, 1]]) / 2**0.5
    decode = Glued(closest.balanced, alphabet, words, scale=2**0.5)
    source = f"{SPLAG}, table 2.3; exactly in M. Dutour Sikirić, A. Schürmann, F. Vallentin, Math. Comp. 78, 2009"
    span = _span(2**0.5 * roots_a(2), decode)
    return Kind(_blocks(plane(2), 6), span, decode, 756, 0.0700956, "digits", source)


def leech() -> Kind:
    """Return the Leech lattice from Golay's code."""
    rows = golay()
    words = np.array(list(itertools.product((0, 1), repeat=12))) @ rows % 2
    odd = np.ones(24)
    odd[0] = -3
    span = np.concatenate([4 * roots_d(24), 2 * rows, odd[None]])
    source = f"{SPLAG}, table 2.3"
    decode = closest.Leech(words.astype(np.int8))
    return Kind(np.eye(24), span / 8**0.5, decode, 196560, 0.065771, "digits", source, scale=8**-0.5)


def golay() -> Array:
    """Return generators (12, 24) of Golay's code: quadratic residues modulo 23, and a digit that makes weights even."""
    polynomial = np.zeros(23, int)
    polynomial[[0, 2, 4, 5, 6, 10, 11]] = 1  # x^11 + x^10 + x^6 + x^5 + x^4 + x^2 + 1
    rows = np.array([np.roll(polynomial, k) for k in range(12)])
    return np.concatenate([rows, rows.sum(1, keepdims=True) % 2], 1)


def _words(q: int, n: int) -> Any:
    return itertools.product(range(q), repeat=n)


def _sum(plus: Array, terms: list[Array]) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = plus[total, term]
    return total


def _blocks(frame: Array, m: int) -> Array:
    return np.kron(np.eye(m), frame)


def _span(block: Array, decode: Glued) -> Array:
    """Return generators of a glued lattice: those of each block, and all words."""
    m = decode.words.shape[1]
    glue = decode.alphabet[decode.words].reshape(len(decode.words), -1)
    return np.concatenate([_blocks(block, m), glue[np.abs(glue).max(1) > 0]])
