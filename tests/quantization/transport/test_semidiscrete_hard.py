"""Semi-discrete transport where densities are rough, far apart or in pieces, and sites in tight clusters."""

import deblai
import numpy as np
import pytest
from deblai import _backend
from deblai.measures import Gaussian, Grid, Mixture, PiecewiseLinear, UniformBox
from deblai.quantization import laguerre, semidiscrete
from deblai.quantization._checks import form
from deblai.quantization._transport import coarse, levels, start
from deblai.quantization._transport.diagram import Scene
from deblai.quantization._transport.newton import Newton

CORNERS = np.zeros((9, 9))
CORNERS[0, 0] = CORNERS[8, 8] = 1
ROUGH = np.random.default_rng(5).random((16, 16))


def check(measure, y, most, masses=None, **more):
    """Masses to the tolerance in at most so many steps, and the dual is the cost of the cells."""
    r = semidiscrete(measure, y, masses, **more)
    wanted = np.ones(len(y)) if masses is None else np.asarray(masses)
    np.testing.assert_allclose(r.masses, wanted / wanted.sum(), rtol=1e-7)
    assert r.converged
    assert r.n_iter <= most
    assert len(r.history) == r.n_iter + 1
    cells = laguerre(y, r.psi, measure=measure, periodic=more.get("periodic", False))
    np.testing.assert_allclose(cells.mass, r.masses, rtol=1e-7)
    assert r.value == pytest.approx(float(cells.energy), rel=1e-6)
    return r


def gaussians(sigma):
    return [Gaussian(m, sigma**2) for m in ([0.1, 0.1], [0.9, 0.2], [0.5, 0.9])]


@pytest.mark.parametrize(("power", "n", "most"), [(2, 1000, 18), (8, 1000, 28), (4, 4500, 50)])
def test_rough_pixels(power, n, most):
    """Values that differ by up to many powers of ten; seen: 9, 14 and 26 steps, where damped ones were many more."""
    check(Grid(ROUGH**power, (0, 0), (1, 1)), np.random.default_rng(0).random((n, 2)), most)


@pytest.mark.parametrize(("sigma", "box", "most"), [(0.1, None, 20), (0.03, None, 50), (0.01, ((0, 0), (1, 1)), 90)])
def test_mixtures_far_apart(sigma, box, most):
    """Between them there is nothing that a double could tell from nothing."""
    measure = Mixture(gaussians(sigma), domain=None if box is None else UniformBox(*box))
    r = check(measure, np.random.default_rng(1).random((160, 2)), most)
    means = np.array([g.mean for g in gaussians(sigma)])
    close = np.sqrt(((r.centroids[:, None] - means) ** 2).sum(2)).min(1) < 5 * sigma
    assert close.mean() > 0.9  # the others have parts of two


@pytest.mark.parametrize(("n", "most"), [(10, 6), (11, 12), (300, 45)])
def test_two_pieces(n, most):
    """Masses that fit the pieces, ones of which a cell has parts of both, many of them."""
    y = np.random.default_rng(2).random((n, 2))
    check(Grid(CORNERS, (0, 0), (1, 1)), y, most)
    nu = np.random.default_rng(3).random(n) + 0.1
    check(Grid(CORNERS, (0, 0), (1, 1)), y, 2 * most, nu)


def test_strips_of_two_pieces():
    """Sites on a line: strips between quantiles, by hand; the middle one has a part of each piece."""
    x, nu = np.array([0.1, 0.45, 0.9]), np.array([0.35, 0.3, 0.35])
    measure = Grid(np.array([[1.0], [0], [1]]), (0, 0), (1, 1))  # 3/2 on [0, 1/3] and [2/3, 1]
    r = check(measure, np.stack([x, 0 * x + 0.5], 1), 12, nu, tol=1e-11)
    cube = lambda a, b, c: 1.5 * ((b - c) ** 3 - (a - c) ** 3) / 3  # noqa: E731
    cuts = 0.35 / 1.5, 1 - 0.35 / 1.5
    parts = cube(0, cuts[0], 0.1), cube(cuts[0], 1 / 3, 0.45), cube(2 / 3, cuts[1], 0.45), cube(cuts[1], 1, 0.9)
    assert r.value == pytest.approx(sum(parts) + 1 / 12, rel=1e-11)
    borders = (np.diff(x**2) - np.diff(r.psi)) / (2 * np.diff(x))
    np.testing.assert_allclose(borders, cuts, atol=1e-10)


