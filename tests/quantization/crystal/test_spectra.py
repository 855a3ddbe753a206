"""Structure factor, pair correlation, second moments and Zador's constants; rows 10, 11, 15, 20, 21 and 36."""

import itertools
import warnings

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, Law, Mixture, Polytope, UniformBox
from deblai.quantization import crystal
from scipy import stats


def torus(name, shape):
    sites, measure = crystal.lattice(name).torus(shape)
    return sites, measure


def test_row_36_bragg_peaks():
    """S = n on the reciprocal lattice, whose shortest vectors are 4 pi / (sqrt(3) a) long; 0 elsewhere."""
    sites, box = torus("A2", (6, 4))
    s = crystal.structure_factor(sites + 0.123, measure=box)
    length = np.linalg.norm(s.k, axis=1)
    peaks = s.value > 1e-9
    np.testing.assert_allclose(s.value[peaks], len(sites), rtol=1e-12)
    assert s.value[0] == pytest.approx(len(sites))
    assert (length[0], (np.diff(length) >= -1e-12).all()) == (0, True)
    first = 4 * np.pi / 3**0.5
    shells = np.sort(length[peaks])[1:19] / first
    np.testing.assert_allclose(shells, np.repeat([1, 3**0.5, 2], 6), rtol=1e-12)
    index = {tuple(v) for v in s.index.tolist()}
    assert len(index) == len(s.index)
    assert all((-a, -b) in index for a, b in index)
    np.testing.assert_allclose(s.k, 2 * np.pi * s.index / np.array(box.upper), rtol=1e-14)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_structure_factor_is_the_sum(dim, rng, monkeypatch):
    """Against the sum, at wave vectors of the torus and at others, whatever the chunks; radial means add up."""
    from deblai.quantization.crystal import _waves

    monkeypatch.setattr(_waves, "CHUNK", 300)
    sites = rng.random((40, dim)) * np.array([1.0, 2.0, 1.5])[:dim] - 0.5
    box = UniformBox(dim * (-0.5,), (0.5, 1.5, 1.0)[:dim])
    s = crystal.structure_factor(sites, measure=box, k_max=30.0)
    direct = np.abs(np.exp(1j * s.k @ sites.T).sum(1)) ** 2 / 40
    np.testing.assert_allclose(s.value, direct, atol=1e-10)
    sides = np.subtract(box.upper, box.lower)
    every = np.array(list(itertools.product(range(-10, 11), repeat=dim))) * 2 * np.pi / sides
    assert len(s.k) == (np.linalg.norm(every, axis=1) <= 30).sum()
    k = rng.standard_normal((17, dim)) * 20
    given = crystal.structure_factor(sites, k)
    np.testing.assert_allclose(given.value, np.abs(np.exp(1j * k @ sites.T).sum(1)) ** 2 / 40, atol=1e-10)
    assert given.index is None
    if dim == 1:
        assert np.array_equal(crystal.structure_factor(sites[:, 0], k[:, 0]).value, given.value)
    radial = s.radial(7)
    assert radial.count.sum() == len(s.k) - 1
    assert radial.count @ radial.value == pytest.approx(s.value[1:].sum())
    assert (np.diff(radial.k) > 0).all()


