"""The CUDA backend, on tensors of PyTorch and arrays of CuPy, against the NumPy reference."""

import importlib
from itertools import combinations

import deblai
import numpy as np
import pytest


def device_count():
    """How many CUDA devices this build of deblai can use."""
    try:
        cuda = importlib.import_module("deblai._cuda")
    except ImportError:
        return 0
    return cuda.device_count()


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(device_count() == 0, reason="no CUDA device, or deblai was built without CUDA kernels"),
]

# Against float64 sums of the same numbers; float32 projections may also swap neighbours, which gradients feel.
VALUE = {"float32": 2e-5, "float64": 1e-12}
GRADIENT = {"float32": 2e-3, "float64": 1e-10}


class Torch:
    def __init__(self):
        self.module = pytest.importorskip("torch")

    def array(self, values):
        return None if values is None else self.module.as_tensor(values, device="cuda")

    def numpy(self, array):
        return array.detach().cpu().numpy()

    def on_device(self, array):
        return array.is_cuda


class CuPy:
    def __init__(self):
        self.module = pytest.importorskip("cupy")

    def array(self, values):
        return None if values is None else self.module.asarray(values)

    def numpy(self, array):
        return self.module.asnumpy(array)

    def on_device(self, array):
        return isinstance(array, self.module.ndarray)


@pytest.fixture(params=[Torch, CuPy], ids=["torch", "cupy"])
def gpu(request):
    """Each array library in turn."""
    return request.param()


@pytest.fixture
def torch():
    return Torch().module


def problem(rng, dtype, n=300, m=300, d=3, weighted=False, n_projections=20):
    """Points, weights and directions, as NumPy arrays."""
    x = rng.standard_normal((n, d))
    y = 0.7 * rng.standard_normal((m, d)) + 0.5
    a, b = (rng.random(n) + 0.1, rng.random(m) + 0.1) if weighted else (None, None)
    theta = rng.standard_normal((n_projections, d))
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    return [None if v is None else v.astype(dtype) for v in (x, y, a, b, theta)]


def reference(x, y, a, b, theta, **kwargs):
    with deblai.use_backend("reference"):
        return deblai.sliced.wasserstein(x, y, a, b, directions=theta, **kwargs)


def close(got, want, tolerance):
    """Compare in the Euclidean norm."""
    want = np.asarray(want, "float64")
    error = np.linalg.norm(np.asarray(got, "float64") - want)
    assert error <= tolerance * np.linalg.norm(want), f"relative error {error / np.linalg.norm(want):.2e}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 50), (300, 300), (300, 217), (5000, 6000)])
def test_parity(gpu, rng, dtype, p, weighted, n, m):
    arrays = problem(rng, dtype, n, m, weighted=weighted)
    want = reference(*arrays, p=p, grad=True)
    x, y, a, b, theta = map(gpu.array, arrays)
    got = deblai.sliced.wasserstein(x, y, a, b, directions=theta, p=p, grad=True)
    assert got.backend.startswith("cuda")
    close(gpu.numpy(got.per_direction), want.per_direction, VALUE[dtype])
    for name in ("value", "value_p"):
        scalar = getattr(got, name)
        assert gpu.on_device(scalar)
        assert gpu.numpy(scalar).shape == ()
        assert gpu.numpy(scalar).dtype == dtype
        close(gpu.numpy(scalar), getattr(want, name), VALUE[dtype])
    assert set(got.grad) == set(want.grad)
    for name, gradient in got.grad.items():
        assert gpu.on_device(gradient)
        assert gpu.numpy(gradient).dtype == dtype
        if n * m > 1 or name in "xy":  # the only potential of one point is 0
            close(gpu.numpy(gradient), want.grad[name], GRADIENT[dtype])


def test_strides_and_line(gpu, rng):
    x, y, _, _, theta = problem(rng, "float64", 100, 80)
    want = reference(x, y, None, None, theta)
    by_columns = gpu.array(np.ascontiguousarray(x.T)).T
    every_other = gpu.array(np.repeat(y, 2, axis=0))[::2]
    got = deblai.sliced.wasserstein(by_columns, every_other, directions=gpu.array(theta))
    close(gpu.numpy(got.value_p), want.value_p, VALUE["float64"])
    on_line = deblai.sliced.wasserstein(gpu.array(x[:, 0].copy()), gpu.array(y[:, 0].copy()))
    with deblai.use_backend("reference"):
        close(gpu.numpy(on_line.value), deblai.sliced.wasserstein(x[:, 0], y[:, 0]).value, VALUE["float64"])


