"""Properties of sliced.wasserstein on random small problems (Hypothesis)."""

import numpy as np
import pytest
from deblai.sliced import wasserstein
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

P = st.sampled_from([1.0, 1.5, 2.0, 3.0, 7.25])
SIZE = st.integers(1, 12)


def numbers(shape, bound=8.0):
    """Floats in [-bound, bound] on a grid of 2^-20: ties are likely, underflow of |d|^p is not."""
    step = 2.0**-20
    return arrays(np.int64, shape, elements=st.integers(-int(bound / step), int(bound / step))).map(lambda k: k * step)


def masses(n):
    return arrays(np.int64, n, elements=st.integers(0, 50)).filter(lambda w: w.sum() > 0).map(lambda w: w / 8)


@st.composite
def problems(draw, weighted=None, equal=False):
    """(x, y, a, b, directions); a and b are None or weights, some of them zero."""
    n, d, count = draw(SIZE), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    m = n if equal else draw(SIZE)
    has_weights = draw(st.booleans()) if weighted is None else weighted
    a, b = (draw(masses(n)), draw(masses(m))) if has_weights else (None, None)
    return draw(numbers((n, d))), draw(numbers((m, d))), a, b, draw(numbers((count, d), 1.0))


def costs(x, y, a, b, theta, p):
    return wasserstein(x, y, a, b, p=p, directions=theta).per_direction


def scale(x, y, theta, p):
    """What rounding errors of a cost are relative to: the p-th power of a projection's size."""
    reach = 1 + max(np.abs(x).max(), np.abs(y).max()) * np.abs(theta).sum(axis=1).max()
    return reach**p


@given(problems(), P)
def test_symmetry(q, p):
    """SW(x, y) = SW(y, x), gradients included."""
    x, y, a, b, theta = q
    forth = wasserstein(x, y, a, b, p=p, directions=theta, grad=True)
    back = wasserstein(y, x, b, a, p=p, directions=theta, grad=True)
    tolerance = 1e-13 * scale(x, y, theta, p)
    np.testing.assert_allclose(forth.per_direction, back.per_direction, rtol=1e-12, atol=tolerance)
    for one, other in (("x", "y"), ("y", "x"), ("a", "b"), ("b", "a")):
        if one in forth.grad:
            np.testing.assert_allclose(forth.grad[one], back.grad[other], rtol=1e-11, atol=10 * p * tolerance)


@given(problems(), P, st.data())
def test_translation_of_both(q, p, data):
    """Moving both clouds by the same vector changes nothing."""
    x, y, a, b, theta = q
    t = data.draw(numbers(x.shape[1]))
    np.testing.assert_allclose(
        costs(x + t, y + t, a, b, theta, p),
        costs(x, y, a, b, theta, p),
        atol=1e-13 * p * scale(np.vstack([x, x + t]), np.vstack([y, y + t]), theta, p),
    )


@given(problems(), P, st.sampled_from([-2.0, -0.3, 0.0, 0.5, 1.7]))
def test_scaling(q, p, c):
    """SW_p^p(cx, cy) = |c|^p SW_p^p(x, y); a reflection (c < 0) reverses every order."""
    x, y, a, b, theta = q
    expected = abs(c) ** p * costs(x, y, a, b, theta, p)
    np.testing.assert_allclose(
        costs(c * x, c * y, a, b, theta, p), expected, rtol=1e-12, atol=1e-13 * p * scale(2 * x, 2 * y, theta, p)
    )


@given(problems(), P, st.randoms(use_true_random=False))
def test_permutation_of_points(q, p, random):
    """The order of points does not matter."""
    x, y, a, b, theta = q
    i, j = random.sample(range(len(x)), len(x)), random.sample(range(len(y)), len(y))
    permuted = costs(x[i], y[j], None if a is None else a[i], None if b is None else b[j], theta, p)
    np.testing.assert_allclose(permuted, costs(x, y, a, b, theta, p), rtol=1e-12, atol=1e-13 * scale(x, y, theta, p))


@given(problems(weighted=False), P, st.randoms(use_true_random=False))
def test_identity_is_exact(q, p, random):
    """SW(x, x) = 0 exactly with equal weights, in any order of the points; every gradient is 0, never NaN."""
    x, _, _, _, theta = q
    permuted = x[random.sample(range(len(x)), len(x))]
    r = wasserstein(x, permuted, p=p, directions=theta, grad=True)
    assert r.value == 0
    assert r.value_p == 0
    assert not np.any(r.per_direction)
    assert not np.any(r.grad["x"])
    assert not np.any(r.grad["y"])


@given(problems(weighted=True), P)
def test_identity_with_weights(q, p):
    """SW(x, x) = 0 exactly with the same weights too."""
    x, _, a, _, theta = q
    assert wasserstein(x, x, a, a, p=p, directions=theta).value == 0


@given(problems(), P)
def test_nonnegative_and_at_least_the_distance_of_means(q, p):
    """W_p^p >= |mean difference|^p (Jensen) >= 0 along each direction."""
    x, y, a, b, theta = q
    means = np.average(x @ theta.T, axis=0, weights=a) - np.average(y @ theta.T, axis=0, weights=b)
    found = costs(x, y, a, b, theta, p)
    assert np.all(found >= 0)
    assert np.all(found >= np.abs(means) ** p * (1 - 1e-9) - 1e-12 * scale(x, y, theta, p))


