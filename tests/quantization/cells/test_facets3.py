"""The density on the facets of cells of space: brute force, identities of Stokes, derivatives of masses and energy."""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType
from deblai.measures import UniformBox
from deblai.quantization import laguerre

RNG = np.random.default_rng(0)
Y, PSI = RNG.random((30, 3)), 0.02 * RNG.random(30)
BOX = UniformBox((-0.1, 0, 0), (1, 1.2, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("periodic", [False, True])
def test_parity(periodic, dtype, level):
    """Every instruction set against the reference, row by row of a common order."""
    for n in (1, 2, 9):  # few sites on a torus: several images, and the site's own
        sites, psi = Y[:n].astype(dtype), PSI[:n].astype(dtype)
        with deblai.use_backend("reference"):
            expected = laguerre(sites, psi, measure=BOX, periodic=periodic).facets()
        with deblai.use_backend("cpu", simd=level):
            cells = laguerre(sites, psi, measure=BOX, periodic=periodic)
        found = cells.facets()
        assert np.array_equal(found.across, cells.neighbours)
        np.testing.assert_allclose(found.mass, cells.areas / BOX.volume, rtol=1e-6)
        orders = [np.lexsort((*f.offset.round(4).T, *f.first.round(4).T, f.across, f.cell)) for f in (found, expected)]
        for name in found._fields:
            one, other = (getattr(f, name)[order] for f, order in zip((found, expected), orders, strict=True))
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-13 if dtype == "float64" else 3e-7, err_msg=name)


@pytest.mark.parametrize("periodic", [False, True])
def test_both_sides_and_the_divergence_theorem(periodic):
    """A facet has the same mass from either side, offsets are opposite; div v = 3, div (v v^T v) = 5 |v|^2."""
    cells = laguerre(Y, PSI, periodic=periodic)
    f = cells.facets()
    inner = f.across >= 0
    one = np.lexsort((*f.offset[inner].round(6).T, f.across[inner], f.cell[inner]))
    other = np.lexsort((*(-f.offset[inner]).round(6).T + 0.0, f.cell[inner], f.across[inner]))
    np.testing.assert_allclose(f.mass[inner][one], f.mass[inner][other], atol=1e-14)
    np.testing.assert_allclose(f.offset[inner][one], -f.offset[inner][other], atol=1e-14)
    if periodic:
        normal = f.offset / np.linalg.norm(f.offset, axis=1)[:, None]
        closed = [np.bincount(f.cell, f.mass * normal[:, k]) for k in range(3)]
        np.testing.assert_allclose(closed, np.zeros((3, len(Y))), atol=1e-13)
        flux = (f.first * normal).sum(1)
        np.testing.assert_allclose(np.bincount(f.cell, flux) / 3, cells.mass, atol=1e-13)
        height = flux / f.mass  # v.n is constant on a facet
        np.testing.assert_allclose(
            np.bincount(f.cell, height * np.trace(f.second, axis1=1, axis2=2)) / 5, cells.second_moment, atol=1e-13
        )
        turned = np.einsum("fxy,fy->fx", f.second, normal)
        np.testing.assert_allclose(turned, height[:, None] * f.first, atol=1e-13)


@pytest.mark.parametrize("periodic", [False, True])
def test_laplacian_is_the_derivative_of_masses(periodic):
    """Central differences of masses in psi; symmetric, rows of sum zero, positive semidefinite."""
    for n in (2, 12):
        sites, psi, h = Y[:n], PSI[:n], 1e-6
        found = laguerre(sites, psi, measure=BOX, periodic=periodic).laplacian().toarray()
        masses = [
            laguerre(sites, psi + sign * h * e, measure=BOX, periodic=periodic).mass
            for e in np.eye(n)
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(found, (np.array(masses[::2]) - masses[1::2]) / (2 * h), atol=2e-8)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_allclose(found.sum(1), 0, atol=1e-14)
        assert np.linalg.eigvalsh(found).min() > -1e-14


@pytest.mark.parametrize("periodic", [False, True])
def test_hessian_of_the_quantization_energy(periodic):
    """H_ii = 2 m_i - sum (2/d) int (x-y_i)(x-y_i)^T, H_ij = (2/d) int (x-y_i)(x-y_j)^T: differences of gradients."""
    n, h = 8, 1e-6
    cells = laguerre(Y[:n], measure=BOX, periodic=periodic)
    f = cells.facets()
    hessian = np.zeros((n, 3, n, 3))
    for i in range(n):
        hessian[i, :, i, :] += 2 * cells.mass[i] * np.eye(3)
    for k in np.flatnonzero(f.across >= 0):
        i, j, d = f.cell[k], f.across[k], np.linalg.norm(f.offset[k])
        hessian[i, :, i, :] -= 2 / d * f.second[k]
        hessian[i, :, j, :] += 2 / d * (f.second[k] - np.outer(f.first[k], f.offset[k]))

    def gradient(y):
        return laguerre(y.reshape(n, 3), measure=BOX, periodic=periodic, grad="sites").grad["sites"].ravel()

    y = Y[:n].ravel()
    expected = [(gradient(y + h * e) - gradient(y - h * e)) / (2 * h) for e in np.eye(3 * n)]
    np.testing.assert_allclose(hessian.reshape(3 * n, 3 * n), expected, atol=2e-8)


def test_lattices():
    """Facets of Kelvin's cell, and none where cells only touch: fcc has 12 of area sqrt(2) / 8 and the rest is 0."""
    k = np.arange(3)
    cubes = np.stack(np.meshgrid(k, k, k), -1).reshape(-1, 1, 3)
    for basis, areas in (
        ([[0, 0, 0], [0.5, 0.5, 0.5]], {0.125: 6, 3 * 3**0.5 / 16: 8}),
        ([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]], {2**0.5 / 8: 12}),
    ):
        sites = ((cubes + np.array(basis) + 0.1) / 3).reshape(-1, 3)
        f = laguerre(sites, periodic=True).facets()
        expected = np.sort(np.repeat(list(areas), list(areas.values()))) / 9
        np.testing.assert_allclose(np.sort(f.mass.reshape(len(sites), -1), 1) - expected, 0, atol=1e-13)
        assert np.array_equal(np.bincount(f.cell), np.full(len(sites), len(expected)))


def test_libraries_and_threads():
    """PyTorch and JAX get their own arrays; threads change no bit; cells out of jit have no facets."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    expected = laguerre(Y.astype(np.float32)).facets()
    for library, sites in ((torch.Tensor, torch.from_numpy(Y).float()), (jax.Array, jax.numpy.asarray(Y, np.float32))):
        found = laguerre(sites).facets()
        assert all(isinstance(v, library) for v in found)
        assert all(np.array_equal(np.asarray(v), e) for v, e in zip(found, expected, strict=True))
    many, results = RNG.random((3000, 3)), []
    for threads in (1, 3):
        with deblai.use_backend(threads=threads):
            results.append(laguerre(many, periodic=True).facets())
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))
    with pytest.raises(InvalidType, match="expected concrete arrays"):
        jax.jit(laguerre)(jax.numpy.asarray(Y)).facets()
