"""Results of entropic transport of many marginals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, NamedTuple

import numpy as np

from .. import errors
from ._sliced import with_error


class Expectation(NamedTuple):
    """A mean under a plan, and its standard error: 0 where it is exact.

    Floats, or NumPy arrays where the function has several values.
    """

    value: Any
    stderr: Any


@dataclass(frozen=True, repr=False, eq=False)
class MultimarginalResult:
    """What `deblai.multimarginal.sinkhorn` returns.

    Attributes
    ----------
    value : scalar
        The dual value, sum_p <a_p, f_p> - epsilon (mass - 1): a lower bound of the minimum of
        <c, plan> + epsilon KL(plan | product of the marginals), equal to it at convergence. A 0-d tensor that carries
        the graph for PyTorch.
    value_linear : scalar
        <c, plan>, the cost alone; NaN after an interrupt.
    potentials : list of array (n_p,), or array (n,) in symmetric mode
        The potentials f_p, in the cost's units; with the same mean under each marginal.
    marginal_error : float
        The largest L1 distance between a marginal of the plan and what it should be, of the final potentials.
    converged : bool
        Whether `marginal_error` is at most `tol` and, where `gap` was given, the certified interval of the entropic
        optimum at most that wide (`tol` then counts only if it was given as well).
    n_iter : int
        Sweeps over all potentials and Newton steps, those of annealing included.
    history : array (n_iter, 3)
        A row a sweep or Newton step: marginal error, dual value (NaN from sweeps of the reference backend), and the
        epsilon that both are of, which is larger than the one wanted while annealing.
    lower, upper : float
        Bounds of the unregularised optimum OT_0, which `certify` computes; -inf and inf before.
    value_lower, value_upper : float
        Bounds of the entropic optimum, likewise.
    certified : bool
        Whether `lower` is the best bound that these potentials give, and `upper` finite.
    epsilon : float
        The entropic weight.
    n_marginals : int
        The number of marginals.
    grad : dict
        Gradients of `value` in the arguments that were asked for: "points", "weights", "cost".
    backend : str
        Which code ran.
    exact_rows : int
        Rows of the plans of pairs that the final evaluation summed term by term in the log domain, since a matrix
        product might have lost some of them to underflow: 0 at large epsilon, up to N(N-1)/2 times n at small ones. On
        a graph without some of the pairs, entries of its messages' tables; 0 on a tree, which needs no products. 0
        for two marginals, which need no products, and from the reference backend, whose sums are all of that kind.
    """

    value: Any
    value_linear: Any
    potentials: Any
    marginal_error: float
    converged: bool
    n_iter: int
    history: Any
    epsilon: float
    n_marginals: int
    grad: dict[str, Any] = field(default_factory=dict)
    backend: str = ""
    exact_rows: int = 0
    lower: float = -inf
    upper: float = inf
    value_lower: float = -inf
    value_upper: float = inf
    certified: bool = False
    _plans: Any = None

    def certify(self, *, budget: int | None = None) -> MultimarginalResult:
        """Return this result with certified intervals, of the unregularised optimum and of the entropic one.

        ``lower <= OT_0 <= upper`` and ``value_lower <= OT_epsilon <= value_upper`` hold whether or not the run has
        converged. They are computed in float64 from the arguments as they were at the call, whatever their dtype. From
        below: the dual value, and sum_p <a_p, f_p> + min (c - sum_p f_p), whose minimum is searched for by branch and
        bound. From above: the cost of plans that have the marginals exactly, made from the plan of the potentials, on a
        graph block by block (see `multimarginal.sinkhorn`): the plan corrected to first order, whose excess is of
        second order in the marginal error, or scaled and completed by a coupling. Where infinite costs allow neither,
        better potentials are tried, then a plan is searched for: of two marginals, as of the edges of a tree, by
        augmenting paths, of more by linear programs over at most 100000 tuples, if HiGHS is installed
        (``pip install 'deblai[exact]'``). On the complete graph the sums of arrays on a GPU run there; the minimum is
        of all tuples, where these are not too many for the GPU.
        Rounding is allowed for: lower bounds are moved outwards by 2^-48 N^2 S, upper ones by at most (2 + 2 S /
        epsilon) times that, where S is the size of what is summed (largest potentials, 50 epsilon, the bound itself),
        and by what rounding may leave of large corrections.

        Parameters
        ----------
        budget : int, optional
            Most nodes of the search; by default some seconds' worth. Where they are not enough, `certified` is False
            and `lower` is what the search has proved, or what pairs and triples of equal marginals prove, OT_N >=
            N (N - 1) / (k (k - 1)) OT_k.

        Returns
        -------
        MultimarginalResult
            With `lower`, `upper`, `value_lower`, `value_upper`, `certified`. `upper` and `value_upper` are inf,
            and `certified` False, where infinite costs leave no plan that could be made: none at all, or in large
            problems and without HiGHS none that was found.

        Raises
        ------
        InvalidValue
            No tuple of points has finite cost.
        OutOfMemory
            The costs of all pairs, in float64, would not fit.
        Interrupted
            Ctrl-C; ``.result`` is this result as it was.

        Examples
        --------
        >>> import numpy as np, deblai
        >>> x = np.array([0.0, 1.0, 2.0])
        >>> r = deblai.multimarginal.sinkhorn(x, n_marginals=2, epsilon=0.1).certify()
        >>> round(r.lower, 3), round(r.upper, 3), r.certified
        (0.833, 0.833, True)
        """
        try:
            return replace(self, **self._plans.certified(budget))
        except KeyboardInterrupt:
            raise errors.Interrupted("[multimarginal.certify] interrupted", self) from None

    def pair_marginal(self, p: int = 0, q: int = 1) -> Any:
        """Return the plan's marginal of the pair (p, q), shape (n_p, n_q): the pair density where marginals are equal.

        Computed when asked for, like all that follows, from arguments as they were at the call; on a graph also of
        pairs without a cost.
        """
        return self._plans.pair(p, q)

    def marginal(self, *indices: int) -> Any:
        """Return the plan's marginal of one, two, three, ... particles, one axis each in the order asked for.

        Of k particles it takes 16 n^k bytes; beyond a pair it is computed slice by slice, each a pair's plan of the
        other particles given k - 2 of them. `OutOfMemory` says before if it would not fit.
        """
        return self._plans.marginal(*indices)

    def sample(self, k: int, rng: Any = None) -> Any:
        """Return k independent draws from the plan as indices of points, integers (k, N).

        Exact up to rounding: a pair by its plan, then the others by theirs given that pair, n^(N-2) terms for each
        pair drawn; on a graph one particle after the other along the elimination. What has not converged is drawn from
        as it is, divided by its mass. The same `rng` (a seed, a NumPy generator, or None) draws the same from every
        library.
        """
        return self._plans.sample(k, rng)

    def expectation(
        self, f: Callable[..., Any], *indices: int, samples: int | None = None, rng: Any = None
    ) -> Expectation:
        """Return the mean of f(x_p, x_q, ...) under the plan, and its standard error.

        `f` gets arrays (m, d) of points of the particles `indices` (all by default), (m,) on the line, and returns
        (m,) or (m, ...) values; where costs are matrices it gets (m,) indices. Exact through `marginal` of those
        particles, only tuples that have mass being looked at; with `samples` the mean over as many random tuples.
        """
        found: Expectation = self._plans.expectation(f, indices, samples, rng)
        return found

    def conditional(self, p: int = 0, q: int = 1) -> Any:
        """Return the law of particle q given where p is, one a row, shape (n_p, n_q); NaN where p has no mass."""
        return self._plans.conditional(p, q)

    def conditional_map(self, p: int = 0, q: int = 1) -> Any:
        """Return the mean of x_q given x_p, shape (n_p, d), or (n_p,) on the line; NaN where p has no mass."""
        return self._plans.conditional_map(p, q)

    def mass_at(self, tuples: Any) -> Any:
        """Return the plan's mass at tuples of indices, integers (k, N); a NumPy array (k,)."""
        return self._plans.mass_at(tuples)

    @property
    def entropy(self) -> Any:
        """KL(plan | product of the marginals) = (value - value_linear) / epsilon, up to the marginal error."""
        return (float(self.value) - float(self.value_linear)) / self.epsilon

    def shannon_entropy(self) -> Any:
        """Return -sum plan log plan: the marginals' entropies minus `entropy`."""
        return float(self._plans.shannon_entropy(self.entropy))

    def plan(self) -> Any:
        """Return the whole plan, n_1 x ... x n_N entries: for small problems."""
        return self._plans.whole()

    def __repr__(self) -> str:
        state = f"{'converged' if self.converged else 'NOT converged'} in {self.n_iter}"
        known = f", unregularised in [{self.lower:.8g}, {self.upper:.8g}]" if self.lower > -inf else ""
        return (
            f"MultimarginalResult(value={float(self.value):.8g}, value_linear={float(self.value_linear):.8g}, "
            f"marginal_error={self.marginal_error:.2g}, {state}{known}, backend={self.backend!r})"
        )