def test_row_36_shells():
    """The triangular lattice has 6 sites at a, 6 at sqrt(3) a, 6 at 2 a, 12 at sqrt(7) a."""
    sites, box = torus("A2", (10, 6))
    edges = [0.99, 1.01, 1.72, 1.74, 1.99, 2.01, 2.64, 2.65]
    c = crystal.pair_correlation(sites, measure=box, periodic=True, bins=edges)
    np.testing.assert_allclose(c.number, [6, 6, 12, 12, 18, 18, 30], atol=1e-12)
    density = len(sites) / box.volume
    area = np.pi * (edges[1] ** 2 - edges[0] ** 2)
    assert c.g[0] == pytest.approx(6 / (density * area))
    assert (c.g[1::2] == 0).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_pair_correlation_is_the_sum(dim, rng, monkeypatch):
    """Against all pairs, on the torus and with the correction in a box; independent points have g = 1."""
    from deblai.quantization.crystal import _pairs

    monkeypatch.setattr(_pairs, "PAIRS", 1000)
    sides = np.array([1.0, 1.4, 1.2])[:dim]
    sites = rng.random((300, dim)) * sides
    box = UniformBox(dim * (0.0,), sides)
    edges = np.linspace(0.1, 0.5, 5)
    away = sites[:, None] - sites
    shell = np.pi * np.diff(edges**2) if dim == 2 else 4 / 3 * np.pi * np.diff(edges**3)
    for periodic in (True, False):
        vector = away - sides * np.round(away / sides) if periodic else away
        weight = 1.0 if periodic else np.prod(sides / (sides - np.abs(vector)), axis=2)
        distance = np.linalg.norm(vector, axis=2) + 9 * np.eye(300)
        count = [(weight * ((distance > a) & (distance <= b))).sum() for a, b in itertools.pairwise(edges)]
        c = crystal.pair_correlation(sites, measure=box, periodic=periodic, bins=edges)
        np.testing.assert_allclose(c.g, count / (300**2 / sides.prod() * shell), rtol=1e-12)
        np.testing.assert_allclose(c.number, np.cumsum(count) / 300, rtol=1e-12)
        np.testing.assert_allclose(c.g, 1, atol=0.15)
        assert c.edges[-1] == 0.5
    assert len(crystal.pair_correlation(sites, measure=box, bins=7).r) == 7


def test_sites_on_the_border_of_a_torus():
    """Sites a rounding below the box are in it, at the other side."""
    c = crystal.pair_correlation([[-1e-18, 0.0], [0.3, 1.0]], periodic=True, bins=[0, 0.31, 0.5])
    assert c.number.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("name", "shape"), [("A2", (6, 4)), ("Z2", (3, 4)), ("bcc", (2, 2, 3)), ("fcc", (2, 2, 2)), ("sc", (3, 3, 3))]
)
def test_second_moments_of_lattices(name, shape):
    """Rows 10 and 11: the value is the table's, none is below the ball's, the excess is that over the best."""
    sites, box = torus(name, shape)
    m = crystal.normalized_second_moment(sites, measure=box, periodic=True)
    exact = crystal.lattice(name).second_moment
    best = crystal.lattice("A2" if m.dim == 2 else "bcc").second_moment
    assert m.value == pytest.approx(exact, rel=1e-12)
    assert m.excess == pytest.approx(exact / best - 1, abs=1e-12)
    assert m.sphere < m.lattice <= m.value * (1 + 1e-12) < m.zador
    assert m.lattice_name == ("A2" if m.dim == 2 else "D3*")


def test_norms():
    """Closed forms against quadrature: pixels, polygons, Gaussians (row 21), laws; scaling as it should."""
    from deblai.quantization.crystal._moments import norm

    s = 0.5
    assert norm("f", UniformBox((0, 0), (2, 3)), s) == pytest.approx(6)
    assert norm("f", Polytope([[0, 0], [2, 0], [0, 3]]), s) == pytest.approx(3)
    values = np.array([[1.0, 3.0], [0.0, 4.0]])
    density = values / (values.sum() * 0.5)  # pixels of area 1/2
    assert norm("f", Grid(values, (0, 0), (1, 2)), s) == pytest.approx((0.5 * density**s).sum() ** (1 / s))
    assert 2 * 5 / (36 * 3**0.5) * norm("f", Gaussian([0, 0]), s) == pytest.approx(4.0306653, abs=5e-8)
    cov = np.array([[2.0, 0.3], [0.3, 0.5]])
    at = np.linspace(-12, 12, 401)
    x, y = np.meshgrid(at, at)
    rho = stats.multivariate_normal([0, 0], cov).pdf(np.stack([x, y], -1))
    assert norm("f", Gaussian([1, 2], cov), s) == pytest.approx(((rho**s).sum() * (at[1] - at[0]) ** 2) ** 2, rel=1e-6)
    assert norm("f", Law(stats.norm(3, 2)), 1 / 3) == pytest.approx(norm("f", Gaussian([3.0], 4.0), 1 / 3), rel=1e-9)
    assert norm("f", Law(stats.expon()), 1 / 3) == pytest.approx(27, rel=1e-9)  # row 20: 27 / 12 = 9/4
    assert norm("f", Law(stats.uniform(0, 2)), 1 / 3) == pytest.approx(4, rel=1e-9)


