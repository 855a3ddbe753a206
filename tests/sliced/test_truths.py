"""Ground truths of sliced.wasserstein: closed forms and published numbers."""

import dataclasses
import math

import deblai
import numpy as np
import pytest
from deblai.sliced import wasserstein

DTYPES = ("float32", "float64")


def unit(rng, count, d):
    theta = rng.standard_normal((count, d))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


def half_circle(count):
    """Equally spaced directions of the plane: the mean over them of a smooth even function is exact to rounding."""
    angle = np.pi * (np.arange(count) + 0.5) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def mean_power_of_a_coordinate(d, p):
    """c_{d,p} = E|theta_1|^p on the unit sphere of R^d: Gamma(d/2) Gamma((p+1)/2) / (sqrt(pi) Gamma((d+p)/2))."""
    return math.exp(math.lgamma(d / 2) + math.lgamma((p + 1) / 2) - math.lgamma((d + p) / 2)) / math.sqrt(math.pi)


# --- translates: SW_p^p(mu, mu + t) = |t|^p c_{d,p} -----------------------------------------------------------------


def test_constant_of_translates():
    """c_{2,1} = 0.6366197723675815 = 2/pi and c_{d,2} = 1/d."""
    assert mean_power_of_a_coordinate(2, 1) == pytest.approx(0.6366197723675815, rel=1e-14)
    for d in (1, 2, 3, 10):
        assert mean_power_of_a_coordinate(d, 2) == pytest.approx(1 / d, rel=1e-13)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("d", [2, 3, 10])
def test_translates_with_random_directions(d, p, rng):
    """SW_p^p = |t|^p c_{d,p}, within four standard errors."""
    x, t = rng.standard_normal((80, d)), rng.standard_normal(d)
    r = wasserstein(x, x[::-1] + t, p=p, n_projections=4000, rng=rng)
    truth = np.linalg.norm(t) ** p * mean_power_of_a_coordinate(d, p)
    assert abs(r.value_p - truth) < 4 * r.stderr_p
    assert abs(r.value - truth ** (1 / p)) < 4 * r.stderr
    assert r.stderr_p < 0.05 * truth


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("d", [1, 2, 7])
def test_translates_with_given_directions(d, p, rng):
    """W_p^p along theta = |<theta, t>|^p to rounding, with weights or without, directions of any length."""
    x, t, theta = rng.standard_normal((80, d)), rng.standard_normal(d), 3 * rng.standard_normal((20, d))
    a = rng.random(80)
    truth = np.abs(theta @ t) ** p
    for weights in ({}, {"a": a, "b": a}):
        r = wasserstein(x, x + t, p=p, directions=theta, **weights)
        np.testing.assert_allclose(r.per_direction, truth, rtol=1e-11)
        assert r.value_p == pytest.approx(truth.mean(), rel=1e-12)


# --- dilations: Y = s X + t, s >= 0 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("s", "shift"), [(0.0, 1.0), (0.5, 2.0), (1.7, 0.0), (3.0, -1.0)])
def test_dilations_with_given_directions(s, shift, rng):
    """The estimator equals mean_theta mean_i <theta, (s - 1) x_i + t>^2, float64 to 1e-13, for any cloud."""
    x = rng.standard_cauchy((500, 4)).clip(-50, 50)
    t, theta = shift * rng.standard_normal(4), unit(rng, 50, 4)
    moved = (s - 1) * x + t
    r = wasserstein(x, s * x + t, directions=theta)
    truth = np.mean((moved @ theta.T) ** 2, axis=0)
    np.testing.assert_allclose(r.per_direction, truth, rtol=1e-13 if s else 1e-12)
    assert r.value_p == pytest.approx(truth.mean(), rel=1e-13)


@pytest.mark.parametrize("d", [2, 5])
def test_dilations_with_random_directions(d, rng):
    """SW_2^2(X, sX + t) = mean |(s - 1) x + t|^2 / d, within four standard errors."""
    x, t, s = rng.exponential(size=(300, d)), rng.standard_normal(d), 1.8
    r = wasserstein(x, s * x + t, n_projections=3000, rng=rng)
    truth = np.mean(np.sum(((s - 1) * x + t) ** 2, axis=1)) / d
    assert abs(r.value_p - truth) < 4 * r.stderr_p
    assert r.stderr_p < 0.05 * truth


