"""Laguerre cells against brute force: every cell clipped by every other site and every image of it, in NumPy."""

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre
from deblai.reference import laguerre as oracle
from hypothesis import given
from hypothesis import strategies as st

BOX = (np.array([-0.5, 0.0]), np.array([1.0, 1.0]))
MEASURE = UniformBox(*BOX)


def diagrams(count, most, seed):
    """Random sites, some out of the box, some repeated, and psi from none to ranges far larger than the box."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        n = int(rng.integers(1, most + 1))
        sites = rng.random((n, 2)) * [1.8, 1.3] - [0.65, 0.15]
        if k % 7 == 0:
            sites[rng.integers(0, n, n // 3)] = sites[0]
        yield sites, None if k % 4 == 0 else rng.standard_normal(n) * 10.0 ** rng.integers(-4, 3)


def brute_force(batch, periodic):
    """Moments and sizes of all cells of many diagrams at once: rows of half-planes, padded with ones that never cut."""
    low, high = BOX
    starts, planes, gone = [], [], []
    for sites, psi in batch:
        at = oracle.wrap(sites, low, high) if periodic else sites
        weight = np.zeros(len(at)) if psi is None else psi
        half = np.repeat((high - low)[None] / 2, len(at), 0)
        starts.append((-half, half) if periodic else (low - at, high - at))
        planes.append(oracle.half_planes(at, weight, high - low, periodic))
        gone.append(oracle.duplicates(at, weight))
    width = max(p[0].shape[1] for p in planes)
    fill = (0.0, 0.0, np.inf, 0)
    rows = [
        np.concatenate([np.pad(p[k], ((0, 0), (0, width - p[k].shape[1])), constant_values=fill[k]) for p in planes])
        for k in range(4)
    ]
    corners = [np.concatenate([s[k] for s in starts]) for k in (0, 1)]
    p = oracle.clip(oracle.rectangles(*corners, np.full(len(corners[0]), -1)), *rows)
    total = oracle.moments(p) / (high - low).prod()
    return np.where(np.concatenate(gone) | (p.size < 3), 0.0, total)


@pytest.mark.parametrize(("periodic", "most", "count"), [(False, 60, 1000), (True, 20, 960), (True, 60, 40)])
def test_two_thousand_diagrams(periodic, most, count, level):
    """Masses, first and second moments of all cells, to 1e-11."""
    every = {"baseline": 0, "avx2": 1, "avx512": 2}[level]
    batch = [q for k, q in enumerate(diagrams(count, most, seed=most)) if k % 3 == every or level == "avx512"]
    expected = brute_force(batch, periodic)
    with deblai.use_backend("cpu", simd=level):
        found = [(sites, laguerre(sites, psi, measure=MEASURE, periodic=periodic)) for sites, psi in batch]
    mass = np.concatenate([c.mass for _, c in found])
    first = np.concatenate([c.mass[:, None] * (c.centroid - sites) for sites, c in found])
    second = np.concatenate([c.second_moment for _, c in found])
    np.testing.assert_allclose(mass, expected[0], rtol=0, atol=1e-11)
    np.testing.assert_allclose(first.T, expected[1:3], rtol=0, atol=1e-11)
    np.testing.assert_allclose(second, expected[3], rtol=0, atol=1e-11)
    assert max(abs(c.mass.sum() - 1) for _, c in found) < 1e-12
    assert all((c.empty == (np.diff(c.offsets) == 0)).all() for _, c in found)


@pytest.mark.parametrize("periodic", [False, True])
def test_pixel_densities(periodic):
    """Grid densities: every cell clipped by every pixel and every image of it."""
    rng = np.random.default_rng(1)
    for k, (sites, psi) in enumerate(diagrams(60, 30, seed=1)):
        measure = Grid(rng.random((int(rng.integers(1, 6)), 1 + k % 4)) * (rng.random() < 0.8) + 0.01, *BOX)
        found = laguerre(sites, psi, measure=measure, periodic=periodic)
        with deblai.use_backend("reference"):
            expected = laguerre(sites, psi, measure=measure, periodic=periodic)
        np.testing.assert_allclose(found.mass, expected.mass, atol=1e-11)
        np.testing.assert_allclose(found.second_moment, expected.second_moment, atol=1e-11)
        np.testing.assert_allclose(
            found.mass[:, None] * found.centroid, expected.mass[:, None] * expected.centroid, atol=1e-11
        )
        assert abs(found.mass.sum() - 1) < 1e-12


def edges(cells, i):
    """What lies across the edges of a cell, sorted, and the vertices at which they begin."""
    begin, end = int(cells.offsets[i]), int(cells.offsets[i + 1])
    across, at = cells.neighbours[begin:end], cells.vertices[begin:end]
    order = np.lexsort((*at.round(4).T, across))  # a corner of the box lies between two edges of -1
    return across[order].tolist(), at[order]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("kind", ["voronoi", "laguerre", "grid"])
def test_parity(kind, periodic, dtype, level):
    """{reference, baseline, avx2, avx512} x {float32, float64}: all outputs; strides; the polygons edge by edge.

    Inside all is float64, so float32 differs from the reference by the rounding of outputs alone.
    """
    rng = np.random.default_rng(2)
    sites, psi = rng.random((150, 2)).astype(dtype), (0.01 * rng.random(150)).astype(dtype)
    psi = None if kind == "voronoi" else psi
    measure = Grid(rng.random((7, 5)).astype(dtype), (0, 0), (1, 1)) if kind == "grid" else UniformBox((0, 0), (1, 1))
    with deblai.use_backend("reference"):
        expected = laguerre(sites, psi, measure=measure, periodic=periodic, grad=True)
        assert expected.backend == "reference"
    wide = np.full((300, 5), np.nan, dtype)
    wide[::2, 1:4:2] = sites
    for given_sites in (sites, np.asfortranarray(sites), wide[::2, 1:4:2]):
        with deblai.use_backend("cpu", simd=level):
            found = laguerre(given_sites, psi, measure=measure, periodic=periodic, grad=True)
        assert found.backend == f"cpu/{level}"
        tolerance = 1e-13 if dtype == "float64" else 2e-7
        for name in ("mass", "centroid", "second_moment", "energy", "value"):
            one, other = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
            assert one.dtype == other.dtype == dtype
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance, err_msg=name)
        for name in found.grad:
            np.testing.assert_allclose(found.grad[name], expected.grad[name], rtol=0, atol=tolerance, err_msg=name)
        np.testing.assert_array_equal(found.offsets, expected.offsets)
        for i in range(0, 150, 7):
            (across, at), (other_across, other_at) = edges(found, i), edges(expected, i)
            assert across == other_across
            np.testing.assert_allclose(at, other_at, atol=10 * tolerance)


@st.composite
def problems(draw):
    """A few sites on a coarse lattice, so that ties, duplicates and degenerate vertices are the rule."""
    n = draw(st.integers(1, 25))
    points = st.tuples(st.integers(-2, 10), st.integers(-2, 10))
    sites = np.array(draw(st.lists(points, min_size=n, max_size=n)), float) / 8
    psi = np.array(draw(st.lists(st.integers(-8, 8), min_size=n, max_size=n)), float) / 64
    return sites, psi if draw(st.booleans()) else None, draw(st.booleans())


@given(problems())
def test_partition_and_oracle(problem):
    """Degenerate diagrams: masses add up to 1, and are those of brute force."""
    sites, psi, periodic = problem
    cells = laguerre(sites, psi, periodic=periodic)
    assert abs(cells.mass.sum() - 1) < 1e-12
    expected = oracle.cells(sites, psi, (0, 0), (1, 1), periodic)
    np.testing.assert_allclose(cells.mass, expected.mass, atol=1e-11)
    np.testing.assert_allclose(cells.second_moment, expected.second_moment, atol=1e-11)


@given(problems(), st.tuples(st.integers(-64, 64), st.integers(-64, 64)))
def test_translation(problem, shift):
    """Sites and box move together: masses stay, centroids move. (Dyadic shifts: coordinates are exact.)"""
    sites, psi, periodic = problem
    s = np.array(shift) / 16
    moved = UniformBox(s, 1 + s)
    one, other = laguerre(sites, psi, periodic=periodic), laguerre(sites + s, psi, measure=moved, periodic=periodic)
    np.testing.assert_allclose(other.mass, one.mass, atol=1e-12)
    np.testing.assert_allclose(
        one.mass[:, None] * (other.centroid - sites - s), one.mass[:, None] * (one.centroid - sites), atol=1e-12
    )


@given(problems(), st.randoms(use_true_random=False))
def test_permutation(problem, random):
    """The order of sites does not matter, but for who of equal ones has the cell."""
    sites, psi, periodic = problem
    _, first = np.unique(sites % 1 if periodic else sites, axis=0, return_index=True)
    sites, psi = sites[first], None if psi is None else psi[first]
    order = np.array(random.sample(range(len(sites)), len(sites)))
    one = laguerre(sites, psi, periodic=periodic)
    other = laguerre(sites[order], None if psi is None else psi[order], periodic=periodic)
    np.testing.assert_allclose(other.mass, one.mass[order], atol=1e-13)
    np.testing.assert_allclose(other.second_moment, one.second_moment[order], atol=1e-13)


@given(problems(), st.integers(-8, 8))
def test_constant_psi(problem, constant):
    """A constant in psi changes no cell; the value goes down by it."""
    sites, psi, periodic = problem
    base = np.zeros(len(sites)) if psi is None else psi
    one, other = (laguerre(sites, p, periodic=periodic) for p in (base, base + constant / 8))
    np.testing.assert_allclose(other.mass, one.mass, atol=1e-12)
    assert other.value == pytest.approx(one.value - constant / 8, abs=1e-12)