@dataclass(frozen=True, repr=False, eq=False)
class MultimarginalBatch(MultimarginalResult):
    """What `deblai.multimarginal.sinkhorn` returns for arrays with a leading axis of problems.

    As `MultimarginalResult`, whose every attribute and answer gets that axis: `value` (B,), `potentials` (B, n) or a
    list of (B, n_p), `pair_marginal` (B, n, n), `sample(k)` (B, k, N). `marginal_error`, `converged`, `n_iter` and
    `entropy` are NumPy arrays (B,), `history` is a list; `epsilon`, `n_marginals` and `backend` are those of all.
    ``len(batch)``, ``batch[k]`` and iteration give the problems' own results.

    Attributes
    ----------
    results : tuple of MultimarginalResult
        One a problem; empty out of a JAX program.
    """

    results: tuple[MultimarginalResult, ...] = ()

    def __len__(self) -> int:
        return int(self.value.shape[0])

    def __getitem__(self, k: int) -> MultimarginalResult:
        return self.results[k]

    def __iter__(self) -> Iterator[MultimarginalResult]:
        return iter(self.results)

    @property
    def entropy(self) -> Any:
        """KL(plan | product of the marginals) of each."""
        return np.array([r.entropy for r in self.results])

    def shannon_entropy(self) -> Any:
        """Return -sum plan log plan of each."""
        return np.array([r.shannon_entropy() for r in self.results])

    def __repr__(self) -> str:
        if not self.results:
            return f"MultimarginalBatch({len(self)} problems, backend={self.backend!r})"
        values = [float(r.value) for r in self.results]
        return (
            f"MultimarginalBatch({len(self)} problems, values {min(values):.6g} to {max(values):.6g}, "
            f"marginal_error <= {np.max(self.marginal_error):.2g}, converged={np.sum(self.converged)}/{len(self)}, "
            f"backend={self.backend!r})"
        )


