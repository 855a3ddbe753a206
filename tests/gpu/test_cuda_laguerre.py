"""Laguerre cells of the CUDA backend, on tensors of PyTorch, against the NumPy reference."""

import importlib

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, Mixture, PiecewiseLinear, Polytope, UniformBox
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


ANGLE = 2 * np.pi * np.arange(20) / 20
NORMAL = Gaussian([0.4, 0.5], [[0.1, 0.02], [0.02, 0.2]])
MEASURES = {
    "box": UniformBox((0, 0), (1, 1)),
    "20-gon": Polytope(0.5 + 0.5 * np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1)),
    "gaussian": NORMAL,
    "mixture in a triangle": Mixture([NORMAL, Gaussian([0.2, 0.1], 1e-3)], [2, 1], Polytope([[0, 0], [1, 0], [0, 1]])),
    "triangles": PiecewiseLinear.from_grid(np.arange(20.0).reshape(4, 5) % 7, (0, 0), (1, 1)),
}


def by_edge(facets):
    """Order rows by cell and by where along them their mass is: polygons begin anywhere."""
    f = [np.asarray(v.cpu() if hasattr(v, "cpu") else v) for v in facets]
    order = np.lexsort((*f[3].T.round(5), f[2].round(5), f[1], f[0]))
    return [v[order] for v in f]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES.keys())
def test_measures_and_facets(measure, dtype):
    """Numbers, gradients, facets and the Laplacian of every kind of measure; sites at one place have one owner."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    sites, psi = rng.random((120, 2)).astype(dtype), np.zeros(120, dtype)
    sites[1::4] = sites[::4]
    sites[40:] = rng.random((80, 2))
    expected = laguerre(sites, psi, measure=measure, grad=True)
    found = laguerre(
        torch.as_tensor(sites, device="cuda"), torch.as_tensor(psi, device="cuda"), measure=measure, grad=True
    )
    assert found.backend == "cuda"
    tolerance = 1e-12 if dtype == "float64" else 5e-7
    for name in ("mass", "centroid", "second_moment", "energy", "empty"):
        np.testing.assert_allclose(getattr(found, name).cpu(), getattr(expected, name), atol=tolerance, err_msg=name)
    np.testing.assert_allclose(found.grad["sites"].cpu(), expected.grad["sites"], atol=tolerance)
    assert all(v.is_cuda for v in found.facets())
    for got, want in zip(by_edge(found.facets()), by_edge(expected.facets()), strict=True):
        np.testing.assert_allclose(got, want, atol=10 * tolerance, rtol=10 * tolerance)
    laplacian = expected.laplacian()
    error = abs(found.laplacian() - laplacian).max()
    assert error < 100 * tolerance * abs(laplacian).max()


@pytest.mark.parametrize("pixels", [False, True])
def test_facets_of_a_torus(pixels):
    """Across the seam too, on an array of CuPy."""
    cupy = pytest.importorskip("cupy")
    rng = np.random.default_rng(3)
    sites, values = rng.random((90, 2)), rng.random((7, 4))
    measures = [
        Grid(v, (0, 0), (1, 1)) if pixels else UniformBox((0, 0), (1, 1)) for v in (values, cupy.asarray(values))
    ]
    want = laguerre(sites, measure=measures[0], periodic=True).facets()
    found = laguerre(cupy.asarray(sites), measure=measures[1], periodic=True).facets()
    for got, expected in zip(by_edge([v.get() for v in found]), by_edge(want), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-11)


def test_errors():
    """Bad entries are found on the device; arrays of two devices do not mix."""
    torch = pytest.importorskip("torch")
    sites = torch.rand(50, 2, device="cuda", dtype=torch.float64)
    sites[3, 1] = float("nan")
    with pytest.raises(deblai.errors.InvalidValue, match=r"sites: expected finite values, got nan at \[3, 1\]"):
        laguerre(sites)
    with pytest.raises(deblai.errors.InvalidType, match=r"measure\.values: expected an array on cuda:0"):
        laguerre(torch.rand(5, 2, device="cuda"), measure=Grid(torch.ones(2, 2), (0, 0), (1, 1)))
