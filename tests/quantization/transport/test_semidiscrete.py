"""Semi-discrete transport: closed forms, duality, a linear program on a grid, hard sites and densities, the torus."""

import warnings

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre, semidiscrete

BOX = UniformBox((0, 0), (1, 1))


def check(r, masses, tol=1e-8):
    """Masses, bounds, gauge."""
    masses = np.asarray(masses) / np.sum(masses)
    assert r.converged
    assert r.mass_error <= tol
    np.testing.assert_allclose(r.masses, masses, rtol=2 * tol, atol=1e-15)
    assert r.value_lower == r.value <= r.value_upper
    assert abs(masses @ r.psi) < 1e-12 * (1 + np.abs(r.psi).max())
    assert r.history[-1] == r.mass_error
    assert len(r.history) == r.n_iter + 1


@pytest.mark.parametrize("shift", [(0, 0), (0.3, -0.2), (40, 10)])
def test_moved_lattice(shift):
    """W_2^2 of the square to a k x k lattice is 1/(6 k^2), and |shift|^2 more where the lattice has moved."""
    k = 8
    at = (np.arange(k) + 0.5) / k
    sites = np.stack(np.meshgrid(at, at), 2).reshape(-1, 2)
    r = semidiscrete(BOX, sites + shift, tol=1e-11)
    check(r, np.ones(k * k), 1e-11)
    assert r.value == pytest.approx(1 / (6 * k * k) + np.dot(shift, shift), rel=1e-13)
    np.testing.assert_allclose(r.centroids, sites, atol=1e-11)
    np.testing.assert_allclose(r.grad["sites"], 2 / k**2 * np.broadcast_to(shift, sites.shape), atol=1e-11)


@pytest.mark.parametrize("a", [0.5, 0.6, 0.9, 0.999])
def test_two_points(a):
    """Slabs [0, a] and [a, 1]: everything in closed form."""
    r = semidiscrete(BOX, np.array([[0.25, 0.5], [0.75, 0.5]]), [a, 1 - a], tol=1e-13)
    cube = lambda lo, hi, c: ((hi - c) ** 3 - (lo - c) ** 3) / 3  # noqa: E731
    assert r.value == pytest.approx(1 / 12 + cube(0, a, 0.25) + cube(a, 1, 0.75), abs=1e-14)
    assert r.psi[0] - r.psi[1] == pytest.approx((a - 0.25) ** 2 - (a - 0.75) ** 2, abs=1e-13)


def test_one_site():
    """All the mass: the second moment; row 14 of the facts."""
    r = semidiscrete(BOX, np.array([[0.5, 0.5]]))
    assert r.value == pytest.approx(1 / 6, abs=1e-15)
    assert r.psi.tolist() == [0.0]


def test_against_a_linear_program():
    """Pixels as points at their centres: their optimum and the exact one differ by what the pixels spread."""
    scipy = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    m, n = 12, 6
    values, sites, masses = rng.random((m, m)) + 0.1, rng.random((n, 2)), rng.random(n) + 0.1
    r = semidiscrete(Grid(values, (0, 0), (1, 1)), sites, masses, tol=1e-11)
    check(r, masses, 1e-11)
    at = (np.arange(m) + 0.5) / m
    x = np.stack(np.meshgrid(at, at, indexing="ij"), 2).reshape(-1, 2)
    cost = ((x[:, None] - sites) ** 2).sum(2)
    a, b = values.ravel() / values.sum(), masses / masses.sum()
    rows = np.kron(np.eye(m * m), np.ones(n)), np.kron(np.ones(m * m), np.eye(n))
    lp = scipy.linprog(cost.ravel(), A_eq=np.concatenate(rows), b_eq=np.concatenate([a, b])).fun
    spread = 1 / (6 * m * m)  # of a pixel around its centre
    assert abs(np.sqrt(r.value) - np.sqrt(lp)) < np.sqrt(spread)
    assert r.value <= lp + spread + 1e-12  # each pixel moves as its centre does, and its spread comes on top


