"""Laguerre cells: gradients, bad input, threads, fork, interrupts, memory."""

import json
import re

import deblai
import numpy as np
import pytest
from deblai.errors import BackendError, DeblaiError, InvalidType, InvalidValue, OutOfMemory
from deblai.measures import Gaussian, Grid, Samples, UniformBox
from deblai.quantization import laguerre

NAN, INF = np.nan, np.inf
Y, PSI = np.random.default_rng(0).random((12, 2)), 0.01 * np.arange(12.0)
GRID = Grid(np.arange(1.0, 13.0).reshape(3, 4), (0, 0), (1, 2))


def changed(v, value, index=-1):
    out = np.array(v)
    out.flat[index] = value
    return out


def grid_of(values):
    """A Grid whose array was changed after its check."""
    grid = Grid(np.ones((2, 3)), (0, 0), (1, 1))
    grid.values[:] = values
    return grid


@pytest.mark.parametrize("measure", [UniformBox((0, 0), (1, 1)), GRID])
@pytest.mark.parametrize("periodic", [False, True])
def test_gradients(measure, periodic):
    """Central differences of value: 2 m_i (y_i - b_i) in sites, -m_i in psi."""
    found = laguerre(Y, PSI, measure=measure, periodic=periodic, grad=True)
    np.testing.assert_allclose(found.grad["psi"], -found.mass, rtol=1e-15)
    np.testing.assert_allclose(found.grad["sites"], 2 * found.mass[:, None] * (Y - found.centroid), atol=1e-14)
    h = 1e-6
    for name, x in (("sites", Y), ("psi", PSI)):
        for index in np.ndindex(x.shape):
            values = []
            for step in (h, -h):
                moved = {"sites": Y, "psi": PSI} | {
                    name: changed(x, x[index] + step, np.ravel_multi_index(index, x.shape))
                }
                values.append(float(laguerre(**moved, measure=measure, periodic=periodic).value))
            assert (values[0] - values[1]) / (2 * h) == pytest.approx(found.grad[name][index], abs=1e-8)


def test_which_gradients():
    """Names, True for all that were given."""
    assert laguerre(Y).grad == {}
    assert set(laguerre(Y, grad=True).grad) == {"sites"}
    assert set(laguerre(Y, PSI, grad=True).grad) == {"sites", "psi"}
    assert set(laguerre(Y, PSI, grad="psi").grad) == {"psi"}


