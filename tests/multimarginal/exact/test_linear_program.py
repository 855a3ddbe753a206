"""The exact linear program: known values, SciPy on the dense tensor, graphs, infinite costs, errors."""

from itertools import combinations, product

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue, MissingExtra, OutOfMemory
from deblai.multimarginal import linear_program
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("highspy", reason="the extra 'exact' is not installed")
linprog = pytest.importorskip("scipy.optimize").linprog


def midpoints(n):
    return (np.arange(n) + 0.5) / n


def dense(costs, weights):
    """The optimum by SciPy on the whole tensor, None where there is no plan."""
    tuples = np.array(list(product(*(range(len(w)) for w in weights))))
    total = sum((C[tuples[:, p], tuples[:, q]] for (p, q), C in costs.items()), np.zeros(len(tuples)))
    tuples, total = tuples[np.isfinite(total)], total[np.isfinite(total)]
    if not len(tuples):
        return None
    rows = np.concatenate([tuples[:, p] + sum(map(len, weights[:p])) for p in range(len(weights))])
    A = np.zeros((sum(map(len, weights)), len(tuples)))
    A[rows, np.tile(np.arange(len(tuples)), len(weights))] = 1
    found = linprog(total, A_eq=A, b_eq=np.concatenate(weights), method="highs")
    return found.fun if found.status == 0 else None


@pytest.mark.parametrize(("N", "n", "truth"), [(2, 12, -1 / 3), (3, 9, -3 / 4)])
def test_repulsive_harmonic_of_the_uniform_density(N, n, truth):
    """T19: -N^2 Var where a constant sum is feasible; n midpoints of U[0, 1] have the variance (1 - n^-2) / 12."""
    r = linear_program(midpoints(n), n_marginals=N, cost="repulsive-harmonic")
    assert float(r.value) == pytest.approx(truth * (1 - n**-2), rel=1e-12)
    assert r.certified


def test_small_truths():
    """T15: three electrons on seven midpoints, 473/60. T16: two on three, infinite diagonal, 5/2, P_ij = 1/6."""
    r = linear_program(midpoints(7), n_marginals=3)
    assert float(r.value) == pytest.approx(473 / 60, rel=1e-13)
    assert r.certified
    assert r.lower <= 473 / 60 <= r.upper
    assert r.upper - r.lower < 1e-10
    r = linear_program(midpoints(3), n_marginals=2)
    assert float(r.value) == pytest.approx(2.5, rel=1e-13)
    assert np.allclose(r.pair_marginal(), (1 - np.eye(3)) / 6, atol=1e-13)


@pytest.mark.parametrize(("N", "truth"), [(2, 2.564774018), (3, 9.265818059)])
def test_published_density(N, truth):
    """T18: .2 + sin^2(pi i / 21) on linspace(0, 1, 20), (.01 + r^2)^(-1/2)."""
    x, i = np.linspace(0, 1, 20), np.arange(1, 21)
    C = (0.01 + (x[:, None] - x) ** 2) ** -0.5
    r = linear_program(cost=C, weights=0.2 + np.sin(np.pi * i / 21) ** 2, n_marginals=N)
    assert float(r.value) == pytest.approx(truth, abs=1e-9)


def test_repulsive_harmonic_on_five_points():
    """T19: -sum (x_i - x_j)^2 is -N^2 Var where x + y + z = 0 is feasible: uniform on {-2..2}, N = 3: -18."""
    r = linear_program(np.arange(-2.0, 3.0), n_marginals=3, cost="repulsive-harmonic")
    assert float(r.value) == pytest.approx(-18, abs=1e-11)


@st.composite
def problems(draw):
    """Matrices on a graph, some entries infinite, sizes of their own."""
    N = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [draw(st.integers(1, 5)) for _ in range(N)]
    pairs = list(combinations(range(N), 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1)) if draw(st.booleans()) else pairs
    costs = {(p, q): rng.standard_normal((sizes[p], sizes[q])) for p, q in edges}
    if draw(st.booleans()):
        for C in costs.values():
            C[rng.random(C.shape) < 0.25] = np.inf
    weights = [rng.integers(0, 4, n) + (rng.random(n) if draw(st.booleans()) else 0.0) for n in sizes]
    weights = [(w if w.sum() > 0 else np.ones(len(w))) for w in weights]
    return edges, costs, [w / w.sum() for w in weights]


