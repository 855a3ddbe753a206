"""Results of the exact multi-marginal solvers: plans on few tuples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from .. import _backend, _rng, _validate, errors
from .._array import NUMPY, library_of

Array = np.ndarray[Any, Any]


def _host(x: Any) -> Array:
    return (library_of(x) or NUMPY).numpy(x)


@dataclass(frozen=True, repr=False, eq=False)
class SparseResult:
    """What `deblai.multimarginal.linear_program` and `genetic` return: the unregularised optimum and its plan.

    Attributes
    ----------
    value : scalar
        <c, plan>.
    potentials : list of array (n_p,), or array (n,) for equal marginals
        Kantorovich potentials, sum_p f_p(x_p) <= c up to `lower` - sum_p <mu_p, f_p>.
    tuples : int array (k, N)
        Indices of the points of each tuple; for equal marginals sorted, and the plan is spread evenly over all orders.
    masses : array (k,)
        The mass of each tuple; they sum to 1.
    lower, upper : float
        Bounds of the optimum. `upper` is the cost of the plan with an allowance for `marginal_error`.
    certified : bool
        Whether `lower` comes from the exact minimum of c - sum f over all tuples (to the rounding of float64), so that
        nothing but `upper` - `lower` is open. Otherwise `lower` is valid but may be far below.
    converged : bool
        Whether the solver ended of itself: no tuple that it looked for would lower the value.
    marginal_error : float
        The largest L1 distance between a marginal of the plan and what it should be.
    n_marginals : int
        The number of marginals.
    n_iter : int
        Linear programs solved.
    history : array (n_iter, 2)
        Value and number of columns of each linear program.
    backend : str
        Which code ran.
    """

    value: Any
    potentials: Any
    tuples: Any
    masses: Any
    lower: float
    upper: float
    certified: bool
    converged: bool
    marginal_error: float
    n_marginals: int
    n_iter: int
    history: Any
    backend: str
    _sizes: tuple[int, ...]
    _like: Any

    @property
    def _symmetric(self) -> bool:
        return len(self._sizes) == 1

    def pair_marginal(self, p: int = 0, q: int = 1) -> Any:
        """Return the plan's marginal of the pair (p, q), shape (n_p, n_q): the pair density where marginals are equal.

        Of memory n_p n_q, whatever N.
        """
        p, q = _validate.pair("multimarginal.pair_marginal", p, q, self.n_marginals)
        pair = pair_of(_host(self.tuples), np.asarray(_host(self.masses), np.float64), self._sizes, p, q)
        return (library_of(self._like) or NUMPY).export(pair, self._like)

    def sample(self, k: int, rng: Any = None) -> Array:
        """Draw k independent tuples of the plan: indices of points, a NumPy array (k, N)."""
        k = _validate.positive_integer("multimarginal.sample", "k", k)
        generator = _rng.generator("multimarginal.sample", rng)
        masses = np.asarray(_host(self.masses), np.float64)
        drawn = _host(self.tuples)[generator.choice(len(masses), size=k, p=masses / masses.sum())]
        return np.asarray(generator.permuted(drawn, axis=1) if self._symmetric else drawn)

    def plan(self) -> Any:
        """Return the whole plan, n_1 x ... x n_N entries: for small problems."""
        sizes = self._sizes * self.n_marginals if self._symmetric else self._sizes
        _backend.require_memory("multimarginal.plan", int(min(8 * float(np.prod([float(n) for n in sizes])), 2**62)))
        whole = np.zeros(sizes)
        tuples, masses = _host(self.tuples), np.asarray(_host(self.masses), np.float64)
        orders = list(permutations(range(self.n_marginals))) if self._symmetric else [tuple(range(self.n_marginals))]
        for order in orders:
            np.add.at(whole, tuple(tuples[:, order].T), masses / len(orders))
        return (library_of(self._like) or NUMPY).export(whole, self._like)

    def __repr__(self) -> str:
        bounds = f"{'' if self.certified else 'NOT '}certified in [{self.lower:.10g}, {self.upper:.10g}]"
        state = "" if self.converged else ", NOT converged"
        return (
            f"SparseResult(value={float(self.value):.10g}, {bounds}, {len(self.masses)} tuples, "
            f"{self.n_iter} programs{state}, backend={self.backend!r})"
        )


def pair_of(tuples: Array, masses: Array, sizes: tuple[int, ...], p: int, q: int) -> Array:
    """Return the marginal of a pair of a sparse plan, spread over all pairs where there is one size."""
    if len(sizes) > 1:
        pair = np.zeros((sizes[p], sizes[q]))
        np.add.at(pair, (tuples[:, p], tuples[:, q]), masses)
        return pair
    count = tuples.shape[1]
    pair = np.zeros((sizes[0], sizes[0]))
    for a in range(count):
        for b in range(a):
            np.add.at(pair, (tuples[:, a], tuples[:, b]), masses)
    return np.asarray((pair + pair.T) / (count * (count - 1)))


@dataclass(frozen=True, repr=False, eq=False)
class SeidlResult:
    """What `deblai.multimarginal.seidl` returns: strictly correlated particles of the line.

    Attributes
    ----------
    value : scalar
        The optimum: an exact sum for points, a quadrature for a law.
    lower, upper : float
        Around `value`: what rounding can do to the dual and the primal sums, or the quadrature's estimate of its error.
    certified : bool
        True for points, where `potentials` prove `lower` and the plan proves `upper`; False for a law.
    potentials : array (n,) or None
        For points, the Kantorovich potential, sum f(x_p) <= c with equality on the plan; a law has `potential(x)`.
    tuples, masses : int array (k, N) and array (k,), or None
        For points, the plan: sorted indices and their masses, spread evenly over all orders. None for a law.
    n_marginals : int
        The number N of particles.
    """

    value: Any
    lower: float
    upper: float
    certified: bool
    potentials: Any
    tuples: Any
    masses: Any
    n_marginals: int
    _positions: Callable[[Array], Array]
    _cdf: Callable[[Array], Array]
    _potential: Callable[[Array], Array] | None
    _size: int
    _like: Any

    def comotion(self, u: Any = None) -> Array:
        r"""Return where the N particles are when the mass u lies below the first: NumPy array (len(u), N).

        Column k is :math:`F^{-1}(u + k/N \bmod 1)`, so that column 0 is the quantile itself.

        Parameters
        ----------
        u : array (m,), optional
            In (0, 1); by default (i + 1/2) / 1000, which is never a multiple of 1/N where N divides 1000.
        """
        at = (np.arange(1000) + 0.5) / 1000 if u is None else np.atleast_1d(np.asarray(_host(u), np.float64))
        if at.ndim != 1 or not ((at > 0) & (at < 1)).all():
            raise errors.InvalidValue("[multimarginal.comotion] u: expected masses between 0 and 1, shape (m,)")
        return self._positions(at)

    def maps(self, x: Any) -> Array:
        r"""Return where all particles are when one is at x: NumPy array (len(x), N), column 0 is x for a law.

        :math:`f_k(x) = F^{-1}(F(x) + k/N \bmod 1)`. Where points have mass, F is taken in the middle of the point's own
        share: the plan may split it among several tuples, which `tuples` has in full.
        """
        at = np.atleast_1d(np.asarray(_host(x), np.float64))
        if at.ndim != 1 or np.isnan(at).any():
            raise errors.InvalidValue("[multimarginal.maps] x: expected points of the line, shape (m,), without nan")
        return self._positions(self._cdf(at))

    def potential(self, x: Any) -> Array:
        r"""Return a law's Kantorovich potential at x, NumPy array (len(x),).

        The integral of :math:`u'(x) = \sum_k w'(|x - f_k|)\,\mathrm{sgn}(x - f_k)`, with the constant for which
        :math:`\sum_k u(f_k) = c`.
        """
        if self._potential is None:
            raise errors.InvalidValue(
                "[multimarginal.potential] x: expected the result of a law; points have .potentials"
            )
        at = np.atleast_1d(np.asarray(_host(x), np.float64))
        if at.ndim != 1 or not np.isfinite(at).all():
            raise errors.InvalidValue("[multimarginal.potential] x: expected finite points of the line, shape (m,)")
        return self._potential(at)

    def pair_marginal(self, p: int = 0, q: int = 1) -> Any:
        """Return the pair density of points, shape (n, n)."""
        if self.tuples is None:
            raise errors.InvalidValue(
                "[multimarginal.pair_marginal] expected the result of points; a law's pairs lie on .maps(x)"
            )
        p, q = _validate.pair("multimarginal.pair_marginal", p, q, self.n_marginals)
        masses = np.asarray(_host(self.masses), np.float64)
        pair = pair_of(_host(self.tuples), masses, (self._size,), p, q)
        return (library_of(self._like) or NUMPY).export(pair, self._like)

    def __repr__(self) -> str:
        said = "" if self.tuples is None else f", {len(self.masses)} tuples"
        error = max(self.upper - float(self.value), float(self.value) - self.lower)
        return f"SeidlResult(value={float(self.value):.12g} ± {error:.1g}, n_marginals={self.n_marginals}{said})"