@pytest.mark.parametrize("kind", ["uniform", "cluster", "diagonal", "ring", "outside", "far", "range"])
def test_hard_sites(kind):
    """Sites that no cell of Voronoi would serve: converges, and quadratically at the end."""
    rng = np.random.default_rng(1)
    n = 400
    y = {
        "uniform": lambda: rng.random((n, 2)),
        "cluster": lambda: 0.5 + 0.01 * rng.standard_normal((n, 2)),
        "diagonal": lambda: rng.random((n, 1)) * [1, 1] + 0.02 * rng.standard_normal((n, 2)),
        "ring": lambda: (lambda t: np.stack([np.cos(t), np.sin(t)], 1))(6.28 * rng.random(n)),
        "outside": lambda: 3 + rng.random((n, 2)),
        "far": lambda: 1e4 + rng.random((n, 2)),
        "range": lambda: 10.0 ** rng.uniform(-5, 0, (n, 1)) * rng.random((n, 2)),
    }[kind]()
    r = semidiscrete(BOX, y)
    check(r, np.ones(n))
    assert r.n_iter < 40
    if kind == "uniform":
        assert r.history[-2] < 10 * r.history[-3] ** 2  # the last step is as accurate as tol asks
    cells = r.cells()
    np.testing.assert_allclose(cells.mass, 1 / n, rtol=1e-7)
    assert float(cells.energy) == pytest.approx(float(r.value), rel=1e-7)


def test_a_thousandfold_range_of_masses():
    rng = np.random.default_rng(2)
    masses = 10.0 ** rng.uniform(-4, 0, 300)
    check(semidiscrete(BOX, rng.random((300, 2)), masses), masses)


def test_many_sites_go_through_the_hierarchy():
    """Masses to 1e-12; threads change no bit."""
    y = np.random.default_rng(3).random((4000, 2))
    results = []
    for threads in (1, 2):
        with deblai.use_backend(threads=threads):
            results.append(semidiscrete(BOX, y, tol=1e-9))
    check(results[0], np.ones(4000), 1e-9)
    assert np.abs(results[0].masses - 1 / 4000).max() < 1e-12
    assert np.array_equal(results[0].psi, results[1].psi)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("holes", ["strip", "corner", "checkers", "dots"])
def test_holes_in_the_density(holes, periodic):
    """Pixels of 0, sites in them, supports in pieces: still the masses."""
    v = np.ones((8, 8))
    if holes == "strip":
        v[3:5] = 0
    elif holes == "corner":
        v[:] = 0
        v[5:, 5:] = 1
    elif holes == "checkers":
        v[::2, ::2] = v[1::2, 1::2] = 0
    else:
        v[:] = 0
        v[1, 1], v[6, 2], v[3, 6] = 1, 2, 0.5
    n = 37
    y = np.random.default_rng(4).random((n, 2))
    r = semidiscrete(Grid(v, (0, 0), (1, 1)), y, periodic=periodic)
    check(r, np.ones(n))


def test_torus():
    """A lattice moved around the torus costs as it does at rest; n sites have cells of 1/n; sites are wrapped."""
    k = 4
    at = (np.arange(k) + 0.5) / k
    sites = np.stack(np.meshgrid(at, at), 2).reshape(-1, 2)
    for shift in ((0, 0), (0.9, 0.3), (-7.25, 100)):
        r = semidiscrete(BOX, sites + shift, periodic=True, tol=1e-11)
        check(r, np.ones(k * k), 1e-11)
        assert r.value == pytest.approx(1 / (6 * k * k), abs=1e-13)
    rng = np.random.default_rng(5)
    y, masses = rng.random((60, 2)), rng.random(60) + 0.05
    r = semidiscrete(BOX, y, masses, periodic=True)
    check(r, masses)
    moved = semidiscrete(BOX, y + np.array([0.37, 5.5]), masses, periodic=True)
    assert moved.value == pytest.approx(float(r.value), abs=1e-12)
    np.testing.assert_allclose(moved.psi, r.psi, atol=1e-8)
    for few in (1, 2, 3):
        check(semidiscrete(BOX, y[:few], masses[:few], periodic=True), masses[:few])


@pytest.mark.parametrize("periodic", [False, True])
def test_map(periodic):
    """Every point goes where |x - y|^2 - psi is least; shares of a fine grid are the masses."""
    rng = np.random.default_rng(6)
    y, masses = rng.random((50, 2)), rng.random(50) + 0.1
    r = semidiscrete(BOX, y, masses, periodic=periodic)
    x = (np.stack(np.meshgrid(*[np.arange(200)] * 2), 2).reshape(-1, 2) + 0.5) / 200
    found = r.map(x)
    d = x[:, None] - y
    d = d - np.round(d) if periodic else d
    height = (d**2).sum(2) - r.psi
    np.testing.assert_allclose(height[np.arange(len(x)), found], height.min(1), atol=1e-12)
    np.testing.assert_allclose(np.bincount(found, minlength=50) / len(x), r.masses, atol=2e-3)