@settings(max_examples=150)
@given(problems())
def test_random_graphs(problem):
    """SciPy's optimum of the dense tensor lies in [lower, upper], both within 1e-9; no plan: an error that says so."""
    edges, costs, weights = problem
    N = len(weights)
    truth = dense(costs, weights)

    def solve():
        return linear_program(cost=costs, weights=weights, graph=edges, n_marginals=N)

    if truth is None:
        with pytest.raises(InvalidValue, match=r"no plan of finite|no tuple of finite cost|finite cost, got none"):
            solve()
        return
    r = solve()
    assert r.lower - 1e-11 <= truth <= r.upper + 1e-11
    assert r.upper - r.lower < 1e-9
    assert r.certified
    plan = r.plan()
    for p in range(N):
        assert np.abs(plan.sum(tuple(k for k in range(N) if k != p)) - weights[p]).max() < 1e-10
        for q in range(p):
            others = tuple(k for k in range(N) if k not in (p, q))
            assert np.allclose(plan.sum(others), r.pair_marginal(q, p), atol=1e-13)
    total = sum(w @ f for w, f in zip(weights, r.potentials, strict=True))
    assert total == pytest.approx(r.lower, abs=1e-12)
    whole = np.zeros(plan.shape)
    for (p, q), C in costs.items():
        whole = whole + np.expand_dims(C, tuple(k for k in range(N) if k not in (p, q)))
    for p, f in enumerate(r.potentials):
        whole = whole - np.expand_dims(f, tuple(k for k in range(N) if k != p))
    assert whole.min() > -1e-12


@given(st.integers(2, 4), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_equal_marginals_once_or_one_by_one(N, seed, infinite):
    """Multisets of one array and tuples of N arrays: the same value, pair density and kind of plan."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(N, 7))
    C = rng.random((n, n))
    C = C + C.T
    w = np.ones(n) if infinite else rng.random(n) + 0.1
    if infinite:
        np.fill_diagonal(C, np.inf)
    one = linear_program(cost=C, weights=w, n_marginals=N)
    many = linear_program(cost=C, weights=[w] * N)
    assert float(one.value) == pytest.approx(float(many.value), rel=1e-10)
    plan = one.plan()
    assert plan.shape == (n,) * N
    assert np.allclose(plan, plan.swapaxes(0, 1))
    assert np.allclose(plan.reshape(n, n, -1).sum(-1), one.pair_marginal(), atol=1e-14)
    drawn = one.sample(200, rng)
    assert (plan[tuple(drawn.T)] > 0).all()


def test_graphs_by_name():
    """A chain, a ring and a star are their edges; points of their own sizes; equal marginals on a chain."""
    rng = np.random.default_rng(0)
    points = [rng.standard_normal((n, 2)) for n in (3, 4, 5, 3)]
    edges = {
        "chain": [(0, 1), (1, 2), (2, 3)],
        "ring": [(0, 1), (1, 2), (2, 3), (3, 0)],
        "star": [(0, 1), (2, 0), (0, 3)],
    }
    for name, listed in edges.items():
        named = linear_program(points, graph=name, cost="sqeuclidean")
        assert float(named.value) == float(linear_program(points, graph=listed, cost="sqeuclidean").value)
    # Attraction to a copy of itself costs nothing on a chain.
    r = linear_program(points[1], n_marginals=3, graph="chain", cost="sqeuclidean")
    assert float(r.value) == pytest.approx(0, abs=1e-12)
    assert len(r.potentials) == 3
    C = rng.random((3, 4))
    two = linear_program(cost={(0, 1): C, (1, 2): C.T}, weights=[None, None, None])
    assert float(two.value) == pytest.approx(dense({(0, 1): C, (1, 2): C.T}, [np.full(n, 1 / n) for n in (3, 4, 3)]))


def test_libraries_and_dtypes(library):
    """Arrays of the caller's library and dtype; the value of a float32 problem is that of its float64 copy."""
    x = np.random.default_rng(0).standard_normal((6, 2))
    for dtype in ("float32", "float64"):
        r = linear_program(library.array(x, dtype), n_marginals=3)
        expected = linear_program(x.astype(dtype).astype("float64"), n_marginals=3)
        assert library.is_scalar(r.value)
        assert float(r.value) == pytest.approx(float(expected.value), rel=1e-6 if dtype == "float32" else 1e-13)
        for array in (r.potentials, r.masses, r.pair_marginal()):
            assert isinstance(array, library.array_type)
            assert library.dtype(array) == dtype
        assert np.array_equal(library.numpy(r.tuples), expected.tuples)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"points": midpoints(200), "n_marginals": 4}, OutOfMemory, "max_columns: expected at most 2000000 tuples"),
        ({"points": midpoints(9), "n_marginals": 3, "max_columns": 10}, OutOfMemory, "or use multimarginal.genetic"),
        (
            {"points": midpoints(3), "weights": [3, 1, 1], "n_marginals": 2},
            InvalidValue,
            r"weights: expected at most 1/2 of the mass .* got 0.6 at point 0: no plan has a finite cost",
        ),
        ({"points": midpoints(3), "n_marginals": 4}, InvalidValue, "expected at most 1/4 of the mass"),
        ({"points": midpoints(3)}, InvalidValue, "n_marginals: expected the number of equal marginals"),
        ({"points": [midpoints(3)] * 3, "graph": "tree"}, InvalidValue, "graph: expected one of 'complete', 'chain'"),
        ({"points": [midpoints(3)] * 3, "graph": [(0, 0)]}, InvalidValue, "graph: expected edges between different"),
        ({"points": [midpoints(3)] * 3, "graph": [(0, 3)]}, InvalidValue, "from 0 to 2, got"),
        ({"points": [midpoints(3)] * 3, "graph": [(0, 1), (1, 0)]}, InvalidValue, "graph: expected each edge once"),
        (
            {"cost": {(0, 1): np.eye(2)}, "weights": [None] * 3, "graph": "chain", "n_marginals": 3},
            InvalidValue,
            r"cost: expected a matrix for each edge of the graph, \[\(0, 1\), \(1, 2\)\]",
        ),
        ({"cost": np.array([[0.0, 1.0], [2.0, 0.0]]), "n_marginals": 2}, InvalidValue, "cost: expected a symmetric"),
        ({"cost": np.array([[0.0, np.nan], [0.0, 0.0]]), "n_marginals": 2}, InvalidValue, "or .inf, got nan"),
        ({"points": [0.0, np.inf], "n_marginals": 2}, InvalidValue, "points: expected finite values"),
        ({"points": midpoints(3), "n_marginals": 2, "max_columns": 1.5}, InvalidType, "max_columns"),
        ({"points": midpoints(3), "n_marginals": 2, "callback": 3}, InvalidType, "callback: expected a function"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=r"\[multimarginal.linear_program\] .*" + message):
        linear_program(**arguments)


