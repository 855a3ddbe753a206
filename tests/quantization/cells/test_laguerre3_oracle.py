"""Laguerre cells of space against brute force, facet by facet, in NumPy; gradients, bad input, threads, memory."""

import re

import deblai
import numpy as np
import pytest
from deblai.errors import DeblaiError, InvalidType, InvalidValue, OutOfMemory
from deblai.measures import Grid, Polytope, UniformBox
from deblai.quantization import laguerre
from deblai.reference import laguerre3 as oracle

Y, PSI = np.random.default_rng(0).random((9, 3)), 0.01 * np.arange(9.0)
CUBE = UniformBox((0, 0, 0), (1, 1, 1))


def voronoi(rng, n):
    return rng.random((n, 3)), None


def power(rng, n):
    return rng.random((n, 3)), 10.0 ** -rng.integers(0, 4) * rng.random(n)


def wide(rng, n):
    return rng.random((n, 3)), 10 * rng.random(n)


def outside(rng, n):
    return 4 * rng.random((n, 3)) - 1.5, rng.random(n)


def thirds(rng, n):
    return rng.integers(0, 3, (n, 3)) / 3 + rng.integers(0, 2) / 6, None


def quarters(rng, n):
    return rng.integers(0, 4, (n, 3)) / 4, rng.integers(0, 3, n) / 16


def flat(rng, n):
    sites = rng.random((n, 3))
    sites[:, 2 - rng.integers(0, 2) :] = 0.5
    return sites, None


def clustered(rng, n):
    return 0.5 + 10.0 ** -rng.integers(0, 7, (n, 1)) * (rng.random((n, 3)) - 0.5), None


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("kind", [voronoi, power, wide, outside, thirds, quarters, flat, clustered])
def test_oracle(kind, periodic):
    """Masses, first and second moments to 1e-11, masses add up to 1e-12; numbers of facets where they are clear."""
    rng = np.random.default_rng(1)
    for trial in range(6 if periodic else 40):
        n = int(rng.integers(1, 7 if periodic else 16))
        sites, psi = kind(rng, n)
        low, high = ((0, 0, 0), (1, 1, 1)) if trial % 2 else ((-0.5, 0, 0.1), (1, 1.5, 1))
        cells = laguerre(sites, psi, measure=UniformBox(low, high), periodic=periodic)
        dtype = np.longdouble if kind is clustered else np.float64
        expected = oracle.cells(sites, psi, low, high, periodic, dtype)
        assert abs(cells.mass.sum() - 1) < 1e-12
        np.testing.assert_allclose(cells.mass, expected.mass, atol=1e-11)
        scale = max(1.0, expected.second_moment.max())
        np.testing.assert_allclose(cells.second_moment, expected.second_moment, atol=1e-11 * scale)
        for c in (cells, expected):
            assert c.centroid.shape == (n, 3)
        np.testing.assert_allclose(
            cells.mass[:, None] * cells.centroid, cells.mass[:, None] * expected.centroid, atol=1e-11
        )
        if kind is not clustered:
            counts = np.diff(oracle.polyhedra(expected, sites).offsets, axis=0)
            assert cells.n_vertices.tolist() == counts[:, 0].tolist()
            assert cells.n_facets.tolist() == counts[:, 1].tolist()


@pytest.mark.parametrize("periodic", [False, True])
def test_relative_accuracy(periodic):
    """Cells a million times smaller than the box have relative errors of their own size only."""
    rng = np.random.default_rng(2)
    sites = np.concatenate([rng.random((10, 3)), 0.5 + 2.0**-20 * (rng.random((200, 3)) - 0.5)])
    fine = laguerre(sites, periodic=periodic)
    alone = laguerre((sites[10:] - 0.5) * 2.0**19 + 0.5)
    inner = [i for i in range(200) if (alone.neighbours[slice(*alone.facet_offsets[i : i + 2])] >= 0).all()]
    inner = [i for i in inner if np.abs(alone.polyhedron(i)[0] - 0.5).max() < 0.25]
    assert len(inner) > 10
    np.testing.assert_allclose(fine.mass[10:][inner] * 2.0**57, alone.mass[inner], rtol=1e-8)


