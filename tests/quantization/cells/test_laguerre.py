"""Laguerre cells: ground truths, the rules of special cases, densities, results.

Row numbers are those of a table of closed forms; the source stands beside each. G = int |x - c|^2 / (d V^(1 + 2/d)).
"""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre

HEXAGON = 5 / (18 * np.sqrt(3))  # row 9, p = 2: int |x - c|^2 over the regular hexagon of area 1 (Fejes Toth 1972)


def square(m):
    """m x m sites at the centres of the squares of the unit square."""
    at = (np.arange(m) + 0.5) / m
    return np.stack(np.meshgrid(at, at), -1).reshape(-1, 2)


def triangular(m):
    """2 m^2 sites of a triangular lattice and the sides of its rectangular torus."""
    k = np.arange(m)
    rows = [np.stack(np.meshgrid(k + s, np.sqrt(3) * (k + s)), -1).reshape(-1, 2) for s in (0, 0.5)]
    return np.concatenate(rows), (float(m), m * np.sqrt(3))


def normalised(cells, box_area=1.0):
    """G of each cell."""
    return cells.second_moment * box_area / (2 * (cells.mass * box_area) ** 2)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 12, 100])
def test_regular_polygons(n):
    """Row 8: G = (tan(pi/n)/3 + cot(pi/n)) / (4 n) of the regular n-gon, here the cell of a site amid n others."""
    angle = 2 * np.pi * np.arange(n) / n + 0.1
    sites = np.concatenate([[[0.0, 0.0]], 0.4 * np.stack([np.cos(angle), np.sin(angle)], 1)])
    cells = laguerre(sites, measure=UniformBox((-1, -1), (1, 1)))
    expected = (np.tan(np.pi / n) / 3 + 1 / np.tan(np.pi / n)) / (4 * n)
    assert normalised(cells, 4.0)[0] == pytest.approx(expected, rel=1e-12)
    known = {3: 0.0962250, 5: 0.0809281, 7: 0.0798945}
    assert expected == pytest.approx(known.get(n, expected), abs=6e-8)
    assert len(cells.polygon(0)) == n
    assert sorted(cells.neighbours_of(0)) == list(range(1, n + 1))
    if n == 6:
        assert 2 * normalised(cells, 4.0)[0] == pytest.approx(HEXAGON, rel=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 20])
def test_triangular_lattice(m):
    """Row 10: energy 0.1603750748 A/N on the compatible torus, the global minimum (arXiv 2503.22680)."""
    sites, sides = triangular(m)
    cells = laguerre(sites, measure=UniformBox((0, 0), sides), periodic=True)
    area, n = sides[0] * sides[1], len(sites)
    assert cells.energy == pytest.approx(HEXAGON * area / n, rel=1e-12)
    assert pytest.approx(0.1603750748, abs=5e-11) == HEXAGON
    assert (np.diff(cells.offsets) == 6).all()
    np.testing.assert_allclose(cells.centroid, sites, atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("m", [1, 2, 3, 30])
def test_square_lattice(m, periodic):
    """Row 11: A/(6 N). Degenerate vertices, where four cells meet, leave four edges and no slivers."""
    cells = laguerre(square(m), periodic=periodic)
    assert cells.energy == pytest.approx(1 / (6 * m * m), rel=1e-12)
    assert (np.diff(cells.offsets) == 4).all()
    np.testing.assert_allclose(cells.mass, 1 / m**2, rtol=1e-12)


def test_unit_square():
    """Row 14: D_1 = 1/6, D_2 <= 5/48, D_4 <= 1/24, and D_N >= 0.160375/N for all N."""
    assert laguerre([[0.5, 0.5]]).energy == pytest.approx(1 / 6, rel=1e-14)
    assert laguerre([[0.25, 0.5], [0.75, 0.5]]).energy == pytest.approx(5 / 48, rel=1e-14)
    assert laguerre(square(2)).energy == pytest.approx(1 / 24, rel=1e-14)
    for n in (1, 2, 5, 17, 300):
        assert laguerre(np.random.default_rng(n).random((n, 2))).energy > HEXAGON / n


def test_random_sites_on_the_torus():
    """Row 12: energy A/(pi N) on average; row 13: coordination exactly 6, variance of areas 0.28018 of mean^2."""
    rng = np.random.default_rng(1)
    n, energies, variances = 5000, [], []
    for _ in range(12):
        cells = laguerre(rng.random((n, 2)), periodic=True)
        assert cells.offsets[-1] == 6 * n
        assert abs(cells.mass.sum() - 1) < 1e-12
        energies.append(float(cells.energy) * n)
        variances.append(np.var(cells.mass * n))
    for values, truth in ((energies, 1 / np.pi), (variances, 0.28018)):
        assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values, ddof=1) / np.sqrt(len(values)))
        assert np.mean(values) == pytest.approx(truth, rel=0.02)


