"""Gradients of value_p and value: central differences, PyTorch's own checks, edges."""

import numpy as np
import pytest
from deblai.sliced import wasserstein

NAMES = ("x", "y", "a", "b")
PS = (1.0, 1.5, 2.0, 3.0)


def clouds(n=9, m=7, d=3, count=5, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.standard_normal((n, d)),
        "y": rng.standard_normal((m, d)) + 0.3,
        "a": rng.random(n) + 0.1,
        "b": rng.random(m) + 0.1,
        "directions": rng.standard_normal((count, d)),
    }


# --- central differences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize("sizes", [(9, 7), (8, 8)])
def test_central_differences(sizes, which, p):
    """Every entry of every gradient of value_p, to 1e-6; the weights are not normalised."""
    q = clouds(*sizes)
    gradient = wasserstein(**q, p=p, grad=which).grad[which]
    assert gradient.shape == q[which].shape
    step = 1e-6
    for index in np.ndindex(gradient.shape):
        values = []
        for sign in (1, -1):
            moved = q | {which: q[which].copy()}
            moved[which][index] += sign * step
            values.append(wasserstein(**moved, p=p).value_p)
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(gradient[index], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("sizes", [(9, 7), (8, 8)])
def test_central_differences_without_weights(sizes, p):
    """The unweighted ways of the code: integer masses, and the matching of equal sizes."""
    q = clouds(*sizes)
    del q["a"], q["b"]
    gradients = wasserstein(**q, p=p, grad=True).grad
    assert set(gradients) == {"x", "y"}
    rng = np.random.default_rng(1)
    for which in ("x", "y"):
        direction = rng.standard_normal(q[which].shape)
        plus, minus = (wasserstein(**q | {which: q[which] + s * direction}, p=p).value_p for s in (1e-6, -1e-6))
        assert (plus - minus) / 2e-6 == pytest.approx(np.sum(gradients[which] * direction), rel=1e-6)


def test_gradients_in_weights_are_orthogonal_to_weights():
    """<a, g_a> = <b, g_b> = 0: only ratios of weights matter."""
    q = clouds(50, 40)
    grad = wasserstein(**q, grad=("a", "b")).grad
    for name in ("a", "b"):
        assert abs(q[name] @ grad[name]) < 1e-14 * np.abs(grad[name]).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_step_down_the_gradient(dtype):
    """A step against the gradient in x reduces SW_2^2 by step |g|^2 to first order."""
    q = {name: v.astype(dtype) for name, v in clouds(200, 150).items()}
    r = wasserstein(**q, grad="x")
    step = 1e-2
    after = wasserstein(**q | {"x": q["x"] - step * r.grad["x"]}).value_p
    expected = r.value_p - step * np.sum(r.grad["x"] ** 2)
    assert after < r.value_p
    assert after == pytest.approx(float(expected), rel=1e-3)


def test_names_of_gradients():
    """A name, several, all, none; True means all of the arguments given; a set has no order."""
    q = clouds()
    assert wasserstein(**q).grad == {}
    assert wasserstein(**q, grad=False).grad == {}
    assert wasserstein(**q, grad=[]).grad == {}
    assert list(wasserstein(**q, grad="b").grad) == ["b"]
    assert list(wasserstein(**q, grad=["b", "x"]).grad) == ["x", "b"]
    assert set(wasserstein(**q, grad={"y", "a"}).grad) == {"y", "a"}
    assert list(wasserstein(**q, grad=True).grad) == list(NAMES)
    assert list(wasserstein(q["x"], q["y"], b=q["b"], grad=True).grad) == ["x", "y", "b"]


@pytest.mark.parametrize("p", PS)
def test_gradient_at_equal_clouds(p):
    """0, not NaN, for x == y: the p-th root has no derivative there, and |d|^p none for p = 1."""
    x = np.random.default_rng(0).standard_normal((30, 3))
    grad = wasserstein(x, x, p=p, grad=True, rng=0).grad
    assert not np.any(grad["x"])
    assert not np.any(grad["y"])


@pytest.mark.parametrize("name", ["x", "y"])
def test_vectors_have_vectors_for_gradients(library, name):
    """(n,) in, (n,) out: on the line d/dx_i of the mean of squared differences is 2 (x_i - y_i) / n."""
    x, y = np.array([0.0, 2.0, 1.0]), np.array([3.0, 5.0, 4.5])
    r = wasserstein(library.array(x), library.array(y), grad=True)
    sign = 1 if name == "x" else -1
    np.testing.assert_allclose(library.numpy(r.grad[name]), sign * 2 * (x - np.array([3.0, 5.0, 4.5])) / 3)
    mixed = wasserstein(library.array(x), library.array(y[:, None]), grad=True).grad
    assert tuple(mixed["x"].shape) == (3,)
    assert tuple(mixed["y"].shape) == (3, 1)


# --- PyTorch --------------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def tensors(torch, dtype="float64", **sizes):
    q = {name: torch.tensor(v, dtype=getattr(torch, dtype)) for name, v in clouds(**sizes).items()}
    for name in NAMES:
        q[name].requires_grad_()
    return q


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("what", ["value", "value_p"])
def test_torch_gradcheck(torch, what, p):
    """Autograd of value and value_p in x, y, a and b, by PyTorch's own central differences."""
    q = tensors(torch, n=5, m=4)
    theta = q.pop("directions")

    def f(x, y, a, b):
        return getattr(wasserstein(x, y, a, b, p=p, directions=theta), what)

    assert torch.autograd.gradcheck(f, tuple(q.values()))
    assert torch.autograd.gradcheck(lambda x, y: f(x, y, None, None), (q["x"], q["y"]))


def test_torch_agrees_with_the_gradients_asked_for(torch):
    """backward() gives what grad=True gives; asking does not break the graph, and its tensors carry none."""
    q = tensors(torch)
    r = wasserstein(**q, grad=True)
    r.value_p.backward()
    for name in NAMES:
        assert not r.grad[name].requires_grad
        assert torch.equal(q[name].grad, r.grad[name])


def test_torch_chain_rule(torch):
    """Through functions before and after: d/ds SW_2(X, X + s t) = SW_2(X, X + t) for a scalar s > 0."""
    x, t = torch.randn(40, 3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    s = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (3 * wasserstein(x, x + s * t, rng=0).value).backward()
    assert s.grad.item() == pytest.approx(3 * wasserstein(x, x + t, rng=0).value.item(), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_dtype_and_shape_of_gradients(torch, dtype):
    """Those of the tensors, also where they are vectors or not contiguous."""
    q = tensors(torch, dtype, d=1)
    x = q["x"].detach()[:, 0].requires_grad_()
    y = q["y"].detach().expand(-1, 4)[:, ::4].requires_grad_()
    r = wasserstein(x, y, q["a"], q["b"])
    r.value.backward()
    for tensor in (x, y, q["a"], q["b"]):
        assert tensor.grad.dtype == tensor.dtype == r.value.dtype
        assert tensor.grad.shape == tensor.shape
        assert torch.isfinite(tensor.grad).all()
    assert not r.stderr.requires_grad
    assert not r.per_direction.requires_grad


@pytest.mark.parametrize("p", PS)
@pytest.mark.parametrize("what", ["value", "value_p"])
def test_torch_gradient_at_equal_clouds(torch, what, p):
    """0, not NaN, where the distance is 0."""
    x = torch.randn(20, 2, dtype=torch.float64, requires_grad=True)
    getattr(wasserstein(x, x.detach().clone(), p=p, rng=0), what).backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_torch_same_tensor_twice(torch):
    """SW(x, x) with one tensor in both places: both gradients are added."""
    x = torch.randn(20, 2, dtype=torch.float64, requires_grad=True)
    wasserstein(x, x, rng=0).value.backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_torch_only_what_requires_a_gradient(torch):
    """Other arguments get none."""
    q = tensors(torch)
    q["y"].requires_grad_(False)
    q["b"].requires_grad_(False)
    wasserstein(**q).value.backward()
    assert q["x"].grad is not None
    assert q["a"].grad is not None
    assert q["y"].grad is None
    assert q["b"].grad is None


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_torch_without_grad_mode(torch, mode):
    """No graph, the same value, and gradients that were asked for still come."""
    q = tensors(torch)
    with_graph = wasserstein(**q)
    with getattr(torch, mode)():
        r = wasserstein(**q, grad="x")
    assert with_graph.value.requires_grad
    assert not r.value.requires_grad
    assert r.value.item() == with_graph.value.item()
    assert r.grad["x"].shape == q["x"].shape


@pytest.mark.parametrize("what", ["value", "value_p"])
def test_torch_double_backward_raises(torch, what):
    """Never a silently wrong second derivative, not even where the graph has other ways to x."""
    q = tensors(torch)
    (g,) = torch.autograd.grad(getattr(wasserstein(**q), what), q["x"], create_graph=True)
    for loss in (g.square().sum(), g.square().sum() + q["x"].square().sum()):
        with pytest.raises(RuntimeError, match=r"\[sliced.wasserstein\] double backward is not supported"):
            torch.autograd.grad(loss, q["x"], retain_graph=True)


def test_torch_backward_twice(torch):
    """retain_graph works: the gradient is added once more."""
    q = tensors(torch)
    value = wasserstein(**q).value
    value.backward(retain_graph=True)
    once = q["x"].grad.clone()
    value.backward()
    assert torch.equal(q["x"].grad, 2 * once)


@pytest.mark.parametrize("optional", ["weighted", "unweighted"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_opcheck(torch, dtype, optional):
    """Schema, autograd registration, fake tensors and AOT dispatch with dynamic shapes of the operator."""
    import deblai.torch  # noqa: F401  (registers it)

    q = tensors(torch, dtype)
    theta = q.pop("directions")
    if optional == "unweighted":
        q["a"] = q["b"] = None
    flags = [t is not None for t in q.values()]
    arguments = (*q.values(), theta, 1.5, *flags)
    done = torch.library.opcheck(
        torch.ops.deblai.sliced_wasserstein.default, arguments, atol=1e-5, rtol=1e-5 if dtype == "float32" else 1e-9
    )
    assert set(done) == {
        "test_schema",
        "test_autograd_registration",
        "test_faketensor",
        "test_aot_dispatch_dynamic",
    }
    assert set(done.values()) == {"SUCCESS"}


def test_torch_operator_without_the_gradient_it_needs(torch):
    """The low-level operator says which flag was missing."""
    import deblai.torch  # noqa: F401

    q = tensors(torch)
    value_p = torch.ops.deblai.sliced_wasserstein(*q.values(), 2.0, True, False, True, True)[0]
    with pytest.raises(RuntimeError, match=r"\[sliced.wasserstein\] y requires a gradient"):
        value_p.backward()


def test_torch_compile(torch):
    """torch.compile (AOT autograd, no code generation) keeps the operator whole, forward and backward."""
    import deblai.torch  # noqa: F401

    q = tensors(torch)
    theta = q.pop("directions")

    def loss(x, y, a, b):
        return 2 * torch.ops.deblai.sliced_wasserstein(x + 1, y, a, b, theta, 2.0, True, True, True, True)[0]

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    eager_value = loss(*q.values())
    eager = torch.autograd.grad(eager_value, tuple(q.values()))
    value = compiled(*q.values())
    assert value.item() == eager_value.item()
    for one, other in zip(torch.autograd.grad(value, tuple(q.values())), eager, strict=True):
        assert torch.equal(one, other)


def test_torch_optimizer_moves_points_onto_the_target(torch):
    """Fifty steps of Adam on fresh directions bring a cloud to a tenth of its distance."""
    target = torch.tensor(clouds(m=100, d=2)["y"])
    x = torch.randn(100, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 3
    x.requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.2)
    rng = np.random.default_rng(0)
    values = []
    for _ in range(50):
        optimizer.zero_grad()
        loss = wasserstein(x, target, n_projections=20, rng=rng).value
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.1 * values[0]
