"""deblai.quantization.lloyd on boxes and pixels: exact cells, known optima and lower bounds, the torus, seeds."""

import itertools
import warnings

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox
from deblai.quantization import laguerre, lloyd
from deblai.quantization._draws import draw

SQUARE = UniformBox((0, 0), (1, 1))
HEXAGON = 5 / (18 * np.sqrt(3))  # second moment of the hexagon of area 1: no energy is below HEXAGON / k (Fejes Toth)


@pytest.mark.parametrize(("k", "energy"), [(1, 1 / 6), (2, 5 / 48), (4, 1 / 24)])
def test_unit_square(k, energy):
    """Moments of rectangles: the centre, two halves, four quarters are fixed points that Lloyd finds."""
    r = min((lloyd(SQUARE, k, rng=seed, tol=1e-13, max_iter=2000) for seed in range(4)), key=lambda r: r.energy)
    assert r.converged
    assert r.labels is None
    assert float(r.energy) == pytest.approx(energy, rel=1e-9)
    np.testing.assert_allclose(r.weights, 1 / k, atol=1e-4)


def test_energies_decrease_above_the_bound():
    """In a box every energy is at least HEXAGON / k, as on the torus; in both they decrease."""
    for periodic in (False, True):
        r = lloyd(SQUARE, 60, rng=1, periodic=periodic, tol=1e-6, max_iter=3000)
        assert r.converged
        assert (np.diff(r.history) < 0).all()
        assert HEXAGON / 60 < float(r.energy) < 1.1 * HEXAGON / 60
        assert r.weights.sum() == pytest.approx(1)
        assert ((r.sites >= 0) & (r.sites <= 1)).all()


def test_triangular_lattice_on_the_torus():
    """Its hexagons have the energy HEXAGON A / k, the global minimum (arXiv 2503.22680): a stable fixed point."""
    box = UniformBox((0, 0), (2, 2 * np.sqrt(3)))
    lattice = np.array([[i + 0.5 * (j % 2), j * np.sqrt(3) / 2] for j in range(4) for i in range(2)])
    r = lloyd(box, 8, init=lattice, periodic=True, tol=0)
    assert r.n_iter <= 1
    assert float(r.energy) == pytest.approx(HEXAGON * box.volume / 8, rel=1e-12)
    rough = lloyd(
        box,
        8,
        init=lattice + 0.1 * np.random.default_rng(0).standard_normal((8, 2)),
        periodic=True,
        tol=1e-14,
        max_iter=3000,
    )
    assert float(rough.energy) == pytest.approx(HEXAGON * box.volume / 8, rel=1e-6)


def test_pixels_and_their_samples():
    """A density on pixels and a fine grid of samples in them, weighted alike: the same sites up to the grid."""
    rng = np.random.default_rng(2)
    values = rng.random((6, 4))
    grid = Grid(values, (0, 0), (3, 2))
    fine = 100
    axes = [(np.arange(m * fine) + 0.5) * side / (m * fine) for m, side in ((6, 3), (4, 2))]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    w = np.repeat(np.repeat(values, fine, 0), fine, 1).ravel()
    init = rng.random((5, 2)) * (3, 2)
    exact, sampled = (
        lloyd(grid, 5, init=init, tol=1e-10, max_iter=500),
        lloyd(x, 5, weights=w, init=init, tol=1e-10, max_iter=500),
    )
    np.testing.assert_allclose(exact.sites, sampled.sites, atol=5e-3)
    assert float(exact.energy) == pytest.approx(float(sampled.energy), rel=1e-3)


def test_empty_cells_stay():
    """Where the density is 0, and far from the box, sites stay where they are and are flagged."""
    values = np.zeros((4, 4))
    values[:2] = 1
    init = np.array([[0.1, 0.5], [0.4, 0.5], [0.95, 0.5], [30.0, 0.5]])
    r = lloyd(Grid(values, (0, 0), (1, 1)), 4, init=init)
    assert r.empty.tolist() == [False, False, True, True]
    assert np.array_equal(r.sites[2:], init[2:])
    assert r.weights[2:].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_libraries(library, dtype):
    """Sites come as the pixels are, or as `init` is; the reference agrees."""
    values = np.random.default_rng(3).random((8, 6)).astype(dtype)
    grid = Grid(library.array(values, dtype), (0, 0), (4, 3))
    r = lloyd(grid, 7, rng=0, max_iter=50, tol=1e-3)
    assert isinstance(r.sites, library.array_type)
    assert library.dtype(r.sites) == dtype
    assert r.labels is None
    same = lloyd(Grid(values, (0, 0), (4, 3)), 7, rng=0, max_iter=50, tol=1e-3)
    assert r.history == same.history
    init = library.array(np.random.default_rng(4).random((7, 2)), dtype)
    assert library.dtype(lloyd(SQUARE, 7, init=init, tol=1e-3).sites) == dtype
    with deblai.use_backend("reference"):
        want = lloyd(Grid(values.astype("float64"), (0, 0), (4, 3)), 7, rng=0, max_iter=50, tol=1e-3)
    assert r.history == pytest.approx(want.history, rel=1e-4 if dtype == "float32" else 1e-11)