@pytest.mark.parametrize("periodic", [False, True])
def test_many_sites(periodic):
    """Masses add up to 1 within 1e-12, means to the mean of the box, neighbours are mutual, polygons fill the box."""
    rng = np.random.default_rng(2)
    n = 20_000
    cells = laguerre(rng.random((n, 2)) * [3, 2] - 1, measure=UniformBox((-1, -1), (2, 1)), periodic=periodic)
    assert abs(cells.mass.sum() - 1) < 1e-12
    assert cells.complete.all()
    assert not cells.empty.any()
    if not periodic:
        np.testing.assert_allclose(cells.mass @ cells.centroid, [0.5, 0], atol=1e-12)
    owner = np.repeat(np.arange(n), np.diff(cells.offsets))
    pairs = set(zip(owner.tolist(), cells.neighbours.tolist(), strict=True))
    assert all((j, i) in pairs for i, j in pairs if j >= 0)
    assert any(j < 0 for _, j in pairs) != periodic
    v, w = cells.vertices, cells.vertices[np.concatenate([np.arange(1, len(cells.vertices)), [0]])]
    w[cells.offsets[1:] - 1] = v[cells.offsets[:-1]]
    area = np.bincount(owner, v[:, 0] * w[:, 1] - v[:, 1] * w[:, 0]) / 2
    np.testing.assert_allclose(area / 6, cells.mass, atol=1e-14)


@pytest.mark.parametrize("periodic", [False, True])
def test_duplicates(periodic):
    """Of equal sites with equal psi the lowest index keeps the cell; with different psi the larger one."""
    rng = np.random.default_rng(3)
    base = rng.random((30, 2))
    order = rng.permutation(90)
    sites = np.concatenate([base, base, base])[order]
    cells, alone = laguerre(sites, periodic=periodic), laguerre(base, periodic=periodic)
    for i, site in enumerate(order % 30):
        first = np.flatnonzero(order % 30 == site)[0]
        assert cells.empty[i] == (i != first)
        assert cells.mass[i] == pytest.approx(alone.mass[site] if i == first else 0.0, abs=1e-14)
    psi = np.zeros(90)
    psi[7] = 1e-9
    cells = laguerre(sites, psi, periodic=periodic)
    same = np.flatnonzero(order % 30 == order[7] % 30)
    assert [bool(cells.empty[i]) for i in same] == [i != 7 for i in same]


@pytest.mark.parametrize("periodic", [False, True])
def test_neighbours_of_duplicates(periodic):
    """Across a facet is the site that has the cell, however many others are there: masses change by no others."""
    rng = np.random.default_rng(3)
    order = rng.permutation(270)
    sites = np.tile(rng.random((30, 2)), (9, 1))[order]
    cells = laguerre(sites, periodic=periodic)
    f = cells.facets()
    assert np.array_equal(f.across, cells.neighbours)
    assert not cells.empty[f.across[f.across >= 0]].any()
    owner = np.flatnonzero(~cells.empty)
    expected = laguerre(sites[owner], periodic=periodic).laplacian().toarray()
    np.testing.assert_allclose(cells.laplacian().toarray()[np.ix_(owner, owner)], expected, atol=1e-12)


def test_all_sites_equal():
    """One cell holds all, whatever the number."""
    for n in (1, 2, 9, 1000):
        for periodic in (False, True):
            cells = laguerre(np.full((n, 2), 0.3), periodic=periodic)
            assert cells.mass[0] == pytest.approx(1, abs=1e-14)
            assert cells.empty.sum() == n - 1
            np.testing.assert_array_equal(cells.centroid[1:], 0.3)


