"""Reading a plan without building it: against the dense plan of small problems, and closed forms."""

from itertools import combinations, permutations

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn
from hypothesis import given, settings
from hypothesis import strategies as st

INF = np.inf


def small(case, dtype="float64"):
    """Arguments and keywords of `sinkhorn` on a small problem."""
    rng = np.random.default_rng(7)
    sizes = {"three": (5, 4, 6), "four": (4, 3, 5, 2), "five": (3, 2, 3, 2, 2)}.get(case, (4, 5, 3))
    solve = {"epsilon": 0.4, "tol": 1e-9 if dtype == "float64" else 1e-4}
    points = [rng.standard_normal((n, 2)).astype(dtype) for n in sizes]
    weights = [(rng.random(n) + 0.2).astype(dtype) for n in sizes]
    if case in ("three", "four", "five"):
        weights[1][0] = 0
        return (points, weights), solve
    if case.startswith("equal"):
        x = rng.standard_normal((6, 2)).astype(dtype)
        return (x, (rng.random(6) + 1).astype(dtype)), {"n_marginals": int(case[-1]), **solve}
    if case == "matrices":
        pairs = list(combinations(range(3), 2))
        cost = {(p, q): rng.random((sizes[p], sizes[q])).astype(dtype) for p, q in pairs}
        cost[0, 2][1, 1] = INF
        return (None, weights), {"cost": cost, **solve}
    if case in ("chain", "ring", "star", "two pieces"):
        points = [rng.standard_normal((n, 2)).astype(dtype) for n in (4, 3, 2, 3, 2)]
        graph = [(0, 3), (2, 4), (1, 4)] if case == "two pieces" else case
        return (points, None), {"cost": "sqeuclidean", "graph": graph, **solve}
    if case == "chain of equals":
        x = rng.standard_normal((4, 2)).astype(dtype)
        return (x, (rng.random(4) + 1).astype(dtype)), {"n_marginals": 4, "graph": "chain", **solve}
    if case == "edges":
        cost = {(0, 2): rng.random((3, 4)), (1, 2): rng.random((2, 4)), (0, 3): rng.random((3, 2))}
        return (None, None), {"cost": {edge: c.astype(dtype) for edge, c in cost.items()}, **solve}
    square = rng.random((4, 4)).astype(dtype)
    if case == "shared":
        square[2, 1] = INF
        return (None, [None] * 4), {"cost": square, **solve}
    square = square + square.T
    np.fill_diagonal(square, INF)
    return (None, None), {"cost": square, "n_marginals": 3, **solve}  # one matrix, equal marginals


CASES = ("three", "four", "five", "equal2", "equal3", "equal4", "matrices", "shared", "one matrix")
GRAPHS = ("chain", "ring", "star", "two pieces", "chain of equals", "edges")


def solved(case, dtype="float64"):
    arguments, keywords = small(case, dtype)
    return sinkhorn(*arguments, **keywords)


