"""Results: frozen, with a one-line repr; arrays in the caller's library, dtype and device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["FlowResult", "MultimarginalResult", "SlicedResult"]


def _with_error(value: Any, stderr: Any) -> str:
    return f"{float(value):.6g} ± {float(stderr):.2g}"


@dataclass(frozen=True, repr=False)
class SlicedResult:
    """What `deblai.sliced.wasserstein` returns.

    Attributes
    ----------
    value : scalar
        SW_p, the p-th root of `value_p`. A 0-d tensor that carries the graph for PyTorch.
    value_p : scalar
        SW_p^p: the mean of W_p^p over the directions.
    stderr, stderr_p : scalar
        Standard errors of `value` and `value_p` from the spread over directions, as for independent directions;
        NaN for a single random one, 0 in one dimension, where the distance is exact. The finite number of
        samples in `x` and `y` is not in them.
    p : float
        The exponent.
    n_projections : int
        The number of directions behind the numbers.
    per_direction : array (n_projections,)
        W_p^p along each direction.
    directions : array (n_projections, d)
        The directions.
    grad : dict
        Gradients of `value_p` in the arguments that were asked for, by name.
    backend : str
        Which code ran: "cpu/avx512", "cuda", "reference".
    """

    value: Any
    value_p: Any
    stderr: Any
    stderr_p: Any
    p: float
    n_projections: int
    per_direction: Any
    directions: Any
    grad: dict[str, Any] = field(default_factory=dict)
    backend: str = ""

    def __repr__(self) -> str:
        return (
            f"SlicedResult(value={_with_error(self.value, self.stderr)}, p={self.p:g}, "
            f"n_projections={self.n_projections}, backend={self.backend!r})"
        )


@dataclass(frozen=True, repr=False)
class FlowResult:
    """What `deblai.sliced.gradient_flow` returns.

    Attributes
    ----------
    x : array (n, d)
        The particles after the last step.
    history : list of float
        SW_2^2 between particles and target before each step, estimated with that step's directions.
    n_iter : int
        Steps taken.
    stopped : bool
        Whether the callback asked to stop.
    backend : str
        Which code ran.
    """

    x: Any
    history: list[float]
    n_iter: int
    stopped: bool
    backend: str

    def __repr__(self) -> str:
        first, last = (self.history[0], self.history[-1]) if self.history else (float("nan"),) * 2
        return f"FlowResult(n_iter={self.n_iter}, SW2^2 {first:.4g} -> {last:.4g}, backend={self.backend!r})"


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
        Whether `marginal_error` is at most `tol`.
    n_iter : int
        Sweeps over all potentials.
    history : array (n_iter, 2)
        Marginal error met in each sweep, and dual value (NaN from the reference backend).
    epsilon : float
        The entropic weight.
    n_marginals : int
        The number of marginals.
    grad : dict
        Gradients of `value` in the arguments that were asked for: "points", "weights", "cost".
    backend : str
        Which code ran.
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
    _plans: Any = None

    def pair_marginal(self, p: int = 0, q: int = 1) -> Any:
        """Return the plan's marginal of the pair (p, q), shape (n_p, n_q): the pair density where marginals are equal.

        Computed when asked for, from arguments as they were at the call.
        """
        return self._plans.pair(p, q)

    def plan(self) -> Any:
        """Return the whole plan, n_1 x ... x n_N entries: for small problems."""
        return self._plans.whole()

    def __repr__(self) -> str:
        state = f"{'converged' if self.converged else 'NOT converged'} in {self.n_iter}"
        return (
            f"MultimarginalResult(value={float(self.value):.8g}, value_linear={float(self.value_linear):.8g}, "
            f"marginal_error={self.marginal_error:.2g}, {state}, backend={self.backend!r})"
        )
