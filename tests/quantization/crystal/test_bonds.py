"""Bonds, order and defects; rows 13 and 36 of the ground truths."""

import itertools

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, Polytope, UniformBox
from deblai.quantization import crystal
from hypothesis import given
from hypothesis import strategies as st

SQUARE = UniformBox((0, 0), (1, 1))
SHAPES = {"A2": (6, 4), "Z2": (5, 5), "sc": (3, 3, 3), "bcc": (3, 3, 3), "fcc": (2, 2, 2)}


def torus(name):
    """Sites and measure as keyword arguments of crystal's functions."""
    sites, measure = crystal.lattice(name).torus(SHAPES[name])
    return sites, {"measure": measure, "periodic": True}


def legendre(degree, x):
    return np.polynomial.legendre.legval(x, np.eye(degree + 1)[degree])


def steinhardt(directions, weights, degree):
    """q_l by the addition theorem: no spherical harmonics."""
    unit = directions / np.linalg.norm(directions, axis=1)[:, None]
    w = weights / weights.sum()
    return np.sqrt(max(w @ legendre(degree, np.clip(unit @ unit.T, -1, 1)) @ w, 0))


@pytest.mark.parametrize(
    ("name", "coordination", "facet"),
    [
        ("A2", 6, {1 / 3**0.5: 6}),
        ("Z2", 4, {1.0: 4}),
        ("sc", 6, {1.0: 6}),
        ("fcc", 12, {2**0.5 / 4: 12}),
        ("bcc", 14, {2 / 3 * 0.5: 6, 3**0.5 / 2: 8}),
    ],
)
def test_bonds_of_lattices(name, coordination, facet):
    """Each site has the neighbours and facets of its lattice of spacing 1: hexagons, dodecahedra, octahedra."""
    sites, where = torus(name)
    b = crystal.bonds(sites, **where)
    assert set(b.coordination) == {coordination}
    assert b.histogram() == {coordination: len(sites)}
    assert not b.border.any()
    size = np.sort(np.concatenate([b.facet, b.facet]))
    if name != "bcc":
        np.testing.assert_allclose(size, np.repeat(list(facet), len(sites) * coordination), rtol=1e-12)
    else:  # a truncated octahedron: six squares and eight hexagons, whose areas are as 2 to 3 sqrt(3)
        few, many = size[: 6 * len(sites)], size[6 * len(sites) :]
        np.testing.assert_allclose(many.mean() / few.mean(), 3 * 3**0.5 / 2, rtol=1e-12)
        np.testing.assert_allclose([np.ptp(few), np.ptp(many)], 0, atol=1e-12)
    away = sites[b.pairs[:, 1]] - sites[b.pairs[:, 0]]
    side = np.array(where["measure"].upper)
    np.testing.assert_allclose((b.offset - away) / side, np.round((b.offset - away) / side), atol=1e-12)


def test_row_36_order_in_the_plane():
    """Triangular: |psi_6| = 1, psi_4 = 0; square: |psi_4| = 1, psi_6 = 0; turned bonds turn psi."""
    for name, one, zero in (("A2", 6, 4), ("Z2", 4, 6)):
        sites, where = torus(name)
        for weighting in ("facet", "none"):
            full = crystal.bond_order(sites, one, weighting=weighting, **where)
            assert full.local_mean == pytest.approx(1, abs=1e-13)
            assert full.global_order == pytest.approx(1, abs=1e-13)
            np.testing.assert_allclose(np.abs(full.local), 1, atol=1e-13)
            assert crystal.bond_order(sites, zero, weighting=weighting, **where).local_mean < 1e-13
    sites, where = torus("A2")
    swapped = UniformBox((0, 0), where["measure"].upper[::-1])
    turned = crystal.bond_order(sites[:, ::-1].copy(), measure=swapped, periodic=True).local
    np.testing.assert_allclose(turned, -crystal.bond_order(sites, **where).local, atol=1e-13)


