"""deblai.quantization.lloyd on tensors of PyTorch on the GPU, against the NumPy reference."""

import importlib

import deblai
import numpy as np
import pytest
from deblai.quantization import lloyd


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


@pytest.fixture
def tensor():
    torch = pytest.importorskip("torch")
    return lambda values: torch.as_tensor(values, device="cuda")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d", "k"), [(50, 1, 5), (5000, 2, 60), (3000, 20, 40)])
def test_parity(tensor, dtype, n, d, k):
    """Seeds, ten iterations and labels are those of the reference; results live on the device."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((n, d)).astype(dtype), rng.random(n).astype(dtype)
    few = {"rng": 1, "callback": lambda state: state.step == 10}
    with deblai.use_backend("reference"):
        want = lloyd(x, k, weights=w, **few)
    got, again = (lloyd(tensor(x), k, weights=tensor(w), **few) for _ in range(2))
    assert got.backend == "cuda"
    assert all(v.is_cuda for v in (got.sites, got.weights, got.labels, got.empty, got.energy))
    assert got.history == pytest.approx(want.history, rel=1e-4 if dtype == "float32" else 1e-11)
    assert (got.labels.cpu().numpy() == want.labels).mean() > (0.99 if dtype == "float32" else 1 - 1e-9)
    assert got.history == again.history
    assert (got.sites == again.sites).all()


def test_empty_cells_and_errors(tensor):
    """Relocation works on device arrays; bad entries are named."""
    x = np.random.default_rng(1).standard_normal((400, 2))
    init = np.concatenate([x[:3], [[90.0, 90.0]]])
    got, want = lloyd(tensor(x), 4, init=tensor(init), tol=0), lloyd(x, 4, init=init, tol=0)
    np.testing.assert_allclose(got.sites.cpu().numpy(), want.sites, atol=1e-10)
    x[3, 1] = np.nan
    for start in ({"rng": 0}, {"init": tensor(init)}):
        with pytest.raises(ValueError, match=r"\[quantization.lloyd\] x: expected finite values, got nan at \[3, 1\]"):
            lloyd(tensor(x), 4, **start)