def test_results_bring_their_energy(rng):
    """The same as that of their sites; of a law, without cells."""
    grid = Grid(rng.random((4, 4)) + 0.1, (0, 0), (1, 1))
    r = deblai.quantization.quantize(grid, 20, rng=0, tol=1e-3)
    one, other = (crystal.normalized_second_moment(v, measure=grid) for v in (r, r.sites))
    assert one.value == pytest.approx(other.value, rel=1e-12)
    law = Law(stats.expon())
    found = crystal.normalized_second_moment(deblai.quantization.quantize(law, 200), measure=law)
    assert found.value == pytest.approx(1 / 12, rel=0.02)
    assert found.lattice == pytest.approx(1 / 12)


def test_zador_fits_on_the_line():
    """Row 15: 1 / ((p + 1) 2^p) for every n; row 20: n^2 D -> 9/4; row 17: sqrt(3) pi / 2."""
    for p in (1, 2, 3.5):
        fit = crystal.zador_fit(UniformBox((0,), (1,)), [3, 5, 9, 20], p=p)
        assert fit.constant == pytest.approx(1 / ((p + 1) * 2**p), rel=1e-9)
        assert fit.exact == pytest.approx(1 / ((p + 1) * 2**p), rel=1e-14)
        assert abs(fit.slope) < 1e-8
        assert fit.proved
    fit = crystal.zador_fit(Law(stats.norm()), [100, 200, 400, 800])
    assert fit.exact == pytest.approx(3**0.5 * np.pi / 2, rel=1e-9)
    assert abs(fit.constant - fit.exact) < max(4 * fit.stderr, 0.002 * fit.exact)


def test_zador_fits_on_the_torus():
    """Row 10: triangular lattices fit, so the limit is met by each; row 9: hexagons of other exponents."""
    from deblai.quantization.crystal._zador import hexagon

    assert hexagon(1) == pytest.approx((4 / 3 + np.log(3)) / (2 * 3**0.5) ** 1.5, rel=1e-13)
    assert hexagon(2) == pytest.approx(5 / (18 * 3**0.5), rel=1e-13)
    assert hexagon(4) == pytest.approx(14 / 405, rel=1e-13)
    box = UniformBox((0, 0), (1, 3**0.5))
    fit = crystal.zador_fit(box, [8, 18, 32], periodic=True, init="triangular")
    assert fit.constant == pytest.approx(fit.exact, rel=1e-12)
    assert (fit.exponent, fit.slope) == (None, 0.0)
    sub = crystal.zador_fit(UniformBox((0, 0), (1, 1)), [10, 20, 40, 80], rng=0, tol=1e-3)
    assert sub.exponent == 0.5
    assert sub.slope > 0
    assert sub.constant == pytest.approx(sub.exact, rel=0.03)
    assert sub.scaled[-1] < sub.scaled[0]