def test_pieces_against_a_linear_program():
    """One site for each of many small pieces: the assignment of their middles, and what each has of itself."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(4)
    values = np.zeros((400, 400))
    places = rng.permutation(100)[:8]
    at = np.stack([places // 10, places % 10], 1) * 40 + 17
    values[tuple(at.T)] = 1
    y, middles = rng.random((8, 2)), (at + 0.5) / 400
    r = check(Grid(values, (0, 0), (1, 1)), y, 40)
    cost = ((y[:, None] - middles) ** 2).sum(2)
    rows, columns = optimize.linear_sum_assignment(cost)
    assert r.value == pytest.approx(cost[rows, columns].mean() + 2 / 12 / 400**2, rel=1e-9)


def test_other_pieces():
    """Triangles apart, voxels apart, a band of nothing, pieces on a torus."""
    rng = np.random.default_rng(5)
    corners = np.array([[0, 0], [1, 0], [0, 1], [3, 3], [4, 3], [3, 4.0]])
    check(PiecewiseLinear(corners, np.array([[0, 1, 2], [3, 4, 5]]), np.ones(6)), 4 * rng.random((200, 2)), 30)
    voxels = np.zeros((6, 6, 6))
    voxels[0, 0, 0] = voxels[5, 5, 5] = 1
    check(Grid(voxels, (0, 0, 0), (1, 1, 1)), rng.random((60, 3)), 20)
    band = np.ones((30, 30))
    band[12:18] = 0
    check(Grid(band, (0, 0), (1, 1)), rng.random((1000, 2)), 30)
    check(Grid(np.diag([1.0, 0, 0, 1, 0, 0]), (0, 0), (1, 1)), rng.random((60, 2)), 80, periodic=True)


def test_masses_of_many_powers_of_ten():
    """Small ones begin larger and shrink; seen: 7 steps, where more than 50 were needed from the start of all."""
    rng = np.random.default_rng(11)
    check(Grid(0.5 + ROUGH, (0, 0), (1, 1)), rng.random((300, 2)), 15, 10.0 ** rng.uniform(-6, 0, 300))


@pytest.mark.parametrize("size", [1e-3, 1e-6])
@pytest.mark.parametrize("pixels", [False, True])
def test_clusters_on_a_torus(size, pixels):
    """Cells open up across the torus, of even density and of varied pixels."""
    rng = np.random.default_rng(6)
    y = (rng.random((3, 1, 2)) + size * rng.standard_normal((3, 40, 2))).reshape(-1, 2)
    measure = Grid(0.1 + ROUGH, (0, 0), (1, 1)) if pixels else UniformBox((0, 0), (1, 1))
    check(measure, y, 60, periodic=True)


@pytest.mark.parametrize("dim", [2, 3])
def test_soft_potentials_leave_no_cell_empty(dim):
    """Whatever the points, their weights and potentials are."""
    rng = np.random.default_rng(7)
    for soft in (1.0, 0.3, 0.1):
        x, y = 0.05 + 0.9 * rng.random((30, dim)), rng.random((150, dim)) - 0.3
        psi = levels._smooth(x, rng.random(30), rng.standard_normal(30), y, soft) + (y**2).sum(1)
        box = ((0.0,) * dim, (1.0,) * dim)
        assert not Scene(y, None, *box, False, _backend.plan("test", "cpu")).cells(psi).empty


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_levels(shift):
    """They begin no farther away than half of the mass, where the product of marginals is off by nearly all of it."""
    rng, n = np.random.default_rng(8), 1300
    plan, nu = _backend.plan("test", "cpu"), np.full(n, 1 / n)
    scene = Scene(shift + rng.random((n, 2)), CORNERS, (0.0, 0.0), (1.0, 1.0), False, plan)
    moved = [np.abs(scene.cells(f).mass - nu).sum() for f in (start.start(scene, nu), levels.climb(scene, nu, 100))]
    assert moved[0] > 0.9
    assert moved[1] < 0.7


def test_points_that_stand_for_a_density():
    """Few, of its mass and mean, whatever it is made of."""
    rng, plan = np.random.default_rng(10), _backend.plan("test", "cpu")
    dots = np.where(rng.random((300, 300)) < 0.03, rng.random((300, 300)), 0)
    many = Mixture([Gaussian(m, 1e-3) for m in rng.random((500, 2))])
    mesh = PiecewiseLinear.from_grid(rng.random((41, 41)), (0, 0), (1, 1))
    box = np.zeros((7, 7))
    box[2, 4] = 1
    for m in (Grid(dots, (0, 0), (1, 1)), Grid(box, (0, 0), (1, 1)), Grid(ROUGH, (0, 0), (2, 1)), many, mesh):
        density = m.values if isinstance(m, Grid) else None
        scene = Scene(np.zeros((1, 2)), density, tuple(m.lower), tuple(m.upper), False, plan, form(m))
        x, weight = levels._points(scene)
        assert 4 <= len(x) <= 2 * levels.POINTS
        assert weight.sum() == pytest.approx(1)
        np.testing.assert_allclose(weight @ x, laguerre(np.zeros((1, 2)), measure=m).centroid[0], atol=0.01)


@pytest.mark.parametrize(("module", "n"), [(levels, 600), (coarse, 4200)])
def test_interrupt_on_the_way_to_the_start(monkeypatch, module, n):
    """Ctrl-C there: the product's potentials, whose cells are the result's."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_points" if module is levels else "_potential", stop)
    y, measure = np.random.default_rng(9).random((n, 2)), Grid(ROUGH**4, (0, 0), (1, 1))
    with pytest.raises(deblai.Interrupted, match=r"interrupted after 0 of 200 steps") as stopped:
        semidiscrete(measure, y)
    r = stopped.value.result
    assert (r.n_iter, r.converged, len(r.history)) == (0, False, 1)
    np.testing.assert_allclose(laguerre(y, r.psi, measure=measure).mass, r.masses, atol=1e-12)
    assert r.masses.sum() == pytest.approx(1, abs=1e-12)


def test_interrupt_of_levelled_steps(monkeypatch):
    """The best of them is kept; so is a stop by the callback."""
    measure, y = Grid(CORNERS, (0, 0), (1, 1)), np.random.default_rng(2).random((300, 2))
    done = semidiscrete(measure, y, callback=lambda state: state.step == 4)
    assert (done.n_iter, done.converged) == (4, False)
    at, calls = Newton._levelled, []

    def stop(self, now):
        calls.append(now.error)
        if len(self.wanted) == 300 and len(self.history) > 3:
            raise KeyboardInterrupt
        return at(self, now)

    monkeypatch.setattr(Newton, "_levelled", stop)
    with pytest.raises(deblai.Interrupted) as stopped:
        semidiscrete(measure, y)
    r = stopped.value.result
    assert r.n_iter == 3
    assert r.mass_error == r.history[-1] == calls[-1]