@pytest.mark.parametrize("name", ["sc", "fcc", "bcc"])
@pytest.mark.parametrize("degree", [1, 4, 6, 10])
@pytest.mark.parametrize("weighting", ["facet", "none"])
def test_order_in_space(name, degree, weighting):
    """Equal to the addition theorem's; q_4 and q_6 of sc and fcc as in Steinhardt, Nelson and Ronchetti's figures."""
    sites, where = torus(name)
    b = crystal.bonds(sites, **where)
    directions = np.concatenate([b.offset[b.pairs[:, 0] == 0], -b.offset[b.pairs[:, 1] == 0]])
    facet = np.concatenate([b.facet[b.pairs[:, 0] == 0], b.facet[b.pairs[:, 1] == 0]])
    exact = steinhardt(directions, facet if weighting == "facet" else np.ones(len(facet)), degree)
    found = crystal.bond_order(b, degree, weighting=weighting)
    np.testing.assert_allclose(found.local**2, exact**2, atol=1e-13)
    assert found.global_order**2 == pytest.approx(exact**2, abs=1e-13)
    known = {("sc", 4): 0.763763, ("sc", 6): 0.353553, ("fcc", 4): 0.190941, ("fcc", 6): 0.574524}
    if (name, degree) in known:
        assert found.local_mean == pytest.approx(known[name, degree], abs=1e-6)


def test_random_order_in_space(rng):
    """The local q_l of random cells, by the addition theorem, whatever the frame."""
    sites = rng.random((40, 3))
    b = crystal.bonds(sites, periodic=True)
    for degree in (1, 6, 9):
        found = crystal.bond_order(b, degree)
        for i in (0, 7, 39):
            directions = np.concatenate([b.offset[b.pairs[:, 0] == i], -b.offset[b.pairs[:, 1] == i]])
            facet = np.concatenate([b.facet[b.pairs[:, 0] == i], b.facet[b.pairs[:, 1] == i]])
            exact = 0 if degree == 1 else steinhardt(directions, facet, degree)  # the areas of a cell add up to 0
            assert found.local[i] == pytest.approx(exact, abs=1e-13)
        turned = crystal.bond_order(sites[:, [2, 0, 1]].copy(), degree, periodic=True)
        np.testing.assert_allclose(turned.local, found.local, atol=1e-12)
        assert turned.global_order == pytest.approx(found.global_order, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_row_13_euler_on_the_torus(seed, n):
    """The mean coordination of a torus is 6, even of one that is small; every unit of charge is counted once."""
    sites = np.random.default_rng(seed).random((n, 2))
    b = crystal.bonds(sites, periodic=True)
    if n == 1:
        assert b.histogram() == {4: 1}  # the square lattice, whose cells meet four at a time
        return
    assert len(b.pairs) == 3 * n
    d = crystal.defects(b)
    assert d.total_charge == 0
    assert d.cluster_charge.sum() == 0
    assert np.array_equal(d.charge, 6 - b.coordination)
    assert d.count == (d.cluster >= 0).sum() == n - d.histogram.get(6, 0)
    again = d.excess.copy()
    for plus, minus in d.dislocations:
        again[plus] += 1
        again[minus] -= 1
    assert np.array_equal(again, d.charge)
    assert (d.excess * d.charge >= 0).all()
    assert np.array_equal(np.flatnonzero(d.excess), d.disclinations)
    touching = {frozenset(pair) for pair in b.pairs.tolist()}
    left = [(i, j) for i, j in itertools.product(d.disclinations, repeat=2) if d.excess[i] > 0 > d.excess[j]]
    assert not any(frozenset(pair) in touching for pair in left)  # else there were one pair more


def test_matching_is_as_large_as_can_be():
    """A chain 7-5-7-5: taking the middle pair first would leave both ends alone."""
    from deblai.quantization.crystal._bonds import Ends
    from deblai.quantization.crystal._defects import _clusters, _matched

    i, j = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4])
    rows = Ends(np.concatenate([i, j]), np.concatenate([j, i]), np.zeros((8, 2)), np.ones(8))
    charge = np.array([-1, 1, -1, 1, 0])
    pairs, excess = _matched(rows, charge)
    assert sorted(map(tuple, pairs)) == [(1, 0), (3, 2)]
    assert not excess.any()
    pairs, excess = _matched(rows, np.array([0, 2, -1, 0, -1]))
    assert sorted(map(tuple, pairs)) == [(1, 2)]
    assert excess.tolist() == [0, 1, 0, 0, -1]
    label, total = _clusters(rows, np.array([1, -1, 0, 1, 0]))
    assert label.tolist() == [0, 0, -1, 1, -1]
    assert total.tolist() == [0, 1]


