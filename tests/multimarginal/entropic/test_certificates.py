"""Certified intervals: the exact linear program and much tighter solutions are inside, whatever the potentials."""

from itertools import combinations

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn
from deblai.multimarginal._graph import edges_of
from deblai.reference.multimarginal import pair_cost, tensor
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog


def midpoints(n):
    return (np.arange(n) + 0.5) / n


def exact(cost, weights):
    """The optimum of the linear program over the whole tensor."""
    live = np.isfinite(cost)
    rows = []
    for p, w in enumerate(weights):
        for i in range(len(w)):
            row = np.zeros(cost.shape)
            np.moveaxis(row, p, 0)[i] = 1.0
            rows.append(row[live])
    found = linprog(cost[live], A_eq=np.array(rows), b_eq=np.concatenate(weights), method="highs-ds")
    assert found.status == 0
    return found.fun


def marginals_of_some_plan(rng, cost, equal):
    """Weights that a plan of finite cost has: random masses on random tuples."""
    chosen = np.argwhere(np.isfinite(cost))
    chosen = chosen[rng.integers(len(chosen), size=12)]
    mass = rng.random(12) + 0.05
    weights = [np.bincount(chosen[:, p], mass, n) / mass.sum() for p, n in enumerate(cost.shape)]
    return [sum(weights) / len(weights)] * len(weights) if equal else weights


def small_problem(rng):
    """Arguments of sinkhorn, the tensor of costs, one weight a marginal, and whether all costs are finite."""
    N, equal, by_points, infinite = int(rng.integers(2, 5)), *(rng.random(3) < 0.5)
    sizes = [int(rng.integers(N, 6))] * N if equal else list(rng.integers(2, 6, N))
    if by_points:
        name = "coulomb" if infinite else ("sqeuclidean", "repulsive-harmonic")[rng.integers(2)]
        kind = deblai.costs.named("test", name)
        points = [rng.standard_normal((n, 2)) for n in sizes]
        points = [points[0]] * N if equal else points
        pairs = {(p, q): pair_cost(points[p], points[q], kind.kind, 1.0, kind.strength) for p, q in pairs_of(N)}
        arguments = {"points": points[0] if equal else points, "cost": name}
    else:
        pairs = {}
        for p, q in pairs_of(N):
            c = rng.standard_normal((sizes[p], sizes[q]))
            if equal:
                c = c + c.T
                c[np.diag_indices(len(c))] = np.inf if infinite else 0.0
            elif infinite:
                c[rng.random(c.shape) < 0.15] = np.inf
            pairs[p, q] = pairs[0, 1] if equal and q > 1 else c
        arguments = {"cost": pairs[0, 1] if equal else pairs}
    if equal:
        pairs = dict.fromkeys(pairs, pairs[0, 1])
        arguments["n_marginals"] = N
    cost = tensor(pairs, N)
    weights = marginals_of_some_plan(rng, cost, equal)
    arguments["weights"] = weights[0] if equal else weights
    return arguments, cost, weights, bool(np.isfinite(cost).all())


def pairs_of(N):
    return list(combinations(range(N), 2))


@pytest.mark.filterwarnings("ignore::deblai.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(24))
def test_the_linear_program_is_inside(seed):
    """240 problems: N <= 4, equal or not, points or matrices, with and without infinite entries, well solved or not."""
    rng = np.random.default_rng(seed)
    for _ in range(10):
        arguments, cost, weights, _ = small_problem(rng)
        truth = exact(cost, weights)
        epsilon, max_iter = 10.0 ** rng.uniform(-2, 0), int(rng.choice([0, 3, 10_000]))
        r = sinkhorn(**arguments, epsilon=epsilon, max_iter=min(max_iter, 500), certify=True)
        assert r.lower <= truth + 1e-11 * max(1, abs(truth))  # what the program's own tolerance leaves
        assert r.upper >= truth - 1e-11 * max(1, abs(truth))
        assert r.value_lower <= r.value_upper
        assert r.lower <= r.value_lower
        assert r.upper <= r.value_upper < np.inf
        assert r.certified


GRAPHS = {
    3: ["chain", "star", [(0, 2)]],
    4: ["chain", "ring", "star", [(0, 1), (2, 3)], [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)], [(0, 3), (1, 3), (0, 1)]],
}


