"""Quantizers of the line against ground truths: rows 15 to 20 of the facts, moments, closed forms, invariances."""

import itertools
import warnings

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, Law, UniformBox
from deblai.quantization import quantize
from hypothesis import given, settings
from hypothesis import strategies as st

stats = pytest.importorskip("scipy.stats")
linalg = pytest.importorskip("scipy.linalg")

NORMAL, EXPONENTIAL = Law(stats.norm()), Law(stats.expon())
UNIT = UniformBox((0,), (1,))
# Rows 16 and 17: derived in pure Python to the printed digits; the leading ones are those of Max (1960).
MAX = {
    1: 1.0,
    2: 0.363380227632,
    3: 0.190174039248,
    4: 0.117481847829,
    5: 0.079941127088,
    6: 0.057977653715,
    7: 0.044000382499,
    8: 0.034547760789,
    9: 0.027853260951,
    10: 0.022937052905,
    16: 0.009501008008,
    50: 0.001046977007,
    100: 0.000266712219,
}


@pytest.mark.parametrize("n", MAX)
def test_normal(n):
    """N(0, 1), row 16."""
    r = quantize(NORMAL, n)
    assert r.energy == pytest.approx(MAX[n], abs=6e-13)
    assert r.converged
    assert r.certified
    assert r.residual < 1e-12
    assert r.weights.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(r.sites, -r.sites[::-1], atol=1e-13)
    assert r.stability.morse_index == 0
    assert r.stability.smallest > 0


@pytest.mark.parametrize(
    ("n", "sites"),
    [
        (2, [np.sqrt(2 / np.pi)]),
        (3, [0, 1.2240064]),
        (4, [0.4527800, 1.5104176]),
        (5, [0, 0.7645676, 1.7241474]),
    ],
)
def test_points_of_normal(n, sites):
    """Row 18: those that are not negative."""
    np.testing.assert_allclose(quantize(NORMAL, n).sites[-len(sites) :], sites, atol=6e-8)


def test_zador():
    """Row 17: N^2 D -> sqrt(3) pi / 2 for the normal law; row 20: 9/4 for the exponential one."""
    for law, limit in ((NORMAL, np.sqrt(3) * np.pi / 2), (EXPONENTIAL, 9 / 4)):
        first, second = (n**2 * quantize(law, n).energy for n in (500, 1000))
        assert abs(second / limit - 1) < 3e-3
        assert 2 * second - first == pytest.approx(limit, rel=1e-4)  # the error is about 1/N


@pytest.mark.parametrize(("n", "energy"), [(3, 0.2067712231), (4, 0.1394414220)])
def test_uniform_weights(n, energy):
    """Row 19; the sites are N (phi(a) - phi(b)) between the quantiles a < b."""
    r = quantize(NORMAL, n, weights="uniform")
    assert r.energy == pytest.approx(energy, abs=6e-11)
    density = stats.norm.pdf(stats.norm.ppf(np.linspace(0, 1, n + 1)))
    np.testing.assert_allclose(r.sites, -n * np.diff(density), atol=1e-14)
    assert r.weights.tolist() == [1 / n] * n
    assert r.certified


def test_exponential():
    """Row 20: by its lack of memory, the last gap is 2 for every N."""
    r = quantize(EXPONENTIAL, 2)
    assert r.energy == pytest.approx(0.3523897621, abs=6e-11)
    np.testing.assert_allclose(r.sites, [0.59362426, 2.59362426], atol=6e-9)
    assert quantize(EXPONENTIAL, 3).energy == pytest.approx(0.1797366122, abs=6e-11)
    for n in (2, 3, 10, 100, 1000):
        sites = quantize(EXPONENTIAL, n).sites
        assert sites[-1] - sites[-2] == pytest.approx(2, abs=1e-10)


