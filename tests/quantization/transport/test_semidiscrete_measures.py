"""Semi-discrete transport of polygons, Gaussians, mixtures and meshes: duality, closed forms, equal measures."""

import statistics

import deblai
import numpy as np
import pytest
from deblai import _backend
from deblai.measures import Gaussian, Mixture, PiecewiseLinear, Polytope, UniformBox
from deblai.quantization import laguerre, quantize, semidiscrete
from deblai.quantization._checks import form
from deblai.quantization._transport.diagram import Scene
from deblai.quantization._transport.start import start

RING = PiecewiseLinear(
    np.array([[0, 0], [3, 0], [3, 3], [0, 3], [1, 1], [2, 1], [2, 2], [1, 2.0]]),
    np.array([[0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6], [3, 0, 4], [3, 4, 7]]),
    np.array([1, 2, 1, 0.5, 0, 1, 1, 1]),
)
TURN = 2 * np.pi * np.arange(7) / 7
MEASURES = {
    "heptagon": Polytope(np.stack([np.cos(TURN), np.sin(TURN)], 1)),
    "splinter": Polytope([[0, 0], [1, 0.9], [0.9, 1]]),
    "gaussian": Gaussian([1, 2.0], [[1, 0.99], [0.99, 1]]),
    "mixture": Mixture([Gaussian([0, 0], 0.05), Gaussian([3, 0], 0.1), Gaussian([1, 3], [[1, 0.5], [0.5, 0.3]])]),
    "in a box": Gaussian([0.3, 0.3], 0.01, domain=UniformBox((0, 0), (1, 1))),
    "in a triangle": Mixture([Gaussian([0.3, 0.3], 0.01)], domain=Polytope([[0, 0], [1, 0], [0.2, 1]])),
    "ring": RING,
    "grid": PiecewiseLinear.from_grid(np.random.default_rng(0).random((9, 9)), (0, 0), (1, 1)),
    "simplex": Polytope([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]]),
}


def sites(kind, dim, n=120):
    rng = np.random.default_rng(1)
    return rng.random((n, dim)) if kind == "inside" else 3 + 0.01 * rng.standard_normal((n, dim))


@pytest.mark.parametrize("kind", ["inside", "cluster"])
@pytest.mark.parametrize("name", MEASURES)
def test_masses_and_duality(name, kind):
    """Masses to 1e-10; the dual is the cost of the cells; a shift of the sites adds what it must."""
    measure = MEASURES[name]
    y = sites(kind, measure.dim)
    nu = np.random.default_rng(2).random(len(y)) + 0.1
    nu /= nu.sum()
    r = semidiscrete(measure, y, nu, tol=1e-11)
    assert r.converged
    assert r.n_iter < 30
    np.testing.assert_allclose(r.masses, nu, rtol=1e-10)
    cells = laguerre(y, r.psi, measure=measure)
    np.testing.assert_allclose(cells.mass, nu, rtol=1e-10)
    assert r.value == pytest.approx(float(cells.second_moment.sum()), rel=1e-10)
    assert r.value == pytest.approx(float(cells.value + r.psi @ nu), rel=1e-12)
    assert float(r.cells().energy) == pytest.approx(float(cells.energy), rel=1e-14)
    mean = laguerre(y[:1], measure=measure).centroid[0]
    np.testing.assert_allclose(nu @ r.centroids, mean, atol=1e-10)
    shift = np.array([0.7, -0.4, 0.2])[: measure.dim]
    moved = semidiscrete(measure, y + shift, nu, tol=1e-11).value
    assert moved == pytest.approx(r.value + 2 * shift @ (nu @ y - mean) + shift @ shift, rel=1e-9)


def test_gaussian_to_a_line():
    """Cells of sites on a line are strips between the quantiles of one coordinate; the other stays as it is."""
    rng = np.random.default_rng(3)
    x, nu = np.sort(rng.standard_normal(12)), rng.random(12) + 0.1
    nu /= nu.sum()
    law = statistics.NormalDist()
    cuts = [law.inv_cdf(v) for v in np.cumsum(nu)[:-1]]
    density = np.array([0.0, *(law.pdf(v) for v in cuts), 0.0])
    means = -np.diff(density)
    for mean, sigma in ((0.0, 1.0), (5.0, 0.3)):
        r = semidiscrete(Gaussian([mean, -2.0], np.diag([sigma**2, 4.0])), np.stack([x, 0 * x], 1), nu, tol=1e-12)
        expected = sigma**2 + mean**2 - 2 * x @ (mean * nu + sigma * means) + nu @ x**2 + 4 + 4
        assert float(r.value) == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(r.centroids[:, 0], mean + sigma * means / nu, atol=1e-10)
        border = (np.diff(x**2) - np.diff(r.psi)) / (2 * np.diff(x))
        np.testing.assert_allclose(border, mean + sigma * np.array(cuts), atol=1e-10)


