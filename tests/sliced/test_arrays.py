"""Arrays in and out: libraries, dtypes, devices, layouts, no copies, and what is refused."""

import gc
import os
import sys
import weakref

import deblai
import numpy as np
import pytest
from deblai.sliced import gradient_flow, wasserstein

DTYPES = ("float32", "float64")
ARRAYS = ("value", "value_p", "stderr", "stderr_p", "per_direction", "directions")


def data(n=30, m=20, d=3):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)), rng.random(n), rng.random(m)


def device(array):
    if isinstance(array, np.ndarray | np.generic):
        return "cpu"
    return next(iter(array.devices())).platform if hasattr(array, "devices") else str(array.device)


# --- in and out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_type_dtype_and_device_of_every_output(library, dtype, backend):
    """What comes in goes out, on every backend."""
    x, y, a, b = (library.array(v, dtype) for v in data())
    with deblai.use_backend(backend):
        r = wasserstein(x, y, a, b, grad=True, rng=0)
    outputs = [getattr(r, name) for name in ARRAYS] + list(r.grad.values())
    assert len(outputs) == 10
    for out in outputs:
        assert out.shape == () or isinstance(out, library.array_type)
        assert library.dtype(out) == dtype
        assert device(out) == "cpu"
    for name in ARRAYS[:4]:
        assert library.is_scalar(getattr(r, name)), name
    assert tuple(r.per_direction.shape) == (100,)
    assert tuple(r.directions.shape) == (100, 3)
    for name, v in zip("xyab", (x, y, a, b), strict=True):
        assert tuple(r.grad[name].shape) == tuple(v.shape)
    assert r.backend.partition("/")[0] == backend


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_numbers_from_every_library(library, dtype):
    """Values and gradients equal NumPy's to the bit, but for the last root of PyTorch."""
    arguments = [v.astype(dtype) for v in data()]
    expected = wasserstein(*arguments, p=1.5, grad=True, rng=0)
    r = wasserstein(*(library.array(v, dtype) for v in arguments), p=1.5, grad=True, rng=0)
    assert float(r.value_p) == float(expected.value_p)
    assert float(r.value) == pytest.approx(float(expected.value), rel=4 * float(np.finfo(dtype).eps))
    for name, gradient in expected.grad.items():
        assert np.array_equal(library.numpy(r.grad[name]), gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_flow_in_every_library(library, dtype):
    """gradient_flow returns the particles in the caller's library; the start is not changed."""
    x, y, *_ = (v.astype(dtype) for v in data())
    start = library.array(x, dtype)
    r = gradient_flow(start, library.array(y, dtype), n_steps=3, rng=0)
    assert isinstance(r.x, library.array_type)
    assert library.dtype(r.x) == dtype
    assert np.array_equal(library.numpy(start), x)
    expected = gradient_flow(x, y, n_steps=3, rng=0)
    np.testing.assert_allclose(library.numpy(r.x), expected.x, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_jax_without_x64():
    """JAX as it comes, float32 only: nothing is widened, nothing warns."""
    jax = pytest.importorskip("jax")
    with jax.enable_x64(False):
        x, y, *_ = (jax.numpy.asarray(v, "float32") for v in data())
        r = wasserstein(x, y, grad=True, rng=0)
        assert {str(getattr(r, name).dtype) for name in ARRAYS} == {"float32"}
        assert str(r.grad["x"].dtype) == "float32"


def test_given_directions_come_back(library):
    """result.directions is the array that was given."""
    x, y, *_ = (library.array(v) for v in data())
    theta = library.array(np.eye(3))
    assert wasserstein(x, y, directions=theta).directions is theta


def test_lists_and_integers():
    """Lists, tuples and integer NumPy arrays become float64, or the dtype of the others."""
    r = wasserstein([[0, 0], [1, 2]], ((1, 0), (1, 1)), [1, 2], rng=0, grad=True)
    floats = wasserstein(np.array([[0.0, 0], [1, 2]]), np.array([[1.0, 0], [1, 1]]), np.array([1.0, 2]), rng=0)
    assert r.value == floats.value
    assert r.value.dtype == r.grad["x"].dtype == np.float64
    for integer in ("int8", "uint8", "int32", "int64", "uint64", ">i4"):
        x = np.array([[0, 0], [1, 2]], integer)
        assert wasserstein(x, [[1, 0], [1, 1]], [1, 2], rng=0).value == floats.value
        assert wasserstein(x, np.ones((3, 2), np.float32), rng=0).value.dtype == np.float32


def test_a_vector_is_points_of_the_line(library):
    """(n,) and (n, 1) are the same, also mixed."""
    x, y = library.array([0.0, 1.0, 3.0]), library.array([5.0, 6.0, 8.5])
    column = library.array([[5.0], [6.0], [8.5]])
    assert float(wasserstein(x, y).value) == float(wasserstein(x, column).value)


# --- layouts --------------------------------------------------------------------------------------------------------


def test_any_strides_of_numpy():
    """Fortran order, steps, reversals, broadcasts, read-only and unaligned arrays give what a copy gives."""
    x, y, *_ = data()
    expected = wasserstein(x, y, rng=0).value
    wide = np.full((60, 9), np.nan)
    wide[::2, 1::3] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    unaligned = np.empty(x.nbytes + 1, np.uint8)[1:].view(np.float64).reshape(x.shape)
    unaligned[:] = x
    for v in (np.asfortranarray(x), wide[::2, 1::3], x[::-1].copy()[::-1], frozen, unaligned):
        assert wasserstein(v, y, rng=0).value == expected
    point = np.broadcast_to(x[0], (17, 3))
    assert wasserstein(point, y, rng=0).value == wasserstein(point.copy(), y, rng=0).value


def test_fields_of_a_structure_are_refused_by_name():
    """Strides that are no multiple of the item size cannot be said in DLPack: an error, not wrong numbers."""
    table = np.zeros(10, [("position", "f8"), ("label", "i4")])
    with pytest.raises(deblai.errors.InvalidType, match=r"\[sliced.wasserstein\] y: .* array that DLPack"):
        wasserstein(np.arange(10.0), table["position"])


def test_any_strides_of_torch():
    """Transposes, steps, expansions, negated views, and tensors that require a gradient."""
    torch = pytest.importorskip("torch")
    x, y, *_ = (torch.from_numpy(v) for v in data())
    expected = wasserstein(x, y, rng=0).value
    wide = torch.full((60, 9), float("nan"), dtype=torch.float64)
    wide[::2, 1::3] = x
    negated = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert negated.is_neg()
    for v in (x.T.contiguous().T, wide[::2, 1::3], x.clone().requires_grad_(), torch.nn.Parameter(x), negated):
        assert wasserstein(v, y, rng=0).value == expected
    point = x[:1].expand(17, 3)
    assert wasserstein(point, y, rng=0).value == wasserstein(point.clone(), y, rng=0).value


def test_subclasses_of_arrays_are_arrays(tmp_path):
    """np.memmap and other plain subclasses are read as what they are."""
    x, y, *_ = data()
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float64, mode="r", shape=x.shape)
    assert wasserstein(mapped, y, rng=0).value == wasserstein(x, y, rng=0).value


# --- no copies ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_view_sees_what_is_written_later(name, get):
    """The view of an array is its memory: a change of the array changes what the kernel reads."""
    from deblai import _array, _core, _dlpack

    library = get(name)
    x = library.array([[0.0], [0.0]])
    view = _array.library_of(x).view
    seen, other, one = view(x), view(library.array([[0.0], [0.0]])), view(library.array([[1.0]]))
    cost = np.empty(1)
    for value in (1.0, 5.0):
        x[:] = value
        _core.sliced(seen, other, None, None, one, 1.0, _dlpack.view(cost, True), None, None, None, None, 1, "")
        assert cost[0] == value


def resident_peak():
    """The largest resident memory so far, in bytes."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_arrays_are_not_copied(library):
    """160 MB of points are read in place: the peak of memory grows by the rows of one direction."""
    x = library.array(np.ones((500_000, 80), np.float32), "float32")
    one = library.array(np.ones((1, 1)), "float32")
    wasserstein(one, one, grad="x")  # whatever the first call allocates
    gc.collect()
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # forget the peak
    before = resident_peak()
    theta = library.array(np.ones((1, 80)), "float32")
    r = wasserstein(x, x, directions=theta)
    assert float(r.value) == 0
    assert resident_peak() - before < 60 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="may allocate what it must not elsewhere")
def test_arrays_larger_than_their_memory():
    """A broadcast of one row to 8 GB is read as it is: nothing that size is ever allocated."""
    x = np.broadcast_to(np.arange(2000.0), (500_000, 2000))
    theta = np.zeros((1, 2000))
    theta[0, 7] = 1
    assert x.nbytes == 8_000_000_000
    before = resident_peak()
    assert wasserstein(x, x[:1] * 0, directions=theta).value == pytest.approx(7, rel=1e-10)
    assert resident_peak() - before < 100 << 20


def test_nothing_keeps_an_array_alive():
    """After the call no view holds the caller's array; while a capsule lives, it does."""
    from deblai import _dlpack

    x = np.ones((10, 2))
    ref = weakref.ref(x)
    wasserstein(x, x, rng=0, grad=True)
    capsule = _dlpack.view(x)
    del x
    gc.collect()
    assert ref() is not None
    del capsule
    gc.collect()
    assert ref() is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_repeated_calls_do_not_leak(library):
    """Five hundred calls with 160 kB of outputs each, and as many refused ones, leave memory where it was."""
    x = library.array(np.ones((10_000, 1)))
    bad = library.array(np.full((10_000, 1), np.nan))

    def resident():
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def calls(n):
        for _ in range(n):
            wasserstein(x, x, grad=True)
            with pytest.raises(ValueError, match="finite"):
                wasserstein(x, bad)

    calls(50)
    before = resident()
    calls(500)
    assert resident() - before < 20 << 20


# --- what is refused ------------------------------------------------------------------------------------------------


def refuses(message, *arguments, **options):
    with pytest.raises(deblai.errors.InvalidType, match=rf"^\[sliced\.wasserstein\] {message}"):
        wasserstein(*arguments, **options)


@pytest.mark.parametrize(
    ("one", "other"), [("numpy", "torch"), ("torch", "numpy"), ("numpy", "jax"), ("jax", "torch"), ("torch", "jax")]
)
def test_mixed_libraries(one, other, get):
    """An error that names both; nothing is converted silently."""
    one, other = get(one), get(other)
    x, y, a, b = data()
    match = rf"expected a {one.title} array to match x, got a {other.title} array"
    refuses(rf"y: {match}", one.array(x), other.array(y))
    refuses(rf"b: {match}", one.array(x), one.array(y), one.array(a), other.array(b))
    refuses(rf"directions: {match}", one.array(x), one.array(y), directions=other.array(np.eye(3)))
    with pytest.raises(deblai.errors.InvalidType, match=rf"\[sliced.gradient_flow\] target: {match}"):
        gradient_flow(one.array(x), other.array(y))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_lists_among_tensors(name, get):
    """A list beside a tensor: a guess at its dtype and device would be one too many."""
    library = get(name)
    x, y, *_ = data()
    refuses(rf"y: expected a {library.title} array to match x, got list", library.array(x), y.tolist())


def test_mixed_dtypes(library):
    """float32 with float64 is an error, in either order and for weights."""
    x, y, a, _ = data()
    single, double = library.array(x, "float32"), library.array(y)
    refuses("y: expected float32 to match x, got float64", single, double)
    refuses("y: expected float64 to match x, got float32", double, single)
    refuses("a: expected float32 to match x, got float64", single, library.array(y, "float32"), library.array(a))


@pytest.mark.parametrize("dtype", ["float16", "int32", "bool", "complex64"])
def test_other_dtypes(library, dtype):
    """Half, complex and boolean arrays are refused, integers too but for NumPy's."""
    x = library.array(np.ones((4, 2)), dtype)
    y = library.array(np.ones((4, 2)))
    if (library.name, dtype) == ("numpy", "int32"):
        assert wasserstein(x, y, rng=0).value == 0
        return
    refuses(f"x: expected float32 or float64, got {dtype}", x, y)
    refuses(f"y: expected float32 or float64, got {dtype}", y, x)


def test_other_dtypes_of_numpy():
    """Objects, strings, dates, long doubles, other byte orders."""
    y = np.ones((4, 2))
    for dtype in (object, "U3", "S3", "M8[s]", np.longdouble, ">f8", ">f4", "V8"):
        refuses("x: expected float32 or float64, got", np.zeros((4, 2), dtype), y)


def test_bfloat16():
    """bfloat16 of PyTorch and of JAX."""
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    refuses("x: expected float32 or float64, got bfloat16", torch.ones(4, 2).bfloat16(), torch.ones(4, 2))
    half = jax.numpy.ones((4, 2), "bfloat16")
    refuses("x: expected float32 or float64, got bfloat16", half, half)


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_masked_arrays(dtype):
    """A mask would be lost."""
    masked = np.ma.array(np.ones(4, dtype), mask=[True, False, False, False])
    refuses("x: expected a plain array, got a masked one", masked, np.ones(4))
    refuses("a: expected a plain array, got a masked one", np.ones(4), np.ones(4), masked)


@pytest.mark.parametrize("thing", ["text", b"bytes", 3.0, 3, {"a": 1}, {1.0}, object(), (v for v in [1.0])])
def test_things_that_are_no_arrays(thing):
    """Strings, numbers, dictionaries, sets, generators."""
    refuses("x: expected an array of NumPy, PyTorch, JAX or CuPy, or a list, got", thing, np.ones(4))


def test_scalars_of_numpy():
    """np.float64(3) is no cloud."""
    refuses("x: expected an array, got the scalar", np.float64(3), np.ones(4))


@pytest.mark.parametrize("values", [[[1.0, 2.0], [3.0]], ["a", "b"], [1.0, None], [1j, 2j], [True, False]])
def test_lists_that_are_no_numbers(values):
    """Ragged lists, strings, None, complex numbers, booleans."""
    refuses("x: expected (numbers|a rectangular list of numbers)", values, np.ones(2))


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_and_foreign_tensors():
    """Sparse layouts, and a device that is neither the CPU nor CUDA (PyTorch's "meta" stands in for one)."""
    torch = pytest.importorskip("torch")
    x = torch.ones(4, 4)
    refuses("x: expected a dense tensor, got layout torch.sparse_coo", x.to_sparse(), x)
    refuses("y: expected a dense tensor, got layout torch.sparse_csr", x, x.to_sparse_csr())
    meta = torch.ones(4, 4, device="meta")
    refuses("x: expected an array on the CPU or a CUDA device, got meta", meta, meta)
    refuses("y: expected an array on the CPU or a CUDA device, got meta", x, meta)


def test_mixed_devices(monkeypatch):
    """An error that names both devices (a second device is feigned: this needs no GPU)."""
    torch = pytest.importorskip("torch")
    from deblai import _array

    x, y = torch.ones(4, 4), torch.ones(3, 4)
    monkeypatch.setattr(_array.Torch, "device", lambda self, t: "cuda:0" if t is y else "cpu")
    refuses("y: expected an array on cpu to match x, got one on cuda:0", x, y)


def test_arrays_on_cuda_without_cuda_kernels(monkeypatch):
    """A build without CUDA kernels says what to do (the device is feigned)."""
    torch = pytest.importorskip("torch")
    from deblai import _array, _backend

    monkeypatch.setattr(_array.Torch, "device", lambda self, t: "cuda:0")
    monkeypatch.setattr(_backend, "cuda_module", lambda: None)
    monkeypatch.setattr(_backend, "_plans", {})
    x = torch.ones(4, 4)
    with pytest.raises(deblai.errors.BackendError, match=r"\[sliced.wasserstein\] the arrays are on cuda:0, but this"):
        wasserstein(x, x)
    for backend in ("cpu", "reference"):
        with (
            deblai.use_backend(backend),
            pytest.raises(deblai.errors.BackendError, match=rf"'{backend}' was asked for, but the arrays are on cuda"),
        ):
            wasserstein(x, x)


@pytest.mark.parametrize("transform", ["jit", "grad", "vmap"])
def test_tracers_of_jax(transform):
    """Inside jit, grad and vmap there are no values yet; gradient_flow has no adapter that would wait for them."""
    jax = pytest.importorskip("jax")
    x = jax.numpy.ones((2, 4, 3) if transform == "vmap" else (4, 3))
    with pytest.raises(deblai.errors.InvalidType, match=r"\[sliced.gradient_flow\] x: .* tracer; call it outside jit"):
        getattr(jax, transform)(lambda v: gradient_flow(v, v).x.sum())(x)


@pytest.mark.parametrize("transform", ["grad", "vmap"])
def test_transforms_of_torch(transform):
    """Tensors of torch.func hold no values that a kernel could read either."""
    torch = pytest.importorskip("torch")
    x = torch.ones((2, 4, 3) if transform == "vmap" else (4, 3))
    with pytest.raises(deblai.errors.InvalidType, match=r"\[sliced.wasserstein\] x: .* call it outside vmap and grad"):
        getattr(torch.func, transform)(lambda v: wasserstein(v, v).value)(x)
