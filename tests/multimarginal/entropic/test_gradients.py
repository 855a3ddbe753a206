"""Gradients of the value: PyTorch's gradcheck, JAX, and the arrays in result.grad say the same."""

import deblai
import numpy as np
import pytest
from deblai.multimarginal import sinkhorn

SOLVE = {"epsilon": 0.5, "tol": 1e-12}
COSTS = (
    *("coulomb", "log", "sqeuclidean", "repulsive-harmonic", "euclidean", deblai.costs.Riesz(1.5)),
    *(deblai.costs.Yukawa(2.0, 1.5), deblai.costs.SoftCoulomb(0.3, -2.0), deblai.costs.Power(2.6, -0.5)),
)


def torch():
    return pytest.importorskip("torch")


def leaf(rng, *shape, low=0.0):
    return torch().tensor(low + rng.random(shape), requires_grad=True)


def value(*arguments, **more):
    return sinkhorn(*arguments, **SOLVE, **more).value


@pytest.mark.parametrize("cost", COSTS)
def test_points_and_weights_of_three_marginals(cost, rng):
    """General mode, different sizes: gradcheck in every point and weight."""
    points = [leaf(rng, n, 2) for n in (4, 3, 5)]
    weights = [leaf(rng, n, low=0.5) for n in (4, 3, 5)]

    def f(*v):
        return value(list(v[:3]), list(v[3:]), cost=cost)

    assert torch().autograd.gradcheck(f, (*points, *weights), eps=1e-5, atol=1e-6)


@pytest.mark.parametrize("N", [2, 3, 4])
def test_equal_marginals(N, rng):
    """Symmetric mode: the one array stands for all N marginals."""
    x, a = leaf(rng, 5, 2), leaf(rng, 5, low=1.0)
    assert torch().autograd.gradcheck(lambda x, a: value(x, a, n_marginals=N), (x, a), eps=1e-5, atol=1e-6)


def test_two_marginals_streamed(rng):
    """N = 2, nothing stored; only one of the weights is given and wanted."""
    x, y, a = leaf(rng, 6, 3), leaf(rng, 4, 3).detach() + 1, leaf(rng, 6, low=0.5)
    assert torch().autograd.gradcheck(lambda x, a: value([x, y], [a, None]), (x, a), eps=1e-5, atol=1e-6)


def test_matrices(rng):
    """The gradient in a cost matrix is the plan of its pair: gradcheck by pair, shared, and symmetric."""
    check = torch().autograd.gradcheck
    sizes = (3, 4, 2)
    pairs = [(0, 1), (0, 2), (1, 2)]
    matrices = [leaf(rng, sizes[p], sizes[q]) for p, q in pairs]
    assert check(lambda *C: value(cost=dict(zip(pairs, C, strict=True))), tuple(matrices), atol=1e-7)
    square = leaf(rng, 4, 4)
    assert check(lambda C: value(weights=[None] * 3, cost=C), (square,), atol=1e-7)
    assert check(lambda C: value(cost=C + C.T, n_marginals=3), (square,), atol=1e-7)
    r = sinkhorn(cost={pair: C.detach() for pair, C in zip(pairs, matrices, strict=True)}, grad="cost", **SOLVE)
    for p, q in pairs:
        assert torch().allclose(r.grad["cost"][p, q], r.pair_marginal(p, q), atol=1e-14)


def test_forbidden_pairs_have_no_gradient(rng):
    """Infinite entries carry no plan, and points that meet give no NaN."""
    x = torch().tensor([[0.0], [1.0], [2.5], [4.0]], dtype=torch().float64, requires_grad=True)
    r = sinkhorn(x, n_marginals=2, **SOLVE)
    (g,) = torch().autograd.grad(r.value, x)
    assert torch().isfinite(g).all()
    assert float(g.sum()) == pytest.approx(0.0, abs=1e-12)  # translations cost nothing


def test_grad_is_what_autograd_gives(rng):
    """result.grad, autograd, and the friendly shapes: a list for a list, (n,) for points of the line."""
    points = [leaf(rng, n) for n in (4, 3, 5)]
    weights = [leaf(rng, 4, low=0.5), None, leaf(rng, 5, low=0.5)]
    r = sinkhorn(points, weights, cost="sqeuclidean", grad=True, **SOLVE)
    wanted = [*points, weights[0], weights[2]]
    by_autograd = torch().autograd.grad(r.value, wanted)
    found = [*r.grad["points"], r.grad["weights"][0], r.grad["weights"][2]]
    assert r.grad["weights"][1] is None
    for one, other in zip(found, by_autograd, strict=True):
        assert one.shape == other.shape
        assert torch().allclose(one, other, atol=1e-14)
    for a, g in ((weights[0], found[3]), (weights[2], found[4])):
        assert float((a * g).sum().detach()) == pytest.approx(0.0, abs=1e-12)  # scaling the weights changes nothing


def test_second_derivatives_raise(rng):
    """They are not known, and not zero."""
    x = leaf(rng, 5, 2)
    (g,) = torch().autograd.grad(value(x, n_marginals=3), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"\[multimarginal.sinkhorn\] double backward is not supported"):
        torch().autograd.grad(g.sum(), x)


