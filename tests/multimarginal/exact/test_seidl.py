"""Strictly correlated particles of the line: known values, dual proofs, laws of scipy.stats."""

from itertools import combinations

import deblai
import numpy as np
import pytest
from deblai import costs, measures
from deblai.errors import InvalidType, InvalidValue
from deblai.multimarginal import seidl
from hypothesis import assume, given
from hypothesis import strategies as st

stats = pytest.importorskip("scipy.stats", reason="the extra 'exact' is not installed")


def midpoints(n):
    return (np.arange(n) + 0.5) / n


def uniform_cost(N):
    """U[0, 1], 1/r: N (N H_{N-1} - N + 1) (Colombo, De Pascale and Di Marino, 2015); midpoints with n = m N alike."""
    return N * (N * sum(1 / k for k in range(1, N)) - N + 1)


@pytest.mark.parametrize("N", [2, 3, 4, 5, 10])
def test_uniform_coulomb(N):
    """2, 7.5, 17.33333, 32.08333, 192.89682540: the law and its midpoints, 1e-12."""
    truth = {2: 2.0, 3: 7.5, 4: 52 / 3, 5: 385 / 12, 10: 192.89682540}[N]
    assert uniform_cost(N) == pytest.approx(truth, rel=1e-10)
    law = seidl(measures.Law(stats.uniform()), n_marginals=N)
    points = seidl(midpoints(6 * N), n_marginals=N)
    for r in (law, points):
        assert float(r.value) == pytest.approx(uniform_cost(N), rel=1e-12)
        assert r.lower <= uniform_cost(N) * (1 + 1e-15)
        assert r.upper >= uniform_cost(N) * (1 - 1e-15)
        assert r.upper - r.lower < 1e-11 * uniform_cost(N)
    assert len(points.masses) == 6
    assert points.certified
    assert not law.certified


def test_two_electrons_of_the_segment():
    """u(x) = 2 - 4 |x - 1/2| (T2), f(x) = x + 1/2 mod 1."""
    x = np.linspace(0, 1, 41)
    r = seidl(measures.Law(stats.uniform()), n_marginals=2)
    assert np.abs(r.potential(x) - (2 - 4 * np.abs(x - 0.5))).max() < 1e-12
    assert np.allclose(r.maps([0.1, 0.7]), [[0.1, 0.6], [0.7, 0.2]], atol=1e-14)
    assert np.allclose(r.comotion([0.25]), [[0.25, 0.75]])


@pytest.mark.parametrize(("N", "truth"), [(2, 0.6931472), (3, 2.6026897), (4, 5.8328595)])
def test_uniform_logarithm(N, truth):
    """Sum over k of (N - k) log(N / k)."""
    exact = sum((N - k) * np.log(N / k) for k in range(1, N))
    assert exact == pytest.approx(truth, abs=1e-7)
    assert seidl(measures.Law(stats.uniform()), n_marginals=N, cost="log").value == pytest.approx(exact, rel=1e-12)
    assert float(seidl(midpoints(3 * N), n_marginals=N, cost="log").value) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("law", "N", "truth", "tolerance"),
    [
        (lambda: stats.triang(0.5, -1, 2), 2, 1.522731753648, 1e-9),  # density 1 - |x|
        (lambda: stats.norm(), 2, 0.645984986, 1e-8),
        (lambda: stats.norm(), 3, 2.403561757, 1e-8),
    ],
    ids=["triangle", "gaussian 2", "gaussian 3"],
)
def test_other_laws(law, N, truth, tolerance):
    """T4 and T5: quadratures of the same formula, all digits."""
    r = seidl(measures.Law(law()), n_marginals=N)
    assert r.value == pytest.approx(truth, abs=tolerance)
    assert r.upper - r.lower < tolerance
    # The potential's mean is the value over N: sampled at quantiles, which is the midpoint rule in F.
    x = r.comotion((np.arange(300) + 0.5) / 300)[:, 0]
    assert N * r.potential(x).mean() == pytest.approx(truth, rel=2e-3)