@given(problems(), P, st.data())
def test_triangle_inequality(q, p, data):
    """Value is a distance for given directions: SW(x, z) <= SW(x, y) + SW(y, z) (Minkowski)."""
    x, y, a, b, theta = q
    z = data.draw(SIZE.flatmap(lambda k: numbers((k, x.shape[1]))))
    xz = wasserstein(x, z, a, None, p=p, directions=theta).value
    xy = wasserstein(x, y, a, b, p=p, directions=theta).value
    yz = wasserstein(y, z, b, None, p=p, directions=theta).value
    assert xz <= (xy + yz) * (1 + 1e-9) + 1e-6


@given(SIZE, st.integers(1, 3), P, st.data())
def test_integer_weights_are_repeated_points(n, d, p, data):
    """A point of weight k counts as k points."""
    m = data.draw(SIZE)
    a, b = (data.draw(arrays(np.int64, k, elements=st.integers(1, 4))) for k in (n, m))
    x, y, theta = (data.draw(numbers((k, d))) for k in (n, m, 3))
    weighted = costs(x, y, a.astype(float), b.astype(float), theta, p)
    repeated = costs(np.repeat(x, a, axis=0), np.repeat(y, b, axis=0), None, None, theta, p)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-12, atol=1e-13 * p * scale(x, y, theta, p))


@given(problems(weighted=True), P, st.data())
def test_points_of_zero_weight_do_not_matter(q, p, data):
    """Nor do they move: their gradient is 0."""
    x, y, a, b, theta = q
    k = data.draw(st.integers(1, 4))
    far = data.draw(numbers((k, x.shape[1]), 100.0))
    more, heavier = np.vstack([x, far]), np.concatenate([a, np.zeros(k)])
    r = wasserstein(more, y, heavier, b, p=p, directions=theta, grad="x")
    np.testing.assert_allclose(
        r.per_direction, costs(x, y, a, b, theta, p), rtol=1e-12, atol=1e-13 * scale(x, y, theta, p)
    )
    assert not np.any(r.grad["x"][heavier == 0])


@given(problems(weighted=True), P, st.sampled_from([0.125, 3.0, 1e-30, 1e30]))
def test_weights_are_normalised(q, p, c):
    """Only ratios of weights matter."""
    x, y, a, b, theta = q
    np.testing.assert_allclose(
        costs(x, y, c * a, b / c, theta, p),
        costs(x, y, a, b, theta, p),
        rtol=1e-12,
        atol=1e-13 * scale(x, y, theta, p),
    )


@given(problems(), P, st.sampled_from([0.5, 1.0, 4.0]))
def test_the_exponent_is_monotone(q, p, more):
    """W_p <= W_q for p <= q, direction by direction (Jensen)."""
    x, y, a, b, theta = q
    small, large = costs(x, y, a, b, theta, p) ** (1 / p), costs(x, y, a, b, theta, p + more) ** (1 / (p + more))
    assert np.all(small <= large * (1 + 1e-9) + 1e-6)


@given(problems(), P)
def test_a_batch_of_directions_is_a_loop(q, p):
    """Directions do not see one another."""
    x, y, a, b, theta = q
    r = wasserstein(x, y, a, b, p=p, directions=theta, grad=True)
    loop = [wasserstein(x, y, a, b, p=p, directions=theta[k : k + 1], grad=True) for k in range(len(theta))]
    np.testing.assert_allclose(r.per_direction, [one.value_p for one in loop], rtol=1e-14)
    for name, gradient in r.grad.items():
        mean = np.mean([one.grad[name] for one in loop], axis=0)
        np.testing.assert_allclose(gradient, mean, rtol=1e-12, atol=1e-14 * p * scale(x, y, theta, p))


@given(problems(), P)
def test_gradients_of_a_homogeneous_translation_invariant_function(q, p):
    """Euler: <x, g_x> + <y, g_y> = p SW_p^p; translations: sum g_x + sum g_y = 0."""
    x, y, a, b, theta = q
    r = wasserstein(x, y, a, b, p=p, directions=theta, grad=True)
    tolerance = 1e-12 * p * scale(x, y, theta, p)
    euler = np.sum(x * r.grad["x"]) + np.sum(y * r.grad["y"])
    assert euler == pytest.approx(p * r.value_p, rel=1e-10, abs=10 * tolerance)
    assert np.abs(r.grad["x"].sum(axis=0) + r.grad["y"].sum(axis=0)).max() <= tolerance


@given(problems(weighted=True), P)
def test_gradients_in_weights_are_orthogonal_to_weights(q, p):
    """They are those of the normalised weights: <a, g_a> = <b, g_b> = 0."""
    x, y, a, b, theta = q
    r = wasserstein(x, y, a, b, p=p, directions=theta, grad=("a", "b"))
    for weights, gradient in ((a, r.grad["a"]), (b, r.grad["b"])):
        assert abs(weights @ gradient) <= 1e-12 * p * scale(x, y, theta, p)


@given(problems(weighted=True), P, st.data())
def test_gradients_in_weights_are_subgradients(q, p, data):
    """W_p^p is convex in the weights: SW(a') >= SW(a) + <g_a, a'> for normalised a, a', ties or not."""
    x, y, a, b, theta = q
    a = a / a.sum()
    other = data.draw(masses(len(x)))
    other = other / other.sum()
    here = wasserstein(x, y, a, b, p=p, directions=theta, grad="a")
    there = wasserstein(x, y, other, b, p=p, directions=theta)
    assert there.value_p >= here.value_p + here.grad["a"] @ other - 1e-11 * p * scale(x, y, theta, p)