@pytest.mark.parametrize("weights", ["free", "uniform"])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4.5])
@pytest.mark.parametrize("measure", [UNIT, Law(stats.uniform()), Grid(np.ones(6), (0,), (1,))])
def test_uniform(measure, p, weights):
    """Row 15: 1 / ((p + 1) (2N)^p), both weightings."""
    for n in (1, 2, 7, 300):
        r = quantize(measure, n, p=p, weights=weights)
        assert r.energy == pytest.approx(1 / ((p + 1) * (2 * n) ** p), rel=1e-11)
        np.testing.assert_allclose(r.sites, (np.arange(n) + 0.5) / n, atol=1e-9)
        assert r.certified


def test_newton_is_quadratic_where_lloyd_is_not():
    """N = 1000: residual 1e-12 in few steps, each squaring it near the end; Lloyd's steps shrink by 1e-5 each."""
    seen = []
    r = quantize(NORMAL, 1000, callback=lambda state: seen.append(state.residual))
    assert r.n_iter <= 8
    assert r.residual < 1e-12
    last = [v for v in seen if 1e-10 < v < 1e-2]
    assert len(last) >= 2
    assert all(b < 300 * a**2 for a, b in itertools.pairwise(last))
    # The Jacobian of Lloyd's map is I - H / 2m: its largest eigenvalue is the rate.
    gap, edge = np.diff(r.sites), stats.norm.pdf(r.sites[:-1] + np.diff(r.sites) / 2)
    off = -gap * edge / 2
    diagonal = 2 * r.weights + np.append(off, 0) + np.append(0, off)
    scale = 1 / np.sqrt(2 * r.weights)
    tridiagonal = (diagonal * scale**2, off * scale[1:] * scale[:-1])
    (slowest,) = linalg.eigvalsh_tridiagonal(*tridiagonal, select="i", select_range=(0, 0))
    assert np.log(1e-12) / np.log1p(-slowest) > 1e5
    spectrum = linalg.eigvalsh_tridiagonal(diagonal, off)
    np.testing.assert_allclose(r.stability.eigenvalues, spectrum, atol=1e-15)
    assert (r.stability.smallest, r.stability.largest) == pytest.approx((spectrum[0], spectrum[-1]), rel=1e-6)


LAWS = [
    (stats.norm(2.0, 3.0), 2),
    (stats.gamma(0.3), 2),
    (stats.gamma(4.0, scale=2.0), 2),
    (stats.beta(0.5, 0.5), 2),
    (stats.beta(2.0, 5.0), 2),
    (stats.lognorm(1.0), 2),
    (stats.laplace(), 2),
    (stats.logistic(), 2),
    (stats.t(3.5), 2),
    (stats.pareto(2.5), 2),
    (stats.weibull_min(1.7), 2),
    (stats.gumbel_r(), 2),
    (stats.triang(0.3), 2),
    (stats.truncnorm(-1, 8), 2),
    (stats.loguniform(1e-3, 1e3), 2),
    (stats.rv_histogram((np.array([1.0, 0.0, 3.0]), np.array([0.0, 1.0, 2.0, 4.0])), density=True), 2),
]


@pytest.mark.parametrize(("law", "p"), LAWS, ids=lambda v: getattr(getattr(v, "dist", None), "name", None))
def test_moments(law, p):
    """One site is the mean and its energy the variance; of many, masses and means are those of the law."""
    one = quantize(Law(law), 1, p=p)
    assert one.sites[0] == pytest.approx(law.mean(), rel=1e-12, abs=1e-12)
    assert one.energy == pytest.approx(law.var(), rel=1e-11)
    r = quantize(Law(law), 20)
    assert r.converged
    edges = r.sites[:-1] + np.diff(r.sites) / 2
    below = np.concatenate([[0.0], law.cdf(edges), [1.0]])
    np.testing.assert_allclose(r.weights, np.diff(below), atol=3e-14)
    # Stationary sites: E X = sum m y, and var X = D + sum m (y - E X)^2.
    assert r.weights @ r.sites == pytest.approx(law.mean(), rel=1e-12, abs=1e-12)
    assert r.energy + r.weights @ (r.sites - law.mean()) ** 2 == pytest.approx(law.var(), rel=1e-11)