def test_zador_fit_says_what_did_not_converge_and_keeps_what_is_done(monkeypatch):
    with pytest.warns(deblai.ConvergenceWarning, match=r"^\[quantization.crystal.zador_fit\] not converged for n = 9"):
        crystal.zador_fit(UniformBox((0, 0), (1, 1)), [9, 12, 15], max_iter=1, rng=0)
    from deblai.quantization.crystal import _zador

    real, calls = _zador.quantize, []

    def stopped(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(_zador, "quantize", stopped)
    with pytest.raises(deblai.Interrupted) as caught:
        crystal.zador_fit(UniformBox((0,), (1,)), [3, 5, 9, 20])
    assert caught.value.result.n_sites.tolist() == [3, 5, 9]


def test_results_come_back_in_the_library_of_the_sites(library, rng):
    values = rng.random((40, 2))
    sites = library.array(values, "float32")
    s, c = crystal.structure_factor(sites), crystal.pair_correlation(sites, bins=10)
    plain = crystal.structure_factor(values.astype(np.float32))
    for v in (s.k, s.value, c.g, c.r, c.number):
        assert isinstance(v, library.array_type)
        assert library.dtype(v) == "float32"
    np.testing.assert_array_equal(library.numpy(s.value), plain.value)
    assert repr(s) == repr(plain)
    assert repr(c).startswith("PairCorrelation(shells=10")
    m = crystal.normalized_second_moment(sites)
    assert m.value == pytest.approx(crystal.normalized_second_moment(values).value, rel=1e-5)


def test_bonds_are_sites(rng):
    """What takes sites takes bonds, with their domain."""
    box = UniformBox((0, 0), (2, 1))
    sites = rng.random((30, 2)) * [2, 1]
    b = crystal.bonds(sites, measure=box, periodic=True)
    one, other = crystal.pair_correlation(b), crystal.pair_correlation(sites, measure=box, periodic=True)
    assert np.array_equal(one.g, other.g)
    assert np.array_equal(crystal.structure_factor(b).value, crystal.structure_factor(sites, measure=box).value)


SQUARE = np.array([[0.1, 0.2], [0.5, 0.7]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crystal.structure_factor(SQUARE, np.zeros((3, 3))), "k: expected 2 columns"),
        (lambda: crystal.structure_factor(SQUARE, np.zeros((3, 2)), k_max=3), "k_max: expected none"),
        (lambda: crystal.structure_factor(SQUARE, np.full((3, 2), np.nan)), "k: expected finite"),
        (lambda: crystal.structure_factor(SQUARE, k_max=-1), "k_max: expected at least 0"),
        (lambda: crystal.structure_factor(np.zeros((3, 4))), "measure: expected one of 4 dimensions"),
        (lambda: crystal.structure_factor(crystal.bonds(SQUARE), measure=UniformBox((0, 0), (1, 1))), "beside bonds"),
        (lambda: crystal.structure_factor(SQUARE, k_max=1e9), "would take"),
        (lambda: crystal.structure_factor(SQUARE, measure=Law(stats.norm())), "measure: expected a density"),
        (lambda: crystal.normalized_second_moment(SQUARE, measure="box"), "measure: expected"),
        (lambda: crystal.pair_correlation(SQUARE, measure=UniformBox((0,), (1,))), "measure: expected"),
        (lambda: crystal.pair_correlation(SQUARE, periodic=True, r_max=0.6), "r_max: expected at most 0.5"),
        (lambda: crystal.pair_correlation(SQUARE, r_max=1.0), "r_max: expected at most 1"),
        (lambda: crystal.pair_correlation(SQUARE, r_max=0), "r_max: expected more than 0"),
        (lambda: crystal.pair_correlation(SQUARE, bins=0), "bins: expected a positive"),
        (lambda: crystal.pair_correlation(SQUARE, bins=[0.3, 0.2]), "bins: expected at least two rising"),
        (lambda: crystal.pair_correlation(SQUARE, bins=[0.1, 0.2], r_max=0.2), "r_max: expected none"),
        (lambda: crystal.pair_correlation(SQUARE, bins="many"), "bins: expected an integer or numbers"),
        (
            lambda: crystal.pair_correlation(SQUARE, measure=Polytope([[0, 0], [1, 0], [0, 1]])),
            "measure: expected a box",
        ),
        (lambda: crystal.normalized_second_moment(SQUARE, measure=Mixture([Gaussian([0, 0])])), "norms are known"),
        (lambda: crystal.zador_fit(UniformBox((0,), (1,)), [3, 4]), "n_sites: expected at least 3"),
        (lambda: crystal.zador_fit(UniformBox((0,), (1,)), [3, 4, 4]), "n_sites: expected different"),
        (lambda: crystal.zador_fit(UniformBox((0,), (1,)), 3), "n_sites: expected a sequence"),
        (lambda: crystal.zador_fit(UniformBox((0,), (1,)), [3, 4, 5], exponent=0), "exponent: expected more than 0"),
        (lambda: crystal.zador_fit("box", [3, 4, 5]), "measure: expected a measure"),
    ],
)
def test_errors(call, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(deblai.DeblaiError, match=r"^\[quantization\.crystal\..*" + message):
            call()