def test_draws():
    """Random sites fall where the density is; the energy of the result is that of its cells."""
    values = np.zeros((5, 3))
    values[1, 2], values[4, 0] = 1, 3
    grid = Grid(values, (0, 0), (5, 3))
    for init in ("random", "k-means++"):
        seen = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", deblai.ConvergenceWarning)
            r = lloyd(grid, 40, init=init, rng=0, max_iter=2, callback=seen.append)
        pixels = {tuple(p) for p in np.floor(seen[0].sites).astype(int)}
        assert pixels == {(1, 2), (4, 0)}
        assert float(r.energy) == pytest.approx(float(laguerre(r.sites, measure=grid).energy), rel=1e-12)
    assert 20 <= (np.floor(seen[0].sites[:, 0]) == 4).sum() <= 38


def test_interrupt_by_callback():
    """True stops with what there is; an exception goes through."""
    r = lloyd(SQUARE, 30, rng=0, callback=lambda state: state.step == 3)
    assert (r.n_iter, r.converged) == (3, False)

    def press(state):
        if state.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(deblai.Interrupted) as caught:
        lloyd(SQUARE, 30, rng=0, callback=press)
    assert caught.value.result.n_iter == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": np.ones(3)}, InvalidValue, "weights: expected None for a density"),
        ({"x": UniformBox((0,), (1,))}, InvalidValue, "x: expected 2 or 3 dimensions, got 1"),
        (
            {"x": UniformBox([0] * 4, [1] * 4)},
            InvalidValue,
            "x: expected 2 or 3 dimensions, got 4",
        ),
        ({"init": np.zeros((3, 3))}, InvalidValue, "init: expected 2 coordinates"),
        ({"init": np.zeros((4, 2))}, InvalidValue, "init: expected 3 sites to match n_sites, got 4"),
        ({"init": np.full((3, 2), np.nan)}, InvalidValue, "init: expected finite values"),
        ({"init": np.zeros((3, 2), complex)}, InvalidType, "init: expected float32 or float64"),
        ({"n_sites": 0}, InvalidValue, "n_sites: expected a positive integer"),
    ],
)
def test_bad_input(arguments, error, message):
    """Each message names the function and the argument."""
    with pytest.raises(error, match=r"^\[quantization.lloyd\] " + message):
        lloyd(**({"x": SQUARE, "n_sites": 3} | arguments))


def test_a_cube():
    """Eight sites of the unit cube settle at the middles of its octants, 1/48 each way: 3 / (12 * 4)."""
    r = min(
        (lloyd(UniformBox([0] * 3, [1] * 3), 8, rng=k, tol=1e-13, max_iter=2000) for k in range(6)),
        key=lambda r: r.energy,
    )
    assert r.energy == pytest.approx(1 / 16, abs=1e-9)
    assert sorted(map(tuple, r.sites.round(3) * 4)) == sorted(itertools.product((1, 3), repeat=3))


TRIANGLE = Polytope([[0.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
SLOPE = PiecewiseLinear([[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1, 2], [0, 2, 3]], [0.0, 2.0, 2.0, 0.0])
NORMAL = Gaussian([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]])


@pytest.mark.parametrize(
    ("measure", "mean", "cov"),
    [
        (TRIANGLE, [1, 1 / 3], np.array([[9, -1.5], [-1.5, 1]]) / 18),
        (SLOPE, [2 / 3, 1 / 2], np.diag([1 / 18, 1 / 12])),
        (NORMAL, NORMAL.mean, NORMAL.cov),
        (Mixture([Gaussian([-2.0, 0.0]), Gaussian([2.0, 0.0])], [1, 3]), [1, 0], np.diag([4.0, 1.0])),
        (
            Gaussian([0.0, 0.0], domain=UniformBox((0, -9), (9, 9))),
            [(2 / np.pi) ** 0.5, 0],
            np.diag([1 - 2 / np.pi, 1]),
        ),
        (Polytope(np.eye(4)[:, :3]), [1 / 4] * 3, (np.eye(3) * 4 - 1) / 80),
    ],
)
def test_draws_and_one_site(measure, mean, cov):
    """Starts have the moments of the measure, to the error of 40 000 draws; one site is the mean, exactly."""
    at = draw("test", measure, 40_000, np.random.default_rng(0))
    scale = np.sqrt(np.diag(cov))
    assert (np.abs(at.mean(0) - mean) < 5 * scale / 200).all()
    np.testing.assert_allclose(np.cov(at.T) / np.outer(scale, scale), cov / np.outer(scale, scale), atol=0.04)
    r = lloyd(measure, 1, rng=0)
    np.testing.assert_allclose(r.sites, [mean], atol=1e-11)
    assert r.energy == pytest.approx(np.trace(cov), rel=1e-10)
