"""Means of powers of distances: every density and exponent against rays, closed forms, differences, symmetries."""

import functools
import itertools
from fractions import Fraction
from math import comb, gamma

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox
from deblai.quantization import quantize
from deblai.quantization._optimal.powers import Powers
from deblai.quantization._optimal.squares import Squares

pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(3)
SQUARE, CUBE = UniformBox((0, 0), (1, 1)), UniformBox((0, 0, 0), (1, 1, 1))
VALUES = RNG.random((4, 3)) * (np.arange(3) != 1)  # with pixels that hold nothing
GRID = Grid(VALUES, (-1, 0), (1, 3))
NODES = np.array([[0, 0], [2, 0], [2, 1], [0, 1], [0.8, 0.4]])
MESH = PiecewiseLinear(NODES, np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]), [1.0, 2, 0.5, 1, 3])
PENTAGON = Polytope([[0, 0], [2, 0], [2.5, 1], [1, 2], [0, 1]])
SOLID = Polytope(np.concatenate([np.eye(3), -np.eye(3), [[0.9, 0.9, 0.9]]]))
NORMAL = Mixture([Gaussian([0.2, 0.1], [[0.3, 0.1], [0.1, 0.2]]), Gaussian([1.0, 0.0])], [0.3, 0.7], PENTAGON)
VOXELS = Grid(np.array([[[1.0, 2]], [[0, 3]]]), (0, 0, -1), (1, 2, 1))
MEASURES = {
    "square": (SQUARE, False),
    "torus": (SQUARE, True),
    "pentagon": (PENTAGON, False),
    "grid": (GRID, False),
    "grid torus": (GRID, True),
    "mesh": (MESH, False),
    "gaussian": (NORMAL, False),
    "voxels": (VOXELS, False),
    "cube": (CUBE, False),
    "torus of space": (CUBE, True),
    "solid": (SOLID, False),
}
TORUS = UniformBox((0, 0), (4, 2 * np.sqrt(3)))  # of 16 sites a distance 1 apart
named = pytest.mark.parametrize("name", MEASURES)


def draws(measure, n, seed=0):
    lower, upper = np.array(measure.lower), np.array(measure.upper)
    return lower + (upper - lower) * (0.25 + 0.5 * np.random.default_rng(seed).random((n, measure.dim)))


def few(measure):
    return 4 if measure.dim == 2 else 2  # rays in space take time


def numbers(name, p):
    measure, periodic = MEASURES[name]
    point = Powers(measure, periodic, p).at(draws(measure, few(measure)))
    return point.mass, point.each, point.gradient, point.curvature, point.hessian.toarray()


@functools.cache
def expected(name, p):
    with deblai.use_backend("reference"):
        return numbers(name, p)


@named
def test_parity(name, level):
    """Every instruction set against rays from the sites; p = 2 also against moments of cells."""
    for p in (1, 3, 4, 5.3):
        with deblai.use_backend("cpu", simd=level):
            found = numbers(name, p)
        for one, other in zip(found, expected(name, p), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=2e-12 * np.abs(other).max())
    measure, periodic = MEASURES[name]
    point = Squares(measure, periodic).at(draws(measure, few(measure)))
    squares = point.mass, point.each, point.gradient, point.curvature, point.hessian.toarray()
    with deblai.use_backend("cpu", simd=level):
        for one, other in zip(numbers(name, 2), squares, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-13 * np.abs(other).max())


@named
@pytest.mark.parametrize("p", [1, 1.5, 3, 12.7])
def test_derivatives(name, p):
    """The Hessian is that of the gradient, and the gradient that of the energy, by differences."""
    measure, periodic = MEASURES[name]
    land = Powers(measure, periodic, p)
    point = land.at(draws(measure, 5, 1))
    y, moves = point.sites, 1e-6 * np.eye(point.sites.size).reshape(-1, *point.sites.shape)
    ends = [(land.at(y + e), land.at(y - e)) for e in moves]
    slope = np.array([(a.energy - b.energy) / 2e-6 for a, b in ends])
    bend = np.array([(a.gradient - b.gradient).ravel() / 2e-6 for a, b in ends])
    np.testing.assert_allclose(point.gradient.ravel(), slope, atol=2e-8 * np.abs(slope).max())
    np.testing.assert_allclose(point.hessian.toarray(), bend, atol=1e-6 * np.abs(bend).max())