def test_empty_cells():
    """Mass 0, no polygon, the site as centroid, no gradient."""
    sites = np.array([[0.2, 0.5], [0.5, 0.5], [0.8, 0.5]])
    cells = laguerre(sites, np.array([0.0, -1.0, 0.0]), grad=True)
    assert cells.empty.tolist() == [False, True, False]
    assert cells.mass[1] == cells.second_moment[1] == 0
    assert cells.centroid[1].tolist() == [0.5, 0.5]
    assert cells.grad["sites"][1].tolist() == [0, 0]
    assert len(cells.polygon(1)) == len(cells.neighbours_of(1)) == 0
    assert repr(cells).startswith("Cells(n=3, empty=1, energy=")


def test_sites_outside_of_the_box():
    """They are allowed: cells are clipped to the box, and far ones are empty. On the torus sites are wrapped."""
    cells = laguerre([[-1.0, 0.5], [2.0, 0.5], [10.0, 0.5]])
    np.testing.assert_allclose(cells.mass, [0.5, 0.5, 0], atol=1e-14)
    rng = np.random.default_rng(4)
    sites = rng.random((40, 2))
    shift = rng.integers(-3, 4, (40, 2))
    one, other = laguerre(sites, periodic=True), laguerre(sites + shift, periodic=True)
    np.testing.assert_allclose(other.mass, one.mass, atol=1e-14)
    np.testing.assert_allclose(other.centroid, one.centroid + shift, atol=1e-13)


def test_small_tori():
    """A single site is its own neighbour on four sides; two sites share two edges."""
    cells = laguerre([[0.3, 0.9]], periodic=True)
    assert cells.neighbours.tolist() == [0, 0, 0, 0]
    assert cells.energy == pytest.approx(1 / 6, rel=1e-14)
    cells = laguerre([[0.25, 0.5], [0.75, 0.5]], periodic=True)
    assert sorted(cells.neighbours_of(0).tolist()) == [0, 0, 1, 1]


def test_cells_far_from_their_sites():
    """Power cells of (e x_i, e (e - 1) |x_i|^2) are Voronoi: |x - e x_i|^2 - psi_i = e |x - x_i|^2 + (1 - e) |x|^2."""
    rng = np.random.default_rng(5)
    x, e = rng.random((3000, 2)), 1e-3
    cells, voronoi = laguerre(e * x, e * (e - 1) * (x**2).sum(1)), laguerre(x)
    np.testing.assert_allclose(cells.mass, voronoi.mass, atol=1e-12)
    np.testing.assert_allclose(cells.centroid, voronoi.centroid, atol=1e-9)


def test_a_cell_of_many_sides():
    """No limit on the number of vertices: a site amid a circle of n others has n of them."""
    n = 3000
    angle = 2 * np.pi * np.arange(n) / n
    sites = np.concatenate([0.5 + 0.4 * np.stack([np.cos(angle), np.sin(angle)], 1), [[0.5, 0.5]]])
    for periodic in (False, True):
        cells = laguerre(sites, periodic=periodic)
        assert len(cells.polygon(n)) == n
        assert cells.mass[n] == pytest.approx(n * 0.04 * np.tan(np.pi / n), rel=1e-11)