def test_same_directions_and_bits(gpu, rng):
    x, y, a, b, _ = map(gpu.array, problem(rng, "float32", 3000, 2000, weighted=True))
    first, second = (deblai.sliced.wasserstein(x, y, a, b, n_projections=50, grad=True, rng=3) for _ in range(2))
    assert (gpu.numpy(first.per_direction) == gpu.numpy(second.per_direction)).all()
    for name in first.grad:
        assert (gpu.numpy(first.grad[name]) == gpu.numpy(second.grad[name])).all()
    on_cpu = deblai.sliced.wasserstein(*(gpu.numpy(v) for v in (x, y, a, b)), n_projections=50, rng=3)
    close(gpu.numpy(first.directions), on_cpu.directions, 1e-7)
    close(gpu.numpy(first.value), on_cpu.value, VALUE["float32"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_autograd(torch, rng, dtype):
    arrays = problem(rng, dtype, 200, 150, weighted=True)
    tensors = [torch.as_tensor(v, device="cuda").requires_grad_() for v in arrays[:4]]
    result = deblai.sliced.wasserstein(*tensors, directions=torch.as_tensor(arrays[4], device="cuda"))
    (3 * result.value_p).backward()
    want = reference(*arrays, grad=True)
    for name, tensor in zip("xyab", tensors, strict=True):
        assert tensor.grad.device == tensor.device
        assert tensor.grad.dtype == tensor.dtype
        close(tensor.grad.cpu().numpy(), 3 * want.grad[name].astype("float64"), GRADIENT[dtype])


def test_stream(torch, rng):
    """Work is queued behind the caller's own, on the caller's stream."""
    x, y, _, _, theta = problem(rng, "float32", 2000, 2000)
    want = reference(x, y, None, None, theta).value_p
    directions, target = torch.as_tensor(theta, device="cuda"), torch.as_tensor(y, device="cuda")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        big = torch.ones(4000, 4000, device="cuda")
        for _ in range(20):
            big = big @ big / 4000
        late = torch.as_tensor(x, device="cuda") * big[0, 0]
        got = deblai.sliced.wasserstein(late, target, directions=directions).value_p
    close(got.cpu().numpy(), want, 1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_entries(gpu, rng, bad):
    arrays = problem(rng, "float32", weighted=True)
    for index, argument in enumerate("xyab"):
        spoiled = [v.copy() for v in arrays]
        spoiled[index].flat[7] = bad
        with pytest.raises(ValueError, match=rf"\[sliced.wasserstein\] {argument}: expected finite .*got (nan|inf)"):
            deblai.sliced.wasserstein(*map(gpu.array, spoiled[:4]), directions=gpu.array(spoiled[4]))
    x, y, a, _, theta = map(gpu.array, arrays)
    with pytest.raises(ValueError, match=r"a: expected a positive finite total mass"):
        deblai.sliced.wasserstein(x, y, 0 * a, directions=theta)


def test_mixed_devices(gpu, rng):
    x, y, *_ = problem(rng, "float32")
    with pytest.raises(TypeError, match=r"\[sliced.wasserstein\] y: expected"):
        deblai.sliced.wasserstein(gpu.array(x), y)
    with pytest.raises(TypeError, match=r"\[sliced.wasserstein\] y: expected float32"):
        deblai.sliced.wasserstein(gpu.array(x), gpu.array(y.astype("float64")))


def test_mixed_devices_of_one_library(torch, rng):
    x, y, *_ = problem(rng, "float32")
    with pytest.raises(TypeError, match=r"y: expected an array on cuda:0 to match x, got one on cpu"):
        deblai.sliced.wasserstein(torch.as_tensor(x, device="cuda"), torch.as_tensor(y))


def test_other_backends_refuse(gpu, rng):
    x, y = map(gpu.array, problem(rng, "float32")[:2])
    for backend in ("cpu", "reference"):
        with deblai.use_backend(backend), pytest.raises(deblai.errors.BackendError, match="arrays are on cuda"):
            deblai.sliced.wasserstein(x, y)


def test_info():
    assert len(deblai.info()["cuda"]) == device_count()


# Sinkhorn to the end and its gradients, at exponents of some tens.
SINKHORN = {"float32": 2e-4, "float64": 1e-7}


def marginals(rng, dtype, sizes, d):
    """Points, weights and matrices of costs, as NumPy arrays."""
    points = [rng.random((n, d)).astype(dtype) for n in sizes]
    weights = [(rng.random(n) + 0.5).astype(dtype) for n in sizes]
    cost = {(p, q): rng.random((sizes[p], sizes[q])).astype(dtype) for p, q in combinations(range(len(sizes)), 2)}
    return points, weights, cost


def on(gpu, arrays):
    """Move a list, a dict or an array."""
    if isinstance(arrays, list):
        return [gpu.array(v) for v in arrays]
    if isinstance(arrays, dict):
        return {k: gpu.array(v) for k, v in arrays.items()}
    return gpu.array(arrays)


def sinkhorn_agrees(gpu, dtype, args, **kwargs):
    """Compare a call on the device with the same one in NumPy."""
    tol = 1e-5 if dtype == "float32" else 1e-9
    with deblai.use_backend("cpu"):
        want = deblai.multimarginal.sinkhorn(*args, tol=tol, grad=True, **kwargs)
    moved = {k: on(gpu, v) if k == "cost" and not isinstance(v, str) else v for k, v in kwargs.items()}
    got = deblai.multimarginal.sinkhorn(*(None if v is None else on(gpu, v) for v in args), tol=tol, grad=True, **moved)
    assert got.backend.startswith("cuda")
    assert got.converged
    assert got.n_iter == len(got.history)
    for name in ("value", "value_linear"):
        assert gpu.on_device(getattr(got, name))
        close(gpu.numpy(getattr(got, name)), getattr(want, name), SINKHORN[dtype])
    close(gpu.numpy(got.pair_marginal(0, 1)), want.pair_marginal(0, 1), SINKHORN[dtype])
    assert set(got.grad) == set(want.grad)
    for name, gradients in got.grad.items():
        for mine, theirs in zip(flat(gradients), flat(want.grad[name]), strict=True):
            assert gpu.on_device(mine)
            assert gpu.numpy(mine).dtype == dtype
            close(gpu.numpy(mine), theirs, 20 * SINKHORN[dtype])


def flat(gradients):
    if isinstance(gradients, dict):
        return list(gradients.values())
    return gradients if isinstance(gradients, list) else [gradients]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(60, 40), (20, 33, 40), (9, 7, 12, 8)])
def test_sinkhorn(gpu, rng, dtype, sizes):
    points, weights, cost = marginals(rng, dtype, sizes, 3)
    sinkhorn_agrees(gpu, dtype, (points, weights), cost="sqeuclidean", epsilon=0.2)
    sinkhorn_agrees(gpu, dtype, (None, weights), cost=cost, epsilon=0.2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "count"), [(60, 2), (40, 3), (12, 4), (8, 5)])