def test_a_law_scales_and_translates():
    """X -> 3 X + 1 divides Coulomb's cost by 3; -log r loses log 3 a pair; points converge to their law."""
    one, other = (measures.Law(stats.norm(m, s)) for m, s in ((0, 1), (1, 3)))
    solve = {"n_marginals": 3}
    assert seidl(other, **solve).value == pytest.approx(seidl(one, **solve).value / 3, rel=1e-11)
    logs = [seidl(law, cost="log", **solve).value for law in (one, other)]
    assert logs[1] == pytest.approx(logs[0] - 3 * np.log(3), abs=1e-10)
    x = stats.norm.ppf(midpoints(3000))
    assert float(seidl(x, n_marginals=3).value) == pytest.approx(seidl(one, **solve).value, rel=1e-4)


def test_the_potential_of_a_law_touches_the_cost():
    """Sum u(f_k) = c on the plan, <= c off it (the Kantorovich conditions)."""
    r = seidl(measures.Law(stats.gamma(2.0)), n_marginals=3, cost=costs.Riesz(0.5))
    on = r.comotion(np.linspace(0.02, 0.3, 9))
    cost = sum(np.abs(on[:, p] - on[:, q]) ** -0.5 for p, q in combinations(range(3), 2))
    assert np.allclose(r.potential(on.ravel()).reshape(on.shape).sum(1), cost, atol=1e-8)
    x = np.linspace(0.05, 8, 25)
    u = r.potential(x)
    for t in combinations(range(25), 3):
        assert sum(abs(x[p] - x[q]) ** -0.5 for p, q in combinations(t, 2)) >= u[list(t)].sum() - 1e-8


@st.composite
def atoms(draw):
    """Points and weights with ties: equal points, zero weights, points of exactly 1/N, equal fractions."""
    N = draw(st.integers(2, 4))
    n = draw(st.integers(N, 9))
    x = np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)), float) / 4
    w = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), float)
    if draw(st.booleans()):
        w = w + np.array(draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    assume(w.sum() > 0)
    w /= w.sum()
    assume(all(w[x == v].sum() <= 1 / N for v in x))
    return N, x, w


@given(atoms(), st.sampled_from([costs.Coulomb(), costs.Logarithmic(), costs.Riesz(2.5)]))
def test_points_are_proved(problem, cost):
    """The plan has the marginals, the potential is below every tuple's cost, and both values agree."""
    N, x, w = problem
    r = seidl(x, w, n_marginals=N, cost=cost)
    spread = np.bincount(r.tuples.ravel(), np.repeat(r.masses, N) / N, len(x))
    assert np.abs(spread - w).max() < 1e-12
    kernel = {"riesz": lambda d: d**-cost.s, "log": lambda d: -np.log(d)}[cost.kind]
    with np.errstate(divide="ignore"):
        C = kernel(np.abs(x[:, None] - x))
    scale = max(1.0, np.abs(r.potentials).max())
    for t in combinations(range(len(x)), N):
        assert sum(C[p, q] for p, q in combinations(t, 2)) >= r.potentials[list(t)].sum() - 1e-11 * scale
    assert N * (w @ r.potentials) == pytest.approx(float(r.value), abs=1e-11 * N * scale)
    assert r.lower <= float(r.value) <= r.upper
    pair = r.pair_marginal()
    assert np.allclose(pair.sum(1), w, atol=1e-12)
    assert np.allclose(pair, pair.T)


def test_libraries_and_dtypes(library):
    """The same numbers in the caller's library and dtype; points in any order."""
    rng = np.random.default_rng(0)
    x, w = rng.permutation(np.linspace(0, 1, 12)), rng.random(12) + 0.5
    for dtype in ("float32", "float64"):
        r = seidl(library.array(x, dtype), library.array(w, dtype), n_marginals=3)
        expected = seidl(x.astype(dtype), w.astype(dtype), n_marginals=3)
        assert library.is_scalar(r.value)
        for name in ("potentials", "masses"):
            mine = getattr(r, name)
            assert isinstance(mine, library.array_type)
            assert library.dtype(mine) == dtype
            assert np.allclose(library.numpy(mine), getattr(expected, name), rtol=1e-6)
        assert np.array_equal(library.numpy(r.tuples), expected.tuples)
        assert np.allclose(library.numpy(r.pair_marginal()), expected.pair_marginal(), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"points": np.zeros((5, 2)), "n_marginals": 2}, "points: expected points of the line, got 2 coordinates"),
        ({"points": midpoints(4), "n_marginals": 5}, "expected at most 1/5 of the mass in one place"),
        ({"points": [0.0, 0.0, 1.0], "n_marginals": 2}, "got 0.666667 at 0: no plan has a finite cost"),
        ({"points": midpoints(4), "n_marginals": 2, "cost": "sqeuclidean"}, "convex and decreasing"),
        ({"points": midpoints(4), "n_marginals": 2, "cost": "repulsive-harmonic"}, "convex and decreasing"),
        ({"points": midpoints(4), "n_marginals": 1}, "n_marginals: expected at least 2, got 1"),
        ({"points": [0.0, np.nan], "n_marginals": 2}, "points: expected finite values"),
        ({"points": midpoints(4), "weights": [1, 1, -1, 1], "n_marginals": 2}, "weights: expected finite nonnegative"),
        ({"points": measures.Law(stats.norm()), "weights": [1.0], "n_marginals": 2}, "weights: expected None"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InvalidValue, match=r"\[multimarginal.seidl\] .*" + message):
        seidl(**arguments)