def test_clusters():
    """Sites of very different density: the partition is exact, and no cell is searched for among all."""
    rng = np.random.default_rng(6)
    scale = 10.0 ** -rng.integers(0, 8, 20_000)
    sites = 0.5 + scale[:, None] * (rng.random((20_000, 2)) - 0.5)
    cells = laguerre(sites)
    assert abs(cells.mass.sum() - 1) < 1e-12
    np.testing.assert_allclose(cells.mass @ cells.centroid, 0.5, atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
def test_constant_grid(periodic):
    """A constant density of pixels is the uniform one, whatever the pixels and the total."""
    rng = np.random.default_rng(7)
    box = UniformBox((-1, 2), (1, 3))
    sites, psi = rng.random((50, 2)) * [2, 1] + [-1, 2], 0.01 * rng.random(50)
    uniform = laguerre(sites, psi, measure=box, periodic=periodic, grad=True)
    for shape in ((1, 1), (3, 7), (64, 5), (201, 100)):
        cells = laguerre(
            sites, psi, measure=Grid(np.full(shape, 17.0), box.lower, box.upper), periodic=periodic, grad=True
        )
        for name in ("mass", "centroid", "second_moment", "energy", "value"):
            np.testing.assert_allclose(getattr(cells, name), getattr(uniform, name), atol=1e-13, err_msg=name)
        np.testing.assert_allclose(cells.grad["sites"], uniform.grad["sites"], atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
def test_grid_and_its_subdivision(periodic):
    """Cutting every pixel into 3 x 4 of the same value changes nothing, also for edges on the lines of pixels."""
    rng = np.random.default_rng(8)
    values = rng.random((9, 8))
    coarse, fine = Grid(values, (0, 0), (1, 1)), Grid(np.kron(values, np.ones((3, 4))), (0, 0), (1, 1))
    for sites in (rng.random((30, 2)), rng.random((2000, 2)), square(8), square(4) + 1 / 8):
        one, other = (laguerre(sites, measure=m, periodic=periodic) for m in (coarse, fine))
        assert abs(one.mass.sum() - 1) < 1e-12
        for name in ("mass", "second_moment"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-14, err_msg=name)
        np.testing.assert_allclose(one.mass[:, None] * one.centroid, other.mass[:, None] * other.centroid, atol=1e-14)


def test_pixels_as_cells():
    """Sites at the centres of pixels: masses are the normalised values, in the order of the axes."""
    values = np.arange(1.0, 25.0).reshape(6, 4)
    x, y = np.meshgrid((np.arange(6) + 0.5) / 6, (np.arange(4) + 0.5) / 4, indexing="ij")
    cells = laguerre(np.stack([x, y], -1).reshape(-1, 2), measure=Grid(values, (0, 0), (1, 1)))
    np.testing.assert_allclose(cells.mass.reshape(6, 4), values / values.sum(), rtol=1e-12)


def test_a_cell_without_density():
    """Mass 0 and the site as centroid, but a polygon: it is not empty."""
    cells = laguerre([[0.25, 0.5], [0.75, 0.5]], measure=Grid([[1.0], [0.0]], (0, 0), (1, 1)))
    assert cells.mass.tolist() == [1, 0]
    assert cells.empty.tolist() == [False, False]
    assert cells.centroid[1].tolist() == [0.75, 0.5]
    assert len(cells.polygon(1)) == 4


def test_libraries(library):
    """Arrays go out as they came in: library, dtype; scalars are 0-d of the same."""
    rng = np.random.default_rng(9)
    sites, psi = rng.random((40, 2)), 0.01 * rng.random(40)
    expected = laguerre(sites, psi)
    for dtype, tolerance in (("float64", 1e-15), ("float32", 1e-6)):
        cells = laguerre(library.array(sites, dtype), library.array(psi, dtype), grad=True)
        for name in ("mass", "centroid", "second_moment", "vertices"):
            value = getattr(cells, name)
            assert isinstance(value, library.array_type)
            assert library.dtype(value) == dtype
            if name != "vertices":
                np.testing.assert_allclose(library.numpy(value), getattr(expected, name), atol=tolerance)
        for name in ("energy", "value"):
            assert library.is_scalar(getattr(cells, name))
        for name in ("empty", "complete", "offsets", "neighbours"):
            assert isinstance(getattr(cells, name), library.array_type)
        assert library.dtype(cells.offsets) == library.dtype(cells.neighbours) == "int64"
        assert library.dtype(cells.empty) == "bool"
        assert library.numpy(cells.offsets)[-1] == len(cells.vertices)


def test_polygons_are_those_of_the_call():
    """What becomes of the caller's array later does not matter; nor does the instruction set then in force."""
    sites = np.random.default_rng(10).random((100, 2))
    expected = laguerre(sites).vertices
    cells = laguerre(sites)
    sites[:] = 0
    with deblai.use_backend("reference"):
        np.testing.assert_array_equal(cells.vertices, expected)
    for i in (-1, 100, 1.5, True, "2", None):
        with pytest.raises(InvalidValue, match=r"\[quantization\.laguerre\] i: expected a cell from 0 to 99"):
            cells.polygon(i)


def test_value_and_energy():
    """value = energy - <psi, m>; without psi they are equal. value + <psi, nu> is concave and greatest at m = nu."""
    rng = np.random.default_rng(11)
    sites, psi, nu = rng.random((20, 2)), 0.05 * rng.random(20), rng.dirichlet(np.ones(20))
    cells = laguerre(sites, psi)
    assert cells.value == pytest.approx(cells.energy - psi @ cells.mass, rel=1e-13)
    assert laguerre(sites).value == laguerre(sites).energy
    ends = [laguerre(sites, p).value + p @ nu for p in (0 * psi, psi)]
    assert laguerre(sites, psi / 2).value + psi @ nu / 2 >= np.mean(ends)