def graph_problem(rng):
    """Arguments of sinkhorn on a graph without some of the pairs, the tensor of costs, weights, all finite or not."""
    N = int(rng.integers(3, 5))
    graph = GRAPHS[N][rng.integers(len(GRAPHS[N]))]
    edges = edges_of("test", graph, N)
    sizes, infinite = list(rng.integers(2, 6, N)), rng.random() < 0.5
    if rng.random() < 0.5:
        points, name = [rng.standard_normal((n, 2)) for n in sizes], "coulomb"
        if rng.random() < 0.5:
            points[1][0] = points[0][0]  # two marginals share a point
        pairs = {(p, q): pair_cost(points[p], points[q], "riesz", 1.0, 1.0) for p, q in edges}
        arguments = {"points": points, "cost": name, "graph": graph}
    else:
        pairs = {(p, q): rng.standard_normal((sizes[p], sizes[q])) for p, q in edges}
        for c in pairs.values():
            c[rng.random(c.shape) < 0.15 * infinite] = np.inf
        arguments = {"cost": pairs}
    absent = {pair: np.zeros((sizes[pair[0]], sizes[pair[1]])) for pair in pairs_of(N) if pair not in pairs}
    cost = tensor(pairs | absent, N)
    if not np.isfinite(cost).any():
        return graph_problem(rng)
    weights = marginals_of_some_plan(rng, cost, False)
    return arguments | {"weights": weights}, cost, weights, bool(np.isfinite(cost).all())