@pytest.mark.parametrize("p", [1, 1.2, 2.5])
@pytest.mark.parametrize("law", [stats.norm(), stats.beta(0.6, 3.0), stats.t(5)])
def test_other_exponents(law, p):
    """Against the definition in quantiles, and against sites moved away."""
    n = 4
    at, weight = np.polynomial.legendre.leggauss(60)
    r = quantize(Law(law), n, p=p)
    assert r.converged
    edges = np.concatenate([[law.support()[0]], r.sites[:-1] + np.diff(r.sites) / 2, [law.support()[1]]])

    def energy(sites):
        total = 0.0
        for i, y in enumerate(sites):
            for a, b in ((edges[i], y), (edges[i + 1], y)):  # t^6 tames tails and infinite densities
                u, v = law.cdf(a), law.cdf(b)
                t = (1 + at) / 2
                with np.errstate(all="ignore"):
                    q = np.where(v > u, law.ppf(u + (v - u) * t**6), law.isf(law.sf(a) + (u - v) * t**6))
                total += weight @ (np.abs(q - y) ** p * 6 * t**5) * abs(v - u) / 2
        return total

    assert r.energy == pytest.approx(energy(r.sites), rel=1e-6)
    for i in range(n):
        for step in (-0.02, 0.02):
            moved = r.sites + step * np.eye(n)[i] * (edges[2] - edges[1])
            assert energy(moved) > r.energy


@pytest.mark.parametrize("p", [1, 1.5, 2, 3.5])
def test_derivatives(p):
    """The Hessian is that of the gradient, and the gradient that of the energy, by differences."""
    from deblai.quantization._line.law import LawLine
    from deblai.quantization._line.newton import Point
    from deblai.quantization._line.pixels import PixelLine

    rng = np.random.default_rng(0)
    pixels = PixelLine(np.linspace(-4, 4, 1001), 1 + np.cos(np.linspace(-2, 2, 1000)))
    for line in (LawLine(Law(stats.norm()), p), pixels):
        y = np.sort(rng.standard_normal(6))
        h = 1e-6
        hessian = np.zeros((6, 6))
        for i in range(6):
            up, down = (Point(line, y + s * h * np.eye(6)[i], p, None) for s in (1, -1))
            hessian[i] = (up.gradient - down.gradient) / (2 * h)
            here = Point(line, y, p, None)
            assert (up.energy - down.energy) / (2 * h) == pytest.approx(here.gradient[i], abs=1e-8)
        own = np.diag(here.diagonal) + np.diag(here.off, 1) + np.diag(here.off, -1)
        # Pixels are a coarse density: p = 1 sees its steps
        np.testing.assert_allclose(hessian, own, atol=1e-7 if line is not pixels else 1e-2)


@settings(max_examples=10, deadline=None)
@given(
    shift=st.floats(-100, 100),
    scale=st.floats(1e-3, 1e3),
    n=st.integers(1, 12),
    p=st.sampled_from([1, 1.5, 2, 3]),
    weights=st.sampled_from(["free", "uniform"]),
)
def test_invariance(shift, scale, n, p, weights):
    """Sites move and stretch with the law, energies by scale^p."""
    plain = quantize(EXPONENTIAL, n, p=p, weights=weights)
    moved = quantize(Law(stats.expon(shift, scale)), n, p=p, weights=weights)
    np.testing.assert_allclose((moved.sites - shift) / scale, plain.sites, atol=1e-9 * (1 + abs(shift) / scale))
    assert moved.energy / scale**p == pytest.approx(plain.energy, rel=1e-9 * (1 + abs(shift) / scale))


