"""{reference, baseline, avx2, avx512} x {float32, float64}: one function, the same numbers.

float64 agrees to 1e-12 of the scale of each output. In float32 the kernel rounds projections to 24 bits, which for
nearly tied points changes who is matched with whom, hence gradients at leading order. So gradients are compared on a
dyadic grid, where float32 projections are exact (coordinates of 8 bits, directions of 4 bits, d <= 40: sums of 18
bits), to 4e-6 of the scale of each output; and values on general data to 2e-5, which is 24 bits of the largest
projection, cubed. CUDA is in tests/gpu.
"""

import deblai
import numpy as np
import pytest
from deblai.sliced import wasserstein

TOLERANCE = {"float64": 1e-12, "float32": 4e-6}
NAMES = ("x", "y", "a", "b")
PS = (1.0, 1.5, 2.0, 3.0)
# n, m, weights of x, weights of y
CASES = {
    "equal": (60, 60, False, False),
    "unequal": (60, 45, False, False),
    "weighted": (60, 45, True, True),
    "weighted-equal": (60, 60, True, True),
    "weighted-x": (60, 45, True, False),
    "weighted-y": (60, 60, False, True),
}
LAYOUTS = ("C", "F", "negative", "columns", "rows", "read-only")


def dyadic(rng, shape, bits):
    return rng.integers(-(1 << bits), (1 << bits) + 1, shape) / 16


def problem(case, dtype, d=5, count=7, seed=0):
    """x, y, a, b, directions on the dyadic grid; weights in multiples of 1/16, a few of them 0."""
    n, m, weighted_x, weighted_y = CASES.get(case, case)
    rng = np.random.default_rng(seed)
    x, y, theta = dyadic(rng, (n, d), 7), dyadic(rng, (m, d), 7) + 0.5, dyadic(rng, (count, d), 4)
    a, b = rng.integers(0, 64, n) / 16, rng.integers(0, 64, m) / 16
    a[0] = b[0] = 1.0
    keep = (x, y, a if weighted_x else None, b if weighted_y else None, theta)
    return tuple(None if v is None else v.astype(dtype) for v in keep)


def laid_out(v, layout):
    """The same values in another memory layout."""
    if v is None:
        return None
    if layout == "F":
        out = np.asfortranarray(v)
    elif layout == "negative":
        out = v[tuple(slice(None, None, -1) for _ in v.shape)].copy()[tuple(slice(None, None, -1) for _ in v.shape)]
    elif layout == "columns":
        wide = np.full((*v.shape[:-1], 3 * v.shape[-1] + 1), np.nan, v.dtype)
        wide[..., 1::3] = v
        out = wide[..., 1::3]
    elif layout == "rows":
        tall = np.full((2 * len(v), *v.shape[1:]), np.nan, v.dtype)
        tall[::2] = v
        out = tall[::2]
    else:
        out = v.copy()
        out.flags.writeable = layout != "read-only"
    assert np.array_equal(out, v)
    return out


def run(arguments, p, backend, level=None, grad=True):
    x, y, a, b, theta = arguments
    with deblai.use_backend(backend, simd=level):
        r = wasserstein(x, y, a, b, p=p, directions=theta, grad=grad)
    assert r.backend == ("reference" if backend == "reference" else f"cpu/{level}")
    return r


def assert_same(found, expected, tolerance):
    for name in ("per_direction", "value_p", "value", "stderr_p", "stderr"):
        one, other = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        assert one.dtype == other.dtype
        scale = np.abs(expected.value if name in ("value", "stderr") else expected.per_direction).max()
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale, err_msg=name)
    assert found.grad.keys() == expected.grad.keys()
    for name, gradient in expected.grad.items():
        assert found.grad[name].dtype == gradient.dtype
        assert found.grad[name].shape == gradient.shape
        scale = max(np.abs(gradient).max(), np.finfo(gradient.dtype).tiny)
        if len(gradient) == 1 and name in "ab":
            scale = expected.per_direction.max()  # the gradient is 0, but the potential was rounded before centring
        np.testing.assert_allclose(found.grad[name], gradient, rtol=0, atol=tolerance * scale, err_msg=name)


_expected = {}


