"""Laguerre cells of space: ground truths, degenerate input, the rules of special cases, polyhedra, results.

Row numbers are those of a table of closed forms; the source stands beside each.
"""

import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import UniformBox
from deblai.quantization import laguerre

CUBIC = [[0.0, 0.0, 0.0]]
BCC = [*CUBIC, [0.5, 0.5, 0.5]]
FCC = [*CUBIC, [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]


def lattice(basis, m):
    """m^3 unit cubes of a cubic lattice, as sites of the unit cube."""
    k = np.arange(m)
    cubes = np.stack(np.meshgrid(k, k, k), -1).reshape(-1, 1, 3)
    return ((cubes + np.array(basis) + 0.1) / m).reshape(-1, 3)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("basis", "energy", "shape"),
    [
        # Row 11, exact; rows 1-3: G = 1/12, 19 / (192 2^(1/3)) (Barnes and Sloane 1983), 2^(-11/3)
        (BCC, 3 * 19 / (192 * 2 ** (1 / 3)), (24, 14, 72)),
        (FCC, 3 * 2 ** (-11 / 3), (14, 12, 48)),
        (CUBIC, 3 / 12, (8, 6, 24)),
    ],
)
def test_lattices(basis, energy, shape, m):
    """Energy c (V/N)^(2/3) on the torus, however many planes meet in a vertex or touch."""
    assert energy == pytest.approx({24: 0.2356298, 14: 0.2362352, 8: 0.25}[shape[0]], abs=1e-7)
    sites = lattice(basis, m)
    cells = laguerre(sites, periodic=True)
    n = len(sites)
    assert cells.energy == pytest.approx(energy * n ** (-2 / 3), rel=1e-12)
    np.testing.assert_allclose(cells.mass, 1 / n, rtol=1e-12)
    np.testing.assert_allclose(cells.centroid, sites, atol=1e-13)
    assert set(cells.n_vertices.tolist()) == {shape[0]}
    assert set(cells.n_facets.tolist()) == {shape[1]}
    assert len(cells.corners) == shape[2] * n


def test_a_larger_torus():
    """Lattices in a box whose sides are no powers of two."""
    sides = (3.7, 3.7, 3.7)
    for basis, facets in ((BCC, 14), (FCC, 12), (CUBIC, 6)):
        cells = laguerre(lattice(basis, 7) * 3.7, measure=UniformBox((0, 0, 0), sides), periodic=True)
        np.testing.assert_allclose(cells.mass, 1 / len(cells.mass), rtol=1e-12)
        assert set(cells.n_facets.tolist()) == {facets}


def test_random_sites_on_the_torus():
    """Row 12: energy .3474077 (V/N)^(2/3) on average; row 13: 48 pi^2 / 35 + 2 facets (Meijering 1953)."""
    rng = np.random.default_rng(1)
    n, energies, facets = 3000, [], []
    for _ in range(10):
        cells = laguerre(rng.random((n, 3)), periodic=True)
        assert abs(cells.mass.sum() - 1) < 1e-12
        energies.append(float(cells.energy) * n ** (2 / 3))
        facets.append(cells.n_facets.mean())
    for values, truth in ((energies, 0.3474077), (facets, 48 * np.pi**2 / 35 + 2)):
        assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values, ddof=1) / np.sqrt(len(values)))
        assert np.mean(values) == pytest.approx(truth, rel=0.01)


@pytest.mark.parametrize("periodic", [False, True])
def test_polyhedra(periodic):
    """Closed, convex, counter-clockwise, of the volume of the mass; neighbours are mutual and share the area."""
    rng = np.random.default_rng(2)
    n, box = 300, UniformBox((-1, -1, 0), (2, 1, 1))
    sites, psi = rng.random((n, 3)) * [3, 2, 1] + [-1, -1, 0], 0.01 * rng.random(n)
    cells = laguerre(sites, psi, measure=box, periodic=periodic)
    assert abs(cells.mass.sum() - 1) < 1e-12
    shared = {}
    for i in range(n):
        vertices, facets = cells.polyhedron(i)
        assert len(vertices) == cells.n_vertices[i] == 2 * len(facets) - 4
        assert len(facets) == cells.n_facets[i]
        edges = {(int(a), int(b)) for f in facets for a, b in zip(f, np.roll(f, -1), strict=True)}
        assert len(edges) == sum(map(len, facets))
        assert all((b, a) in edges for a, b in edges)
        volume, vertices = 0.0, vertices - vertices.mean(0)
        for f in facets:
            p = vertices[f]
            normal = np.cross(p[1:-1] - p[0], p[2:] - p[0]).sum(0)
            assert (vertices @ normal <= p @ normal @ np.ones(len(p)) / len(p) + 1e-12).all()
            volume += p[0] @ normal / 6
        assert volume / box.volume == pytest.approx(cells.mass[i], rel=1e-9)
        for j, area in zip(cells.neighbours_of(i).tolist(), cells.areas_of(i).tolist(), strict=True):
            shared[i, j] = shared.get((i, j), 0.0) + area
    assert all(shared[j, i] == pytest.approx(area, abs=1e-12) for (i, j), area in shared.items())
    assert (cells.neighbours < 0).any() != periodic