def test_sinkhorn_of_equal_marginals(gpu, rng, dtype, n, count):
    x = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:n].astype(dtype)
    sinkhorn_agrees(gpu, dtype, (x,), n_marginals=count, cost="coulomb", epsilon=0.3)


def test_sinkhorn_autograd(torch, rng):
    x = torch.as_tensor(rng.random((30, 2)), device="cuda").requires_grad_()
    y = torch.as_tensor(rng.random((20, 2)), device="cuda")
    r = deblai.multimarginal.sinkhorn([x, y], cost="sqeuclidean", epsilon=0.1)
    (2 * r.value).backward()
    with deblai.use_backend("cpu"):
        host = x.detach().cpu().requires_grad_()
        deblai.multimarginal.sinkhorn([host, y.cpu()], cost="sqeuclidean", epsilon=0.1).value.backward()
    assert x.grad.is_cuda
    close(x.grad.cpu().numpy(), 2 * host.grad.numpy(), 1e-4)


def test_sinkhorn_callback_and_errors(gpu, rng):
    x = gpu.array(rng.random((300, 3)))
    seen = []

    def callback(state):
        seen.append(state)
        return True

    r = deblai.multimarginal.sinkhorn(x, n_marginals=3, epsilon=0.02, tol=0, max_iter=100_000, callback=callback)
    assert len(seen) == 1
    assert not r.converged
    assert gpu.on_device(seen[0].potentials)
    bad = rng.random((30, 3))
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"points\[0\]: expected finite values, got nan at \[7, 1\]"):
        deblai.multimarginal.sinkhorn(gpu.array(bad), n_marginals=3, epsilon=1.0)