def test_weighted_dilation(rng):
    """The same with weights: the mean is the weighted one."""
    x, a, theta = rng.standard_normal((200, 3)), rng.random(200), unit(rng, 30, 3)
    r = wasserstein(x, 2 * x + 1, a, 5 * a, directions=theta)
    truth = np.average(((x + 1) @ theta.T) ** 2, axis=0, weights=a)
    np.testing.assert_allclose(r.per_direction, truth, rtol=1e-12)


# --- two points against two points ----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 7])
def test_two_points_against_two_points(d, rng):
    """SW_2^2 = (C_id + C_swap)/(4d) - |u||v|(sin A + (pi/2 - A) cos A)/(pi d), A the angle of u and v."""
    x, y = rng.standard_normal((2, 2, d))
    u, v = x[0] - x[1], y[0] - y[1]
    size = np.linalg.norm(u) * np.linalg.norm(v)
    angle = np.arccos(u @ v / size)
    costs = np.sum((x - y) ** 2) + np.sum((x - y[::-1]) ** 2)
    truth = costs / (4 * d) - size * (np.sin(angle) + (np.pi / 2 - angle) * np.cos(angle)) / (np.pi * d)
    r = wasserstein(x, y, n_projections=40_000, rng=rng)
    assert abs(r.value_p - truth) < 4 * r.stderr_p
    assert r.stderr_p < 0.02 * truth


# --- Gaussians ------------------------------------------------------------------------------------------------------

TRUTH_DIAG_4_1 = 0.41607114961991993  # SW_2^2 of N(0, diag(4, 1)) and N(0, I_2): 7/2 - (8/pi) E(m = 3/4)


def distance_to_normal(sample):
    """W_2 of a sorted sample of the line and N(0, 1), exactly: the integral over each quantile interval in turn."""
    special = pytest.importorskip("scipy.special")
    edges = special.ndtri(np.linspace(0, 1, len(sample) + 1))
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    first_moment = density[:-1] - density[1:]
    return math.sqrt(max(0.0, np.mean(sample**2) - 2 * sample @ first_moment + 1))


def test_gaussian_number():
    """The number of the ground truth is that of its formula."""
    special = pytest.importorskip("scipy.special")
    assert pytest.approx(TRUTH_DIAG_4_1, rel=1e-14) == 3.5 - 8 / np.pi * special.ellipe(0.75)


def test_gaussians_with_a_certified_error():
    """diag(4,1) against I_2: the error of the samples is bounded by the triangle inequality, direction by direction.

    |W_2(X_n, Y_n) - W_2(X, Y)| <= W_2(X_n, X) + W_2(Y_n, Y), both computed exactly on the line.
    """
    special = pytest.importorskip("scipy.special")
    n = 1 << 17
    k = np.arange(1, n + 1)
    # the additive recurrence of the plastic number: low discrepancy, hence nearly normal in every direction
    cube = np.stack([(0.5 + k * 0.7548776662466927) % 1, (0.5 + k * 0.5698402909980532) % 1], axis=1)
    z = special.ndtri(cube)
    theta = half_circle(32)
    sigma = np.hypot(2 * theta[:, 0], theta[:, 1])
    assert np.mean((sigma - 1) ** 2) == pytest.approx(TRUTH_DIAG_4_1, rel=1e-12)  # no error from these directions
    r = wasserstein(z * [2.0, 1.0], z, directions=theta)
    stretched = theta * [2.0, 1.0] / sigma[:, None]
    error = np.array(
        [
            s * distance_to_normal(np.sort(z @ u)) + distance_to_normal(np.sort(z @ v))
            for s, u, v in zip(sigma, stretched, theta, strict=True)
        ]
    )
    assert np.all(np.abs(np.sqrt(r.per_direction) - (sigma - 1)) <= error)
    bound = np.mean(2 * (sigma - 1) * error + error**2)
    assert bound < 0.013
    assert abs(r.value_p - TRUTH_DIAG_4_1) < bound