@pytest.mark.parametrize("periodic", [False, True])
def test_duplicates(periodic):
    """Of equal sites with equal psi the lowest index keeps the cell; with different psi the larger one."""
    rng = np.random.default_rng(3)
    base = rng.random((20, 3))
    order = rng.permutation(60)
    sites = np.concatenate([base, base, base])[order]
    cells, alone = laguerre(sites, periodic=periodic), laguerre(base, periodic=periodic)
    for i, site in enumerate(order % 20):
        first = np.flatnonzero(order % 20 == site)[0]
        assert cells.empty[i] == (i != first)
        assert cells.mass[i] == pytest.approx(alone.mass[site] if i == first else 0.0, abs=1e-14)
    psi = np.zeros(60)
    psi[7] = 1e-9
    same = np.flatnonzero(order % 20 == order[7] % 20)
    cells = laguerre(sites, psi, periodic=periodic)
    assert [bool(cells.empty[i]) for i in same] == [i != 7 for i in same]


@pytest.mark.parametrize("periodic", [False, True])
def test_neighbours_of_duplicates(periodic):
    """Across a facet is the site that has the cell, however many others are there: masses change by no others."""
    rng = np.random.default_rng(3)
    order = rng.permutation(270)
    sites = np.tile(rng.random((30, 3)), (9, 1))[order]
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
            cells = laguerre(np.full((n, 3), 0.3), periodic=periodic)
            assert cells.mass[0] == pytest.approx(1, abs=1e-14)
            assert cells.empty.sum() == n - 1
            np.testing.assert_array_equal(cells.centroid[1:], 0.3)


def test_small_tori():
    """A single site is its own neighbour on six sides; two sites share two facets, three in a row one with each."""
    cells = laguerre([[0.3, 0.9, 0.2]], periodic=True)
    assert cells.neighbours.tolist() == [0] * 6
    assert cells.energy == pytest.approx(1 / 4, rel=1e-14)
    cells = laguerre([[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]], periodic=True)
    assert sorted(cells.neighbours_of(0).tolist()) == [0, 0, 0, 0, 1, 1]
    np.testing.assert_allclose(cells.areas_of(0)[cells.neighbours_of(0) == 1], 1, rtol=1e-14)
    cells = laguerre([[0.1, 0.5, 0.5], [0.4, 0.5, 0.5], [0.8, 0.5, 0.5]], periodic=True)
    np.testing.assert_allclose(cells.mass, [0.3, 0.35, 0.35], rtol=1e-14)
    assert sorted(cells.neighbours_of(0).tolist()) == [0, 0, 0, 0, 1, 2]


def test_empty_cells_and_sites_outside():
    """Mass 0, no polyhedron, the site as centroid, no gradient; sites outside are allowed, on the torus wrapped."""
    sites = np.array([[0.2, 0.5, 0.5], [0.5, 0.5, 0.5], [0.8, 0.5, 0.5]])
    cells = laguerre(sites, np.array([0.0, -1.0, 0.0]), grad=True)
    assert cells.empty.tolist() == [False, True, False]
    assert cells.centroid[1].tolist() == [0.5, 0.5, 0.5]
    assert cells.grad["sites"][1].tolist() == [0, 0, 0]
    assert [len(v) for v in cells.polyhedron(1)] == [0, 0]
    assert len(cells.neighbours_of(1)) == 0
    assert repr(cells).startswith("Cells3(n=3, empty=1, energy=")
    outside = laguerre([[-1.0, 0.5, 0.5], [2.0, 0.5, 0.5], [10.0, 0.5, 0.5]])
    np.testing.assert_allclose(outside.mass, [0.5, 0.5, 0], atol=1e-14)
    rng = np.random.default_rng(4)
    sites, shift = rng.random((40, 3)), rng.integers(-3, 4, (40, 3))
    one, other = laguerre(sites, periodic=True), laguerre(sites + shift, periodic=True)
    np.testing.assert_allclose(other.mass, one.mass, atol=1e-14)
    np.testing.assert_allclose(other.centroid, one.centroid + shift, atol=1e-13)