def summed(plan, kept):
    """The marginal of the dense plan, axes in the order asked for."""
    found = plan.sum(axis=tuple(k for k in range(plan.ndim) if k not in kept))
    return np.transpose(found, np.argsort(np.argsort(kept)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES + GRAPHS)
def test_marginals_of_the_dense_plan(case, dtype):
    """One to five particles, in several orders, zero weights and infinite costs among them."""
    r = solved(case, dtype)
    plan = r.plan().astype(np.float64)
    count = r.n_marginals
    chosen = [(0,), (count - 1,), (1, 0), *(k for k in [(2, 0, 1), (1, 2, 0)] if count > 2)]
    for kept in [*chosen, tuple(range(count)), tuple(range(count))[::-1]]:
        found = r.marginal(*kept)
        assert found.dtype == dtype
        assert np.allclose(found, summed(plan, kept), rtol=0, atol=1e-14 if dtype == "float64" else 2e-6)


def test_the_reference_says_the_same():
    """Slices are problems of their own on any backend."""
    arguments, keywords = small("four")
    with deblai.use_backend("reference"):
        expected = sinkhorn(*arguments, **keywords, max_iter=5000).marginal(0, 3, 1)
    assert np.allclose(sinkhorn(*arguments, **keywords).marginal(0, 3, 1), expected, atol=1e-8)


@pytest.mark.parametrize("case", ["three", "four", "five", "equal3", "equal4", "matrices", "shared", *GRAPHS])
def test_samples_have_the_law_of_the_plan(case):
    """40 000 tuples: their histogram is within 5 standard deviations of the plan, everywhere, and avoids its zeros."""
    r = solved(case)
    plan = r.plan()
    k = 40_000
    tuples = r.sample(k, rng=1)
    assert tuples.shape == (k, r.n_marginals)
    counts = np.zeros(plan.shape)
    np.add.at(counts, tuple(tuples.T), 1)
    assert (counts[plan == 0] == 0).all()
    assert (np.abs(counts - k * plan) <= 5 * np.sqrt(k * plan * (1 - plan)) + 3).all()
    assert np.array_equal(tuples, r.sample(k, rng=1))


def test_samples_of_an_optimal_plan_are_strictly_correlated():
    """Two electrons of U[0, 1] sit 1/2 apart (facts: F^-1(F + 1/2)): so do samples at small epsilon, to the blur."""
    x = (np.arange(100) + 0.5) / 100
    r = sinkhorn(x, n_marginals=2, epsilon=2e-3)
    i, j = r.sample(2000, rng=0).T
    assert np.abs(np.abs(x[i] - x[j]) - 0.5).mean() < 0.03


def test_expectations(rng):
    """Exact ones are sums over the dense plan; <c, plan> is one of them, infinite where no mass is; vectors too."""
    r = solved("equal3")
    x = small("equal3")[0][0]
    plan = r.plan()
    gap = np.linalg.norm(x[:, None] - x, axis=-1)

    def repulsion(*points):
        return sum(1 / np.linalg.norm(p - q, axis=-1) for p, q in combinations(points, 2))

    exact = r.expectation(repulsion)
    assert exact.stderr == 0
    assert isinstance(exact.value, float)
    assert exact.value == pytest.approx(float(r.value_linear), rel=1e-9)
    spread = r.expectation(lambda p, q: np.linalg.norm(p - q, axis=1), 0, 2)
    assert spread.value == pytest.approx(float((plan.sum(1) * gap).sum() / plan.sum()), rel=1e-12)
    centre = r.expectation(lambda p: p, 1)
    assert np.allclose(centre.value, plan.sum((0, 2)) @ x / plan.sum(), rtol=1e-12)
    mean, stderr = r.expectation(repulsion, samples=20_000, rng=3)
    assert 0 < stderr < 0.1
    assert abs(mean - exact.value) < 5 * stderr


def test_functions_of_indices():
    """Where costs are matrices, functions get indices."""
    r = solved("matrices")
    plan = r.plan()
    found = r.expectation(lambda i, k: 1.0 * (i == 1) * k, 0, 2).value
    assert found == pytest.approx((plan.sum(1)[1] * np.arange(3)).sum() / plan.sum(), rel=1e-12)
    with pytest.raises(errors.InvalidValue, match="expected a problem given by points, got one by matrices"):
        r.conditional_map(0, 1)


def test_conditional_laws_and_maps():
    """Rows of the pair plan divided by their mass, and their means; nan where there is no mass."""
    r = solved("three")
    (x, y, z), _ = small("three")[0]
    plan = r.pair_marginal(1, 2)
    laws, means = r.conditional(1, 2), r.conditional_map(1, 2)
    assert np.isnan(laws[0]).all()
    assert np.isnan(means[0]).all()
    assert np.allclose(laws[1:], plan[1:] / plan[1:].sum(1, keepdims=True))
    assert np.allclose(means[1:], laws[1:] @ z)
    line = sinkhorn(x[:, 0], n_marginals=2, cost="sqeuclidean", epsilon=0.3)
    assert line.conditional_map().shape == (5,)
    assert y.shape == (4, 2)


def test_conditional_means_of_gaussians():
    """T20: entropic N(0,1)^3 with -(x_i - x_j)^2, epsilon 1/2, is Gaussian of covariance -0.460582305: E[y | x] is that
    times x, up to the ends of the grid."""
    x = np.linspace(-5.5, 5.5, 81)
    r = sinkhorn(x, np.exp(-x * x / 2), n_marginals=3, cost="repulsive-harmonic", epsilon=0.5, tol=1e-9)
    middle = np.abs(x) < 2
    assert np.abs(r.conditional_map() + 0.460582305 * x)[middle].max() < 1e-5


@pytest.mark.parametrize("case", ["three", "equal3", "equal4", "one matrix", "ring", "chain of equals"])
def test_entropies(case):
    """KL(plan | product) and -sum plan log plan, of the dense plan."""
    r = solved(case)
    plan = r.plan()
    product = r.marginal(0)
    for p in range(1, r.n_marginals):
        product = product[..., None] * r.marginal(p)
    there = plan > 0
    assert r.entropy == pytest.approx((plan[there] * np.log(plan[there] / product[there])).sum(), abs=1e-7)
    assert r.shannon_entropy() == pytest.approx(-(plan[there] * np.log(plan[there])).sum(), abs=1e-7)


@pytest.mark.parametrize("case", CASES + GRAPHS)
def test_mass_at_tuples(case):
    """Entries of the dense plan."""
    r = solved(case)
    plan = r.plan()
    tuples = np.argwhere(np.ones(plan.shape))
    assert np.allclose(r.mass_at(tuples), plan[tuple(tuples.T)], atol=1e-14)


def test_libraries_read_the_same(library):
    """The same numbers in their own arrays; functions get the caller's own points."""
    (points, weights), keywords = small("four")
    expected = sinkhorn(points, weights, **keywords)
    r = sinkhorn([library.array(x) for x in points], [library.array(a) for a in weights], **keywords)
    for one, other in (
        (r.marginal(0, 2, 3), expected.marginal(0, 2, 3)),
        (r.conditional_map(1, 0), expected.conditional_map(1, 0)),
        (r.sample(50, rng=5), expected.sample(50, rng=5)),
    ):
        assert isinstance(one, library.array_type)
        assert np.array_equal(library.numpy(one), other, equal_nan=True)

    def f(x, y):
        assert isinstance(x, library.array_type)
        return (x - y)[:, 0]

    assert r.expectation(f, 0, 2) == expected.expectation(lambda x, y: (x - y)[:, 0], 0, 2)
    assert r.shannon_entropy() == expected.shannon_entropy()


@settings(max_examples=15)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.floats(0.1, 2), st.integers(0, 99))
def test_marginals_fit_together(sizes, epsilon, seed):
    """Summing a particle out of the marginal of k gives that of k - 1, whatever the order."""
    rng = np.random.default_rng(seed)
    r = sinkhorn([rng.standard_normal(n) for n in sizes], cost="sqeuclidean", epsilon=epsilon)
    order = [int(k) for k in rng.permutation(len(sizes))]
    found = r.marginal(*order)
    for k in range(len(sizes) - 1, 0, -1):
        found = found.sum(-1)
        assert np.allclose(found, r.marginal(*order[:k]), atol=1e-12)