def test_reference_backend():
    """The same result from the reference, polyhedra and neighbours included."""
    one = laguerre(Y, PSI, grad=True)
    with deblai.use_backend("reference"):
        other = laguerre(Y, PSI, grad=True)
        assert other.backend == "reference"
        assert other.neighbours.shape == one.neighbours.shape
    for name in ("mass", "centroid", "second_moment", "value"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-13)
    np.testing.assert_allclose(other.grad["sites"], one.grad["sites"], atol=1e-13)
    for i in range(len(Y)):
        across, area = one.neighbours_of(i), one.areas_of(i)
        its_across, its_area = other.neighbours_of(i), other.areas_of(i)
        np.testing.assert_array_equal(np.sort(across), np.sort(its_across))
        np.testing.assert_allclose(area[np.argsort(across)], its_area[np.argsort(its_across)], atol=1e-12)
        vertices, facets = other.polyhedron(i)
        assert sorted(map(len, facets)) == sorted(map(len, one.polyhedron(i)[1]))
        np.testing.assert_allclose(vertices.min(0), one.polyhedron(i)[0].min(0), atol=1e-12)


@pytest.mark.parametrize("periodic", [False, True])
def test_gradients(periodic):
    """Central differences of value: 2 m_i (y_i - b_i) in sites, -m_i in psi."""
    found = laguerre(Y, PSI, periodic=periodic, grad=True)
    h = 1e-6
    for name, x in (("sites", Y), ("psi", PSI)):
        for index in np.ndindex(x.shape):
            values = []
            for step in (h, -h):
                moved = {"sites": Y.copy(), "psi": PSI.copy()}
                moved[name][index] += step
                values.append(float(laguerre(**moved, periodic=periodic).value))
            assert (values[0] - values[1]) / (2 * h) == pytest.approx(found.grad[name][index], abs=1e-8)


def test_torch():
    """gradcheck in sites and psi; PyTorch's own checks of the operator."""
    torch = pytest.importorskip("torch")
    y, psi = torch.from_numpy(Y.copy()).requires_grad_(), torch.from_numpy(PSI.copy()).requires_grad_()
    assert torch.autograd.gradcheck(lambda y, p: laguerre(y, p, periodic=True).value, (y, psi))
    arguments = (y, psi, None, [0.0] * 3, [1.0] * 3, False, [])
    tests = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(torch.ops.deblai.laguerre.default, arguments, test_utils=tests)


def test_jax():
    """Inside jit, grad and vmap; polyhedra want concrete arrays."""
    jax = pytest.importorskip("jax")
    y, psi = jax.numpy.asarray(Y), jax.numpy.asarray(PSI)
    expected = laguerre(Y, PSI, grad=True)
    gradients = jax.grad(lambda y, p: laguerre(y, p).value, (0, 1))(y, psi)
    np.testing.assert_allclose(gradients[0], expected.grad["sites"], atol=1e-14)
    np.testing.assert_allclose(gradients[1], expected.grad["psi"], atol=1e-14)
    cells = jax.jit(lambda y: laguerre(y, psi))(y)
    assert type(cells) is deblai.results.Cells3
    np.testing.assert_allclose(cells.mass, expected.mass, atol=1e-15)
    for name in ("vertices", "n_facets"):
        with pytest.raises(InvalidType, match="expected concrete arrays to compute polygons or polyhedra"):
            getattr(cells, name)
    many = jax.vmap(lambda y: laguerre(y).mass)(jax.numpy.stack([y, y + 0.01]))
    np.testing.assert_allclose(many[0], laguerre(Y).mass, atol=1e-15)


BAD = [
    ({"sites": np.where(np.arange(27).reshape(9, 3) == 25, np.nan, Y)}, InvalidValue, r"sites: .* got nan at \[8, 1\]"),
    ({"sites": np.where(np.arange(27).reshape(9, 3) == 3, 1e200, Y)}, InvalidValue, "sites: expected values below 100"),
    ({"sites": Y[:0]}, InvalidValue, r"sites: expected shape \(n, 3\) with n >= 1, got \(0, 3\)"),
    ({"sites": Y[:, :2]}, InvalidValue, r"sites: expected shape \(n, 3\) with n >= 1, got \(9, 2\)"),
    ({"psi": PSI[:5]}, InvalidValue, r"psi: expected 9 values to match sites, got shape \(5,\)"),
    ({"psi": np.full(9, np.inf)}, InvalidValue, r"psi: expected finite values, got inf at \[0, 0\]"),
    (
        {"measure": Grid(np.ones((2, 2, 2)), (0,) * 3, (1,) * 3), "psi": np.full(9, 1e300)},
        InvalidValue,
        "psi: expected values below 200 powers of ten",
    ),
    ({"measure": UniformBox((0,) * 4, (1,) * 4)}, InvalidValue, "measure: expected 2 or 3 dimensions, got 4"),
    ({"measure": UniformBox((0,) * 3, (1, 1, 1e-200))}, InvalidValue, "measure: expected a box with sides"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), BAD)