def test_bad_questions():
    """Of results, and of laws."""
    r, law = seidl(midpoints(4), n_marginals=2), seidl(measures.Law(stats.norm()), n_marginals=2)
    with pytest.raises(InvalidType, match="cost: expected a name or a cost"):
        seidl(midpoints(4), n_marginals=2, cost=np.eye(4))
    for ask in (lambda: r.potential([0.5]), lambda: law.pair_marginal(), lambda: r.pair_marginal(1, 1)):
        with pytest.raises(InvalidValue):
            ask()
    with pytest.raises(InvalidValue, match="u: expected masses between 0 and 1"):
        law.comotion([1.0])
    with pytest.raises(InvalidValue, match="expected a continuous law, got a discrete one"):
        measures.Law(stats.poisson(3))
    for nonsense in (3.0, stats.gamma):  # no methods; a parameter missing
        with pytest.raises(InvalidType, match=r"\[measures.Law\] distribution: expected a frozen distribution"):
            measures.Law(nonsense)
    assert repr(measures.Law(stats.norm())) == "Law(norm)"


def test_pictures():
    """Curves of a law and of points, dots of a sparse plan: N - 1 maps in two pieces, all pairs of the plan."""
    figures = pytest.importorskip("matplotlib.figure", reason="the extra 'plot' is not installed")
    from deblai import plot

    axes = figures.Figure().subplots(1, 3)
    r = seidl(measures.Law(stats.norm()), n_marginals=3)
    assert plot.comotion(r, ax=axes[0], n=200) is axes[0]
    curves = [line for line in axes[0].lines if len(line.get_xdata()) == 200]
    assert len(curves) == 4
    x, y = curves[0].get_data()
    assert np.allclose(stats.norm.cdf(y), stats.norm.cdf(x) + 1 / 3, atol=1e-9)
    plot.comotion(seidl(midpoints(8), n_marginals=2), ax=axes[1], n=100)
    sparse = deblai.multimarginal.linear_program(midpoints(8), n_marginals=2)
    plot.comotion(sparse, midpoints(8), ax=axes[2])
    assert len(axes[2].collections[0].get_offsets()) == 8
    with pytest.raises(InvalidValue, match="points: expected 8 points of the line"):
        plot.comotion(sparse, midpoints(7), ax=axes[2])
    with pytest.raises(InvalidType, match="result: expected that of seidl"):
        plot.comotion(3, ax=axes[2])
