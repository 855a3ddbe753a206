"""The ladder of epsilons: rates and limits against closed forms, selection, warm starts, what ends it."""

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import epsilon_path, sinkhorn
from deblai.multimarginal._entropic.ladder import fit


def midpoints(n):
    return (np.arange(n) + 0.5) / n


GRID = np.linspace(-5.5, 5.5, 121)
NORMAL = np.exp(-GRID * GRID / 2)


@pytest.mark.parametrize(("N", "gamma", "slope"), [(2, 1, 0.5), (3, 1, 1.0), (2, -1, 0.5), (3, -1, 0.5)])
def test_rates_of_gaussians(N, gamma, slope):
    """T25: gamma sum (x_i - x_j)^2 of N(0, 1)^N has the slope 1/2 if repulsive, (N - 1) / 2 if attractive.

    The limits are -N^2 and 0; slopes attain the bound (N - 1) d / 2 of Nenna and Pegon where attractive. Errors of the
    fit are within those that it states.
    """
    cost = deblai.costs.Harmonic(gamma)
    path = epsilon_path(GRID, NORMAL, n_marginals=N, cost=cost, epsilons=np.geomspace(0.5, 0.05, 6))
    assert path.converged.all()
    assert path.slope == pytest.approx(slope, abs=5e-4)
    assert abs(path.slope - slope) < path.slope_error
    limit = 0 if gamma > 0 else -N * N
    assert path.limit == pytest.approx(limit, abs=5e-5)
    assert abs(path.limit - limit) < path.limit_error
    assert path.slope_bound == (N - 1) / 2
    assert path.dimension == pytest.approx(N - 2 * slope, abs=1e-3)  # of {x_1 = ... = x_N}, of {x_1 + ... + x_N = 0}
    if N > 2 and gamma < 0:
        assert path.spread[-1] > 0.5  # no map: three numbers of sum zero
    else:
        assert path.spread[-1] < 0.1
    assert (np.diff(path.spread) < 0).all()


@pytest.mark.parametrize(("N", "n", "truth"), [(2, 100, -1 / 3), (3, 45, -3 / 4)])
def test_limits_of_the_repulsive_harmonic_cost(N, n, truth):
    """T19: -sum |x_i - x_j|^2 of U[0, 1] tends to -N^2 Var, as a constant sum of the x_i is feasible.

    Midpoints have the variance (1 - 1/n^2) / 12, and a constant sum for N = 3 if n is odd.
    """
    path = epsilon_path(midpoints(n), n_marginals=N, cost="repulsive-harmonic", epsilons=np.geomspace(0.1, 0.003, 6))
    exact = -N * N * (1 - 1 / n**2) / 12
    assert exact == pytest.approx(truth, rel=1e-3)
    assert path.limit == pytest.approx(exact, abs=1e-4)
    assert abs(path.limit - exact) < 2 * path.limit_error


@pytest.mark.parametrize(("N", "n", "truth"), [(2, 150, 2.0), (3, 75, 7.5)])
def test_limits_of_electrons(N, n, truth):
    """T1: N electrons of U[0, 1] cost N (N H_{N-1} - N + 1); epsilon stays above 1/50, the limit is right to 2e-4."""
    path = epsilon_path(midpoints(n), n_marginals=N, epsilons=np.geomspace(0.2, 0.02, 6))
    assert path.limit == pytest.approx(truth, rel=2e-4)
    assert (np.diff(path.value_linear) < 0).all()
    assert path.value_linear[-1] > truth
    known = epsilon_path(midpoints(n), n_marginals=N, epsilons=path.epsilons, limit=truth)
    assert (known.limit, known.limit_error) == (truth, 0)
    assert known.slope == pytest.approx((N - 1) / 2, rel=0.1)  # a map: each of the others adds half a dimension


