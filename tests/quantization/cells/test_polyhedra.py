"""Convex domains of space: against brute force, closed forms, boxes and slabs given as polytopes."""

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidValue
from deblai.measures import Polytope, UniformBox
from deblai.quantization import laguerre

pytest.importorskip("scipy")

RNG = np.random.default_rng(0)
Y, PSI = RNG.random((30, 3)), 0.02 * RNG.random(30)
TETRAHEDRON = Polytope([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
ROUND = Polytope(0.5 + 0.5 * (lambda v: v / np.linalg.norm(v, axis=1)[:, None])(RNG.standard_normal((60, 3))))


def turned(domain, seed=1):
    """The same domain in another position."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return Polytope(domain.vertices @ q.T), q


@pytest.mark.parametrize("domain", [TETRAHEDRON, ROUND])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_oracle(dtype, domain, level):
    """Every instruction set: masses, moments, polyhedra and facets; sites may lie outside."""
    sites, psi = (1.4 * Y - 0.2).astype(dtype), PSI.astype(dtype)
    with deblai.use_backend("cpu", simd=level):
        cells = laguerre(sites, psi, measure=domain)
        f = cells.facets()
    with deblai.use_backend("reference"):
        expected = laguerre(sites, psi, measure=domain)
        e = expected.facets()
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    assert abs(cells.mass.sum() - 1) < tolerance
    # where many sides of the domain meet in a corner, rounding may leave edges without length
    counts = ("n_vertices", "n_facets") if domain is TETRAHEDRON else ()
    f, e = (type(v)(*(column[v.mass > 1e-9] for column in v)) for v in (f, e))
    for name in ("mass", "second_moment", "value", *counts):
        np.testing.assert_allclose(getattr(cells, name), getattr(expected, name), atol=tolerance, err_msg=name)
    first, its = (c.mass[:, None] * (c.centroid - sites) for c in (cells, expected))
    np.testing.assert_allclose(first, its, atol=tolerance)
    orders = [np.lexsort((*v.offset.round(4).T, *v.first.round(4).T, v.across, v.cell)) for v in (f, e)]
    for name in f._fields:
        one, other = (getattr(v, name)[order] for v, order in zip((f, e), orders, strict=True))
        np.testing.assert_allclose(one, other, rtol=0, atol=10 * tolerance, err_msg=name)


def test_moments_of_one_cell():
    """The tetrahedron's: mean 1/4, int |x|^2 / V = 3 / 10; facets of its own, in any position."""
    for domain, q in ((TETRAHEDRON, np.eye(3)), turned(TETRAHEDRON)):
        for site in (np.zeros(3), np.array([0.25, 0.25, 0.25]), np.array([9.0, 0, 1])):
            cells = laguerre([q @ site], measure=domain)
            assert cells.mass[0] == pytest.approx(1, abs=1e-14)
            np.testing.assert_allclose(cells.centroid[0], q @ np.full(3, 0.25), atol=1e-13)
            expected = 0.3 - 2 * site @ np.full(3, 0.25) + site @ site
            assert cells.energy == pytest.approx(expected, rel=1e-13)
            areas = [0.5, 0.5, 0.5, 3**0.5 / 2]
            np.testing.assert_allclose(np.sort(cells.areas), areas, rtol=1e-13)
            np.testing.assert_allclose(np.sort(cells.facets().mass), 6 * np.array(areas), rtol=1e-13)


def test_a_box_as_a_polytope():
    """The same cells as in the box; a turned box has turned ones."""
    box = UniformBox((0, 0, 0), (1, 2, 1))
    corners = np.array(np.meshgrid([0, 1], [0, 2], [0, 1])).reshape(3, -1).T.astype(float)
    sites = Y * (1, 2, 1)
    expected = laguerre(sites, PSI, measure=box)
    for domain, q in ((Polytope(corners), np.eye(3)), turned(Polytope(corners))):
        cells = laguerre(sites @ q.T, PSI, measure=domain)
        np.testing.assert_allclose(cells.mass, expected.mass, atol=1e-13)
        np.testing.assert_allclose(cells.centroid, expected.centroid @ q.T, atol=1e-12)
        np.testing.assert_allclose(cells.second_moment, expected.second_moment, atol=1e-13)
        assert np.array_equal(cells.n_facets, expected.n_facets)


def test_many_sites():
    """Inner cells do not know of the domain; the partition is exact, with the domain's mean; threads change no bit."""
    sites = RNG.random((4000, 3))
    results = []
    for threads in (1, 3):
        with deblai.use_backend(threads=threads):
            results.append(laguerre(sites, measure=ROUND))
    cells, free = results[0], laguerre(sites)
    assert np.array_equal(cells.mass, results[1].mass)
    assert abs(cells.mass.sum() - 1) < 1e-12
    np.testing.assert_allclose(
        cells.mass @ cells.centroid, laguerre([[0.5] * 3], measure=ROUND).centroid[0], atol=1e-12
    )
    inner = np.bincount(np.repeat(np.arange(4000), cells.n_facets), cells.neighbours < 0) == 0
    inner &= ~cells.empty
    assert inner.sum() > 1000
    np.testing.assert_allclose(cells.mass[inner] * ROUND.volume, free.mass[inner], atol=1e-15)
    assert cells.empty.sum() > 500


def test_derivatives():
    """Central differences: value in sites, masses in psi (the Laplacian)."""
    n, h = 8, 1e-6
    found = laguerre(Y[:n], PSI[:n], measure=ROUND, grad=True)
    for k, e in enumerate(np.eye(3 * n)):
        a, b = (laguerre(Y[:n] + s * h * e.reshape(n, 3), PSI[:n], measure=ROUND).value for s in (1, -1))
        assert (a - b) / (2 * h) == pytest.approx(found.grad["sites"].ravel()[k], abs=1e-8)
    masses = [
        (laguerre(Y[:n], PSI[:n] + h * e, measure=ROUND).mass - laguerre(Y[:n], PSI[:n] - h * e, measure=ROUND).mass)
        / (2 * h)
        for e in np.eye(n)
    ]
    np.testing.assert_allclose(found.laplacian().toarray(), masses, atol=2e-8)


def test_libraries(library):
    """Domains are of NumPy, whatever the sites are of; autograd works."""
    expected = laguerre(Y, PSI, measure=ROUND)
    found = laguerre(library.array(Y, "float64"), library.array(PSI, "float64"), measure=ROUND)
    np.testing.assert_allclose(library.numpy(found.mass), expected.mass, atol=1e-15)
    np.testing.assert_allclose(library.numpy(found.areas), expected.areas, atol=1e-15)


def test_no_torus():
    """A polyhedron is no torus."""
    with pytest.raises(InvalidValue, match=r"\[quantization.laguerre\] periodic: expected False"):
        laguerre(Y, measure=ROUND, periodic=True)
