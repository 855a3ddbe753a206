"""One function, the same numbers: modes, backends, dtypes, layouts, libraries, ways to say the same problem."""

import deblai
import numpy as np
import pytest
from deblai.multimarginal import sinkhorn
from hypothesis import assume, given
from hypothesis import strategies as st

# sizes, dimension, cost
CASES = {
    "two": ([13, 9], 2, "coulomb"),
    "three": ([9, 12, 5], 3, deblai.costs.Riesz(1.7)),
    "four": ([6, 4, 7, 5], 1, "sqeuclidean"),
    "five": ([3, 4, 5, 2, 4], 2, "log"),
}


def clouds(case, dtype="float64", seed=0):
    sizes, d, cost = CASES[case]
    rng = np.random.default_rng(seed)
    points = [rng.standard_normal((n, d)).astype(dtype) for n in sizes]
    weights = [(rng.random(n) + 0.1).astype(dtype) for n in sizes]
    weights[1][0] = 0.0
    return points, weights, cost


def numbers(r):
    """Everything that a result says, as float64."""
    flat = [r.value, r.value_linear, *r.potentials, *r.grad.get("points", []), *r.grad.get("weights", [])]
    pairs = [r.pair_marginal(p, q) for p in range(r.n_marginals) for q in range(p)]
    return [np.asarray(v, np.float64) for v in (*flat, *pairs)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("epsilon", [1.0, 0.05])
def test_levels_and_reference_agree(case, dtype, epsilon, level):
    """{reference, baseline, avx2, avx512} x {float32, float64}, at the same potentials.

    Float64 agrees to 1e-11 of the scale of each output; float32 to 24 bits of c / epsilon (up to some 100 here).
    """
    points, weights, cost = clouds(case, dtype)
    with deblai.use_backend("reference"):
        fixed = sinkhorn(points, weights, cost=cost, epsilon=epsilon, tol=1e-3, max_iter=3000).potentials
        ask = {"cost": cost, "epsilon": epsilon, "init": fixed, "max_iter": 0, "grad": True}
        expected = sinkhorn(points, weights, **ask)
    with deblai.use_backend("cpu", simd=level):
        found = sinkhorn(points, weights, **ask)
    assert found.backend == f"cpu/{level}"
    assert expected.backend == "reference"
    tolerance = 1e-11 if dtype == "float64" else 5e-5
    for one, other in zip(numbers(found), numbers(expected), strict=True):
        assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(other).max())