def test_selection():
    """T23: of uniform {-2..2}, N = 3, repulsive harmonic, entropy selects the plan of most entropy: {-2, 1, 1} gets
    0.211383146316, which solves 24 (d - 0.2) d^2 = (0.6 - 2 d)^2 (0.6 - d). To 1e-7 at epsilon = 0.05."""
    ladder = [1.0, 0.05, 0.5, 0.2, 0.1]
    asked = [[0, 3, 3], [3, 0, 3], [2, 2, 2]]
    ask = {"n_marginals": 3, "cost": "repulsive-harmonic", "epsilons": ladder, "tuples": asked, "tol": 1e-10}
    path = epsilon_path(np.arange(-2.0, 3.0), **ask)
    assert list(path.epsilons) == sorted(ladder, reverse=True)
    assert path.masses.shape == (5, 3)
    assert path.masses[-1, 0] == pytest.approx(0.211383146316, abs=1e-7)
    assert (path.masses[:, 0] == path.masses[:, 1]).all()
    assert path.masses[-1, 2] == pytest.approx(path.results[-1].plan()[2, 2, 2], abs=1e-15)


def test_separated_supports():
    """T24: |x - y| on the line with one support left of the other gives the product at every epsilon: entropy 0."""
    rng = np.random.default_rng(1)
    x, y, a, b = rng.random(9), 2 + rng.random(7), rng.random(9), rng.random(7)
    path = epsilon_path([x, y], [a, b], cost="euclidean", epsilons=[1, 0.3, 0.1, 0.03], tol=1e-12, tuples=[[4, 2]])
    cost = b @ y / b.sum() - a @ x / a.sum()
    assert np.abs(path.value - cost).max() < 1e-10
    assert np.abs(path.entropy).max() < 1e-8
    assert np.allclose(path.masses, a[4] * b[2] / a.sum() / b.sum(), rtol=1e-9)
    assert path.limit == pytest.approx(cost, abs=1e-9)
    assert path.slope == pytest.approx(0, abs=1e-8)


def test_a_graph():
    """A chain of Gaussians under (x - y)^2: N - 1 pairs of dimension 1 each; the limit is 0, the slope (N - 1) / 2."""
    ask = {"n_marginals": 4, "cost": "sqeuclidean", "graph": "chain", "epsilons": np.geomspace(0.5, 0.05, 5)}
    path = epsilon_path(GRID, NORMAL, **ask)
    assert path.limit == pytest.approx(0, abs=1e-4)
    assert path.slope == pytest.approx(1.5, abs=1e-3)
    assert path.dimension == pytest.approx(1, abs=2e-3)


def test_each_rung_is_the_problem_at_that_epsilon():
    """Values of separate solutions by sweeps alone, in fewer steps; the fit recovers an exact expansion."""
    x, ladder = midpoints(60), [0.2, 0.1, 0.05, 0.025]
    path = epsilon_path(x, n_marginals=3, epsilons=ladder, tol=1e-8)
    plain = {"n_marginals": 3, "tol": 1e-8, "method": "sinkhorn", "annealing": False}
    cold = [sinkhorn(x, epsilon=e, **plain) for e in ladder]
    assert np.allclose(path.value, [r.value for r in cold], atol=1e-9)
    assert np.allclose(path.value_linear, [r.value_linear for r in cold], atol=1e-6)
    assert np.allclose(path.entropy, [r.entropy for r in path.results], atol=1e-12)
    assert 2 * path.n_iter[1:].sum() < sum(r.n_iter for r in cold[1:])
    assert repr(path).startswith("EpsilonPath(4 epsilons 0.2 -> 0.025, limit=7.4")
    e = np.array(ladder)
    value = 3 + 0.7 * e * np.log(1 / e) - 2 * e + 0.3 * e**2
    linear = 3 + 0.7 * e - 0.3 * e**2
    found = fit(e, value, linear, None)
    assert found[0] == pytest.approx(3, abs=1e-12)
    assert found[2] == pytest.approx(0.7, abs=1e-11)
    assert np.isnan(fit(e[:1], value[:1], linear[:1], None)).all()