def test_isotropic_gaussians():
    """SW_2^2 = |m1 - m2|^2/d + (s1 - s2)^2: ten seeds, against the errors of directions and of samples.

    For finite n the mean is larger by 2 s1 s2 (1 - mean_i E[z_(i)]^2) with z_(i) normal order statistics (Blom's
    formula), and the variance of the samples is that of the dual potentials, (4 m^2/d + 2 (s1 - s2)^2)(s1^2 + s2^2)/n
    at most.
    """
    special = pytest.importorskip("scipy.special")
    n, d, s1, s2 = 4000, 5, 2.0, 1.0
    shift = np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    order_statistics = special.ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    limit = shift @ shift / d + (s1 - s2) ** 2
    mean = limit + 2 * s1 * s2 * (1 - np.mean(order_statistics**2))
    sample_variance = (4 * shift @ shift / d + 2 * (s1 - s2) ** 2) * (s1**2 + s2**2) / n
    results = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = s1 * rng.standard_normal((n, d)), s2 * rng.standard_normal((n, d)) + shift
        results.append(wasserstein(x, y, n_projections=400, rng=rng))
    found = np.mean([r.value_p for r in results])
    sigma = math.sqrt(np.mean([r.stderr_p**2 for r in results]) + sample_variance) / math.sqrt(len(results))
    assert abs(found - mean) < 4 * sigma
    assert sigma < 0.02 * limit


# --- the line -------------------------------------------------------------------------------------------------------


def test_scipy_examples():
    """The two examples of scipy.stats.wasserstein_distance's documentation: 5 and 0.25."""
    assert wasserstein([0, 1, 3], [5, 6, 8], p=1).value == 5
    assert wasserstein([0, 1], [0, 1], [3, 1], [2, 2], p=1).value == 0.25


@pytest.mark.parametrize("seed", range(20))
def test_scipy_on_random_weighted_samples(seed):
    """W_1 of weighted samples of the line equals SciPy's."""
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 200, 2)
    x, y, a, b = rng.standard_normal(n), rng.standard_cauchy(m), rng.random(n), rng.random(m)
    r = wasserstein(x, y, a, b, p=1)
    assert r.value == pytest.approx(stats.wasserstein_distance(x, y, a, b), rel=1e-12)
    r = wasserstein(x, y, p=1)
    assert r.value == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-12)


def test_normals_of_the_line():
    """W_2^2(N(m1, s1), N(m2, s2)) = (m1 - m2)^2 + (s1 - s2)^2, on a grid of quantiles whose variance is known."""
    special = pytest.importorskip("scipy.special")
    z = special.ndtri((np.arange(100_000) + 0.5) / 100_000)
    r = wasserstein(1 + 3 * z, 2 * z - 1)
    assert r.value_p == pytest.approx(4 + np.mean(z**2), rel=1e-13)
    assert r.value_p == pytest.approx(5, rel=1e-4)


def test_the_line_is_exact():
    """directions="auto" takes the one direction there is: no standard error, whatever n_projections says."""
    r = wasserstein([0.0, 2.0], [[1.0], [5.0]], n_projections=77)
    assert r.value_p == 5
    assert (r.stderr, r.stderr_p) == (0, 0)
    assert r.n_projections == 1
    assert r.directions.tolist() == [[1.0]]


def test_the_line_with_random_directions():
    """directions="mc" draws from {-1, 1}: the same distance in each."""
    r = wasserstein([0.0, 2.0, 3.5], [1.0, 5.0], p=1.5, directions="mc", n_projections=40, rng=3)
    exact = wasserstein([0.0, 2.0, 3.5], [1.0, 5.0], p=1.5)
    assert r.n_projections == 40
    assert set(r.directions.ravel()) == {-1.0, 1.0}
    np.testing.assert_allclose(r.per_direction, exact.value_p, rtol=1e-14)
    assert r.stderr_p < 1e-14


# --- standard errors ------------------------------------------------------------------------------------------------


def test_standard_errors(rng):
    """stderr_p is the sample deviation over sqrt(L); stderr follows by the delta method."""
    x, y = rng.standard_normal((60, 4)), rng.standard_normal((50, 4)) + 1
    r = wasserstein(x, y, p=3, n_projections=37, rng=0)
    assert r.value_p == pytest.approx(np.mean(r.per_direction), rel=1e-14)
    assert r.value == pytest.approx(r.value_p ** (1 / 3), rel=1e-14)
    assert r.stderr_p == pytest.approx(np.std(r.per_direction, ddof=1) / np.sqrt(37), rel=1e-12)
    assert r.stderr == pytest.approx(r.stderr_p / (3 * r.value**2), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-90, 1e90])
