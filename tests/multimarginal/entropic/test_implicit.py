"""Gradients of the potentials by the implicit function theorem: gradcheck, PyTorch = JAX, what has none."""

import deblai
import numpy as np
import pytest
from deblai import errors
from deblai.multimarginal import sinkhorn

SOLVE = {"epsilon": 0.5, "tol": 1e-13, "max_iter": 3000}
pytestmark = pytest.mark.filterwarnings("ignore::deblai.ConvergenceWarning")  # 1e-13 may stay out of reach: see tol


def torch():
    return pytest.importorskip("torch")


def leaf(rng, *shape, low=0.0):
    return torch().tensor(low + rng.random(shape), requires_grad=True)


def check(f, *leaves):
    """Backward passes against central differences of solutions to 1e-13."""
    return torch().autograd.gradcheck(f, leaves, eps=1e-5, atol=1e-5)


def potentials(*arguments, **more):
    found = sinkhorn(*arguments, **SOLVE, **more).potentials
    return tuple(found) if isinstance(found, list) else found


@pytest.mark.parametrize("N", [2, 3, 4])
def test_equal_marginals(N, rng):
    """Symmetric mode: points and weights."""
    x, a = leaf(rng, 5, 2), leaf(rng, 5, low=5.0)
    assert check(lambda x, a: potentials(x, a, n_marginals=N), x, a)


@pytest.mark.parametrize("cost", ["coulomb", deblai.costs.Yukawa(1.0), "sqeuclidean"])
def test_different_marginals(cost, rng):
    """Three marginals of different sizes; the equal means of the potentials move with the weights."""
    points, weights = [leaf(rng, n, 2) for n in (3, 2, 4)], [leaf(rng, n, low=0.5) for n in (3, 2, 4)]
    assert check(lambda *v: potentials(list(v[:3]), list(v[3:]), cost=cost), *points, *weights)


def test_two_and_four_marginals(rng):
    """Two, streamed, and four; not all weights are given."""
    x, y, a = leaf(rng, 4, 3), leaf(rng, 3, 3), leaf(rng, 4, low=0.5)
    assert check(lambda x, y, a: potentials([x, y], [a, None]), x, y, a)
    points = [leaf(rng, n, 1) for n in (2, 3, 2, 3)]
    assert check(lambda *v: potentials(list(v), cost="sqeuclidean"), *points)


def test_matrices(rng):
    """By pair, shared, and one symmetric matrix."""
    sizes, pairs = (3, 4, 2), [(0, 1), (0, 2), (1, 2)]
    matrices = [leaf(rng, sizes[p], sizes[q]) for p, q in pairs]
    assert check(lambda *C: potentials(cost=dict(zip(pairs, C, strict=True))), *matrices)
    square = leaf(rng, 4, 4)
    assert check(lambda C: potentials(weights=[None] * 3, cost=C), square)
    assert check(lambda C: potentials(cost=C + C.T, n_marginals=3), square)


def test_forbidden_pairs(rng):
    """Infinite entries change nothing; points that meet give no NaN."""
    x = leaf(rng, 6, 2)
    assert check(lambda x: potentials(x, n_marginals=2), x)
    assert torch().isfinite(torch().autograd.grad(potentials(x, n_marginals=2).sum(), x)[0]).all()


def test_moving_all_points_changes_nothing(rng):
    """A translation costs nothing, nor do other units of weight; scaling a harmonic cost and epsilon scales f."""
    x, a = leaf(rng, 6, 2), leaf(rng, 6, low=0.5)
    f = potentials(x, a, n_marginals=3, cost="sqeuclidean")
    by_x, by_a = torch().autograd.grad(f[2] - 0.3 * f[4], (x, a))
    assert by_x.sum(0).abs().max() < 1e-12
    assert abs(float((by_a * a).sum().detach())) < 1e-12