@dataclass(frozen=True, repr=False, eq=False)
class EpsilonPath:
    """What `deblai.multimarginal.epsilon_path` returns: NumPy arrays with an entry an epsilon, and the fit.

    Attributes
    ----------
    epsilons : array (k,)
        Falling.
    value, value_linear : array (k,)
        The entropic value and <c, plan>, as in `MultimarginalResult`.
    entropy : array (k,)
        KL(plan | product of the marginals) = (value - value_linear) / epsilon.
    spread : array (k,)
        The mean variance of the second particle given the first, in squared units of length: it tends to 0 where the
        first determines the second. NaN where the problem is given by matrices.
    marginal_error, converged, n_iter : array (k,)
        As in `MultimarginalResult`.
    masses : array (k, t)
        Mass at the tuples asked for.
    limit, limit_error : float
        The fitted value at epsilon = 0 (the one given, with error 0), and by how much the last term of the fit moves
        it: an estimate, no bound.
    slope, slope_error : float
        kappa, the coefficient of epsilon log(1 / epsilon), likewise. All four are NaN of fewer than two epsilons.
    slope_bound : float
        (N - 1) d / 2, what kappa is at most for points that fill R^d; NaN where the problem is given by matrices.
    dimension : float
        N d - 2 slope, that of the limit plan's support where that is smooth and the cost
        grows as a square beside it: d for maps, more where plans that are no maps are selected.
    results : tuple of MultimarginalResult
        One an epsilon, to read the plans.
    """

    epsilons: Any
    value: Any
    value_linear: Any
    entropy: Any
    spread: Any
    marginal_error: Any
    converged: Any
    n_iter: Any
    masses: Any
    limit: float
    limit_error: float
    slope: float
    slope_error: float
    slope_bound: float
    results: tuple[MultimarginalResult, ...]

    @property
    def dimension(self) -> float:
        """N d - 2 slope: see above."""
        count = self.results[0].n_marginals
        return 2 * (self.slope_bound * count / (count - 1) - self.slope)

    def __repr__(self) -> str:
        return (
            f"EpsilonPath({len(self.epsilons)} epsilons {self.epsilons[0]:.3g} -> {self.epsilons[-1]:.3g}, "
            f"limit={with_error(self.limit, self.limit_error)}, slope={with_error(self.slope, self.slope_error)}, "
            f"converged={int(self.converged.sum())}/{len(self.epsilons)})"
        )