def corner(dim, p):
    """The integral of r^p over the unit box from its corner, p even."""
    sums = {0: Fraction(1)}  # of multinomial sums by degree / 2
    for _ in range(dim):
        sums = {
            m: sum(comb(m, k) * Fraction(1, 2 * k + 1) * sums.get(m - k, 0) for k in range(m + 1))
            for m in range(p // 2 + 1)
        }
    return float(sums[p // 2])


MEAN_2 = (np.sqrt(2) + np.arcsinh(1)) / 3
MEAN_3 = np.sqrt(3) / 4 - np.pi / 24 + np.log(2 + np.sqrt(3)) / 2


@pytest.mark.parametrize(
    ("dim", "p", "value"),
    [(2, 1, MEAN_2), (3, 1, MEAN_3), *((d, p, corner(d, p)) for d in (2, 3) for p in (2, 4, 6, 20, 120))],
)
def test_one_site(dim, p, value):
    """From the corner of a box, its middle and the middle of a side: box integrals (Bailey, Borwein and Crandall)."""
    box = UniformBox((0,) * dim, (1,) * dim)
    assert Powers(box, False, p).at(np.zeros((1, dim))).energy == pytest.approx(value, rel=1e-13)
    assert Powers(box, False, p).at(np.full((1, dim), 0.5)).energy == pytest.approx(value / 2**p, rel=1e-13)
    r = quantize(box, 1, p=p, rng=0)
    assert r.certified
    assert r.energy == pytest.approx(value / 2**p, rel=1e-13)  # row 33 for p = 1
    double = UniformBox((-1,) + (0,) * (dim - 1), (1,) * dim)  # two boxes at the site
    assert Powers(double, False, p).at(np.zeros((1, dim))).energy == pytest.approx(value, rel=1e-13)
    flat = UniformBox((0,) * dim, (1,) * (dim - 1) + (1e-3,))  # what is left is the side
    near = 1 / (p + 1) if dim == 2 else MEAN_2 if p == 1 else corner(2, p)
    assert Powers(flat, False, p).at(np.zeros((1, dim))).energy == pytest.approx(near, rel=1e-3)


@pytest.mark.parametrize(("p", "constant"), [(1, 0.3771967354), (2, 0.1603750748), (4, 14 / 405)])
def test_hexagons(p, constant):
    """Row 9: J_{p,2} of hexagons of area 1, the global minimum of the torus for every p."""
    area = TORUS.volume / 16
    r = quantize(TORUS, 16, p=p, periodic=True, init="triangular")
    assert r.energy == pytest.approx(constant * area ** (p / 2), rel=3e-10)
    assert r.certified
    moved = r.sites + 0.1 * np.random.default_rng(0).standard_normal((16, 2))
    again = quantize(TORUS, 16, p=p, periodic=True, init=moved)
    assert again.energy == pytest.approx(r.energy, rel=1e-12)
    assert again.stability.morse_index == 0
    rough = quantize(SQUARE, 30, p=p, rng=0)
    assert rough.residual < 1e-11
    assert constant < rough.energy * 30 ** (p / 2) < 1.15 * constant
    assert not rough.certified


@pytest.mark.parametrize(("name", "n"), [("sc", 27), ("bcc", 16), ("fcc", 32)])
@pytest.mark.parametrize("p", [1, 4])
def test_lattices(name, n, p):
    """Stationary on the torus for every p; cubes are known, and bcc is better than fcc and these."""
    box = UniformBox((0, 0, 0), (2, 2, 2))
    r = quantize(box, n, p=p, periodic=True, init=name, method="lbfgs")
    assert r.n_iter == 0
    assert r.residual < 1e-12
    unit = r.energy * (n / 8) ** (p / 3)
    cube = {1: MEAN_3 / 2, 4: 19 / 240}[p]
    if name == "sc":
        assert unit == pytest.approx(cube, rel=1e-13)
    ball = 3 / (p + 3) * (3 / (4 * np.pi)) ** (p / 3)
    assert ball < unit <= cube * (1 + 1e-13)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("grid", [GRID, VOXELS])
def test_grids(grid, periodic):
    """Pixels of one value are none, and cutting each in four or eight changes nothing."""
    y, d = draws(grid, 9), grid.dim
    even = UniformBox(grid.lower, grid.upper)
    fine = Grid(np.kron(grid.values, np.ones((2,) * d)), grid.lower, grid.upper)
    for one, other in ((Grid(np.full((5, 4, 3)[:d], 0.3), even.lower, even.upper), even), (fine, grid)):
        for p in (1, 3.5):
            a, b = (Powers(m, periodic, p).at(y) for m in (one, other))
            np.testing.assert_allclose(a.each, b.each, rtol=1e-12)
            np.testing.assert_allclose(a.gradient, b.gradient, atol=1e-13)
            np.testing.assert_allclose(a.hessian.toarray(), b.hessian.toarray(), atol=1e-11)


@named
def test_scale(name):
    """E of a measure s times as large, and moved, is s^p E at sites that go with it."""
    measure, periodic = MEASURES[name]
    s, shift, y = 1e-7, 1e-7 * np.arange(1, measure.dim + 1), draws(measure, 6)
    moved = {
        Polytope: lambda m: Polytope(s * np.asarray(m.vertices) + shift),
        UniformBox: lambda m: UniformBox(s * np.array(m.lower) + shift, s * np.array(m.upper) + shift),
        Grid: lambda m: Grid(m.values, s * np.array(m.lower) + shift, s * np.array(m.upper) + shift),
        Mixture: lambda m: Mixture(
            [Gaussian(s * np.asarray(g.mean) + shift, s**2 * np.asarray(g.cov)) for g in m.components],
            m.weights,
            Polytope(s * np.asarray(m.domain.vertices) + shift),
        ),
        PiecewiseLinear: lambda m: PiecewiseLinear(s * np.asarray(m.points) + shift, m.triangles, m.values),
    }[type(measure)](measure)
    for p in (1, 3, 2.5):
        a, b = Powers(measure, periodic, p).at(y), Powers(moved, periodic, p).at(s * y + shift)
        np.testing.assert_allclose(b.each, s**p * a.each, rtol=1e-8)
        assert b.residual == pytest.approx(a.residual, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "p", "n"),
    [
        ("cube", 1, 20),
        ("torus of space", 4, 9),
        ("solid", 2.5, 12),
        ("grid", 1, 15),
        ("mesh", 3, 20),
        ("grid", 6, 12),
        ("gaussian", 1, 10),
    ],
)
def test_minima(name, p, n):
    """Newton's method arrives where nothing is lower near by, also from sites that are one; energies go down."""
    measure, periodic = MEASURES[name]
    init = draws(measure, n)
    init[3] = init[4]
    r = quantize(measure, n, p=p, periodic=periodic, init=init, rng=0)
    assert r.converged
    assert r.residual < 1e-10
    assert not r.empty.any()
    assert all(b <= a * (1 + 1e-13) for a, b in itertools.pairwise(r.history))
    assert r.stability.morse_index == 0
    assert r.weights.sum() == pytest.approx(1, rel=1e-14)
    rng = np.random.default_rng(1)
    land = Powers(measure, periodic, p)
    assert all(land.at(r.sites + 1e-3 * rng.standard_normal(r.sites.shape)).energy > r.energy for _ in range(5))


@pytest.mark.parametrize("measure", [SQUARE, CUBE, Grid(RNG.random((40, 40)), (0, 0), (1, 1)), NORMAL, VOXELS])
def test_threads(measure):
    """The same to the bit for any number."""
    y = np.random.default_rng(0).random((700, measure.dim))
    ends = []
    for threads in (1, 3):
        with deblai.use_backend("cpu", threads=threads):
            ends.append(Powers(measure, False, 1.5).at(y))
    a, b = ends
    assert (a.each == b.each).all()
    assert (a.gradient == b.gradient).all()
    assert (a.hessian != b.hessian).nnz == 0


@pytest.mark.parametrize("p", [1, 2.5, 4, 40])
def test_normal_law(p):
    """One site: E |X|^p = 2^(p/2) Gamma(1 + p/2); far from the mean, and all of a cell in the tail."""
    law, mean = Gaussian([0.0, 0.0]), 2 ** (p / 2) * gamma(1 + p / 2)
    assert Powers(law, False, p).at(np.zeros((1, 2))).energy == pytest.approx(mean, rel=1e-13)
    assert quantize(law, 1, p=p, rng=0).energy == pytest.approx(mean, rel=1e-12)
    wide = Gaussian([1.0, 2.0], [[4.0, 0.0], [0.0, 1e-6]])  # nearly a line
    line = 2**p * 2 ** (p / 2) * gamma((p + 1) / 2) / np.sqrt(np.pi)
    assert Powers(wide, False, p).at(np.array([[1.0, 2.0]])).energy == pytest.approx(line, rel=1e-4)
    away = Powers(law, False, p).at(np.array([[50.0, 0.0], [0.0, 0.0]]))  # halves at 25, where there is e^-313
    assert 0 < away.mass[0] < 1e-135
    assert away.each[0] / away.mass[0] == pytest.approx(25**p, rel=0.003 * p)