def test_symmetric_tensors():
    """Of equal marginals: every order of the indices the same, to rounding."""
    three = solved("equal4").marginal(0, 1, 2)
    for order in permutations(range(3)):
        assert np.allclose(three, np.transpose(three, order), atol=1e-15)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.marginal(), r"\[multimarginal.marginal\] indices: expected one marginal or more, got none"),
        (lambda r: r.marginal(0, 3), r"\[multimarginal.marginal\] indices: expected an integer from 0 to 2, got 3"),
        (lambda r: r.marginal(0, 1, 1), r"\[multimarginal.marginal\] indices: expected two different marginals, got 1"),
        (lambda r: r.sample(-1), r"\[multimarginal.sample\] k: expected a nonnegative integer, got -1"),
        (lambda r: r.sample(3, rng=-1), r"\[multimarginal.sample\] rng: expected None, a nonnegative seed"),
        (lambda r: r.expectation(3), r"\[multimarginal.expectation\] f: expected a function of arrays, got int"),
        (lambda r: r.expectation(lambda *x: 1.0), r"f: expected \d+ values for as many tuples, got shape \(\)"),
        (lambda r: r.expectation(np.add, 0, 1, samples=0), r"samples: expected a positive integer, got 0"),
        (lambda r: r.conditional(1, 1), r"\[multimarginal.conditional\] p, q: expected two different marginals, got 1"),
        (lambda r: r.conditional_map(0, 9), r"\[multimarginal.conditional_map\] q: expected an integer from 0 to 2"),
        (lambda r: r.mass_at([[0, 1]]), r"tuples: expected integers \(k, 3\), got int64 of shape \(1, 2\)"),
        (lambda r: r.mass_at([[0, 1, 9]]), "tuples: expected indices of points, got some out of range"),
    ],
)
def test_bad_questions(ask, message):
    """Designed errors."""
    with pytest.raises(errors.DeblaiError, match=message):
        ask(solved("three"))


def test_a_tensor_that_does_not_fit():
    """Says how much memory it would take, before it starts; an expectation points at samples."""
    x = np.linspace(0, 1, 20_000)
    r = sinkhorn(np.linspace(0, 1, 12), n_marginals=3, epsilon=1.0)
    large = deblai.multimarginal._plans.reading.Reading(r._plans.q._replace(points=[x[:, None]], sizes=[20_000]), 0 * x)
    with pytest.raises(errors.OutOfMemory, match=r"\[multimarginal.marginal\] the workspace would take 119209.3 GiB"):
        large.marginal(0, 1, 2)
    with pytest.raises(errors.OutOfMemory, match="give samples="):
        large.expectation(lambda *x: x[0], (), None, None)


def test_programs_of_jax_have_no_plans():
    """Results out of jit say so, whatever they are asked."""
    jax = pytest.importorskip("jax")
    r = jax.jit(lambda x: sinkhorn(x, n_marginals=2, epsilon=1.0))(jax.numpy.linspace(0, 1, 5))
    for ask in (lambda: r.sample(3), lambda: r.marginal(0), r.plan, r.conditional_map):
        with pytest.raises(errors.InvalidType, match="expected concrete arrays to compute plans"):
            ask()