def test_with_a_callback_the_graph_is_the_same(rng):
    """Sweeps that a callback watches are done before the operator; value and gradient do not change."""
    x = leaf(rng, 6, 2)
    seen = []
    watched = value(x, n_marginals=3, callback=lambda s: seen.append(s.step) and None)
    plain = value(x, n_marginals=3)
    assert float(watched) == float(plain)
    assert torch().equal(*(torch().autograd.grad(v, x)[0] for v in (watched, plain)))


def test_jax_equals_pytorch(rng):
    """value and gradients under jit and grad equal PyTorch's to the bit."""
    jax = pytest.importorskip("jax")
    points, weights = [rng.random((n, 2)) for n in (4, 3, 5)], [rng.random(n) + 0.5 for n in (4, 3, 5)]

    def f(points, weights):
        return sinkhorn(points, weights, cost="coulomb", epsilon=0.5, tol=1e-10).value

    by_jax, gradients = jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(
        [jax.numpy.asarray(x) for x in points], [jax.numpy.asarray(a) for a in weights]
    )
    leaves = [torch().tensor(v, requires_grad=True) for v in (*points, *weights)]
    by_torch = f(leaves[:3], leaves[3:])
    assert float(by_jax) == float(by_torch)
    expected = torch().autograd.grad(by_torch, leaves)
    for one, other in zip((*gradients[0], *gradients[1]), expected, strict=True):
        assert np.array_equal(one, other.numpy())


def test_jax_programs(rng):
    """Symmetric mode, matrices, vmap, results out of jit, and what is refused there."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    x = rng.random((3, 6, 2))

    def f(x):
        return sinkhorn(x, n_marginals=3, epsilon=0.5, tol=1e-10)

    expected = [f(v) for v in x]
    found = jax.vmap(lambda v: f(v).value)(jnp.asarray(x))
    assert np.array_equal(found, [r.value for r in expected])
    r = jax.jit(f)(jnp.asarray(x[0]))
    assert bool(r.converged)
    assert int(r.n_iter) == expected[0].n_iter
    assert np.array_equal(r.potentials, expected[0].potentials)
    with pytest.raises(deblai.errors.InvalidType, match="expected concrete arrays to compute plans"):
        r.pair_marginal()
    plan = jax.grad(lambda C: sinkhorn(cost={(0, 1): C}, epsilon=0.5, tol=1e-12).value)(jnp.ones((3, 4)))
    assert np.allclose(plan, 1 / 12, atol=1e-12)
    with pytest.raises(deblai.errors.InvalidType, match="callback: expected None inside jit"):
        jax.jit(lambda v: sinkhorn(v, n_marginals=3, epsilon=0.5, callback=print).value)(jnp.asarray(x[0]))
    with pytest.raises(deblai.errors.InvalidValue, match="weights: expected 6 values"):
        jax.jit(lambda v, a: sinkhorn(v, a, n_marginals=3, epsilon=0.5).value)(jnp.asarray(x[0]), jnp.ones(5))


@pytest.mark.parametrize("matrices", [False, True])
def test_torch_opcheck(matrices, rng):
    """Schema, autograd registration, fake tensors and AOT dispatch of the operator."""
    import deblai.torch.multimarginal  # noqa: F401  (registers it)

    sizes = [4, 3, 5]
    points = [] if matrices else [leaf(rng, n, 2) for n in sizes]
    costs = [leaf(rng, 4, 3), leaf(rng, 4, 5), leaf(rng, 3, 5)] if matrices else []
    weights = [leaf(rng, 4, low=0.5), torch().empty(0, dtype=torch().float64), leaf(rng, 5, low=0.5)]
    start = torch().zeros(sum(sizes), dtype=torch().float64)
    fixed = (sizes, 3, 0, 1.0, 1.0, 0.5, False, start, 1e-12, 200, 5)
    fixed = (*fixed, "auto", True, start[:0], 0.0)
    flags = (not matrices, True, matrices, None)
    done = torch().library.opcheck(
        torch().ops.deblai.multimarginal_sinkhorn.default,
        (points, weights, costs, *fixed, *flags),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static"),
    )
    assert set(done.values()) == {"SUCCESS"}


def test_torch_compile(rng):
    """torch.compile (AOT autograd, no code generation) keeps the operator whole, forward and backward."""
    import deblai.torch.multimarginal  # noqa: F401

    x, start = leaf(rng, 6, 2), torch().zeros(6, dtype=torch().float64)
    none, op = torch().empty(0, dtype=torch().float64), torch().ops.deblai.multimarginal_sinkhorn

    def loss(x):
        fixed = ([6], 3, 0, 1.0, 1.0, 0.5, False, start, 1e-12, 200, 5, "auto", True, start[:0], 0.0)
        return op([2 * x], [none], [], *fixed, True, False, False, None)[0] ** 2

    compiled = torch().compile(loss, backend="aot_eager", fullgraph=True)
    expected, found = loss(x), compiled(x)
    assert found.item() == expected.item()
    assert torch().equal(*(torch().autograd.grad(v, x)[0] for v in (expected, found)))
