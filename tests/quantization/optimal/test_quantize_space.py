"""Quantizers of the plane and of space against ground truths: lattices, rectangles, bounds, Hessians, convergence."""

import itertools
import warnings

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, PiecewiseLinear, Polytope, Samples, UniformBox
from deblai.quantization import lloyd, quantize
from deblai.quantization._optimal.squares import Squares

pytest.importorskip("scipy.sparse")

SQUARE = UniformBox((0, 0), (1, 1))
CUBE = UniformBox((0, 0, 0), (1, 1, 1))
VOXELS = Grid(np.random.default_rng(0).random((3, 2, 3)) + 0.1, (0,) * 3, (1,) * 3)
HEXAGON = 5 / (18 * np.sqrt(3))  # row 9: no energy is below HEXAGON A / N (Fejes Toth)
TORUS = UniformBox((0, 0), (4, 2 * np.sqrt(3)))  # of 16 sites a distance 1 apart
VALUES = np.random.default_rng(5).random((7, 5))


def landscape(measure, periodic):
    from deblai.quantization._optimal.squares import Squares

    return Squares(measure, periodic)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("measure", [SQUARE, Grid(VALUES, (-1, 0), (1, 3))])
@pytest.mark.parametrize("n", [2, 9])  # 2 sites of a torus touch themselves
def test_derivatives(measure, periodic, n):
    """The Hessian is that of the gradient, and the gradient that of the energy, by differences."""
    rng = np.random.default_rng(n)
    land = landscape(measure, periodic)
    y = np.array(measure.lower) + rng.random((n, 2)) * np.subtract(measure.upper, measure.lower)
    point = land.at(y)
    differences(land, point)
    if land.invariant:
        np.testing.assert_allclose(point.hessian @ np.tile([1, 2.0], n), 0, atol=1e-14)


@pytest.mark.parametrize(("n", "energy"), [(1, 1 / 6), (2, 5 / 48), (4, 1 / 24)])
@pytest.mark.parametrize("method", ["auto", "newton", "lbfgs", "anderson", "lloyd"])
def test_unit_square(n, energy, method):
    """Row 14: one site, halves, quarters."""
    r = quantize(SQUARE, n, method=method, rng=0)
    assert r.energy == pytest.approx(energy, rel=1e-12)
    assert r.residual <= 1e-12
    assert r.certified is (n == 1)
    np.testing.assert_allclose(r.weights, 1 / n, atol=1e-11)
    assert r.stability.morse_index == 0


def test_newton_is_quadratic_where_lloyd_is_not():
    """N = 1000: a dozen steps square the residual down to 1e-12, where Lloyd's have hardly begun."""
    start = quantize(SQUARE, 1000, init="k-means++", rng=1, method="lbfgs", tol=1e-3).sites
    seen = []
    r = quantize(SQUARE, 1000, init=start, method="newton", callback=lambda state: seen.append(state.residual))
    assert r.n_iter <= 12
    assert r.gradient_norm < 1e-15
    assert r.residual < 1e-12
    last = [v for v in seen if 1e-8 < v < 2e-3]
    assert len(last) >= 3
    assert all(b < 1000 * a**2 for a, b in itertools.pairwise(last))
    assert all(b <= a * (1 + 1e-13) for a, b in itertools.pairwise(r.history))
    # The Jacobian of Lloyd's map is I - H / 2m: an eigenvalue is at least that far from 0.
    slowest = r.stability.smallest / (2 * r.weights.min())
    assert np.log(1e-12) / np.log1p(-slowest) > 1e4
    assert HEXAGON / 1000 < r.energy < 1.02 * HEXAGON / 1000