def test_bad_input(arguments, kind, message):
    """One line, the operation, the argument."""
    with pytest.raises(DeblaiError) as caught:
        laguerre(**{"sites": Y, "psi": PSI, "measure": CUBE} | arguments)
    assert type(caught.value) is kind
    assert re.match(rf"\[quantization\.laguerre\] {message}", str(caught.value)), str(caught.value)


@pytest.mark.parametrize("name", ["box", "voxels", "domain"])
def test_on_a_gpu(name, monkeypatch):
    """What a GPU's kernels are handed, and what is made of what they write; the CPU's stand in for them."""
    from deblai import _backend, _core

    def stand_in(kernel):
        def call(*given):
            *most, stream, device = given
            assert (stream, device) == (0, 0)
            return kernel(*most, 1, "")

        return staticmethod(call)

    class Module:
        laguerre3 = stand_in(_core.laguerre3)
        laguerre3_facets = stand_in(_core.laguerre3_facets)
        laguerre3_polyhedra = stand_in(_core.laguerre3_polyhedra)

    voxels = Grid(np.arange(8.0).reshape(2, 2, 2), (0,) * 3, (1,) * 3)
    measure = {"box": CUBE, "voxels": voxels, "domain": Polytope([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])}[name]
    want = laguerre(Y, PSI, measure=measure, grad=True)
    plan = _backend.plan("quantization.laguerre", "cpu")._replace(backend="cuda", label="cuda")
    monkeypatch.setattr(_backend, "plan", lambda *_: plan)
    monkeypatch.setattr(_backend, "cuda_module", lambda: Module)
    got = laguerre(Y, PSI, measure=measure, grad=True)
    assert got.backend == "cuda"
    for a, b in zip(got.facets(), want.facets(), strict=True):
        np.testing.assert_array_equal(a, b)
    for of in ("mass", "n_facets", "vertices", "corners", "areas", "neighbours"):
        np.testing.assert_array_equal(getattr(got, of), getattr(want, of))
    np.testing.assert_array_equal(got.grad["sites"], want.grad["sites"])


def test_memory(monkeypatch):
    """A run that would not fit says so before it starts; the estimate is about 70 bytes a site."""
    from deblai import _backend, _core, _dlpack

    sites = np.broadcast_to(0.5, (20_000_000, 3))
    assert 60 < _core.laguerre3_workspace(_dlpack.view(sites), None, None, 1) / 2e7 < 80
    monkeypatch.setattr(_backend, "available_memory", lambda: 1 << 20)
    with pytest.raises(OutOfMemory, match=r"\[quantization.laguerre\] the workspace would take [\d.]+ GiB"):
        laguerre(sites)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_do_not_depend_on_the_number_of_threads(dtype):
    """1, 2, 3 and 8 threads, to the bit: numbers and polyhedra."""
    rng = np.random.default_rng(3)
    sites, psi = rng.random((4000, 3)).astype(dtype), (1e-3 * rng.random(4000)).astype(dtype)
    results = []
    for threads in (1, 2, 3, 8):
        with deblai.use_backend(threads=threads):
            c = laguerre(sites, psi, periodic=True, grad=True)
            arrays = (c.mass, c.centroid, c.second_moment, c.energy, c.value, c.grad["sites"])
            results.append([*arrays, c.offsets, c.vertices, c.areas, c.neighbours, c.corners])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_instruction_sets():
    """Each within rounding of the others; float32 sites are taken as they are."""
    rng = np.random.default_rng(4)
    sites = rng.random((2000, 3)).astype(np.float32)
    expected = laguerre(sites.astype(np.float64), periodic=True)
    for simd in ("baseline", "avx2", "avx512"):
        try:
            with deblai.use_backend(simd=simd):
                cells = laguerre(sites.astype(np.float64), periodic=True)
                single = laguerre(sites, periodic=True)
        except DeblaiError:
            continue  # not on this machine
        np.testing.assert_allclose(cells.mass, expected.mass, rtol=1e-11)
        np.testing.assert_array_equal(cells.n_facets, expected.n_facets)
        np.testing.assert_array_equal(single.mass, cells.mass.astype(np.float32))