def expected(key, arguments, p):
    if (key, p) not in _expected:
        _expected[key, p] = run(arguments, p, "reference")
    return _expected[key, p]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients(case, p, dtype, level):
    """Every memory layout, values and all gradients, against the reference."""
    arguments = problem(case, dtype)
    reference = expected((case, dtype), arguments, p)
    for layout in LAYOUTS:
        found = run([laid_out(v, layout) for v in arguments], p, "cpu", level)
        assert_same(found, reference, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("grad", ["x", "y", "a", "b", ("x", "b"), ()])
def test_each_gradient_alone(grad, p, dtype, level):
    """Asking for fewer gradients takes other code paths to the same numbers."""
    arguments = problem("weighted", dtype)
    reference = expected(("weighted", dtype), arguments, p)
    found = run(arguments, p, "cpu", level, grad)
    assert set(found.grad) == set(grad)
    for name, gradient in found.grad.items():
        scale = np.abs(reference.grad[name]).max()
        np.testing.assert_allclose(gradient, reference.grad[name], rtol=0, atol=TOLERANCE[dtype] * scale)
    scale = reference.per_direction.max()
    np.testing.assert_allclose(found.per_direction, reference.per_direction, rtol=0, atol=TOLERANCE[dtype] * scale)


# Where the code changes its way: insertion sort up to 48 points, digits of 8 bits below 1500 and of 11 from there,
# tiles of 64 points, vectors of 2 to 16 lanes, tasks of 1024 points.
SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 127, 1023, 1025, 1499, 1500, 2100]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("n", SIZES)
def test_sizes(n, dtype, level):
    """Every number of points, against itself, one more and a third."""
    for m, weighted in ((n, False), (n, True), (n + 1, False), (1 + n // 3, True)):
        arguments = problem((n, m, weighted, weighted), dtype, d=2, count=3, seed=n)
        for p in (1.5, 2.0):
            reference = expected((n, m, weighted, dtype), arguments, p)
            assert_same(run(arguments, p, "cpu", level), reference, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("d", "count"), [(1, 1), (1, 9), (2, 65), (3, 33), (15, 5), (16, 8), (17, 12), (40, 32)])
def test_dimensions_and_numbers_of_directions(d, count, dtype, level):
    """Blocks of 16 coordinates, 4 or 8 directions at a time, chunks of 32."""
    arguments = problem("weighted", dtype, d=d, count=count, seed=d)
    assert_same(run(arguments, 2.0, "cpu", level), expected((d, count, dtype), arguments, 2.0), 2 * TOLERANCE[dtype])


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("case", CASES)
def test_general_data_in_float64(case, p, level):
    """Normal points and weights, nothing dyadic: values and gradients to 1e-12."""
    n, m, weighted_x, weighted_y = CASES[case]
    rng = np.random.default_rng(3)
    x, y, theta = (rng.standard_normal((k, 4)) for k in (n, m, 6))
    arguments = (x, y, rng.random(n) if weighted_x else None, rng.random(m) if weighted_y else None, theta)
    assert_same(run(arguments, p, "cpu", level), expected(("general", case), arguments, p), 1e-12)


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("case", CASES)
def test_general_values_in_float32(case, p, level):
    """Normal points and weights in float32: values to 2e-5."""
    n, m, weighted_x, weighted_y = CASES[case]
    rng = np.random.default_rng(4)
    x, y, theta = (rng.standard_normal((k, 4)).astype(np.float32) for k in (n, m, 6))
    a, b = (rng.random(k).astype(np.float32) for k in (n, m))
    arguments = (x, y, a if weighted_x else None, b if weighted_y else None, theta)
    assert_same(run(arguments, p, "cpu", level, ()), run(arguments, p, "reference", grad=()), 2e-5)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_ties(dtype, level):
    """Many equal points and projections: any matching among them is optimal, values and Euler's identity hold."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 3, (300, 2)).astype(dtype), rng.integers(0, 3, (200, 2)).astype(dtype)
    theta = np.array([[1, 0], [0, 1], [1, 1], [1, -1], [0, 0]], dtype)
    a = rng.integers(0, 3, 300).astype(dtype)
    for p in PS:
        found, reference = (run((x, y, a, None, theta), p, *how) for how in (("cpu", level), ("reference",)))
        np.testing.assert_allclose(found.per_direction, reference.per_direction, rtol=TOLERANCE[dtype])
        euler = np.sum(x * found.grad["x"]) + np.sum(y * found.grad["y"])
        assert euler == pytest.approx(p * found.value_p, rel=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_signed_zeros_and_subnormals(dtype, level):
    """-0 and +0 are one point; subnormal numbers are numbers."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([-0.0, 0.0, tiny, -tiny, 2 * tiny], dtype)
    for y in (-x, x[::-1]):
        with deblai.use_backend("cpu", simd=level):
            assert wasserstein(x, y, p=1).value <= tiny


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_wide_range_of_exponents(dtype, level):
    """Projections from 1e-30 to 1e30 sort as numbers do: W_1 of the line is an integral of |F - G|."""
    rng = np.random.default_rng(2)
    x, y = (rng.choice([-1, 1], k) * 10.0 ** rng.uniform(-30, 30, k) for k in (100, 2000))
    x, y = x.astype(dtype), y.astype(dtype)
    with deblai.use_backend("cpu", simd=level):
        found = wasserstein(x, y, p=1).value
    with deblai.use_backend("reference"):
        assert found == pytest.approx(wasserstein(x, y, p=1).value, rel=TOLERANCE[dtype])


def test_the_reference_knows_the_line():
    """The oracle itself, against the definition: W_p^p is the integral of |F^-1 - G^-1|^p, by brute force."""
    rng = np.random.default_rng(5)
    x, y, a, b = rng.random(5), rng.random(4), rng.integers(1, 5, 5), rng.integers(1, 5, 4)
    n = a.sum() * b.sum()
    fine_x = np.repeat(np.sort(x), a[np.argsort(x)] * n // a.sum())
    fine_y = np.repeat(np.sort(y), b[np.argsort(y)] * n // b.sum())
    for p in PS:
        with deblai.use_backend("reference"):
            r = wasserstein(x, y, a.astype(float), b.astype(float), p=p)
        assert r.value_p == pytest.approx(np.mean(np.abs(fine_x - fine_y) ** p), rel=1e-13)
