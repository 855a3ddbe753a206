"""Semi-discrete transport in space: closed forms, a linear program, gradients, voxels, the torus, grains."""

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, UniformBox
from deblai.quantization import semidiscrete

BOX = UniformBox((0, 0, 0), (1, 1, 1))


def lattice(k):
    at = (np.arange(k) + 0.5) / k
    return np.stack(np.meshgrid(at, at, at), 3).reshape(-1, 3)


@pytest.mark.parametrize("periodic", [False, True])
def test_moved_lattice(periodic):
    """W_2^2 of the cube to a k^3 lattice is 1/(4 k^2), and in the box |shift|^2 more where the lattice has moved."""
    k, shift = 3, np.array([0.3, -0.2, 5.0])
    r = semidiscrete(BOX, lattice(k) + shift, periodic=periodic, tol=1e-11)
    assert r.converged
    assert r.value == pytest.approx(1 / (4 * k * k) + (0 if periodic else shift @ shift), rel=1e-12)
    np.testing.assert_allclose(r.masses, 1 / k**3, rtol=1e-10)
    if not periodic:
        np.testing.assert_allclose(r.centroids, lattice(k), atol=1e-10)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_two_points(axis):
    """Slabs [0, a] and [a, 1]: everything in closed form, along each axis."""
    a, y = 0.8, np.full((2, 3), 0.5)
    y[:, axis] = 0.25, 0.75
    r = semidiscrete(BOX, y, [a, 1 - a], tol=1e-13)
    cube = lambda lo, hi, c: ((hi - c) ** 3 - (lo - c) ** 3) / 3  # noqa: E731
    assert r.value == pytest.approx(2 / 12 + cube(0, a, 0.25) + cube(a, 1, 0.75), abs=1e-14)
    assert r.psi[0] - r.psi[1] == pytest.approx((a - 0.25) ** 2 - (a - 0.75) ** 2, abs=1e-13)
    assert r.map(np.array([y[0], y[1]])).tolist() == [0, 0]


def test_against_a_linear_program():
    """Voxels as points at their centres: each moves as its centre does, and its spread comes on top."""
    scipy = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(0)
    m, n = 6, 4
    values, sites, masses = rng.random((m, m, m)) + 0.1, rng.random((n, 3)), rng.random(n) + 0.1
    r = semidiscrete(Grid(values, (0, 0, 0), (1, 1, 1)), sites, masses, tol=1e-11)
    assert r.converged
    at = (np.arange(m) + 0.5) / m
    x = np.stack(np.meshgrid(at, at, at, indexing="ij"), 3).reshape(-1, 3)
    cost = ((x[:, None] - sites) ** 2).sum(2)
    a, b = values.ravel() / values.sum(), masses / masses.sum()
    rows = np.kron(np.eye(m**3), np.ones(n)), np.kron(np.ones(m**3), np.eye(n))
    lp = scipy.linprog(cost.ravel(), A_eq=np.concatenate(rows), b_eq=np.concatenate([a, b])).fun
    spread = 1 / (4 * m * m)
    assert abs(np.sqrt(r.value) - np.sqrt(lp)) < np.sqrt(spread)
    assert r.value <= lp + spread + 1e-12


@pytest.mark.parametrize("periodic", [False, True])
def test_gradients_and_reference(periodic):
    """Central differences in sites and masses; the oracle's cells lead to the same psi; bounds; sites of mass 0."""
    rng = np.random.default_rng(1)
    y, nu = rng.random((6, 3)), rng.random(6) + 0.3
    found = semidiscrete(BOX, y, nu, periodic=periodic, tol=1e-11)
    assert found.value_lower <= found.value_upper
    h = 1e-6
    for name, x in (("sites", y), ("masses", nu)):
        for k in range(0, x.size, 5):
            values = []
            for step in (h, -h):
                moved = x.copy()
                moved.flat[k] += step
                given = {"sites": y, "masses": nu} | {name: moved}
                values.append(semidiscrete(BOX, **given, periodic=periodic, tol=1e-11).value)
            assert (values[0] - values[1]) / (2 * h) == pytest.approx(found.grad[name].flat[k], abs=5e-8)
    with deblai.use_backend("reference"):
        expected = semidiscrete(BOX, y, nu, periodic=periodic)
    np.testing.assert_allclose(found.psi, expected.psi, atol=1e-8)
    more = semidiscrete(BOX, np.concatenate([y, y[:1] + 0.1]), np.append(nu, 0), periodic=periodic)
    np.testing.assert_allclose(more.psi[:6], found.psi, atol=1e-7)
    assert more.masses[6] == 0


def test_torch_and_jax():
    """The same numbers, and the gradients."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    y = np.random.default_rng(2).random((5, 3))
    expected = semidiscrete(BOX, y)
    t = torch.from_numpy(y.copy()).requires_grad_()
    semidiscrete(BOX, t).value.backward()
    np.testing.assert_allclose(t.grad, expected.grad["sites"], atol=1e-12)
    value, grad = jax.jit(jax.value_and_grad(lambda a: semidiscrete(BOX, a).value))(y.astype(np.float32))
    assert float(value) == pytest.approx(float(expected.value), rel=1e-5)
    np.testing.assert_allclose(grad, expected.grad["sites"], atol=1e-5)


def test_grains():
    """Volumes of a lognormal law, as Bourne and Roper (arXiv 1912.07188) prescribe for metals, also of clusters."""
    rng = np.random.default_rng(3)
    volumes = rng.lognormal(0, 0.35, 1000)
    for y, periodic in ((rng.random((1000, 3)), True), (0.5 + 0.02 * rng.standard_normal((1000, 3)), False)):
        r = semidiscrete(BOX, y, volumes, periodic=periodic, tol=1e-6)
        assert r.converged
        assert r.n_iter < 15
        np.testing.assert_allclose(r.masses, volumes / volumes.sum(), rtol=2e-6)


def test_bad_input():
    """Sites of another dimension; the gradient in voxels; points for the map."""
    with pytest.raises(deblai.errors.InvalidValue, match=r"sites: expected shape \(n, 3\) with n >= 1, got \(4, 2\)"):
        semidiscrete(BOX, np.ones((4, 2)))
    r = semidiscrete(Grid(np.ones((2, 2, 2)), (0, 0, 0), (1, 1, 1)), lattice(2))
    with pytest.raises(deblai.errors.InvalidValue, match=r"grad: expected a measures.Grid of the plane"):
        r.grad["density"]
    with pytest.raises(deblai.errors.InvalidValue, match=r"x: expected points \(m, 3\), got \(4, 2\)"):
        r.map(np.ones((4, 2)))