@pytest.mark.parametrize("method", ["auto", "newton", "lbfgs", "anderson", "lloyd"])
@pytest.mark.parametrize(("measure", "periodic"), [(SQUARE, True), (Grid(VALUES, (0, 0), (1, 1)), False)])
def test_methods(measure, periodic, method):
    """Energies go down, and all but Lloyd's iteration arrive at minima; the masses are those of the cells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        r = quantize(measure, 40, periodic=periodic, method=method, rng=2, tol=1e-10, max_iter=400)
    assert r.converged or method == "lloyd"
    assert all(b <= a * (1 + 1e-13) for a, b in itertools.pairwise(r.history))
    cells = deblai.quantization.laguerre(r.sites, measure=measure, periodic=periodic)
    np.testing.assert_allclose(cells.mass, r.weights, rtol=1e-10)
    assert float(cells.energy) == pytest.approx(r.energy, rel=1e-12)
    assert ((r.sites >= 0) & (r.sites <= 1)).all()
    if r.converged:
        assert r.stability.morse_index == 0


def test_triangular_lattice():
    """Row 10: the global minimum of its torus, found again from near by; two directions, the translations, are flat."""
    energy = HEXAGON * TORUS.volume / 16
    r = quantize(TORUS, 16, periodic=True, init="triangular")
    assert r.energy == pytest.approx(energy, rel=1e-14)
    assert (r.n_iter, r.certified) == (0, True)
    moved = r.sites + 0.1 * np.random.default_rng(0).standard_normal((16, 2))
    again = quantize(TORUS, 16, periodic=True, init=moved)
    assert again.energy == pytest.approx(energy, rel=1e-13)
    assert again.certified
    for stability in (r.stability, again.stability):
        assert (stability.morse_index, stability.translations) == (0, 2)
        assert stability.smallest > 0.01 > 1e-14 > abs(stability.eigenvalues[:2]).max()
        assert stability.eigenvalues[2] == stability.smallest


def test_square_lattice():
    """Row 11: stationary, A / (6N), and a saddle: below it there are better sites."""
    r = quantize(SQUARE, 16, periodic=True, init="square")
    assert r.energy == pytest.approx(1 / (6 * 16), rel=1e-14)
    assert r.gradient_norm < 1e-15
    assert not r.certified
    assert r.stability.morse_index > 0
    assert r.stability.smallest < -0.01
    moved = r.sites + 1e-3 * np.random.default_rng(0).standard_normal((16, 2))
    assert quantize(SQUARE, 16, periodic=True, init=moved).energy < 0.97 * r.energy


@pytest.mark.parametrize(
    ("name", "n", "energy"),
    [
        ("bcc", 16, 3 * 19 / (192 * 2 ** (1 / 3))),
        ("fcc", 32, 3 * 2 ** (-11 / 3)),
        ("sc", 27, 0.25),
    ],
)
def test_lattices_of_space(name, n, energy):
    """Row 11, with the constants of rows 2 and 3: stationary on the torus."""
    box = UniformBox((0, 0, 0), (2, 2, 2))
    r = quantize(box, n, periodic=True, init=name, method="lbfgs")
    assert r.energy == pytest.approx(energy * (8 / n) ** (2 / 3), rel=1e-13)
    assert r.residual < 1e-12
    np.testing.assert_allclose(r.weights, 1 / n, rtol=1e-12)


@pytest.mark.parametrize(("dim", "n"), [(2, 4000), (3, 2000)])
def test_independent_sites(dim, n):
    """Row 12, before any step: A / (pi N) in the plane, .3474077 (V/N)^(2/3) in space."""
    box = UniformBox((0,) * dim, (1,) * dim)
    r = quantize(box, n, periodic=True, init="random", rng=0, callback=lambda state: True)
    assert r.n_iter == 0
    assert r.energy == pytest.approx(1 / (np.pi * n) if dim == 2 else 0.3474077 * n ** (-2 / 3), rel=0.03)


@pytest.mark.parametrize(
    ("measure", "periodic", "n"), [(SQUARE, False, 2000), (SQUARE, True, 1999), (CUBE, False, 900)]
)
def test_refined_start(measure, periodic, n):
    """Sites of a good quantizer and their midpoints: no cell is empty, and the energy is far below that of draws."""
    seen = []
    r = quantize(measure, n, periodic=periodic, rng=0, tol=1e-2, callback=lambda state: seen.append(state.energy))
    draws = quantize(measure, n, periodic=periodic, init="random", rng=0, callback=lambda state: True)
    assert r.sites.shape == (n, measure.dim)
    assert not r.empty.any()
    assert seen[0] < (0.6 if measure.dim == 2 else 0.9) * draws.energy
    bound = {2: HEXAGON / n, 3: 3 * 19 / (192 * 2 ** (1 / 3)) * n ** (-2 / 3)}[measure.dim]
    assert bound < r.energy < 1.04 * bound
    same = quantize(measure, n, periodic=periodic, init="refined", rng=0, tol=1e-2)
    assert (same.sites == r.sites).all()
    with pytest.raises(deblai.errors.InvalidValue, match=r"init: expected weights='free' for init='refined'"):
        quantize(SQUARE, n, weights="uniform", init="refined")


def test_sites_without_mass():
    """They are sent where the most energy is; none are left, and the energy only falls."""
    values = np.zeros((8, 8))
    values[:2] = 1
    init = np.random.default_rng(0).random((12, 2))
    init[3] = init[4]
    r = quantize(Grid(values, (0, 0), (1, 1)), 12, init=init, rng=0)
    assert r.converged
    assert not r.empty.any()
    assert r.sites[:, 0].max() < 0.25
    assert (np.diff(r.history) <= 1e-16).all()


def test_large_spectrum():
    """Factorised, the same ends and index as dense; a saddle on a torus, a minimum in a box."""
    from deblai.quantization._optimal import spectrum

    minimum = quantize(SQUARE, 60, rng=0)
    saddle = quantize(SQUARE, 36, periodic=True, init="square")
    for r, periodic in ((minimum, False), (saddle, True)):
        hessian = landscape(SQUARE, periodic).at(r.sites).hessian
        before, spectrum.DENSE = spectrum.DENSE, 1
        try:
            large = spectrum.stability(hessian, 2 if periodic else 0)
        finally:
            spectrum.DENSE = before
        assert large.morse_index == r.stability.morse_index
        assert (large.smallest, large.largest) == pytest.approx((r.stability.smallest, r.stability.largest), rel=1e-7)


def test_samples():
    """Those go to `lloyd`, in any dimension; the best of the starts."""
    x = np.random.default_rng(0).standard_normal((300, 4))
    want = lloyd(x, 5, tol=1e-12, max_iter=500, rng=3)
    r = quantize(Samples(x), 5, rng=3)
    assert (r.sites == want.sites).all()
    assert r.residual is None
    several = quantize(Samples(x), 5, rng=3, restarts=4)
    assert several.restarts[0].energy == want.energy
    assert several.energy == min(end.energy for end in several.restarts)
    assert quantize(Samples(np.arange(6.0)), 2, rng=0, restarts=9).energy == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_libraries_of_the_plane(library, dtype):
    """Sites come as the pixels are, or as `init` is; all is float64 inside."""
    grid = Grid(library.array(VALUES, dtype), (0, 0), (1, 1))
    want = quantize(Grid(VALUES.astype(dtype), (0, 0), (1, 1)), 6, rng=1)
    r = quantize(grid, 6, rng=1)
    for array in (r.sites, r.weights):
        assert isinstance(array, library.array_type)
        assert library.dtype(array) == dtype
    assert r.history == want.history
    assert r.residual < 1e-12
    np.testing.assert_array_equal(library.numpy(r.sites), want.sites)
    init = library.array(np.random.default_rng(4).random((6, 2)), dtype)
    assert isinstance(quantize(SQUARE, 6, init=init).sites, library.array_type)


def test_interrupts():
    """True stops with what there is; Ctrl-C keeps the best so far, also of earlier starts."""
    r = quantize(SQUARE, 30, rng=0, callback=lambda state: state.step == 3)
    assert (r.n_iter, r.converged, len(r.restarts)) == (3, False, 1)
    steps = []

    def press(state):
        steps.append(state.step)
        if len(steps) > 1 and steps[-1] == 2 and steps.count(0) == 2:
            raise KeyboardInterrupt

    with pytest.raises(deblai.Interrupted, match=r"\[quantization.quantize\] interrupted after") as caught:
        quantize(SQUARE, 30, rng=0, restarts=3, callback=press)
    assert len(caught.value.result.restarts) == 2
    assert caught.value.result.converged
    with pytest.warns(deblai.ConvergenceWarning, match="not converged after 2 steps"):
        quantize(SQUARE, 30, rng=0, max_iter=2)


@pytest.mark.parametrize("calls", [1, 5, 25])
def test_interrupted_start(calls, monkeypatch):
    """Ctrl-C on the way to a refined start: its sites so far, made as many as there are to be."""
    real, seen = Squares.at, []

    def press(self, sites, near=None):
        seen.append(len(sites))
        if len(seen) == calls + 1:
            raise KeyboardInterrupt
        return real(self, sites, near)

    monkeypatch.setattr(Squares, "at", press)
    with pytest.raises(deblai.Interrupted, match="interrupted after 0 steps") as caught:
        quantize(SQUARE, 1300, rng=0)
    assert max(seen[:calls]) < 1300
    r = caught.value.result
    assert (r.sites.shape, r.n_iter, r.converged) == ((1300, 2), 0, False)
    assert r.energy < 4 * HEXAGON / 1300


def test_reference():
    """The oracle takes the same steps."""
    want = quantize(SQUARE, 8, rng=0)
    with deblai.use_backend("reference"):
        r = quantize(SQUARE, 8, rng=0)
    assert r.backend == "reference"
    assert r.energy == pytest.approx(want.energy, rel=1e-12)
    assert r.n_iter == want.n_iter


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("measure", [SQUARE, Grid(VALUES, (-1, 0), (1, 3)), CUBE, VOXELS])
def test_derivatives_for_given_weights(measure, periodic):
    """The envelope theorem, and the Hessian with what the potentials add to it, by differences."""
    from deblai.quantization._optimal.transports import Transports

    rng = np.random.default_rng(1)
    wanted = rng.random(6) + 1
    land = Transports(measure, periodic, wanted / wanted.sum(), 1e-12)
    point = land.at(np.array(measure.lower) + rng.random((6, measure.dim)) * np.subtract(measure.upper, measure.lower))
    differences(land, point)


def differences(land, point):
    y, moves = point.sites, 1e-6 * np.eye(point.sites.size).reshape(-1, *point.sites.shape)
    ends = [(land.at(y + e, point), land.at(y - e, point)) for e in moves]
    np.testing.assert_allclose(point.gradient.ravel(), [(a.energy - b.energy) / 2e-6 for a, b in ends], atol=1e-9)
    bend = [(a.gradient - b.gradient).ravel() / 2e-6 for a, b in ends]
    np.testing.assert_allclose(point.hessian.toarray(), bend, atol=1e-7)


@pytest.mark.parametrize("method", ["auto", "newton", "lbfgs", "anderson", "lloyd"])
def test_uniform_weights(method):
    """Masses are as asked for, energies go down to stationary sites, and are those of transport to them."""
    grid = Grid(VALUES, (0, 0), (1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deblai.ConvergenceWarning)
        r = quantize(grid, 12, weights="uniform", method=method, rng=1, tol=1e-9, max_iter=200)
    assert r.weights.tolist() == [1 / 12] * 12
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(r.history))
    found = deblai.quantization.semidiscrete(grid, r.sites, tol=1e-11)
    assert r.energy == pytest.approx(found.value, rel=1e-12)
    if r.converged:
        np.testing.assert_allclose(found.centroids, r.sites, atol=1e-9)
    assert r.converged or method in ("lloyd", "anderson")
    assert r.energy > quantize(grid, 12, init=r.sites).energy


def test_given_weights():
    """Two sites of a long box: cells of lengths 3 and 1 of 4, whose moments are known; four of a square."""
    box = UniformBox((0, 0), (4, 0.5))
    r = quantize(box, 2, weights=[3.0, 1.0], init=[[1.0, 0.2], [3.6, 0.3]])
    assert r.energy == pytest.approx((3**3 / 12 + 1 / 12) / 4 + 0.25 / 12, rel=1e-12)
    np.testing.assert_allclose(r.sites, [[1.5, 0.25], [3.5, 0.25]], atol=1e-11)
    four = quantize(SQUARE, 4, weights="uniform", rng=0, restarts=2)
    assert four.energy == pytest.approx(1 / 24, rel=1e-12)
    lattice = quantize(TORUS, 16, periodic=True, init="triangular", weights="uniform")
    assert lattice.energy == pytest.approx(HEXAGON * TORUS.volume / 16, rel=1e-12)
    assert lattice.stability.morse_index == 0
    assert lattice.stability.translations == 2


def test_given_weights_in_space():
    """Row 11: body-centred cubes have equal weights, and are a minimum; octants of a cube; voxels."""
    box = UniformBox((0,) * 3, (2,) * 3)
    r = quantize(box, 16, periodic=True, init="bcc", weights="uniform")
    assert r.energy == pytest.approx(3 * 19 / (192 * 2 ** (1 / 3)) * 0.5 ** (2 / 3), rel=1e-13)
    assert (r.n_iter, r.stability.morse_index, r.stability.translations) == (0, 0, 3)
    octants = np.indices((2, 2, 2)).reshape(3, -1).T * 0.5 + 0.25
    moved = octants + 0.04 * np.random.default_rng(0).standard_normal((8, 3))
    r = quantize(CUBE, 8, init=moved, weights="uniform")
    assert r.energy == pytest.approx(1 / 16, rel=1e-13)
    assert r.stability.morse_index == 0
    np.testing.assert_allclose(r.sites, octants, atol=1e-10)
    r = quantize(VOXELS, 5, weights=[1.0, 2, 3, 4, 5], rng=0)
    found = deblai.quantization.semidiscrete(VOXELS, r.sites, r.weights, tol=1e-11)
    assert r.energy == pytest.approx(found.value, rel=1e-12)
    np.testing.assert_allclose(found.centroids, r.sites, atol=1e-9)


@pytest.mark.parametrize(("n", "energy"), [(2, 2 - 2 / np.pi), (3, 0.9257041341), (4, 0.7267604553), (5, 0.6144835088)])
def test_normal_law_of_the_plane(n, energy):
    """Row 22: N(0, I_2), where turns change nothing."""
    r = quantize(Gaussian(np.zeros(2), np.eye(2)), n, rng=0, restarts=3)
    assert r.energy == pytest.approx(energy, abs=6e-11)
    assert r.residual < 1e-11


def test_normal_law_of_many_sites():
    """Row 21 (Zador's theorem, hexagons for d = 2): N D tends to 20 pi / (9 sqrt 3) = 4.0306653, here from below."""
    limit = 20 * np.pi / (9 * np.sqrt(3))
    few, many = (n * quantize(Gaussian([0.0, 0.0]), n, rng=0, tol=1e-2).energy for n in (50, 800))
    assert few < 0.95 * limit
    assert abs(many / limit - 1) < 0.01


def test_other_measures():
    """Polygons and meshes, and pixels of space."""
    triangle = Polytope(np.array([[0.0, 0], [1, 0], [0, 1]]))
    for p in (1, 2):
        assert quantize(triangle, 9, p=p, rng=0).residual < 1e-11
    one = quantize(triangle, 1)
    np.testing.assert_allclose(one.sites, [[1 / 3, 1 / 3]], atol=1e-14)
    assert one.energy == pytest.approx(1 / 9, rel=1e-13)
    assert quantize(PiecewiseLinear.from_grid(VALUES + 0.1, (0, 0), (1, 1)), 9, rng=0).residual < 1e-11
    for measure in (
        Grid(np.random.default_rng(0).random((3, 2, 3)), (0,) * 3, (1,) * 3),
        UniformBox((0,) * 3, (1,) * 3),
    ):
        r = quantize(measure, 20, rng=0)
        assert r.residual < 1e-11
        assert r.stability.morse_index == 0