def test_value_and_potentials_in_one_loss(rng):
    """They add up; the backward pass can be left out of either."""
    x, a = leaf(rng, 5, 2), leaf(rng, 5, low=1.0)
    grad = torch().autograd.grad

    def parts():
        r = sinkhorn(x, a, n_marginals=3, **SOLVE)
        return r.value**2, (r.potentials * torch().arange(5.0)).sum()

    value, shape = parts()
    both = grad(sum(parts()), (x, a))
    for one, other, together in zip(grad(value, (x, a)), grad(shape, (x, a)), both, strict=True):
        assert torch().allclose(one + other, together, atol=1e-13)


@pytest.mark.parametrize("graph", ["chain", "ring"])
def test_graphs(graph, rng):
    """Pairs that no cost links have plans all the same, and those are in the equations."""
    points, weights = [leaf(rng, n, 2) for n in (3, 2, 4, 2)], [leaf(rng, n, low=0.5) for n in (3, 2, 4, 2)]
    assert check(lambda *v: potentials(list(v[:4]), list(v[4:]), cost="sqeuclidean", graph=graph), *points, *weights)
    assert check(lambda x, a: potentials(x, a, n_marginals=4, cost="sqeuclidean", graph=graph), points[2], weights[2])


@pytest.mark.parametrize("graph", ["complete", "chain"])
def test_jax_equals_pytorch(graph, rng):
    """Under jit and grad, of points, weights and matrices, of value and potentials in one loss; vmap is a loop."""
    jax = pytest.importorskip("jax")
    points, weights = [rng.random((n, 2)) for n in (4, 3, 5)], [rng.random(n) + 0.5 for n in (4, 3, 5)]
    shapes = [rng.standard_normal(n) for n in (4, 3, 5)]

    def loss(points, weights, array):
        r = sinkhorn(points, weights, graph=graph, epsilon=0.5, tol=1e-11)
        return r.value + sum((f * array(u)).sum() for f, u in zip(r.potentials, shapes, strict=True))

    to = jax.numpy.asarray
    found = jax.jit(jax.grad(lambda p, w: loss(p, w, to), (0, 1)))([*map(to, points)], [*map(to, weights)])
    leaves = [torch().tensor(v, requires_grad=True) for v in (*points, *weights)]
    expected = torch().autograd.grad(loss(leaves[:3], leaves[3:], torch().tensor), leaves)
    for one, other in zip((*found[0], *found[1]), expected, strict=True):
        assert np.allclose(one, other.numpy(), atol=1e-11)

    def first(C):
        return sinkhorn(cost=C, n_marginals=3, epsilon=0.5, tol=1e-11).potentials[0]

    matrices = rng.random((2, 4, 4))
    matrices = matrices + matrices.transpose(0, 2, 1)
    loop = [jax.grad(first)(to(C)) for C in matrices]
    assert np.allclose(jax.vmap(jax.grad(first))(to(matrices)), loop, atol=1e-14)
    assert np.isfinite(loop).all()
    assert np.abs(loop).max() > 0.01


def test_batches(rng):
    """The potentials of a batch, through PyTorch and JAX, are differentiated as those of a loop."""
    x = torch().tensor(rng.random((3, 5, 2)), requires_grad=True)
    batch = sinkhorn(x, n_marginals=3, epsilon=0.5, tol=1e-10)
    (found,) = torch().autograd.grad((batch.potentials**2).sum(), x)
    for k in range(3):
        own = x[k].detach().requires_grad_(True)
        f = sinkhorn(own, n_marginals=3, epsilon=0.5, tol=1e-10).potentials
        assert torch().allclose(found[k], torch().autograd.grad((f**2).sum(), own)[0], atol=1e-13)
    jax = pytest.importorskip("jax")
    by_jax = jax.grad(lambda x: (sinkhorn(x, n_marginals=3, epsilon=0.5, tol=1e-10).potentials ** 2).sum())
    assert np.allclose(by_jax(jax.numpy.asarray(x.detach().numpy())), found, atol=1e-11)


def test_float32(rng):
    """Single precision in and out; the system is solved in double."""
    x = torch().tensor(rng.random((6, 2)), dtype=torch().float32, requires_grad=True)
    f = sinkhorn(x, n_marginals=3, epsilon=0.5, tol=1e-6).potentials
    assert f.dtype == torch().float32
    (found,) = torch().autograd.grad((f**2).sum(), x)
    double = x.detach().double().requires_grad_(True)
    f = sinkhorn(double, n_marginals=3, epsilon=0.5, tol=1e-12).potentials
    (expected,) = torch().autograd.grad((f**2).sum(), double)
    assert found.dtype == torch().float32
    assert torch().allclose(found.double(), expected, rtol=1e-3, atol=1e-4)


