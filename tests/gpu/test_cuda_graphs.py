"""deblai.multimarginal on graphs, of tensors of PyTorch on the GPU, against the CPU."""

import importlib

import numpy as np
import pytest
from deblai.multimarginal import sinkhorn


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

SIZES = (90, 120, 70, 100)
CLIQUE = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3), (3, 4)]
CASES = {"chain": (SIZES, "chain"), "ring": (SIZES, "ring"), "treewidth 3": ((20, 30, 17, 25, 60), CLIQUE)}


@pytest.fixture
def tensor():
    torch = pytest.importorskip("torch")
    return lambda values: torch.as_tensor(values, device="cuda")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_parity(tensor, dtype, case):
    """Values, plans of edges and of other pairs, certificates; results live on the device; runs are equal."""
    rng, rough = np.random.default_rng(0), dtype == "float32"
    sizes, graph = CASES[case]
    x = [rng.random((n, 2)).astype(dtype) for n in sizes]
    ask = {"cost": "sqeuclidean", "graph": graph, "epsilon": 0.05, "tol": 1e-5 if rough else 1e-9}
    want = sinkhorn(x, **ask)
    got, again = (sinkhorn([tensor(v) for v in x], **ask) for _ in range(2))
    assert got.backend == "cuda"
    assert got.converged
    close = {"rel": 1e-4, "abs": 1e-5} if rough else {"rel": 1e-8, "abs": 1e-9}
    assert float(got.value) == pytest.approx(float(want.value), **close)
    assert float(got.value_linear) == pytest.approx(float(want.value_linear), **close)
    for pair in ((0, 1), (0, 2), (1, 3)):
        plan = got.pair_marginal(*pair)
        assert plan.device.type == "cuda"
        assert plan.shape == (sizes[pair[0]], sizes[pair[1]])
        np.testing.assert_allclose(plan.cpu().numpy(), want.pair_marginal(*pair), atol=1e-5 if rough else 1e-9)
        assert (plan == again.pair_marginal(*pair)).all()
    assert all((f == g).all() for f, g in zip(got.potentials, again.potentials, strict=True))
    bounds, truth = got.certify(), want.certify()
    assert float(bounds.lower) == pytest.approx(float(truth.lower), rel=1e-3 if rough else 1e-6)


def test_gradients(tensor):
    """The gradient of the value in the points of a ring is the CPU's."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    x = [rng.random((n, 2)) for n in SIZES]
    found = []
    for place in (torch.as_tensor, tensor):
        points = [place(v).requires_grad_() for v in x]
        value = sinkhorn(points, cost="sqeuclidean", graph="ring", epsilon=0.1, tol=1e-10).value
        value.backward()
        found.append([p.grad.cpu().numpy() for p in points])
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9)


def test_errors(tensor):
    """Bad entries are named as on the CPU; tables that do not fit say which marginals come together."""
    x = [np.random.default_rng(2).random((n, 2)) for n in SIZES]
    x[2][3, 1] = np.nan
    with pytest.raises(ValueError, match=r"points\[2\]: expected finite values, got nan at \[3, 1\]"):
        sinkhorn([tensor(v) for v in x], graph="ring", epsilon=0.1)
    large = [tensor(np.random.default_rng(k).random((30_000, 2), np.float32)) for k in range(5)]
    with pytest.raises(MemoryError, match=r"takes \d+ bytes; on this graph the marginals \[0, 1, 2, 3\] come together"):
        sinkhorn(large, cost="sqeuclidean", graph=CLIQUE, epsilon=0.1)