def test_standard_errors_of_small_and_large_distances(scale, rng):
    """Their squares underflow and overflow; the standard errors do not."""
    x, y, theta = rng.standard_normal((20, 3)), rng.standard_normal((20, 3)), unit(rng, 9, 3)
    plain, scaled = (wasserstein(s * x, s * y, directions=theta) for s in (1.0, scale))
    assert scaled.stderr_p / scale**2 == pytest.approx(plain.stderr_p, rel=1e-10)
    assert scaled.stderr / scale == pytest.approx(plain.stderr, rel=1e-10)


def test_one_random_direction_has_no_standard_error():
    """It is NaN: one number says nothing of its spread."""
    r = wasserstein(np.eye(3), 2 * np.eye(3), n_projections=1, rng=0)
    assert np.isfinite(r.value)
    assert np.isnan(r.stderr)
    assert np.isnan(r.stderr_p)


def test_coverage_of_the_error_bars(rng):
    """value_p +- 2 stderr_p covers the limit in about 95.4 % of 200 runs: four binomial deviations are 6 %.

    The limit is exact: the dilation SW_2^2(X, sX + t) = mean |(s - 1) x + t|^2 / d.
    """
    x, t = rng.standard_normal((30, 4)), np.array([1.0, 0.0, 0.0, 0.0])
    limit = np.mean(np.sum((0.5 * x + t) ** 2, axis=1)) / 4
    runs = [wasserstein(x, 1.5 * x + t, n_projections=100, rng=seed) for seed in range(200)]
    covered = sum(abs(r.value_p - limit) < 2 * r.stderr_p for r in runs)
    assert 0.895 * 200 <= covered < 200


# --- precision ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(5)
    n, d = 1_000_000, 10
    x, y = rng.standard_normal((n, d), np.float32), rng.random((n, d), np.float32)
    return x, y, unit(rng, 4, d).astype(np.float32)


@pytest.mark.parametrize(("n", "m"), [(1_000_000, 1_000_000), (200_000, 150_000)])
def test_float32_is_accurate_at_a_million_points(n, m, large):
    """float32 agrees with float64 to 1e-5 at n = 10^6; unequal sizes lose nothing either.

    Where cumulative masses are summed in float32 they end at 1.0012 for n = 2e5, m = 1.5e5 and the distance is ten
    times too large (POT's NumPy path, emulated in NumPy).
    """
    x, y, theta = large
    single = wasserstein(x[:n], y[:m], directions=theta)
    double = wasserstein(x[:n].astype(float), y[:m].astype(float), directions=theta.astype(float))
    assert single.value.dtype == np.float32
    assert double.value.dtype == np.float64
    assert single.value == pytest.approx(double.value, rel=1e-5)
    np.testing.assert_allclose(single.per_direction, double.per_direction, rtol=1e-5)


def test_float64_is_accurate_at_a_million_points(large):
    """A translation of 10^6 points: |<theta, t>|^2 to 1e-12."""
    x, _, theta = (v.astype(float) for v in large)
    r = wasserstein(x, x + 1.0, directions=theta)
    np.testing.assert_allclose(r.per_direction, theta.sum(axis=1) ** 2, rtol=1e-12)


