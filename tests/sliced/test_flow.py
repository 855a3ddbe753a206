"""Ground truths of sliced.gradient_flow."""

import dataclasses

import deblai
import numpy as np
import pytest
from deblai.sliced import gradient_flow, wasserstein
from deblai.sliced._directions import orthonormal_bases


@pytest.mark.parametrize("d", [1, 2, 5])
def test_orthonormal_bases_are_haar(d):
    """Q Q^T = I for every basis, cut to the count wanted; the mean of theta theta^T is I/d, that of theta is 0."""
    theta = orthonormal_bases(np.random.default_rng(0), 2000 * d + (d > 1), d)
    assert theta.shape == (2000 * d + (d > 1), d)
    bases = theta[: 2000 * d].reshape(2000, d, d)
    np.testing.assert_allclose(bases @ bases.transpose(0, 2, 1), np.broadcast_to(np.eye(d), bases.shape), atol=1e-14)
    # E[theta_i^2] = 1/d, Var = 2 (d - 1) / (d^2 (d + 2)) a vector; the first vectors of the bases are independent
    first = bases[:, 0]
    assert np.all(np.abs(first.mean(axis=0)) < 5 * np.sqrt(1 / (2000 * d)))
    assert np.all(np.abs((first**2).mean(axis=0) - 1 / d) <= 5 * np.sqrt(2 * (d - 1) / (d**2 * (d + 2) * 2000)))


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_translation_is_one_step(d, rng):
    """Along every direction each point is matched with its own translate: s = 1 and a basis arrive at once."""
    x, t = rng.standard_normal((50, d)), rng.standard_normal(d)
    r = gradient_flow(x, (x + t)[::-1], n_steps=2, rng=0)
    np.testing.assert_allclose(r.x, x + t, atol=1e-13)
    np.testing.assert_allclose(r.history, [t @ t / d, 0], atol=1e-13)


@pytest.mark.parametrize("step_size", [0.25, 1.5])
def test_the_step_size_contracts_a_translation(step_size, rng):
    """SW_2^2 before step k is (1 - s)^(2k) |t|^2 / d, exactly, whatever the basis."""
    x, t = rng.standard_normal((40, 3)), rng.standard_normal(3)
    r = gradient_flow(x, x + t, n_steps=6, step_size=step_size, rng=0)
    np.testing.assert_allclose(r.history, t @ t / 3 * (1 - step_size) ** (2 * np.arange(6)), rtol=1e-10)


def test_iterative_distribution_transfer(rng):
    """After a step with one basis and s = 1 the particles' projections equal the target's in each of its directions."""
    x, target = rng.standard_normal((300, 4)), rng.exponential(size=(300, 4))
    r = gradient_flow(x, target, n_steps=1, rng=12)
    basis = orthonormal_bases(np.random.default_rng(12), 4, 4)
    np.testing.assert_allclose(np.sort(r.x @ basis.T, axis=0), np.sort(target @ basis.T, axis=0), atol=1e-12)
    assert r.history == [pytest.approx(wasserstein(x, target, directions=basis).value_p, rel=1e-14)]


def test_a_step_follows_the_gradient(rng):
    """x - s n d / 2 times the gradient of wasserstein, for any number of directions and unequal sizes."""
    x, target = rng.standard_normal((30, 3)), rng.standard_normal((20, 3))
    r = gradient_flow(x, target, n_steps=1, step_size=0.7, n_projections=7, rng=5)
    theta = orthonormal_bases(np.random.default_rng(5), 7, 3)
    gradient = wasserstein(x, target, directions=theta, grad="x").grad["x"]
    np.testing.assert_allclose(r.x, x - 0.7 * 30 * 3 / 2 * gradient, atol=1e-14)


def test_particles_of_the_line(rng):
    """(n,) in, (n,) out: a step of s = 1 puts the i-th smallest particle onto the i-th smallest target."""
    x, target = rng.standard_normal(20), rng.standard_normal(20)
    r = gradient_flow(x, target, n_steps=1)
    assert r.x.shape == (20,)
    np.testing.assert_allclose(r.x[np.argsort(x)], np.sort(target), atol=1e-14)


def test_convergence(rng):
    """Noise becomes a ring: the distance falls a thousandfold, and an independent estimate agrees."""
    noise, ring = rng.standard_normal((500, 2)), rng.standard_normal((500, 2))
    ring /= np.linalg.norm(ring, axis=1, keepdims=True)
    r = gradient_flow(noise, ring, n_steps=100, rng=0)
    assert r.n_iter == len(r.history) == 100
    assert not r.stopped
    assert r.history[-1] < 1e-3 * r.history[0]
    assert wasserstein(r.x, ring, rng=1).value_p < 1e-3 * wasserstein(noise, ring, rng=1).value_p


def test_callback(rng):
    """It sees every state before its step; True stops there, and nothing else does."""
    x, target = rng.standard_normal((20, 2)), rng.standard_normal((20, 2))
    states = []

    def callback(state):
        states.append(state)
        return state.step == 3

    r = gradient_flow(x, target, n_steps=10, rng=0, callback=callback)
    assert r.stopped
    assert r.n_iter == 3
    assert [state.step for state in states] == [0, 1, 2, 3]
    assert {state.n_steps for state in states} == {10}
    assert [state.value_p for state in states[:3]] == r.history
    assert np.array_equal(states[0].x, x)
    assert np.array_equal(states[3].x, r.x)
    again = gradient_flow(x, target, n_steps=3, rng=0, callback=lambda state: None)
    assert not again.stopped
    assert np.array_equal(again.x, r.x)
    with pytest.raises(ZeroDivisionError):
        gradient_flow(x, target, callback=lambda state: 1 / 0)


def test_seeds(rng):
    """The same seed gives the same particles; another one does not."""
    x, target = rng.standard_normal((20, 3)), rng.standard_normal((20, 3))
    a, b, c = (gradient_flow(x, target, n_steps=3, rng=seed).x for seed in (1, np.random.default_rng(1), 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_reference_takes_the_same_steps(rng):
    """On the reference backend too."""
    x, target = rng.standard_normal((40, 3)), rng.standard_normal((30, 3))
    with deblai.use_backend("reference"):
        expected = gradient_flow(x, target, n_steps=5, step_size=0.5, rng=0)
    found = gradient_flow(x, target, n_steps=5, step_size=0.5, rng=0)
    np.testing.assert_allclose(found.x, expected.x, atol=1e-12)
    np.testing.assert_allclose(found.history, expected.history, rtol=1e-12)


def test_tensors_that_require_a_gradient(rng):
    """The flow is no part of a graph: plain particles come back, and the start keeps its flag."""
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(rng.standard_normal((20, 2))).requires_grad_()
    r = gradient_flow(x, x.detach() + 1, n_steps=2, rng=0)
    assert not r.x.requires_grad
    assert x.requires_grad


def test_result_is_frozen_and_says_itself_in_a_line(rng):
    """A frozen dataclass with a one-line repr."""
    r = gradient_flow(rng.standard_normal((20, 2)), rng.standard_normal((20, 2)), n_steps=2, rng=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.n_iter = 1
    assert "\n" not in repr(r)
    assert "n_iter=2" in repr(r)
    assert isinstance(r, deblai.results.FlowResult)