@pytest.mark.parametrize("measure", ["uniform", "grid"])
@pytest.mark.parametrize("periodic", [False, True])
def test_torch_gradients(measure, periodic):
    """gradcheck in sites and psi; other outputs carry no graph; double backward raises; opcheck."""
    torch = pytest.importorskip("torch")
    y, psi = torch.from_numpy(Y.copy()).requires_grad_(), torch.from_numpy(PSI.copy()).requires_grad_()
    values = torch.from_numpy(GRID.values)
    measure = Grid(values, (0, 0), (1, 2)) if measure == "grid" else UniformBox((0, 0), (1, 1))
    assert torch.autograd.gradcheck(lambda y, p: laguerre(y, p, measure=measure, periodic=periodic).value, (y, psi))
    cells = laguerre(y, psi, measure=measure, periodic=periodic, grad=True)
    assert not any(v.requires_grad for v in (cells.mass, cells.centroid, cells.energy, cells.vertices))
    (3 * cells.value).backward()
    np.testing.assert_allclose(y.grad, 3 * cells.grad["sites"], rtol=1e-14)
    np.testing.assert_allclose(psi.grad, 3 * cells.grad["psi"], rtol=1e-14)
    (first,) = torch.autograd.grad(laguerre(y, psi).value, y, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward is not supported"):
        first.sum().backward()


def test_torch_operator():
    """The operator passes PyTorch's own checks, fake tensors among them."""
    torch = pytest.importorskip("torch")
    y, psi = torch.from_numpy(Y.copy()).requires_grad_(), torch.from_numpy(PSI.copy()).requires_grad_()
    laguerre(y)  # registers
    arguments = ([0.0, 0.0], [1.0, 1.0], False, [])
    tests = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
    torch.library.opcheck(torch.ops.deblai.laguerre.default, (y, psi, None, *arguments), test_utils=tests)
    torch.library.opcheck(torch.ops.deblai.laguerre.default, (y, None, None, *arguments), test_utils=tests)
    form = [torch.from_numpy(v) for v in Gaussian([0.5, 0.4])._form.flat()]
    arguments = (y, psi, None, [0.0, 0.0], [1.0, 1.0], False, form)
    torch.library.opcheck(torch.ops.deblai.laguerre.default, arguments, test_utils=tests)


BAD = [
    ({"sites": changed(Y, NAN)}, InvalidValue, r"sites: expected finite values, got nan at \[11, 1\]"),
    ({"sites": changed(Y, INF, 0)}, InvalidValue, r"sites: expected finite values, got inf at \[0, 0\]"),
    ({"sites": changed(Y, 1e200, 3)}, InvalidValue, r"sites: expected values below 100 powers of ten"),
    ({"sites": Y[:0]}, InvalidValue, r"sites: expected shape \(n, 2\) with n >= 1, got \(0, 2\)"),
    ({"sites": Y[:, :1]}, InvalidValue, r"sites: expected shape \(n, 2\) with n >= 1, got \(12, 1\)"),
    ({"sites": Y[0]}, InvalidValue, r"sites: expected shape \(n, 2\) with n >= 1, got \(2,\)"),
    ({"sites": None}, InvalidType, "sites: expected an array, got None"),
    ({"sites": "grid"}, InvalidType, "sites: expected an array"),
    ({"sites": Y.astype(complex)}, InvalidType, "sites: expected float32 or float64, got complex128"),
    ({"psi": changed(PSI, NAN, 2)}, InvalidValue, r"psi: expected finite values, got nan at \[2, 0\]"),
    ({"psi": changed(PSI, 1e250, 2)}, InvalidValue, r"psi: expected values below 200 powers of ten"),
    ({"psi": PSI[:5]}, InvalidValue, r"psi: expected 12 values to match sites, got shape \(5,\)"),
    ({"psi": PSI.astype(np.float32)}, InvalidType, "psi: expected float64 to match sites, got float32"),
    (
        {"measure": None},
        InvalidType,
        r"measure: expected measures.UniformBox, .* or measures.Piece.*, got NoneType",
    ),
    (
        {"measure": Samples(Y)},
        InvalidType,
        r"measure: expected measures.UniformBox, .* or measures.Piece.*, got Samples",
    ),
    ({"measure": UniformBox((0,), (1,))}, InvalidValue, "measure: expected 2 or 3 dimensions, got 1"),
    ({"measure": UniformBox((0, 0), (1e-200, 1))}, InvalidValue, "measure: expected a box with sides"),
    ({"measure": grid_of(-1.0)}, InvalidValue, "measure.values: expected finite nonnegative values"),
    ({"measure": grid_of(NAN)}, InvalidValue, "measure.values: expected finite"),
    ({"measure": grid_of(0.0)}, InvalidValue, "measure.values: expected"),
    ({"periodic": 1}, InvalidType, "periodic: expected True or False, got 1"),
    ({"grad": "mass"}, InvalidValue, r"grad: expected names among \('sites', 'psi'\), got 'mass'"),
    ({"grad": "psi", "psi": None}, InvalidValue, "grad: 'psi' was not given, so it has no gradient"),
    ({"grad": 3}, InvalidType, "grad: expected True, False or names among"),
]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(("arguments", "kind", "message"), BAD)
def test_bad_input(arguments, kind, message, backend):
    """One line, the operation, the argument; the reference does not say where a bad entry is."""
    message = message.partition(":")[0] if backend == "reference" else message
    with pytest.raises(DeblaiError) as caught, deblai.use_backend(backend):
        laguerre(**{"sites": Y, "psi": PSI} | arguments)
    assert type(caught.value) is kind
    assert re.match(rf"\[quantization\.laguerre\] {message}", str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_mixed_libraries():
    """Sites, psi and values are of one library; a Grid of the other float dtype is converted."""
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidType, match=r"psi: expected a PyTorch array to match sites, got a NumPy array"):
        laguerre(torch.from_numpy(Y), PSI)
    with pytest.raises(InvalidType, match=r"measure.values: expected a PyTorch array to match sites"):
        laguerre(torch.from_numpy(Y), measure=GRID)
    assert laguerre(Y.astype(np.float32), measure=GRID).mass.dtype == np.float32
    with deblai.use_backend("cuda"), pytest.raises(BackendError, match="the arrays are on the cpu"):
        laguerre(Y)


def test_memory(monkeypatch):
    """A run that would not fit says so before it starts; the estimate is about 53 bytes a site."""
    from deblai import _backend, _core, _dlpack

    sites = np.broadcast_to(0.5, (20_000_000, 2))
    view = _dlpack.view(sites)
    assert 45 < _core.laguerre_workspace(view, None, None, 1) / 2e7 < 60
    monkeypatch.setattr(_backend, "available_memory", lambda: 1 << 20)
    with pytest.raises(OutOfMemory, match=r"\[quantization.laguerre\] the workspace would take [\d.]+ GiB"):
        laguerre(sites)


@pytest.mark.parametrize("kind", ["voronoi", "laguerre", "grid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_do_not_depend_on_the_number_of_threads(kind, dtype):
    """1, 2, 3 and 8 threads, to the bit: numbers and polygons."""
    rng = np.random.default_rng(3)
    sites, psi = rng.random((20_000, 2)).astype(dtype), (1e-5 * rng.random(20_000)).astype(dtype)
    measure = Grid(rng.random((50, 40)), (0, 0), (1, 1)) if kind == "grid" else UniformBox((0, 0), (1, 1))
    results = []
    for threads in (1, 2, 3, 8):
        with deblai.use_backend(threads=threads):
            c = laguerre(sites, None if kind == "voronoi" else psi, measure=measure, periodic=True, grad=True)
        arrays = (c.mass, c.centroid, c.second_moment, c.energy, c.value, c.grad["sites"], c.offsets)
        results.append([*arrays, c.vertices, c.neighbours])
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_after_fork(python):
    """A child of a process that used threads computes the same numbers."""
    python("""
import os, select, sys
import numpy as np, deblai
sites = np.random.default_rng(0).random((20_000, 2))
def compute():
    with deblai.use_backend(threads=4):
        c = deblai.quantization.laguerre(sites)
    return repr((float(c.value), c.vertices.sum())).encode()
expected = compute()
read, write = os.pipe()
child = os.fork()
if not child:
    os.write(write, compute())
    os._exit(0)
if not select.select([read], [], [], 20)[0]:
    os.kill(child, 9)
    sys.exit("the child hangs")
assert os.read(read, 1000) == expected
assert os.waitpid(child, 0)[1] == 0
""")


def test_interrupt(python):
    """Ctrl-C: .result holds the cells done, complete False and mass NaN elsewhere; and their polygons."""
    done = python("""
import json, os, signal, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
measure = deblai.measures.Grid(rng.random((3000, 3000)), (0, 0), (1, 1))
sites = rng.random((300_000, 2))
deblai.set_num_threads(1)
start = time.perf_counter()
deblai.quantization.laguerre(sites, measure=measure)
whole = time.perf_counter() - start
said = None
for share in (0.7, 0.8, 0.6, 0.9):
    threading.Timer(share * whole, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        deblai.quantization.laguerre(sites, measure=measure)
        time.sleep(whole)
    except deblai.Interrupted as error:
        r = error.result
        if r is None:
            continue
        said = dict(message=str(error), done=int(r.complete.sum()), nan=int(np.isnan(r.mass).sum()),
                    empty=int(r.empty.sum()), mass=float(np.nansum(r.mass)), energy=float(r.energy), text=repr(r),
                    vertices=len(r.vertices), least=float(r.vertices.min()), neighbours=int((r.neighbours < -1).sum()))
        break
    except KeyboardInterrupt:
        continue
assert deblai.quantization.laguerre(sites[:100]).complete.all()
print(json.dumps(said))
""")
    said = json.loads(done.stdout)
    assert 0 < said["done"] < 300_000
    assert said["nan"] == 300_000 - said["done"]
    assert said["empty"] == 0
    assert 0 < said["mass"] < 1
    assert np.isnan(said["energy"])
    assert f"complete={said['done']}" in said["text"]
    assert said["message"] == f"[quantization.laguerre] interrupted after {said['done']} of 300000 cells"
    assert said["vertices"] == pytest.approx(6 * said["done"], rel=0.01)
    assert said["least"] >= -1e-15
    assert said["neighbours"] == 0