def test_matrices_and_libraries(library):
    """Matrices in, nan where points are needed; the same path from every library, tensors with a graph among them."""
    x = np.array([0.0, 0.4, 1.1, 2.0])
    matrix = np.abs(x[:, None] - x)
    expected = epsilon_path(cost=matrix, n_marginals=3, epsilons=[0.5, 0.25])
    given = library.array(matrix)
    if library.name == "torch":
        given.requires_grad_(True)
    path = epsilon_path(cost=given, n_marginals=3, epsilons=[0.5, 0.25])
    assert np.isnan(path.spread).all()
    assert np.isnan(path.slope_bound)
    assert np.array_equal(path.value, expected.value)
    assert (path.limit, path.slope) == (expected.limit, expected.slope)


def test_what_has_not_converged_is_left_out():
    """A warning with the epsilons; the others make the fit."""
    ask = {"n_marginals": 3, "epsilons": [0.2, 0.1, 1e-3], "max_iter": 60}
    with pytest.warns(
        deblai.ConvergenceWarning, match=r"\[multimarginal.epsilon_path\] not converged at epsilon = 0.001"
    ):
        path = epsilon_path(midpoints(60), **ask)
    assert list(path.converged) == [True, True, False]
    assert path.limit == epsilon_path(midpoints(60), **ask | {"epsilons": [0.2, 0.1]}).limit


def test_a_callback_sees_and_stops():
    """Rungs in order; True ends the ladder with what there is."""
    seen = []

    def watch(state):
        seen.append(state)
        return state.rung == 1

    ask = {"n_marginals": 3, "epsilons": [0.2, 1e-3, 5e-4], "tol": 1e-9, "callback": watch}
    path = epsilon_path(midpoints(240), **ask)
    assert list(path.epsilons) == [0.2, 1e-3]
    assert list(path.converged) == [True, False]
    assert [s.rung for s in seen] == sorted(s.rung for s in seen)
    assert (seen[-1].rung, seen[-1].epsilon) == (1, 1e-3)
    assert seen[-1].potentials.shape == (240,)


def test_an_interrupt_keeps_the_epsilons_that_were_done():
    """The result of deblai.Interrupted."""

    def stop(state):
        if state.rung == 1:
            raise KeyboardInterrupt

    ask = {"n_marginals": 3, "epsilons": [0.1, 1e-3], "tol": 1e-9, "callback": stop}
    with pytest.raises(deblai.Interrupted, match="interrupted after 1 epsilons") as caught:
        epsilon_path(midpoints(240), **ask)
    assert list(caught.value.result.epsilons) == [0.1]
    assert caught.value.result.converged.all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"epsilons": []}, r"epsilons: expected different positive numbers, got \[\]"),
        ({"epsilons": [0.1, 0.1]}, "epsilons: expected different positive numbers"),
        ({"epsilons": [0.1, 0]}, "epsilons: expected different positive numbers"),
        ({"epsilons": 0.1}, "epsilons: expected positive numbers, got 0.1"),
        ({"epsilons": ["small"]}, "epsilons: expected a number, got 'small'"),
        ({"epsilons": [1], "limit": np.nan}, "limit: expected a finite number"),
        ({"epsilons": [1], "weights": np.ones((2, 5))}, "points: expected one problem, got a batch"),
        ({"epsilons": [1], "tuples": [[0, 1]]}, r"tuples: expected integers \(k, 3\)"),
        ({"epsilons": [1], "tuples": [[0, 1, 7]]}, "tuples: expected indices of points, got some out of range"),
    ],
)
def test_bad_input(more, message):
    """Designed errors."""
    with pytest.raises(errors.DeblaiError, match=r"\[multimarginal.epsilon_path\] " + message):
        epsilon_path(midpoints(5), n_marginals=3, **more)


def test_tracers_of_jax_are_refused():
    """A path needs numbers."""
    jax = pytest.importorskip("jax")
    with pytest.raises(errors.InvalidType, match="expected concrete arrays"):
        jax.jit(lambda x: epsilon_path(x, n_marginals=2, epsilons=[1.0]).value)(jax.numpy.linspace(0, 1, 5))
