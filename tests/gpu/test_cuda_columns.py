"""deblai.multimarginal.genetic on tensors of PyTorch on the GPU, against the CPU."""

import importlib

import numpy as np
import pytest
from deblai.multimarginal import genetic


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "d", "N"), [(20, 1, 3), (60, 2, 4)])
def test_parity(dtype, n, d, N):
    """The value of the CPU; results live on the device."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("highspy")
    x = np.random.default_rng(0).standard_normal((n, d)).astype(dtype)
    want = genetic(x, n_marginals=N, init="random", rng=0)
    got = genetic(torch.as_tensor(x, device="cuda"), n_marginals=N, init="random", rng=0)
    assert got.backend == "cuda"
    assert float(got.value) == pytest.approx(float(want.value), rel=1e-9 if dtype == "float64" else 1e-6)
    assert got.certified == want.certified
    assert got.masses.device.type == got.tuples.device.type == got.potentials.device.type == "cuda"