@pytest.mark.parametrize("case", CASES)
def test_the_solution_agrees(case, level):
    """The solutions themselves, from zero potentials, to what the tolerance allows."""
    points, weights, cost = clouds(case)
    solve = {"cost": cost, "epsilon": 0.5, "tol": 1e-10}
    with deblai.use_backend("reference"):
        expected = sinkhorn(points, weights, **solve)
    with deblai.use_backend("cpu", simd=level):
        found = sinkhorn(points, weights, **solve)
    assert found.converged
    assert expected.converged
    for one, other in zip(numbers(found), numbers(expected), strict=True):
        assert np.abs(one - other).max() <= 1e-8 * max(1.0, np.abs(other).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_symmetric_mode_is_general_mode_in_deep_tables(dtype):
    """Tables of 65 x 65 points that thousands of pairs of others meet in, half of them in symmetric mode."""
    x = np.random.default_rng(1).standard_normal((65, 3)).astype(dtype)
    solve = {"epsilon": 0.3, "tol": 1e-4 if dtype == "float32" else 1e-9}
    one, many = sinkhorn(x, n_marginals=4, **solve), sinkhorn([x] * 4, **solve)
    tolerance = 1e-4 if dtype == "float32" else 1e-8
    assert abs(one.value - many.value) <= tolerance
    assert np.abs(one.pair_marginal(0, 1) - many.pair_marginal(1, 3)).sum() <= 10 * tolerance


@pytest.mark.parametrize("N", [2, 3, 4, 5])
@pytest.mark.parametrize("cost", ["coulomb", "repulsive-harmonic"])
def test_symmetric_mode_is_general_mode(N, cost):
    """Equal marginals given once or N times: value, cost, potentials, pair density and gradients."""
    rng = np.random.default_rng(N)
    x, a = rng.standard_normal((8, 2)), rng.random(8) + 0.5
    solve = {"cost": cost, "epsilon": 0.4, "tol": 1e-11, "grad": True}
    one = sinkhorn(x, a, n_marginals=N, **solve)
    many = sinkhorn([x] * N, [a] * N, **solve)
    assert one.converged
    assert many.converged
    assert float(one.value) == pytest.approx(float(many.value), abs=1e-9)
    assert float(one.value_linear) == pytest.approx(float(many.value_linear), abs=1e-9)
    for p in range(N):
        assert np.allclose(many.potentials[p], one.potentials, atol=1e-8)
    assert np.allclose(many.pair_marginal(0, N - 1), one.pair_marginal(), atol=1e-10)
    assert np.allclose(one.pair_marginal(), one.pair_marginal().T, atol=1e-11)
    for name in ("points", "weights"):
        assert np.allclose(sum(many.grad[name]), one.grad[name], atol=1e-8)


@given(
    st.integers(2, 4),
    st.lists(st.tuples(st.floats(-2, 2, width=32), st.sampled_from([0.0, 1e-12, 0.3, 1.0])), min_size=2, max_size=6),
    st.sampled_from(["coulomb", "repulsive-harmonic", "euclidean", deblai.costs.SoftCoulomb(0.5)]),
    st.floats(0.3, 2),
)
def test_symmetric_mode_is_general_mode_whatever_the_weights(N, marginal, cost, epsilon):
    """Value, pair density and the potential of every point, also where hardly any mass is: f = T(f) there."""
    x, a = (np.array(v) for v in zip(*marginal, strict=True))
    assume(a.sum() > 0.2)
    if cost == "coulomb":  # enough room for N particles in different places
        assume(len(np.unique(x)) == len(x))
        assume(np.diff(np.sort(x)).min() > 0.05)
        assume(a.max() * N <= 0.99 * a.sum())
    solve = {"cost": cost, "epsilon": epsilon, "tol": 1e-11, "max_iter": 50_000}
    one, many = sinkhorn(x, a, n_marginals=N, **solve), sinkhorn([x] * N, [a] * N, **solve)
    scale = 1 + abs(float(one.value))
    assert float(one.value) == pytest.approx(float(many.value), abs=1e-8 * scale)
    assert np.allclose(many.pair_marginal(0, N - 1), one.pair_marginal(), atol=1e-8)
    again = sinkhorn([x] * N, [a] * N, **{**solve, "init": [one.potentials] * N, "max_iter": 1, "memory": 0})
    assert np.allclose(
        again.potentials[0] - again.potentials[0][a > 0.1].mean(),
        one.potentials - one.potentials[a > 0.1].mean(),
        atol=1e-6 * scale,
    )


def test_matrices_say_the_same_as_points():
    """Costs as points, as a dictionary of matrices, and as one matrix for all pairs."""
    points = clouds("three")[0]
    n = 7
    square = [x[:n] if len(x) >= n else np.concatenate([x, x + 3])[:n] for x in points]
    by_points = sinkhorn(square, cost="sqeuclidean", epsilon=0.7, tol=1e-11)
    matrices = {(p, q): ((square[p][:, None] - square[q]) ** 2).sum(-1) for p in range(3) for q in range(p + 1, 3)}
    by_matrices = sinkhorn(cost=matrices, epsilon=0.7, tol=1e-11)
    for one, other in zip(numbers(by_points), numbers(by_matrices), strict=True):
        assert np.allclose(one, other, atol=1e-10)
    shared = sinkhorn(weights=[None] * 3, cost=matrices[0, 1], epsilon=0.7, tol=1e-11)
    each = sinkhorn(cost=dict.fromkeys(matrices, matrices[0, 1]), epsilon=0.7, tol=1e-11)
    for one, other in zip(numbers(shared), numbers(each), strict=True):
        assert np.array_equal(one, other)
    line = sinkhorn([x[:, 0] for x in square], epsilon=0.7)
    column = sinkhorn([x[:, :1] for x in square], epsilon=0.7)
    assert float(line.value) == float(column.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strides_do_not_matter(dtype):
    """Fortran order, negative and wide strides, read-only memory: the same bits."""
    points, weights, cost = clouds("three", dtype)
    expected = numbers(sinkhorn(points, weights, cost=cost, epsilon=0.5))
    for layout in (np.asfortranarray, lambda v: v[::-1].copy()[::-1], lambda v: np.repeat(v, 3, axis=0)[::3]):
        for found, one in zip(
            numbers(sinkhorn([layout(x) for x in points], [layout(a) for a in weights], cost=cost, epsilon=0.5)),
            expected,
            strict=True,
        ):
            assert np.array_equal(found, one)
    for v in (*points, *weights):
        v.setflags(write=False)
    assert np.array_equal(numbers(sinkhorn(points, weights, cost=cost, epsilon=0.5))[0], expected[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_libraries_give_the_same_numbers_in_their_own_arrays(library, dtype):
    """NumPy, PyTorch and JAX: library, dtype and bits."""
    points, weights, cost = clouds("three", dtype)
    expected = sinkhorn(points, weights, cost=cost, epsilon=0.5, grad=True)
    to = lambda arrays: [library.array(v, dtype) for v in arrays]  # noqa: E731
    found = sinkhorn(to(points), to(weights), cost=cost, epsilon=0.5, grad=True)
    assert library.is_scalar(found.value)
    assert library.is_scalar(found.value_linear)
    for array in (*found.potentials, *found.grad["points"], found.pair_marginal()):
        assert isinstance(array, library.array_type)
        assert library.dtype(array) == dtype
    assert float(found.value) == float(expected.value)
    for one, other in zip(
        found.grad["points"] + found.potentials, expected.grad["points"] + expected.potentials, strict=True
    ):
        assert np.array_equal(library.numpy(one), other)


def test_small_epsilon_takes_the_exact_rows():
    """Where float32 products underflow, rows are summed exactly: float32 agrees with float64 to its 24 bits.

    At epsilon = 0.02 exponents span 150 and more: exp(-87) is the smallest normal float32.
    """
    x = (np.arange(64) + 0.5) / 64
    double = sinkhorn(x, n_marginals=3, epsilon=0.02, tol=1e-4)
    single = sinkhorn(x.astype("float32"), n_marginals=3, epsilon=0.02, tol=1e-4)
    assert double.converged
    assert single.converged
    assert float(single.value) == pytest.approx(float(double.value), rel=1e-5)
    assert float(single.value_linear) == pytest.approx(float(double.value_linear), rel=1e-4)


def test_acceleration_changes_the_way_not_the_end():
    """memory = 0 and memory = 10 reach the same minimum; the accelerated way is far shorter here."""
    x = (np.arange(40) + 0.5) / 40
    sweeps = {"method": "sinkhorn", "annealing": False}
    plain = sinkhorn(x, n_marginals=3, epsilon=0.1, memory=0, **sweeps)
    fast = sinkhorn(x, n_marginals=3, epsilon=0.1, **sweeps)
    assert plain.converged
    assert fast.converged
    assert float(fast.value) == pytest.approx(float(plain.value), abs=1e-9)
    assert 5 * fast.n_iter < plain.n_iter


def test_plain_sweeps_raise_the_dual_value():
    """Sinkhorn is block ascent: the dual value never falls; nor does the damped symmetric update lower it."""
    points, weights, cost = clouds("three")
    plain = {"cost": cost, "epsilon": 0.2, "memory": 0, "method": "sinkhorn", "annealing": False}
    general = sinkhorn(points, weights, **plain).history[:, 1]
    symmetric = sinkhorn(points[0], weights[0], n_marginals=3, **plain).history[:, 1]
    for values in (general, symmetric):
        assert len(values) > 5
        assert (np.diff(values) >= -1e-13 * np.abs(values[1:])).all()


def test_warm_start_and_evaluation():
    """Potentials of a result, given as init, are already converged; max_iter = 0 only evaluates."""
    points, weights, cost = clouds("three")
    r = sinkhorn(points, weights, cost=cost, epsilon=0.3, tol=1e-9)
    again = sinkhorn(points, weights, cost=cost, epsilon=0.3, tol=1e-9, init=r.potentials)
    assert again.n_iter == 1
    still = sinkhorn(points, weights, cost=cost, epsilon=0.3, tol=1e-9, init=r.potentials, max_iter=0)
    assert still.n_iter == 0
    assert still.converged
    assert float(still.value) == pytest.approx(float(r.value), abs=1e-10)


def test_the_plan_has_its_marginals():
    """plan() and pair_marginal() fit together, and the marginal error is what the plan says."""
    points, weights, cost = clouds("four")
    r = sinkhorn(points, weights, cost=cost, epsilon=0.3, tol=1e-3)
    plan = r.plan()
    assert np.allclose(plan.sum(axis=(1, 3)), r.pair_marginal(0, 2), atol=1e-14)
    assert np.allclose(plan.sum(axis=(0, 2)), r.pair_marginal(1, 3), atol=1e-14)
    assert np.array_equal(r.pair_marginal(3, 1), r.pair_marginal(1, 3).T)
    errors = [
        np.abs(plan.sum(axis=tuple(q for q in range(4) if q != p)) - a / a.sum()).sum() for p, a in enumerate(weights)
    ]
    assert r.marginal_error == pytest.approx(max(errors), abs=1e-13)


clouds_strategy = st.integers(2, 4).flatmap(
    lambda N: st.tuples(*[st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4) for _ in range(N)])
)


@given(clouds_strategy, st.floats(0.2, 2), st.floats(-3, 3))
def test_properties(points, epsilon, shift):
    """Marginals hold; a common translation, and the order of marginals and of points, change nothing."""
    points = [np.array(x) for x in points]
    solve = {"cost": "sqeuclidean", "epsilon": epsilon, "tol": 1e-10}
    r = sinkhorn(points, **solve)
    assert r.converged
    assert r.marginal_error <= 1e-10
    for other in (
        [x + shift for x in points],
        points[::-1],
        [x[::-1] for x in points],
    ):
        assert float(sinkhorn(other, **solve).value) == pytest.approx(float(r.value), abs=1e-8)
    assert float(r.value) >= float(r.value_linear) - 1e-9  # KL >= 0


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_result_is_of_what_was_solved(library, get):
    """Arrays that the caller changes afterwards do not change what a result says, nor what it certifies."""
    lib = get(library)
    rng = np.random.default_rng(3)
    points, weights = lib.array(rng.random((6, 2)), "float64"), lib.array(rng.random(6) + 1, "float64")
    matrix = lib.array(np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0))), "float64")
    for given_, changed in (((points, weights), (points, weights)), ((), (matrix,))):
        cost = {"cost": "sqeuclidean"} if given_ else {"cost": matrix}
        r = sinkhorn(*given_, n_marginals=3, epsilon=0.3, **cost)
        before = [r.pair_marginal(), r.plan(), r.sample(5, rng=0)]
        bounds = r.certify()
        for v in changed:
            v *= 3.0
        for one, other in zip(before, [r.pair_marginal(), r.plan(), r.sample(5, rng=0)], strict=True):
            assert np.array_equal(lib.numpy(one), lib.numpy(other))
        assert (bounds.lower, bounds.upper) == ((again := r.certify()).lower, again.upper)
