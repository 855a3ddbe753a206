"""Laguerre cells of the CUDA backend, on tensors of PyTorch, against the NumPy reference."""

import importlib

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, UniformBox
from deblai.quantization import laguerre


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
@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("pixels", [False, True])
def test_cells(pixels, periodic, dtype):
    """Numbers, polygons, gradients through the graph; all on the device."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sites, psi, values = rng.random((200, 2)).astype(dtype), (0.01 * rng.random(200)).astype(dtype), rng.random((6, 5))
    with deblai.use_backend("reference"):
        measure = Grid(values, (0, 0), (1, 1)) if pixels else UniformBox((0, 0), (1, 1))
        expected = laguerre(sites, psi, measure=measure, periodic=periodic, grad=True)
    on_device = torch.as_tensor(sites, device="cuda").requires_grad_()
    if pixels:
        measure = Grid(torch.as_tensor(values, device="cuda"), (0, 0), (1, 1))
    found = laguerre(on_device, torch.as_tensor(psi, device="cuda"), measure=measure, periodic=periodic, grad=True)
    assert found.backend == "cuda"
    tolerance = 1e-12 if dtype == "float64" else 2e-7
    for name in ("mass", "centroid", "second_moment", "energy", "value"):
        value = getattr(found, name)
        assert value.is_cuda
        np.testing.assert_allclose(value.detach().cpu(), getattr(expected, name), atol=tolerance, err_msg=name)
    found.value.backward()
    np.testing.assert_allclose(on_device.grad.cpu(), expected.grad["sites"], atol=tolerance)
    np.testing.assert_array_equal(found.offsets.cpu(), expected.offsets)
    assert sorted(found.neighbours_of(7).tolist()) == sorted(expected.neighbours_of(7).tolist())
    assert abs(float(found.mass.sum()) - 1) < 1e-5


def test_errors():
    """Bad entries are found on the device; arrays of two devices do not mix."""
    torch = pytest.importorskip("torch")
    sites = torch.rand(50, 2, device="cuda", dtype=torch.float64)
    sites[3, 1] = float("nan")
    with pytest.raises(deblai.errors.InvalidValue, match=r"sites: expected finite values, got nan at \[3, 1\]"):
        laguerre(sites)
    with pytest.raises(deblai.errors.InvalidType, match=r"measure\.values: expected an array on cuda:0"):
        laguerre(torch.rand(5, 2, device="cuda"), measure=Grid(torch.ones(2, 2), (0, 0), (1, 1)))
