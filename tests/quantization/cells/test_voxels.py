"""Densities on voxels: against brute force, closed forms, derivatives; zeros, few and many sites, larger boxes."""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre

RNG = np.random.default_rng(0)
Y, PSI = RNG.random((40, 3)), 0.02 * RNG.random(40)
LOW, HIGH = (-0.1, 0.0, 0.0), (1.0, 1.2, 1.0)


def density(shape, zeros=0.3):
    values = RNG.random(shape) * (RNG.random(shape) > zeros)
    values.flat[0] = 1
    return Grid(values, LOW, HIGH)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_oracle(weighted, periodic):
    """Masses, first and second moments, facets: cells and facets cut with every voxel, to 1e-11."""
    shapes = [(2, 1, 2), (1, 3, 1)] if periodic else [(3, 4, 2), (1, 1, 5), (6, 2, 2)]
    for trial, shape in enumerate(shapes):
        measure, n = density(shape), (1, 3, 12)[trial]
        sites = 1.6 * Y[:n] - 0.4 if trial == 2 else Y[:n]
        psi = PSI[:n] if weighted else None
        cells = laguerre(sites, psi, measure=measure, periodic=periodic)
        assert abs(cells.mass.sum() - 1) < 1e-12
        with deblai.use_backend("reference"):
            expected = laguerre(sites, psi, measure=measure, periodic=periodic)
        for name in ("mass", "second_moment", "value"):
            np.testing.assert_allclose(getattr(cells, name), getattr(expected, name), atol=1e-12, err_msg=name)
        first, its = (c.mass[:, None] * (c.centroid - sites) for c in (cells, expected))
        np.testing.assert_allclose(first, its, atol=1e-12)
        assert np.array_equal(cells.empty, expected.empty)
        f, e = cells.facets(), expected.facets()
        orders = [np.lexsort((*v.offset.round(4).T, *v.first.round(4).T, v.across, v.cell)) for v in (f, e)]
        for name in f._fields:
            one, other = (getattr(v, name)[order] for v, order in zip((f, e), orders, strict=True))
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("periodic", [False, True])
def test_equal_voxels_are_a_box(periodic):
    """The same masses, means, moments and facets as the uniform measure, whatever the grid; masses add up to 1e-12."""
    sites, psi = RNG.random((200, 3)), 0.01 * RNG.random(200)
    grid = Grid(np.full((17, 5, 9), 3.0), LOW, HIGH)
    cells = laguerre(sites, psi, measure=grid, periodic=periodic)
    expected = laguerre(sites, psi, measure=UniformBox(LOW, HIGH), periodic=periodic)
    assert abs(cells.mass.sum() - 1) < 1e-12
    for name in ("mass", "second_moment", "centroid"):
        np.testing.assert_allclose(getattr(cells, name), getattr(expected, name), atol=1e-14, err_msg=name)
    for one, other in zip(cells.facets(), expected.facets(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)


def test_cells_much_smaller_than_voxels():
    """Masses, means and moments keep their digits, relative to the size of the cell."""
    rng = np.random.default_rng(1)
    sites = np.concatenate([0.5 + 1e-5 * rng.random((40, 3)), rng.random((20, 3))])
    cells = laguerre(sites, measure=Grid(np.ones((4, 5, 3)), (0, 0, 0), (1, 1, 1)))
    expected = laguerre(sites)
    for name in ("mass", "second_moment"):
        np.testing.assert_allclose(getattr(cells, name), getattr(expected, name), rtol=1e-10, err_msg=name)
    size = np.cbrt(expected.mass)[:, None]
    np.testing.assert_allclose(cells.centroid / size, expected.centroid / size, rtol=0, atol=1e-10)


def test_one_cell_is_the_whole():
    """Moments of a grid in closed form, also of one far away from its site, and on a torus of any origin."""
    measure = density((30, 20, 40))
    weight = measure.values / measure.values.sum()
    step = (np.array(HIGH) - LOW) / weight.shape
    centres = [LOW[a] + step[a] * (np.arange(weight.shape[a]) + 0.5) for a in range(3)]
    mean = np.array([(weight.sum(tuple({0, 1, 2} - {a})) * centres[a]).sum() for a in range(3)])
    for site in ([0.3, 0.4, 0.5], [30.0, -2.0, 7.0]):
        cells = laguerre([site], measure=measure)
        spread = sum(
            (weight.sum(tuple({0, 1, 2} - {a})) * ((centres[a] - site[a]) ** 2 + step[a] ** 2 / 12)).sum()
            for a in range(3)
        )
        assert cells.mass[0] == pytest.approx(1, abs=1e-13)
        np.testing.assert_allclose(cells.centroid[0], mean, atol=1e-12)
        assert cells.energy == pytest.approx(spread, rel=1e-13)
    shifted = laguerre(Y[:5], measure=measure, periodic=True)
    again = laguerre(
        Y[:5],
        measure=Grid(np.roll(measure.values, 7, 0), np.add(LOW, (-7 * step[0], 0, 0)), HIGH - 7 * step * [1, 0, 0]),
        periodic=True,
    )
    np.testing.assert_allclose(again.mass, shifted.mass, atol=1e-13)
    np.testing.assert_allclose(again.second_moment, shifted.second_moment, atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
def test_parts_without_density(periodic):
    """Exactly 0, not rounding, but not empty: the site as centroid, no gradient; walls may lie on voxel planes."""
    values = np.zeros((4, 4, 4))
    values[1, 2, 3] = 1
    sites = (np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), -1).reshape(-1, 3) + 0.5) / 8
    cells = laguerre(sites, measure=Grid(values, (0, 0, 0), (1, 1, 1)), periodic=periodic, grad=True)
    inside = (np.floor(sites * 4) == [1, 2, 3]).all(1)
    np.testing.assert_allclose(cells.mass[inside], 1 / 8, rtol=1e-14)
    np.testing.assert_allclose(cells.centroid, sites, atol=1e-14)
    assert (cells.mass[~inside] == 0).all()
    assert (cells.centroid[~inside] == sites[~inside]).all()
    assert not cells.empty.any()
    moved = laguerre(
        sites + 0.01 * RNG.random(sites.shape), measure=Grid(values, (0, 0, 0), (1, 1, 1)), periodic=periodic
    )
    assert (moved.mass >= 0).all()
    assert (moved.mass == 0).sum() > 400
    heavy = moved.mass > 0
    assert (
        (moved.centroid[heavy] > [0.2499, 0.4999, 0.7499]) & (moved.centroid[heavy] < [0.5001, 0.7501, 1.0001])
    ).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_sites_than_voxels(dtype):
    """Cells inside of one voxel have its density; the partition is exact."""
    sites, measure = (
        RNG.random((3000, 3)).astype(dtype),
        Grid(RNG.random((2, 3, 2)).astype(dtype), (0, 0, 0), (1, 1, 1)),
    )
    cells, uniform = laguerre(sites, measure=measure), laguerre(sites)
    assert abs(cells.mass.astype(float).sum() - 1) < (1e-12 if dtype == "float64" else 1e-6)
    values = measure.values / measure.values.mean()
    ratio, at = cells.mass / uniform.mass, values[tuple((sites * (2, 3, 2)).astype(int).T)]
    assert (np.abs(ratio - at) < 1e-5).mean() > 0.5
    assert ((ratio > values.min() - 1e-5) & (ratio < values.max() + 1e-5)).all()
    assert cells.mass.dtype == dtype