@pytest.mark.parametrize("periodic", [False, True])
def test_sites_without_mass(periodic):
    """They are left out; their psi is the largest that leaves the cell empty."""
    rng = np.random.default_rng(7)
    y, masses = rng.random((30, 2)), rng.random(30)
    masses[[3, 17]] = 0
    r = semidiscrete(BOX, y, masses, periodic=periodic)
    some = semidiscrete(BOX, y[masses > 0], masses[masses > 0], periodic=periodic)
    np.testing.assert_allclose(r.psi[masses > 0], some.psi, atol=1e-14)
    assert r.value == some.value
    for i in (3, 17):
        more = r.psi.copy()
        more[i] += 1e-3
        less = r.psi.copy()
        less[i] -= 1e-9
        assert laguerre(y, more, periodic=periodic).mass[i] > 0
        assert laguerre(y, less, periodic=periodic).mass[i] == 0


def test_bounds_and_no_convergence():
    """Wherever it stops, the interval holds the value; a warning says by how much masses are off."""
    y = np.random.default_rng(8).random((100, 2))
    exact = semidiscrete(BOX, y, tol=1e-11).value
    for steps in (0, 1, 2, 3):
        with pytest.warns(deblai.ConvergenceWarning, match=r"\[quantization.semidiscrete\] not converged after"):
            r = semidiscrete(BOX, y, max_iter=steps)
        assert not r.converged
        assert r.value_lower <= exact <= r.value_upper
        assert r.n_iter == steps
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = []
        r = semidiscrete(BOX, y, callback=lambda s: seen.append(s) or s.step == 2)
    assert [s.step for s in seen] == [0, 1, 2]
    assert seen[-1].mass_error == r.mass_error
    again = semidiscrete(BOX, y, init=r.psi)
    assert again.history[0] == pytest.approx(r.mass_error)
    assert again.value == pytest.approx(exact, abs=1e-13)


def test_reference_agrees():
    """The oracle's cells lead to the same psi; float32 in, float32 out."""
    rng = np.random.default_rng(9)
    y, masses, grid = rng.random((7, 2)), rng.random(7) + 0.2, Grid(rng.random((2, 3)), (0, 0), (1, 1))
    for measure in (BOX, grid):
        for periodic in (False, True):
            found = semidiscrete(measure, y, masses, periodic=periodic)
            with deblai.use_backend("reference"):
                expected = semidiscrete(measure, y, masses, periodic=periodic)
            assert expected.backend == "reference"
            np.testing.assert_allclose(found.psi, expected.psi, atol=1e-8)
            assert found.value == pytest.approx(expected.value, abs=1e-12)
    small = semidiscrete(BOX, y.astype(np.float32))
    assert small.psi.dtype == small.value.dtype == small.masses.dtype == np.float32
    assert small.value == pytest.approx(semidiscrete(BOX, y).value, rel=1e-6)


def test_systems():
    """The kernel's solutions against a dense pseudo-inverse, of weights from 1e-6 to 1, in pieces and of no edges."""
    from deblai import _core, _dlpack

    rng = np.random.default_rng(10)
    for n, pieces in ((1, 1), (2, 1), (50, 1), (700, 1), (300, 3)):
        w = np.zeros((n, n))
        for i in range(n):
            for j in rng.integers(0, n, 4):
                if i != j and i % pieces == j % pieces:
                    w[i, j] = w[j, i] = 10.0 ** rng.uniform(-6, 0)
        laplacian = np.diag(w.sum(1)) - w
        b = laplacian @ rng.standard_normal(n)
        begin = np.concatenate([[0], np.cumsum((w > 0).sum(1))]).astype(np.int32)
        i, j = np.nonzero(w)
        arrays = begin, j.astype(np.int32), w[i, j], b
        x = np.empty(n)
        views = [_dlpack.view(v) for v in arrays]
        _, _, residual = _core.laplacian_solve(*views, _dlpack.view(x, True), 1e-10, 1000, 1)
        assert residual <= 1e-10
        np.testing.assert_allclose(laplacian @ x, b, atol=1e-9 * (1 + np.abs(b).max()))
        assert abs(x.sum()) < 1e-9 * (1 + np.abs(x).sum())
    with pytest.raises(deblai.errors.InvalidValue, match=r"\[laplacian\] begin: expected"):
        _core.laplacian_solve(*views, _dlpack.view(np.empty(7), True), 1e-10, 10, 1)