def test_a_dislocation_has_its_burgers_vector():
    """Half a row taken out of a crystal: two dislocations, whose Burgers vectors are one spacing and opposite."""
    sites, measure = crystal.lattice("A2").torus((16, 8))
    row = (np.abs(sites[:, 1] - sites[0, 1]) < 1e-9) & (sites[:, 0] < 8)
    r = deblai.quantization.quantize(measure, int((~row).sum()), init=sites[~row], periodic=True, tol=1e-6)
    d = crystal.defects(r, measure=measure, periodic=True)
    assert d.total_charge == 0
    assert (len(d.dislocations), len(d.disclinations), d.count) == (2, 0, 4)
    np.testing.assert_allclose(d.burgers.sum(0), 0, atol=0.05)
    np.testing.assert_allclose(np.linalg.norm(d.burgers, axis=1), 1, atol=0.05)
    np.testing.assert_allclose(np.abs(d.burgers[:, 1]), 3**0.5 / 2, atol=0.05)  # across the row
    assert len(d.cluster_charge) == 2
    assert not d.cluster_charge.any()


@pytest.mark.parametrize(
    "measure",
    [
        SQUARE,
        Grid(np.arange(1.0, 10.0).reshape(3, 3), (0, 0), (1, 1)),
        Polytope([[0, 0], [1, 0], [1, 1], [0, 1]]),
        Gaussian([0.5, 0.5], 0.1, SQUARE),
    ],
    ids=["box", "grid", "polygon", "gaussian"],
)
def test_only_the_domain_matters(measure, rng):
    """Densities on one square have the same cells; what touches the border does not count, unless asked for."""
    sites = rng.random((50, 2))
    b, plain = crystal.bonds(sites, measure=measure), crystal.bonds(sites)
    order, sort = np.lexsort(b.pairs.T), np.lexsort(plain.pairs.T)
    assert np.array_equal(b.pairs[order], plain.pairs[sort])
    np.testing.assert_allclose(b.facet[order], plain.facet[sort], rtol=1e-12)
    cells = deblai.quantization.laguerre(sites)
    border = [bool((cells.neighbours[cells.offsets[i] : cells.offsets[i + 1]] < 0).any()) for i in range(50)]
    assert np.array_equal(b.border, border)
    d = crystal.defects(b)
    assert not d.charge[b.border].any()
    assert sum(d.histogram.values()) == (~b.border).sum()
    inside, all_of_them = crystal.bond_order(b), crystal.bond_order(b, border=True)
    assert np.array_equal(inside.counted, ~b.border)
    assert all_of_them.counted.all()
    assert inside.local_mean == pytest.approx(np.abs(inside.local[~b.border]).mean())
    assert np.isinf(crystal.hexagonality(b).distance[b.border]).all()


def test_thin_facets_are_no_bonds(rng):
    """A shaken square lattice has six neighbours in the mean, and four where short edges are left out."""
    sites, where = torus("Z2")
    shaken = sites + 1e-4 * rng.standard_normal(sites.shape)
    assert crystal.bonds(shaken, **where).coordination.mean() == 6
    assert crystal.bonds(shaken, thin=0.01, **where).histogram() == {4: len(sites)}
    assert crystal.bonds(sites.astype(np.float32), thin=1e-5, **where).histogram() == {4: len(sites)}


def test_laguerre_cells_have_their_own_bonds(rng):
    """A site whose potential is high touches more; one without a cell touches nobody and does not count."""
    sites = rng.random((30, 2))
    psi = np.zeros(30)
    psi[3], psi[4] = 0.05, -0.5
    b = crystal.bonds(sites, psi, periodic=True)
    assert b.coordination[3] > crystal.bonds(sites, periodic=True).coordination[3]
    assert b.coordination[4] == 0
    assert not crystal.bond_order(b).counted[4]
    assert not crystal.hexagonality(b).counted[4]
    d = crystal.defects(b)
    assert d.charge[4] == d.total_charge == 0
    assert sum(d.histogram.values()) == (b.coordination > 0).sum() < 30
    assert "mean coordination=6," in repr(b)


