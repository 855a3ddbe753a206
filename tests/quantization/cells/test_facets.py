"""The density along the edges of cells: against brute force, identities of Stokes, derivatives of masses and energy."""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre

RNG = np.random.default_rng(0)
Y, PSI = RNG.random((40, 2)), 0.01 * RNG.random(40)
GRID = Grid(RNG.random((5, 7)) + 0.1, (0, 0), (1, 1))
BOX = UniformBox((0, 0), (1, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("measure", [BOX, GRID])
def test_parity(measure, periodic, dtype, level):
    """Every instruction set against edges cut by every line of the grid."""
    for n in (1, 2, 3, 40):  # few sites on a torus: several images, and the site's own
        sites, psi = Y[:n].astype(dtype), PSI[:n].astype(dtype)
        with deblai.use_backend("reference"):
            expected = laguerre(sites, psi, measure=measure, periodic=periodic).facets()
        with deblai.use_backend("cpu", simd=level):
            cells = laguerre(sites, psi, measure=measure, periodic=periodic)
        found = cells.facets()
        assert len(found.cell) == len(cells.vertices)
        assert np.array_equal(found.across, cells.neighbours)
        assert abs(found.mass.sum() - expected.mass.sum()) < 1e-12 if dtype == "float64" else 1e-5
        # brute force leaves edges without length where corners meet
        found, expected = (type(f)(*(v[f.mass > 1e-9] for v in f)) for f in (found, expected))
        orders = [np.lexsort((*f.offset.round(4).T, *f.first.round(4).T, f.across, f.cell)) for f in (found, expected)]
        for name in found._fields:
            one, other = (getattr(f, name)[order] for f, order in zip((found, expected), orders, strict=True))
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-13 if dtype == "float64" else 3e-7, err_msg=name)


@pytest.mark.parametrize("periodic", [False, True])
def test_both_sides_and_the_divergence_theorem(periodic):
    """An edge has the same mass from either side; offsets are opposite; normals of a closed polygon add up to 0."""
    f = laguerre(Y, PSI, periodic=periodic).facets()
    inner = f.across >= 0
    one = np.lexsort((*f.offset[inner].round(6).T, f.across[inner], f.cell[inner]))
    other = np.lexsort((*(-f.offset[inner]).round(6).T + 0.0, f.cell[inner], f.across[inner]))
    np.testing.assert_allclose(f.mass[inner][one], f.mass[inner][other], atol=1e-14)
    np.testing.assert_allclose(f.offset[inner][one], -f.offset[inner][other], atol=1e-14)
    if periodic:
        normal = f.offset / np.hypot(*f.offset.T)[:, None]
        np.testing.assert_allclose(
            [np.bincount(f.cell, f.mass * normal[:, k]) for k in (0, 1)], np.zeros((2, len(Y))), atol=1e-13
        )
        # sum over edges of int v.n ds is twice the area
        flux = np.bincount(f.cell, (f.first * normal).sum(1))
        np.testing.assert_allclose(flux / 2, laguerre(Y, PSI, periodic=True).mass, atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("measure", [BOX, GRID])
def test_laplacian_is_the_derivative_of_masses(measure, periodic):
    """Central differences of masses in psi; symmetric, rows of sum zero, positive semidefinite."""
    for n in (2, 12):
        sites, psi = Y[:n], PSI[:n]
        found = laguerre(sites, psi, measure=measure, periodic=periodic).laplacian().toarray()
        h = 1e-6
        expected = np.stack(
            [
                (
                    laguerre(sites, psi + h * e, measure=measure, periodic=periodic).mass
                    - laguerre(sites, psi - h * e, measure=measure, periodic=periodic).mass
                )
                / (2 * h)
                for e in np.eye(n)
            ]
        )
        np.testing.assert_allclose(found, expected, atol=2e-8)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_allclose(found.sum(1), 0, atol=1e-14)
        assert np.linalg.eigvalsh(found).min() > -1e-14


@pytest.mark.parametrize("periodic", [False, True])
def test_hessian_of_the_quantization_energy(periodic):
    """H_ii = 2 m_i - sum (2/d) int (x-y_i)(x-y_i)^T, H_ij = (2/d) int (x-y_i)(x-y_j)^T: differences of gradients."""
    n = 9
    sites, h = Y[:n], 1e-6
    cells = laguerre(sites, periodic=periodic)
    f = cells.facets()
    hessian = np.zeros((n, 2, n, 2))
    for i in range(n):
        hessian[i, :, i, :] += 2 * cells.mass[i] * np.eye(2)
    for k in np.flatnonzero(f.across >= 0):
        i, j, d = f.cell[k], f.across[k], np.hypot(*f.offset[k])
        hessian[i, :, i, :] -= 2 / d * f.second[k]
        hessian[i, :, j, :] += 2 / d * (f.second[k] - np.outer(f.first[k], f.offset[k]))
    hessian = hessian.reshape(2 * n, 2 * n)

    def gradient(y):
        return laguerre(y.reshape(n, 2), periodic=periodic, grad="sites").grad["sites"].ravel()

    expected = np.stack(
        [(gradient(sites.ravel() + h * e) - gradient(sites.ravel() - h * e)) / (2 * h) for e in np.eye(2 * n)]
    )
    np.testing.assert_allclose(hessian, expected, atol=2e-8)


def test_along_lines_of_the_grid():
    """An edge between pixels has the mean of both; one at the border of the box the pixel inside."""
    sites = np.array([[0.25, 0.5], [0.75, 0.5]])
    for backend in ("cpu", "reference"):
        with deblai.use_backend(backend):
            f = laguerre(sites, measure=Grid(np.array([[1.0], [3.0]]), (0, 0), (1, 1))).facets()
        inner = f.across >= 0
        np.testing.assert_allclose(f.mass[inner], [1.0, 1.0], atol=1e-15)
        np.testing.assert_allclose(sorted(f.mass[~inner]), [0.25, 0.25, 0.5, 0.75, 0.75, 1.5], atol=1e-15)


def test_libraries_and_threads():
    """PyTorch and JAX get their own arrays; threads change no bit; cells out of jit have no edges."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    expected = laguerre(Y.astype(np.float32)).facets()
    for library, sites in ((torch.Tensor, torch.from_numpy(Y).float()), (jax.Array, jax.numpy.asarray(Y, np.float32))):
        found = laguerre(sites).facets()
        assert all(isinstance(v, library) for v in found)
        assert all(np.array_equal(np.asarray(v), e) for v, e in zip(found, expected, strict=True))
    many = RNG.random((20_000, 2))
    results = []
    for threads in (1, 3):
        with deblai.use_backend(threads=threads):
            results.append(laguerre(many, measure=GRID).facets())
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    with pytest.raises(InvalidType, match="expected concrete arrays"):
        jax.jit(laguerre)(jax.numpy.asarray(Y)).facets()