@pytest.mark.parametrize("kept", [1, 2])
def test_collinear_and_coplanar_sites(kept):
    """Slabs and prisms: what a line or a plane of sites cuts does not depend on the other coordinates."""
    rng = np.random.default_rng(5)
    sites = np.full((300, 3), 0.5)
    sites[:, :kept] = rng.random((300, kept))
    cells = laguerre(sites)
    if kept == 1:
        at = np.sort(sites[:, 0])
        edges = np.concatenate([[0], (at[1:] + at[:-1]) / 2, [1]])
        np.testing.assert_allclose(cells.mass[np.argsort(sites[:, 0])], np.diff(edges), atol=1e-14)
    else:
        np.testing.assert_allclose(cells.mass, laguerre(sites[:, :2]).mass, atol=1e-14)


def test_cells_far_from_their_sites():
    """Power cells of (e x_i, e (e - 1) |x_i|^2) are Voronoi: |x - e x_i|^2 - psi_i = e |x - x_i|^2 + (1 - e) |x|^2."""
    rng = np.random.default_rng(6)
    x, e = rng.random((2000, 3)), 1e-3
    cells, voronoi = laguerre(e * x, e * (e - 1) * (x**2).sum(1)), laguerre(x)
    np.testing.assert_allclose(cells.mass, voronoi.mass, atol=1e-12)
    assert abs(cells.mass.sum() - 1) < 1e-12


def test_a_cell_of_many_facets():
    """No limit on their number: a site amid a sphere of n others has n facets, about n/2 times four vertices."""
    n = 2000
    k = np.arange(n) + 0.5
    z, angle = 1 - 2 * k / n, np.pi * (1 + 5**0.5) * k
    ring = np.sqrt(1 - z * z)
    ball = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], 1)
    cells = laguerre(np.concatenate([0.5 + 0.4 * ball, [[0.5, 0.5, 0.5]]]))
    assert cells.n_facets[n] == n
    assert len(cells.neighbours_of(n)) == n
    assert cells.mass[n] == pytest.approx(4 / 3 * np.pi * 0.2**3, rel=3e-3)
    assert cells.areas_of(n).sum() * 0.2 / 3 == pytest.approx(cells.mass[n], rel=1e-11)  # all facets touch the sphere
    assert abs(cells.mass.sum() - 1) < 1e-12


@pytest.mark.parametrize("periodic", [False, True])
def test_clusters(periodic):
    """A 10^6-fold range of cell sizes: the partition is exact."""
    rng = np.random.default_rng(7)
    scale = 10.0 ** -rng.integers(0, 7, 5000)
    sites = 0.5 + scale[:, None] * (rng.random((5000, 3)) - 0.5)
    cells = laguerre(sites, periodic=periodic)
    assert abs(cells.mass.sum() - 1) < 1e-12
    if not periodic:
        np.testing.assert_allclose(cells.mass @ cells.centroid, 0.5, atol=1e-12)


def test_libraries(library):
    """Arrays go out as they came in: library, dtype; scalars are 0-d of the same."""
    rng = np.random.default_rng(9)
    sites, psi = rng.random((40, 3)), 0.01 * rng.random(40)
    expected = laguerre(sites, psi)
    for dtype, tolerance in (("float64", 1e-15), ("float32", 1e-6)):
        cells = laguerre(library.array(sites, dtype), library.array(psi, dtype), grad=True)
        for name in ("mass", "centroid", "second_moment", "vertices", "areas"):
            value = getattr(cells, name)
            assert isinstance(value, library.array_type)
            assert library.dtype(value) == dtype
            if name not in ("vertices", "areas"):
                np.testing.assert_allclose(library.numpy(value), getattr(expected, name), atol=tolerance)
        for name in ("offsets", "facet_offsets", "corner_offsets", "corners", "neighbours", "n_vertices", "n_facets"):
            assert isinstance(getattr(cells, name), library.array_type)
            assert library.dtype(getattr(cells, name)) == "int64"
        assert library.is_scalar(cells.value)


def test_polyhedra_are_those_of_the_call():
    """What becomes of the caller's array later does not matter; cells are numbered from 0 to n - 1."""
    sites = np.random.default_rng(10).random((50, 3))
    expected = laguerre(sites).vertices
    cells = laguerre(sites)
    sites[:] = 0
    np.testing.assert_array_equal(cells.vertices, expected)
    for ask in (cells.polyhedron, cells.neighbours_of, cells.areas_of):
        with pytest.raises(InvalidValue, match=r"\[quantization\.laguerre\] i: expected a cell from 0 to 49, got 50"):
            ask(50)
    with pytest.raises(InvalidValue, match="cells of space are polyhedra"):
        cells.polygon(0)