@pytest.mark.parametrize("dim", [2, 3])
def test_the_reference_finds_the_same_bonds(dim, rng):
    sites = rng.random((20 if dim == 2 else 8, dim))
    for periodic in (False, True):
        fast = crystal.bonds(sites, periodic=periodic)
        with deblai.use_backend("reference"):
            slow = crystal.bonds(sites, periodic=periodic)
        one, other = (
            sorted(zip(b.pairs.tolist(), b.offset.round(9).tolist(), b.facet.round(9).tolist(), strict=True))
            for b in (fast, slow)
        )
        assert one == other
        assert np.array_equal(fast.border, slow.border)


def test_hexagonality_is_the_least_over_all_rotations(rng):
    """Against a fine grid of rotations; of the lattice 0, whatever its direction; of a shaken one, small."""
    from deblai.quantization.crystal._hexagons import _least

    corner = np.arange(6) * np.pi / 3
    around = np.stack([np.cos(corner), np.sin(corner)], 1) + 0.2 * rng.standard_normal((5, 6, 2))
    phi = np.linspace(0, 2 * np.pi, 20_001)
    hexagon = np.stack([np.cos(phi[:, None] + corner), np.sin(phi[:, None] + corner)], 2)
    grid = np.linalg.norm(around[:, None] - hexagon, axis=3).max(2).min(1)
    found = _least(around)
    assert (found <= grid + 1e-15).all()
    np.testing.assert_allclose(found, grid, atol=1e-3)
    sites, where = torus("A2")
    shaken = crystal.hexagonality(sites + 0.01 * rng.standard_normal(sites.shape), **where)
    assert 0 < shaken.median < shaken.worst < 0.1
    assert 0 < shaken.deficit < 0.01
    assert shaken.share(0.1) == 1
    assert crystal.hexagonality(sites, **where).worst < 1e-13
    assert np.isinf(crystal.hexagonality(*torus("Z2")[:1], **torus("Z2")[1]).distance).all()


def test_results_come_back_in_the_library_of_the_sites(library, rng):
    """Arrays of the caller's library and dtype, the same numbers."""
    values = rng.random((30, 2))
    for dtype in ("float32", "float64"):
        sites = library.array(values, dtype)
        b = crystal.bonds(sites, periodic=True)
        plain = crystal.bonds(np.asarray(values, dtype), periodic=True)
        for name in ("pairs", "offset", "facet", "coordination", "border"):
            assert isinstance(getattr(b, name), library.array_type)
            np.testing.assert_array_equal(library.numpy(getattr(b, name)), getattr(plain, name))
        assert library.dtype(b.facet) == dtype
        local = crystal.bond_order(b).local
        assert library.dtype(local) == {"float32": "complex64", "float64": "complex128"}[dtype]
        d, h = crystal.defects(b), crystal.hexagonality(b)
        assert isinstance(d.charge, library.array_type)
        assert isinstance(h.distance, library.array_type)
        assert repr(d) == repr(crystal.defects(plain))
        assert "mean coordination=6" in repr(b)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: crystal.bonds(np.zeros((3, 4))), "sites: expected shape"),
        (lambda: crystal.bonds([[0.1, np.nan]]), "sites: expected finite"),
        (lambda: crystal.bonds(None), "sites: expected an array"),
        (lambda: crystal.bonds([[0.1, 0.2]], measure="box"), "measure: expected"),
        (lambda: crystal.bonds([[0.1, 0.2]], periodic=2), "periodic: expected True or False"),
        (lambda: crystal.bonds([[0.1, 0.2]], measure=Gaussian([0, 0]), periodic=True), "periodic: expected False"),
        (lambda: crystal.bonds([[0.1, 0.2]], thin=1.0), "thin: expected at least 0"),
        (lambda: crystal.bond_order([[0.1, 0.2]], 0), "order: expected a positive"),
        (lambda: crystal.bond_order([[0.1, 0.2]], 101), "order: expected at most"),
        (lambda: crystal.bond_order([[0.1, 0.2]], weighting="area"), "weighting: expected"),
        (lambda: crystal.bond_order([[0.1, 0.2]], border=1), "border: expected"),
        (lambda: crystal.defects([[0.1, 0.2, 0.3]]), "measure: expected 2 dimensions"),
        (lambda: crystal.hexagonality(crystal.bonds([[0.1, 0.2]]), periodic=True), "expected none beside bonds"),
    ],
)
def test_errors(call, message):
    with pytest.raises(deblai.DeblaiError, match=r"^\[quantization\.crystal\..*" + message):
        call()