def test_equal_measures():
    """A polygon that is a box, one in pieces, a mixture of equal parts: the numbers of what they are."""
    y, corners = sites("inside", 2), [[0, 0], [1, 0], [1, 1], [0, 1]]
    flat = PiecewiseLinear(np.array(corners, float), np.array([[0, 1, 2], [0, 2, 3]]), np.ones(4))
    box = semidiscrete(UniformBox((0, 0), (1, 1)), y, tol=1e-12)
    broad = Gaussian([0.5, 0.5], 1e14, domain=Polytope(corners))
    for other in (Polytope(corners), flat, broad):
        r = semidiscrete(other, y, tol=1e-12)
        assert r.value == pytest.approx(box.value, rel=1e-11)
        np.testing.assert_allclose(r.psi, box.psi, atol=1e-10)
    one = Gaussian([0.2, 0.1], [[1, 0.3], [0.3, 0.5]])
    values = [semidiscrete(m, y, tol=1e-12).value for m in (one, Mixture([one, one], [1, 3]))]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


@pytest.mark.parametrize("name", ["heptagon", "gaussian", "ring", "simplex"])
def test_reference(name):
    """Plain NumPy: the same."""
    measure = MEASURES[name]
    y = sites("inside", measure.dim, 8)
    found = semidiscrete(measure, y)
    with deblai.use_backend("reference"):
        plain = semidiscrete(measure, y)
    np.testing.assert_allclose(plain.psi, found.psi, atol=1e-8)
    assert plain.value == pytest.approx(found.value, rel=1e-9)


@pytest.mark.parametrize("name", ["heptagon", "in a triangle", "ring"])
def test_cells_from_known_neighbours(name):
    """Those of a psi near by: the cells of the tree; of one far away they hold more, and say so."""
    measure, rng = MEASURES[name], np.random.default_rng(5)
    y = sites("inside", 2, 900)
    s = Scene(y, None, measure.lower, measure.upper, False, _backend.plan("test", "cpu"), form(measure))
    base = start(s, np.full(900, 1 / 900))
    before = s.cells(base)
    for moved in (1e-5, 1e-2):
        psi = base + moved * rng.standard_normal(900)
        full, near = s.cells(psi), s.cells(psi, before)
        if moved < 1e-3:
            assert s.excess(near, before) < 1e-13
        assert (near.mass > full.mass - 1e-14).all()
        if s.excess(near, before) < 1e-13:
            np.testing.assert_allclose(near.mass, full.mass, atol=1e-13)
    none = before._replace(begin=np.zeros(901, np.int32), across=np.empty(0, np.int32))
    assert s.excess(s.cells(base, none), before) > 100


def test_quantize():
    """Points of equal masses: each is the mean of its cell."""
    for name in ("heptagon", "gaussian", "ring"):
        q = quantize(MEASURES[name], 12, weights="uniform", rng=0)
        r = semidiscrete(MEASURES[name], q.sites)
        np.testing.assert_allclose(r.masses, 1 / 12, rtol=1e-7)
        np.testing.assert_allclose(r.centroids, q.sites, atol=1e-5)
        assert q.energy == pytest.approx(r.value, rel=1e-9)


def test_torch():
    """Gradients pass through the operator with a form."""
    torch = pytest.importorskip("torch")
    y = torch.from_numpy(sites("inside", 2, 9)).requires_grad_()
    r = semidiscrete(RING, y, tol=1e-10)
    (grad,) = torch.autograd.grad(r.value, [y])
    np.testing.assert_allclose(grad.numpy(), semidiscrete(RING, y.detach().numpy(), tol=1e-10).grad["sites"], atol=1e-9)


def test_jax():
    """Inside of jit, too."""
    jax = pytest.importorskip("jax")
    y = jax.numpy.asarray(sites("inside", 2, 9))
    value = jax.jit(lambda a: semidiscrete(MEASURES["heptagon"], a).value)(y)
    assert float(value) == pytest.approx(float(semidiscrete(MEASURES["heptagon"], np.asarray(y)).value), rel=1e-5)
