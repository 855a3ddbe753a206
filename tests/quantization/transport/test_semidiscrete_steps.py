"""What Newton's steps are made of: cells from known neighbours, systems with kept levels, pixels; and hard corners."""

import deblai
import numpy as np
import pytest
from deblai import _backend, _core, _dlpack
from deblai.measures import Grid, UniformBox
from deblai.quantization import semidiscrete
from deblai.quantization._transport import coarse
from deblai.quantization._transport.diagram import Scene
from deblai.quantization._transport.multigrid import Systems

BOX = UniformBox((0, 0), (1, 1))


def scene(k, periodic=False, density=None):
    """k^2 sites, one in each square of side 1/k."""
    corner = np.stack(np.meshgrid(np.arange(k), np.arange(k)), 2).reshape(-1, 2)
    y = (corner + np.random.default_rng(0).uniform(0.1, 0.9, corner.shape)) / k
    return Scene(y, density, (0.0, 0.0), (1.0, 1.0), periodic, _backend.plan("test", "cpu"))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("moved", [0.0, 0.02, 0.5])
def test_cells_from_known_neighbours(periodic, moved):
    """From the neighbours of another psi: the cells of the tree, to rounding, where the areas add up; and they do."""
    n, rng = 3025, np.random.default_rng(1)
    s = scene(55, periodic, 0.2 + rng.random((6, 5)))
    before = 0.1 / n * rng.random(n)
    known = s.cells(before)
    psi = before + moved / n * rng.standard_normal(n)
    full, found = s.cells(psi), s.cells(psi, known)
    assert full.area == pytest.approx(1, abs=1e-14)
    if moved < 0.5:  # cells that were not empty still are not
        assert (full.mass > 0).all()
        assert found.area == pytest.approx(1, abs=1e-14)
    if abs(found.area - 1) < 1e-14:
        for a, b in (
            (found.mass, full.mass),
            (found.second_moment, full.second_moment),
            (found.centroid, full.centroid),
        ):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert np.array_equal(found.begin, full.begin)
    assert (found.mass > full.mass - 1e-12).all()  # they hold the true ones


def test_neighbours_that_say_nothing():
    """Without any neighbours every cell is the whole: areas do not add up, and nothing is silently wrong."""
    s = scene(7)
    none = s.cells(np.zeros(49))._replace(begin=np.zeros(50, np.int32), across=np.empty(0, np.int32))
    assert s.cells(np.zeros(49), none).area == pytest.approx(49)
    wrong = none._replace(begin=np.arange(50, dtype=np.int32), across=np.full(49, 49, np.int32))
    with pytest.raises(deblai.errors.InvalidValue, match=r"known: expected n \+ 1 sums and sites that they count"):
        s.cells(np.zeros(49), wrong)


def test_levels_serve_another_matrix():
    """The levels of one system precondition one nearby: the same solution, in about as many iterations."""
    s, n = scene(70), 4900
    first, second = (s.cells(v * np.random.default_rng(2).random(n) / n) for v in (0.0, 0.1))
    b = np.random.default_rng(3).standard_normal(n)
    b -= b.mean()
    systems = Systems(1)
    systems.direction(first, b, 1.0, 1e-10)
    assert not systems.renew
    kept = systems.direction(second, b, 1.0, 1e-10)
    fresh = Systems(1).direction(second, b, 1.0, 1e-10)
    np.testing.assert_allclose(kept, fresh, atol=1e-7 * np.abs(fresh).max())
    view, x, steps = _dlpack.view, np.empty(n), []
    levels = _core.LaplacianLevels()
    for cells, renew in ((first, True), (second, False), (second, True)):
        arrays = [view(v) for v in (cells.begin, cells.across, cells.coupling, b)]
        steps.append(_core.laplacian_solve(*arrays, view(x, True), 1e-10, 200, 1, levels, renew)[0])
    assert steps[1] <= 1.5 * steps[2] + 1
    assert max(steps) < 40


def test_many_sites_begin_with_a_lattice():
    """Cells that all have mass, near what is wanted; from there Newton's steps are whole, where they were damped."""
    x = (np.arange(64) + 0.5) / 64
    s = scene(71, density=1 + 0.9 * np.sin(7 * x[:, None]) * np.cos(5 * x))
    wanted = np.full(71**2, 71**-2.0)
    found = coarse.smooth(s, wanted, 100)
    assert found is not None
    psi, cells = found
    mass = s.cells(psi).mass
    assert np.array_equal(mass, cells.mass)
    assert mass.min() > 1e-3 * wanted[0]
    block = (4 * s.sites).astype(int) @ [4, 1]
    blocks = [np.bincount(block, v) for v in (mass, wanted)]
    np.testing.assert_allclose(*blocks, rtol=0.15)
    r = semidiscrete(Grid(s.density, (0, 0), (1, 1)), s.sites)
    assert r.converged
    assert r.n_iter <= 10
    assert r.mass_error < 1e-8
    assert coarse.smooth(s._replace(periodic=True), wanted, 100) is None


def test_splines_of_a_parabola():
    """They are exact but for a constant, and beyond the lattice, too."""
    k = np.arange(9.0)
    at = np.random.default_rng(6).uniform(-0.5, 8.5, (50, 2))
    found = coarse._spline(2 * k[:, None] ** 2 + k[:, None] * k - 3 * k, at)
    np.testing.assert_allclose(found, 2 * at[:, 0] ** 2 + at.prod(1) - 3 * at[:, 1] + 2 / 3, atol=1e-12)


def test_hard_corners():
    """More sites than pixels, one pixel, sites outside of the box, a density of regions, masses of 0: the masses."""
    rng = np.random.default_rng(4)
    regions = np.zeros((20, 20))
    regions[2:5, 3:9], regions[12:18, 11:13] = 1, 5
    away = rng.random((40, 2)) + np.array([3, -2])
    some = np.where(rng.random(300) < 0.3, 0, rng.random(300))
    for values, y, masses in (
        (rng.random((3, 3)) + 0.1, rng.random((300, 2)), None),
        (np.ones((1, 1)), rng.random((20, 2)), None),
        (regions, away, None),
        (regions, rng.random((300, 2)), some),
    ):
        r = semidiscrete(Grid(values, (0, 0), (1, 1)), y, masses)
        assert r.converged
        masses = np.ones(len(y)) if masses is None else masses
        np.testing.assert_allclose(r.masses, masses / masses.sum(), rtol=1e-7)
        assert np.isfinite(r.psi).all()
        assert r.value_lower <= r.value_upper


def test_a_run_that_would_not_fit(monkeypatch):
    """It says so before it starts, and how much it would take."""
    monkeypatch.setattr(_backend, "available_memory", lambda: 1 << 28)
    y = np.random.default_rng(5).random((250_000, 2))
    with pytest.raises(deblai.errors.OutOfMemory, match=r"\[quantization.semidiscrete\] .* would take 0\.\d GiB"):
        semidiscrete(BOX, y)