@settings(max_examples=10, deadline=None)
@given(values=st.lists(st.floats(0, 5), min_size=1, max_size=8).filter(lambda v: max(v) > 0.01), n=st.integers(1, 9))
def test_pixels_have_the_moments_of_their_density(values, n):
    """Any row of pixels, some of them empty: E X = sum m y, var X = D + sum m (y - E X)^2, decreasing energies."""
    values = np.array(values)
    with warnings.catch_warnings():  # steps of the density: a stationary point may be at a corner of the energy
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        r = quantize(Grid(values, (-1,), (2,)), n)
    assert (np.diff(r.history) <= 1e-12 * r.energy).all()
    assert (np.diff(r.sites) > 0).all()
    if r.converged:
        w = values / values.sum()
        at = -1 + 3 * (np.arange(len(w)) + 0.5) / len(w)
        mean = w @ at
        variance = w @ (at - mean) ** 2 + (3 / len(w)) ** 2 / 12
        assert r.weights @ r.sites == pytest.approx(mean, abs=1e-9)
        assert r.energy + r.weights @ (r.sites - mean) ** 2 == pytest.approx(variance, rel=1e-9)


def test_given_weights():
    """Weights in the order of the line: E[X | cell] between the quantiles of their sums."""
    w = np.array([1.0, 5.0, 2.0])
    r = quantize(EXPONENTIAL, 3, weights=w)
    cuts = stats.expon.ppf([1 / 8, 6 / 8])
    tail = [(a + 1) * np.exp(-a) for a in (0.0, *cuts)] + [0.0]  # of x exp(-x)
    np.testing.assert_allclose(r.sites, -np.diff(tail) / (w / 8), atol=1e-13)
    np.testing.assert_allclose(r.weights, w / 8)
    assert r.energy > quantize(EXPONENTIAL, 3).energy
    assert quantize(EXPONENTIAL, 3, weights=w[::-1].copy()).energy != pytest.approx(r.energy, rel=1e-3)
    medians = quantize(NORMAL, 4, p=1, weights="uniform").sites
    np.testing.assert_allclose(medians, stats.norm.ppf((np.arange(4) + 0.5) / 4), atol=1e-14)


def test_two_hills():
    """Not log-concave: two stationary sets of sites, restarts find the better one, nothing is certified."""
    x = np.linspace(-1, 1, 201)[:-1] + 0.005
    values = np.exp(-(((x - 0.6) / 0.05) ** 2)) + np.exp(-(((x + 0.6) / 0.05) ** 2))
    hills = Grid(values, (-1,), (1,))
    lopsided = quantize(hills, 3, init=[-0.6, 0.5, 0.7])
    stuck = quantize(hills, 3, init=[-0.6, 0.0, 0.6])
    assert lopsided.converged
    assert stuck.converged
    assert lopsided.energy < 0.8 * stuck.energy
    assert not lopsided.certified
    assert quantize(hills, 3, init=[-0.6, 0.0, 0.6], restarts=10, rng=0).energy == pytest.approx(lopsided.energy)
    assert quantize(hills, 2).energy == pytest.approx(0.05**2 / 2, rel=2e-2)


def test_a_saddle():
    """Stationary sites that are no minimum have a Morse index: two hills with the edge between them not in the gap."""
    x = np.linspace(-1, 1, 4001)[:-1] + 0.00025
    hills = Grid(np.exp(-((x / 0.05) ** 2)), (-1,), (1,))
    assert quantize(hills, 2).stability.morse_index == 0
    values = 1 + 30 * np.exp(-((x / 0.02) ** 2))
    mean = values @ np.abs(x) / values.sum()  # by symmetry stationary, whatever the density
    symmetric = quantize(Grid(values, (-1,), (1,)), 2, init=[-mean, mean])
    assert symmetric.n_iter <= 1
    np.testing.assert_allclose(symmetric.sites, [-mean, mean], atol=1e-9)
    assert symmetric.stability.morse_index == 1
    better = quantize(Grid(values, (-1,), (1,)), 2, init=[-0.4, 0.1])
    assert better.stability.morse_index == 0
    assert better.energy < symmetric.energy


def test_large():
    """N = 20 000: masses, gradient and Zador's limit."""
    r = quantize(NORMAL, 20_000)
    assert r.converged
    assert r.gradient_norm < 1e-18
    assert r.energy * 4e8 == pytest.approx(np.sqrt(3) * np.pi / 2, rel=2e-4)