@pytest.mark.parametrize("n", [200_000])
def test_float32_of_close_clouds(n, rng):
    """Two samples of one law at n = 2e5, m = 1.5e5: the small distance (about 1e-5) survives in float32."""
    x, y = rng.random((n, 1), np.float32), rng.random((3 * n // 4, 1), np.float32)
    single, double = wasserstein(x, y), wasserstein(x.astype(float), y.astype(float))
    assert double.value_p < 1e-4
    assert single.value_p == pytest.approx(double.value_p, rel=1e-5)


# --- directions and exponents ---------------------------------------------------------------------------------------


def test_directions_are_uniform_on_the_sphere():
    """Unit vectors with E[theta] = 0 and E[theta theta^T] = I/d, within five standard errors."""
    d, count = 4, 20_000
    theta = wasserstein(np.zeros((1, d)), np.ones((1, d)), n_projections=count, rng=1).directions
    np.testing.assert_allclose(np.linalg.norm(theta, axis=1), 1, rtol=1e-14)
    assert np.all(np.abs(theta.mean(axis=0)) < 5 * np.sqrt(1 / (d * count)))
    # Var(theta_i^2) = 2 (d - 1) / (d^2 (d + 2)), Var(theta_i theta_j) = 1 / (d (d + 2)), both at most 1 / (d (d + 2))
    second = theta.T @ theta / count
    assert np.all(np.abs(second - np.eye(d) / d) < 5 * np.sqrt(1 / (d * (d + 2) * count)))


def test_seed_and_generator_agree():
    """rng=7 is default_rng(7); a generator moves on; None draws anew."""
    x, y = np.eye(4), np.ones((3, 4))
    seeded = wasserstein(x, y, rng=7).directions
    generator = np.random.default_rng(7)
    assert np.array_equal(seeded, wasserstein(x, y, rng=generator).directions)
    assert not np.array_equal(seeded, wasserstein(x, y, rng=generator).directions)
    assert not np.array_equal(wasserstein(x, y).directions, wasserstein(x, y).directions)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_library_sees_the_same_directions(library, dtype):
    """And the same numbers, to the rounding of the dtype."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    expected = wasserstein(x.astype(dtype), y.astype(dtype), n_projections=50, rng=9)
    r = wasserstein(library.array(x, dtype), library.array(y, dtype), n_projections=50, rng=9)
    assert np.array_equal(library.numpy(r.directions), expected.directions)
    assert np.array_equal(library.numpy(r.per_direction), expected.per_direction)
    assert float(r.value_p) == expected.value_p
    assert float(r.value) == pytest.approx(expected.value, rel=4 * float(np.finfo(dtype).eps))
    assert float(r.stderr) == pytest.approx(expected.stderr, rel=4 * float(np.finfo(dtype).eps))


def test_given_directions_are_used_as_they_are(rng):
    """No normalisation: scaling the directions by c scales W_p^p by c^p; n_projections is ignored."""
    x, y, theta = rng.standard_normal((30, 3)), rng.standard_normal((20, 3)), rng.standard_normal((5, 3))
    one, three = (wasserstein(x, y, p=1.5, directions=s * theta, n_projections=999) for s in (1, 3))
    assert one.n_projections == 5
    np.testing.assert_allclose(three.per_direction, 3**1.5 * one.per_direction, rtol=1e-13)


@pytest.mark.parametrize("p", [1, 1.0, np.float32(1.25), np.int64(4), 7.5, 100, 999.5])
def test_exponents(p):
    """1 <= p < 1000 of any numeric type: W_p of a point and another is their distance."""
    assert wasserstein([[0.0, 1.0]], [[0.6, 1.8]], p=p, directions=[[0.6, 0.8]]).value == pytest.approx(1, rel=1e-12)


def test_large_exponents_approach_the_largest_distance(rng):
    """W_p -> max_i |x_(i) - y_(i)| as p grows."""
    x, y = rng.random(50), rng.random(50)
    largest = np.abs(np.sort(x) - np.sort(y)).max()
    assert wasserstein(x / largest, y / largest, p=900).value == pytest.approx(1, rel=0.01)


# --- the result -----------------------------------------------------------------------------------------------------


def test_result_is_frozen_and_says_itself_in_a_line():
    """A frozen dataclass with a one-line repr that shows value, error and backend."""
    r = wasserstein(np.eye(3), np.ones((2, 3)), rng=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.value = 1.0
    assert "\n" not in repr(r)
    assert f"{r.value:.6g}" in repr(r)
    assert r.backend in repr(r)
    assert isinstance(r, deblai.results.SlicedResult)


def test_nothing_is_changed(rng):
    """The arguments are read, never written."""
    arguments = [rng.standard_normal((30, 3)), rng.standard_normal((20, 3)), rng.random(30), rng.random(20)]
    copies = [v.copy() for v in arguments]
    wasserstein(*arguments, grad=True)
    for before, after in zip(copies, arguments, strict=True):
        assert np.array_equal(before, after)