def test_without_highs(monkeypatch):
    """The error says which extra installs it."""
    import sys

    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(MissingExtra, match=r"needs highspy, .*pip install 'deblai\[exact\]'"):
        linear_program(midpoints(3), n_marginals=2)


def test_inside_jit():
    """Tracers have no values: an error says so."""
    jax = pytest.importorskip("jax")
    with pytest.raises(InvalidType, match="expected arrays with values, got tracers"):
        jax.jit(lambda x: linear_program(x, n_marginals=2).value)(jax.numpy.asarray(midpoints(3)))


def test_callback_stops(monkeypatch):
    """It sees programs, values, columns and bounds; the bounds of a stopped run hold."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 2))
    r = linear_program(x, n_marginals=3)
    seen = []
    monkeypatch.setattr(deblai.multimarginal._exact.linear, "REPORT_EVERY", 0.0)
    stopped = linear_program(x, n_marginals=3, callback=lambda s: seen.append(s) or len(seen) == 5)
    assert len(seen) == 5 == stopped.n_iter
    assert not stopped.converged
    assert all(s.lower <= float(r.value) + 1e-9 for s in seen)
    assert stopped.lower <= float(r.value) <= stopped.upper < 2 * float(r.value)


def test_interrupts_keep_what_there_is(monkeypatch):
    """As Ctrl-C does: a plan with the right marginals, and bounds that hold."""
    x = np.random.default_rng(1).standard_normal((60, 2))
    exact = linear_program(x, n_marginals=3)
    for after in (1, exact.n_iter - 1):
        seen = []

        def interrupt(state, seen=seen, after=after):
            seen.append(state)
            if len(seen) == after:
                raise KeyboardInterrupt

        monkeypatch.setattr(deblai.multimarginal._exact.linear, "REPORT_EVERY", 0.0)
        with pytest.raises(deblai.Interrupted, match=f"interrupted after {after} linear programs") as caught:
            linear_program(x, n_marginals=3, callback=interrupt)
        r = caught.value.result
        assert r.lower <= float(exact.value) < r.upper < 10 * float(exact.value)
        assert r.marginal_error < 1e-12