@pytest.mark.parametrize("periodic", [False, True])
def test_derivatives(periodic):
    """Central differences: value in sites and psi, masses in psi (the Laplacian)."""
    n, h, measure = 10, 1e-6, density((4, 5, 3), 0)
    sites, psi = Y[:n], PSI[:n]
    found = laguerre(sites, psi, measure=measure, periodic=periodic, grad=True)

    def moved(step, k):
        x = np.concatenate([sites.ravel(), psi])
        x[k] += step
        return laguerre(x[: 3 * n].reshape(n, 3), x[3 * n :], measure=measure, periodic=periodic)

    slopes = [(moved(h, k), moved(-h, k)) for k in range(4 * n)]
    values = np.array([(float(a.value) - float(b.value)) / (2 * h) for a, b in slopes])
    np.testing.assert_allclose(values, np.concatenate([found.grad["sites"].ravel(), found.grad["psi"]]), atol=1e-8)
    masses = np.array([(a.mass - b.mass) / (2 * h) for a, b in slopes[3 * n :]])
    np.testing.assert_allclose(found.laplacian().toarray(), masses, atol=2e-8)


def test_facets_between_voxels():
    """A facet between voxels has the mean of both; one at the border of the box the voxel inside."""
    for backend in ("cpu", "reference"):
        with deblai.use_backend(backend):
            f = laguerre(
                [[0.25, 0.5, 0.5], [0.75, 0.5, 0.5]], measure=Grid([[[1.0]], [[3.0]]], (0, 0, 0), (1, 1, 1))
            ).facets()
        np.testing.assert_allclose(f.mass[f.across >= 0], [1, 1], atol=1e-14)
        expected = [0.5] + [0.25] * 4 + [1.5] + [0.75] * 4
        np.testing.assert_allclose(np.sort(f.mass[f.across < 0]), np.sort(expected), atol=1e-14)


def test_libraries_and_threads(library):
    """Values of the library of the sites; strides of any kind; threads change no bit."""
    values = RNG.random((6, 4, 5))
    sites = RNG.random((3000, 3))
    expected = laguerre(sites, measure=Grid(values, LOW, HIGH))
    found = laguerre(library.array(sites, "float64"), measure=Grid(library.array(values, "float64"), LOW, HIGH))
    np.testing.assert_allclose(library.numpy(found.mass), expected.mass, atol=1e-15)
    turned = Grid(np.ascontiguousarray(values.T).T, LOW, HIGH)
    for threads in (1, 3):
        with deblai.use_backend(threads=threads):
            again = laguerre(sites, measure=turned)
        assert np.array_equal(again.mass, expected.mass)
        assert np.array_equal(again.second_moment, expected.second_moment)


def test_bad_values():
    """Entries are checked where they are used, too: a view may have changed."""
    values = np.ones((2, 2, 2))
    measure = Grid(values, LOW, HIGH)
    for value in (-1.0, np.nan, np.inf):
        measure.values[1, 0, 1] = value
        with pytest.raises(InvalidValue, match=r"\[quantization.laguerre\] measure.values: .*got .* at \[1, 0, 1\]"):
            laguerre(Y, measure=measure)
    measure.values[:] = 0
    with pytest.raises(InvalidValue, match=r"measure\.values: expected"):
        laguerre(Y, measure=measure)