@pytest.mark.filterwarnings("ignore::deblai.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(20))
def test_the_linear_program_is_inside_on_graphs(seed):
    """200 problems on chains, rings, stars, two triangles, pieces: their least reduced cost comes from messages."""
    rng = np.random.default_rng(1000 + seed)
    for _ in range(10):
        arguments, cost, weights, _ = graph_problem(rng)
        truth = exact(cost, weights)
        epsilon, max_iter = 10.0 ** rng.uniform(-2, 0), int(rng.choice([0, 3, 500]))
        r = sinkhorn(**arguments, epsilon=epsilon, max_iter=max_iter, certify=True)
        assert r.lower <= truth + 1e-11 * max(1, abs(truth))
        assert r.upper >= truth - 1e-11 * max(1, abs(truth))
        assert r.lower <= r.value_lower <= r.value_upper
        assert r.upper <= r.value_upper < np.inf
        assert r.certified


@pytest.mark.parametrize("seed", range(8))
def test_the_entropic_optimum_is_inside(seed):
    """Potentials of a few sweeps bound the value of far better ones, as the reference evaluates it."""
    rng = np.random.default_rng(100 + seed)
    for _ in range(3):
        arguments, *_ = small_problem(rng)
        rough = sinkhorn(**arguments, epsilon=0.5, tol=0.1, method="sinkhorn", annealing=False).certify()
        fine = sinkhorn(**arguments, epsilon=0.5, tol=1e-8)
        assert fine.converged
        with deblai.use_backend("reference"):
            fine = sinkhorn(**arguments, epsilon=0.5, init=fine.potentials, max_iter=0)
        assert rough.value_lower <= float(fine.value) + 1e-12  # fine.value is below the optimum, by less than its error
        assert rough.value_upper >= float(fine.value)


def test_three_electrons_at_small_epsilon():
    """U[0, 1], 240 midpoints, epsilon = 1e-3: marginal error 1e-8; the exact value 7.5 is inside, width below 1 %.

    The gap of the entropic value is of second order in the marginal error.
    """
    r = sinkhorn(midpoints(240), n_marginals=3, epsilon=1e-3, tol=1e-8, certify=True)
    assert r.converged
    assert r.marginal_error <= 1e-8
    assert r.certified
    assert r.lower <= 7.5 <= r.upper
    assert r.upper - r.lower < 0.01 * 7.5
    assert r.upper == pytest.approx(7.5, rel=1e-8)  # of the quantile coupling, which is optimal on the line
    assert r.value_upper - r.value_lower < 2e-8


def test_smallest_epsilon():
    """epsilon = 1e-6: finite numbers; too few steps say that they were; the interval is right all the same."""
    x = midpoints(90)
    with pytest.warns(deblai.ConvergenceWarning):
        r = sinkhorn(x, n_marginals=3, epsilon=1e-6, tol=1e-8, max_iter=40, certify=True)
    assert not r.converged
    assert r.marginal_error > 1e-8
    assert np.isfinite(r.potentials).all()
    assert np.isfinite([float(r.value), float(r.value_linear), r.marginal_error, r.lower, r.upper, r.value_upper]).all()
    assert r.lower <= 7.5 <= r.upper
    with pytest.warns(deblai.ConvergenceWarning):
        apart = sinkhorn([x, x, x], epsilon=1e-6, tol=1e-8, max_iter=2, method="sinkhorn", annealing=False)
    assert not apart.converged
    assert np.isfinite(float(apart.value))


def test_three_points_and_an_infinite_diagonal():
    """Two electrons on three midpoints: 5/2 exactly, and the entropic value is 5/2 + epsilon log(3/2)."""
    for epsilon in (10.0, 0.1, 1e-3):
        r = sinkhorn(midpoints(3), n_marginals=2, epsilon=epsilon, certify=True)
        assert r.certified
        assert r.lower <= 2.5 <= r.upper
        assert r.upper - r.lower < 1e-5
        assert r.value_lower <= 2.5 + epsilon * np.log(1.5) <= r.value_upper


def test_seven_points():
    """Three electrons on seven midpoints: the linear program's optimum is 473/60."""
    r = sinkhorn(midpoints(7), n_marginals=3, epsilon=1e-3, certify=True)
    assert r.lower <= 473 / 60 <= r.upper
    assert r.upper - r.lower < 0.01
    assert "unregularised in [7.8" in repr(r)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_intervals_are_of_the_inputs_in_float64(dtype):
    """Float32 arguments are certified in float64: as narrow as the potentials are good, with the truth inside."""
    x = midpoints(60).astype(dtype)
    r = sinkhorn(x, n_marginals=3, epsilon=0.05, certify=True)
    fine = sinkhorn(x.astype("float64"), n_marginals=3, epsilon=0.05, tol=1e-12, certify=True)
    assert r.value_lower <= fine.value_upper
    assert r.value_upper >= fine.value_lower
    assert r.value_upper - r.value_lower < 1e-5
    assert fine.value_upper - fine.value_lower < 1e-9


@pytest.mark.parametrize("N", [2, 3])
def test_stopping_on_the_gap(N):
    """`gap` stops on the certified width, sooner than a small tol; a callback sees it; both together hold both."""
    rng = np.random.default_rng(N)
    points, seen = [rng.standard_normal((30 + p, 2)) for p in range(N)], []
    solve = {"epsilon": 0.02, "callback": lambda s: seen.append(s.gap) and None}
    r = sinkhorn(points, gap=1e-3, **solve)
    assert r.converged
    assert r.value_upper - r.value_lower <= 1e-3
    again = r.certify()
    assert again.value_upper - again.value_lower <= 1e-3
    assert r.marginal_error > 1e-9
    both = sinkhorn(points, gap=1e-3, tol=1e-9, **solve)
    assert both.converged
    assert both.marginal_error <= 1e-9
    with pytest.warns(deblai.ConvergenceWarning, match=r"does not meet gap 1e-07"):
        short = sinkhorn(points, gap=1e-7, max_iter=4, **solve)
    assert not short.converged


def test_a_search_cut_short():
    """Where the budget ends the bounds still hold, and `certified` says that they are not the best."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((9, 2))
    r = sinkhorn(x, n_marginals=5, epsilon=0.1)
    whole, cut = r.certify(), r.certify(budget=1)
    assert whole.certified
    assert not cut.certified
    assert -np.inf < cut.lower <= whole.lower
    assert cut.upper == whole.upper
    pairs = sinkhorn(x, n_marginals=2, epsilon=0.1, certify=True)
    assert cut.lower >= 10 * pairs.lower - 0.1  # OT_5 >= 10 OT_2 for equal marginals


def test_no_plan_of_finite_cost():
    """An atom heavier than 1 / N, and costs that are infinite everywhere."""
    with pytest.raises(errors.InvalidValue, match=r"expected at most 1/3 of the mass at a point"):
        sinkhorn(midpoints(4), [5.0, 1.0, 1.0, 1.0], n_marginals=3, epsilon=0.1, certify=True)
    nowhere = np.full((2, 2), np.inf)
    r = sinkhorn(cost={(0, 1): nowhere}, epsilon=0.1, max_iter=0)
    with pytest.raises(errors.InvalidValue, match=r"cost: expected a tuple of points of finite cost, got none"):
        r.certify()


def test_atoms_of_just_one_nth():
    """Infinite diagonal and atoms of exactly 1 / N: a plan exists, and the upper bound finds it."""
    x = np.array([0.0, 1.0, 1.5, 3.0])
    a = np.array([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    cost = tensor(dict.fromkeys(pairs_of(3), pair_cost(x[:, None], x[:, None], "riesz")), 3)
    r = sinkhorn(x, a, n_marginals=3, epsilon=0.05, tol=1e-3, certify=True)
    assert r.lower <= exact(cost, [a] * 3) <= r.upper < np.inf


def test_libraries_and_modes(library):
    """The same intervals from every library, and from equal marginals given once or three times."""
    x = midpoints(12)
    one = sinkhorn(library.array(x), n_marginals=3, epsilon=0.1, tol=1e-9, certify=True)
    many = sinkhorn([library.array(x)] * 3, epsilon=0.1, tol=1e-9, certify=True)
    expected = sinkhorn(x, n_marginals=3, epsilon=0.1, tol=1e-9, certify=True)
    for name in ("lower", "upper", "value_lower", "value_upper"):
        assert isinstance(getattr(one, name), float)
        assert getattr(one, name) == getattr(expected, name)
        assert getattr(many, name) == pytest.approx(getattr(one, name), abs=1e-6)


def test_ctrl_c_while_certifying(monkeypatch):
    """The result as it was, without intervals, is in the error."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("deblai.multimarginal._runners.Compiled.minimum", stop)
    with pytest.raises(deblai.Interrupted) as caught:
        sinkhorn(midpoints(8), n_marginals=3, epsilon=0.1, certify=True)
    assert caught.value.result.converged
    assert caught.value.result.lower == -np.inf


def test_bad_arguments():
    """Named by function and argument."""
    r = sinkhorn(midpoints(4), n_marginals=2, epsilon=1.0)
    with pytest.raises(errors.InvalidType, match=r"\[multimarginal.certify\] budget: expected a positive integer"):
        r.certify(budget=1.5)
    with pytest.raises(errors.InvalidType, match=r"\[multimarginal.sinkhorn\] budget: expected a positive integer"):
        sinkhorn(midpoints(4), n_marginals=2, epsilon=1.0, budget="much")
    with pytest.raises(
        errors.InvalidType, match=r"\[multimarginal.sinkhorn\] certify: expected True or False, got 'yes'"
    ):
        sinkhorn(midpoints(4), n_marginals=2, epsilon=1.0, certify="yes")


@given(st.integers(2, 4), st.integers(0, 10_000), st.floats(0.5, 4), st.floats(-3, 3))
def test_invariances(N, seed, scale, shift):
    """Permuted marginals, translated points; scaled costs with scaled epsilon scale everything (Coulomb: points)."""
    rng = np.random.default_rng(seed)
    points = [rng.standard_normal((int(n), 2)) for n in rng.integers(2, 6, N)]
    weights = [rng.random(len(x)) + 0.2 for x in points]
    solve = {"tol": 1e-10, "certify": True}
    r = sinkhorn(points, weights, epsilon=0.3, **solve)
    order = rng.permutation(N)
    for other, factor in (
        (sinkhorn([points[p] for p in order], [weights[p] for p in order], epsilon=0.3, **solve), 1.0),
        (sinkhorn([x + shift for x in points], weights, epsilon=0.3, **solve), 1.0),
        (sinkhorn([x * scale for x in points], weights, epsilon=0.3 / scale, **solve), 1 / scale),
    ):
        size = abs(float(r.value)) + 1
        assert other.converged == r.converged
        assert float(other.value) == pytest.approx(float(r.value) * factor, abs=1e-8 * size)
        assert other.lower == pytest.approx(r.lower * factor, abs=1e-6 * size)
        assert other.value_upper == pytest.approx(r.value_upper * factor, abs=1e-6 * size)
        assert other.certified == r.certified
