"""Cells of space on the CUDA backend, on tensors of PyTorch, against the CPU and closed forms."""

import importlib

import deblai
import numpy as np
import pytest
from deblai.measures import Grid, Polytope, UniformBox
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
OCTAHEDRON = 0.5 + 0.5 * np.concatenate([np.eye(3), -np.eye(3)])
VALUES = np.random.default_rng(5).random((4, 5, 3))


def measure_of(kind, dtype, torch=None):
    """Return a measure, its values on the device where PyTorch is given."""
    if kind == "domain":
        return Polytope(OCTAHEDRON)
    if kind == "voxels":
        values = VALUES.astype(dtype)
        return Grid(values if torch is None else torch.as_tensor(values, device="cuda"), (0, 0, 0), (1, 1, 1))
    return UniformBox((0, 0, 0), (1, 1, 1))


def by_neighbour(facets):
    """Add up what a cell has in common with each site and with the border: polyhedra list facets in any order."""
    cell, across, mass, first, second, offset = (np.asarray(v.cpu() if hasattr(v, "cpu") else v) for v in facets)
    pairs, row = np.unique(np.stack([cell, across], 1), axis=0, return_inverse=True)
    columns = np.column_stack([mass, first, second.reshape(-1, 9), mass[:, None] * offset]).astype(np.float64)
    sums = np.zeros((len(pairs), columns.shape[1]))
    np.add.at(sums, row.reshape(-1), columns)
    return pairs, sums


def volume_and_sizes(cells, i):
    """Return the volume that the facets of a cell enclose, and their sorted numbers of corners."""
    vertices, facets = cells.polyhedron(i)
    vertices = np.asarray(vertices.cpu() if hasattr(vertices, "cpu") else vertices).astype(np.float64)
    volume = 0.0
    for facet in facets:
        p = vertices[np.asarray(facet.cpu() if hasattr(facet, "cpu") else facet)]
        volume += sum(np.linalg.det(np.stack([p[0], p[k], p[k + 1]])) for k in range(1, len(p) - 1)) / 6
    return volume, sorted(len(facet) for facet in facets)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kind", "periodic"),
    [("box", False), ("box", True), ("domain", False), ("voxels", False), ("voxels", True)],
)
def test_cells(kind, periodic, dtype):
    """Numbers, gradients through the graph, counts, polyhedra and facets; equal sites have one owner."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    sites, psi = rng.random((300, 3)).astype(dtype), (0.01 * rng.random(300)).astype(dtype)
    sites[1:40:2], psi[1:40:2] = sites[:40:2], psi[:40:2]
    expected = laguerre(sites, psi, measure=measure_of(kind, dtype), periodic=periodic, grad=True)
    on_device = torch.as_tensor(sites, device="cuda").requires_grad_()
    measure = measure_of(kind, dtype, torch)
    found = laguerre(on_device, torch.as_tensor(psi, device="cuda"), measure=measure, periodic=periodic, grad=True)
    assert found.backend == "cuda"
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    for name in ("mass", "centroid", "second_moment", "energy", "value", "empty"):
        value = getattr(found, name)
        assert value.is_cuda
        np.testing.assert_allclose(value.detach().cpu(), getattr(expected, name), atol=tolerance, err_msg=name)
    found.value.backward()
    np.testing.assert_allclose(on_device.grad.cpu(), expected.grad["sites"], atol=tolerance)
    np.testing.assert_array_equal(found.n_vertices.cpu(), expected.n_vertices)
    np.testing.assert_array_equal(found.n_facets.cpu(), expected.n_facets)
    for i in range(60, 80):
        volume, sizes = volume_and_sizes(found, i)
        expected_volume, expected_sizes = volume_and_sizes(expected, i)
        assert abs(volume - expected_volume) < tolerance
        assert sizes == expected_sizes
    assert sorted(found.neighbours_of(0).tolist()) == sorted(expected.neighbours_of(0).tolist())
    assert all(v.is_cuda for v in found.facets())
    for got, want in zip(by_neighbour(found.facets()), by_neighbour(expected.facets()), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9 if dtype == "float64" else 1e-4)


def test_lattice():
    """The cells of a body-centred lattice are truncated octahedra: 14 facets, 24 vertices that three of them share."""
    torch = pytest.importorskip("torch")
    corners = np.stack(np.meshgrid(*3 * [np.arange(6)], indexing="ij"), -1).reshape(-1, 3) / 6
    sites = torch.as_tensor(np.concatenate([corners, corners + 1 / 12]), device="cuda")
    found = laguerre(sites, periodic=True)
    assert (found.n_facets == 14).all()
    assert (found.n_vertices == 24).all()
    edge = np.sqrt(2) / 4 / 6
    areas = np.sort(found.areas_of(3).cpu())
    np.testing.assert_allclose(areas, np.repeat([edge**2, 1.5 * np.sqrt(3) * edge**2], [6, 8]), rtol=1e-12)
    np.testing.assert_allclose(float(found.energy), 3 * 19 / (192 * 2 ** (1 / 3)) / 432 ** (2 / 3), rtol=1e-12)


def test_errors():
    """Bad voxels are found on the device."""
    torch = pytest.importorskip("torch")
    values = torch.ones((2, 3, 4), device="cuda", dtype=torch.float64)
    values[1, 2, 3] = -1
    sites = torch.rand(50, 3, device="cuda", dtype=torch.float64)
    with pytest.raises(deblai.errors.InvalidValue, match=r"measure\.values: .* got -1\.0* at \[1, 2, 3\]"):
        laguerre(sites, measure=Grid(values, (0, 0, 0), (1, 1, 1)))