def test_the_error_is_that_of_the_marginals(rng):
    """Where sweeps stop early, the gradient is off by about as much as the marginals."""
    x = leaf(rng, 8, 2)

    def at(tol):
        f = sinkhorn(x, n_marginals=3, epsilon=0.3, tol=tol).potentials
        return torch().autograd.grad((f**2).sum(), x)[0]

    exact = at(1e-13)
    off = [float((at(tol) - exact).abs().max() / exact.abs().max()) for tol in (1e-2, 1e-4, 1e-6)]
    assert off[0] < 1
    assert off[1] < 1e-2
    assert off[2] < 1e-4


def test_points_without_mass(rng):
    """Refused where they matter, as their potentials follow from those of others; else left alone."""
    x = leaf(rng, 5, 2)
    a = torch().tensor([1.0, 0.0, 1.1, 1.2, 1.0], dtype=torch().float64)
    f = sinkhorn(x, a, n_marginals=3, epsilon=0.5, tol=1e-11).potentials
    with pytest.raises(
        errors.InvalidValue, match=r"weights: expected positive ones for gradients of potentials, got 0"
    ):
        f.sum().backward(retain_graph=True)
    (found,) = torch().autograd.grad(f[2], x)
    kept = x.detach()[[0, 2, 3, 4]].requires_grad_(True)
    f = sinkhorn(kept, a[[0, 2, 3, 4]], n_marginals=3, epsilon=0.5, tol=1e-11).potentials
    assert torch().allclose(found[[0, 2, 3, 4]], torch().autograd.grad(f[1], kept)[0], atol=1e-8)
    assert (found[1] == 0).all()


def test_potentials_that_are_not_determined():
    """Two electrons on two points: only f_1 + f_2 = 1/r is; it has a derivative, its parts have none."""
    x = torch().tensor([0.0, 2.0], dtype=torch().float64, requires_grad=True)
    f = sinkhorn(x, n_marginals=2, epsilon=0.5, tol=1e-12).potentials
    (found,) = torch().autograd.grad(f.sum(), x, retain_graph=True)
    assert torch().allclose(found, torch().tensor([0.25, -0.25], dtype=torch().float64))  # of 1 / (x_2 - x_1)
    with pytest.raises(errors.InvalidValue, match="potentials: expected ones that the problem determines"):
        f[0].backward()


def test_second_derivatives_raise(rng):
    """They are not known, and not zero."""
    x = leaf(rng, 4, 2)
    (g,) = torch().autograd.grad(potentials(x, n_marginals=2)[0], x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward is not supported"):
        torch().autograd.grad(g.sum(), x)
    jax = pytest.importorskip("jax")

    def first(x):
        return sinkhorn(x, n_marginals=2, **SOLVE).potentials[0]

    with pytest.raises(errors.InvalidType, match="second derivatives are not supported"):
        jax.grad(lambda x: jax.grad(first)(x).sum())(jax.numpy.asarray(x.detach().numpy()))


def test_without_a_graph_nothing_is_recorded(rng):
    """no_grad, or arguments that need no gradient."""
    x = leaf(rng, 4, 2)
    with torch().no_grad():
        assert not potentials(x, n_marginals=2).requires_grad
    assert not potentials(x.detach(), n_marginals=2).requires_grad


def test_a_system_that_does_not_fit(rng, monkeypatch):
    """Says so before it is built."""
    monkeypatch.setattr(deblai._backend, "available_memory", lambda: 0)
    q = sinkhorn(rng.random(9), n_marginals=2, epsilon=1.0)._plans.q._replace(sizes=[10_000])
    with pytest.raises(errors.OutOfMemory, match=r"the workspace would take 3.0 GiB"):
        deblai.multimarginal._entropic.implicit.pullback(q, np.zeros(10_000), [np.zeros(10_000)], ("points",))
