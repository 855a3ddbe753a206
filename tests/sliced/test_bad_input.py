"""Every public function refuses bad arguments with its own class and a message "[operation] argument: ...".

One table a function: arguments, the class, what the message says after the operation.
"""

import inspect
import re

import deblai
import numpy as np
import pytest
from deblai.errors import BackendError, DeblaiError, InvalidType, InvalidValue, OutOfMemory
from deblai.sliced import gradient_flow, wasserstein

NAN, INF = np.nan, np.inf
X, Y = np.arange(12.0).reshape(4, 3), np.ones((5, 3))
A, B = np.ones(4), np.ones(5)


def changed(v, value, index=-1):
    out = np.array(v)
    out.flat[index] = value
    return out


def single(v):
    return np.asarray(v, np.float32)


SLICED = [
    # NaN and infinities, wherever they are
    ({"x": changed(X, NAN)}, InvalidValue, r"x: expected finite values, got nan at \[3, 2\]"),
    ({"x": changed(X, INF, 0)}, InvalidValue, r"x: expected finite values, got inf at \[0, 0\]"),
    ({"y": changed(Y, -INF, 4)}, InvalidValue, r"y: expected finite values, got -inf at \[1, 1\]"),
    ({"x": X[:, ::2], "y": changed(Y, NAN, 3)[:, ::2]}, InvalidValue, r"y: expected finite .*, got nan at \[1, 0\]"),
    ({"x": single(changed(X, NAN)), "y": single(Y)}, InvalidValue, r"x: expected finite values, got nan at \[3, 2\]"),
    ({"x": [1.0, NAN], "y": [0.0]}, InvalidValue, r"x: expected finite values, got nan at \[1, 0\]"),
    ({"a": changed(A, NAN, 1)}, InvalidValue, r"a: expected finite nonnegative weights, got nan at \[1\]"),
    ({"b": changed(B, INF, 2)}, InvalidValue, r"b: expected finite nonnegative weights, got inf at \[2\]"),
    ({"directions": changed(np.eye(3), NAN, 5)}, InvalidValue, r"directions: expected finite .*, got nan at \[1, 2\]"),
    # weights
    ({"a": changed(A, -1.0, 2)}, InvalidValue, r"a: expected finite nonnegative weights, got -1.* at \[2\]"),
    ({"b": changed(B, -1e-300, 0)}, InvalidValue, r"b: expected finite nonnegative weights, got -.* at \[0\]"),
    ({"a": 0 * A}, InvalidValue, "a: expected a positive finite total mass, got 0"),
    ({"b": 1e308 * B}, InvalidValue, "b: expected a positive finite total mass, got inf"),
    ({"a": B}, InvalidValue, r"a: expected 4 values to match x, got shape \(5,\)"),
    ({"b": B[:, None]}, InvalidValue, r"b: expected 5 values to match y, got shape \(5, 1\)"),
    ({"a": np.array(1.0)}, InvalidValue, r"a: expected 4 values to match x, got shape \(\)"),
    ({"a": []}, InvalidValue, r"a: expected 4 values to match x, got shape \(0,\)"),
    ({"a": 1.0}, InvalidType, "a: expected an array"),
    ({"a": "uniform"}, InvalidType, "a: expected an array"),
    # shapes
    ({"x": X[:0]}, InvalidValue, r"x: expected at least one point, got shape \(0, 3\)"),
    ({"x": X[:, :0], "y": Y[:, :0]}, InvalidValue, r"x: expected at least one point, got shape \(4, 0\)"),
    ({"y": []}, InvalidValue, r"y: expected at least one point, got shape \(0, 1\)"),
    ({"x": np.array(1.0)}, InvalidValue, r"x: expected shape \(n, d\) or \(n,\), got \(\)"),
    ({"y": Y[None]}, InvalidValue, r"y: expected shape \(n, d\) or \(n,\), got \(1, 5, 3\)"),
    ({"y": Y[None, None, None]}, InvalidValue, r"y: expected shape \(n, d\) or \(n,\), got \(1, 1, 1, 5, 3\)"),
    ({"y": Y[:, :2]}, InvalidValue, "y: expected 3 coordinates to match x, got 2"),
    ({"y": Y[:, 0]}, InvalidValue, "y: expected 3 coordinates to match x, got 1"),
    ({"x": None}, InvalidType, "x: expected an array, got None"),
    ({"y": None}, InvalidType, "y: expected an array, got None"),
    # p
    ({"p": 0.999}, InvalidValue, "p: expected 1 <= p < 1000, got 0.999"),
    ({"p": 0}, InvalidValue, "p: expected 1 <= p < 1000, got 0"),
    ({"p": -2}, InvalidValue, "p: expected 1 <= p < 1000, got -2"),
    ({"p": 1000}, InvalidValue, "p: expected 1 <= p < 1000, got 1000"),
    ({"p": 10**400}, InvalidValue, "p: expected 1 <= p < 1000, got 10"),
    ({"p": NAN}, InvalidValue, "p: expected"),
    ({"p": INF}, InvalidValue, "p: expected"),
    ({"p": "2"}, InvalidType, "p: expected a number, got '2'"),
    ({"p": None}, InvalidType, "p: expected a number, got None"),
    ({"p": True}, InvalidType, "p: expected a number, got True"),
    ({"p": 2j}, InvalidType, "p: expected a number, got 2j"),
    ({"p": np.array([1.0, 2.0])}, InvalidType, "p: expected a number, got array"),
    # n_projections
    ({"n_projections": 0}, InvalidValue, "n_projections: expected a positive integer, got 0"),
    ({"n_projections": -1}, InvalidValue, "n_projections: expected a positive integer, got -1"),
    ({"n_projections": 2.5}, InvalidType, "n_projections: expected a positive integer, got 2.5"),
    ({"n_projections": True}, InvalidType, "n_projections: expected a positive integer, got True"),
    ({"n_projections": "10"}, InvalidType, "n_projections: expected a positive integer, got '10'"),
    ({"n_projections": None}, InvalidType, "n_projections: expected a positive integer, got None"),
    ({"n_projections": np.array([1, 2])}, InvalidType, "n_projections: expected a positive integer, got array"),
    ({"n_projections": np.float64(3)}, InvalidType, "n_projections: expected a positive integer, got .*3.0"),
    ({"n_projections": 10**15}, OutOfMemory, r"the workspace would take .* GiB, but .* GiB are available"),
    # directions
    ({"directions": "qmc"}, InvalidValue, r"directions: expected 'auto', 'mc' or an array \(L, d\), got 'qmc'"),
    ({"directions": None}, InvalidValue, r"directions: expected 'auto', 'mc' or an array \(L, d\), got None"),
    ({"directions": np.eye(2)}, InvalidValue, "directions: expected 3 coordinates to match x, got 2"),
    ({"directions": np.ones(3)}, InvalidValue, "directions: expected 3 coordinates to match x, got 1"),
    ({"directions": np.ones((0, 3))}, InvalidValue, r"directions: expected at least one .*, got shape \(0, 3\)"),
    ({"directions": np.ones((1, 2, 3))}, InvalidValue, r"directions: expected shape .*, got \(1, 2, 3\)"),
    ({"directions": 7}, InvalidType, "directions: expected an array"),
    ({"directions": np.eye(3, dtype=np.float32)}, InvalidType, "directions: expected float64 to match x, got float32"),
    # grad
    ({"grad": "z"}, InvalidValue, r"grad: expected names among \('x', 'y', 'a', 'b'\), got 'z'"),
    ({"grad": "xy"}, InvalidValue, r"grad: expected names among \('x', 'y', 'a', 'b'\), got 'xy'"),
    ({"grad": ["x", 3]}, InvalidValue, r"grad: expected names among \('x', 'y', 'a', 'b'\), got 3"),
    ({"grad": "a"}, InvalidValue, "grad: 'a' was not given, so it has no gradient"),
    ({"a": A, "grad": ("a", "b")}, InvalidValue, "grad: 'b' was not given, so it has no gradient"),
    ({"grad": 1}, InvalidType, "grad: expected True, False or names among .*, got 1"),
    ({"grad": np.array(["x", "y"])}, InvalidType, "grad: expected True, False or names among .*, got array"),
    # rng
    ({"rng": "seed"}, InvalidType, "rng: expected None, a nonnegative seed or a numpy.random.Generator, got 'seed'"),
    ({"rng": 1.5}, InvalidType, "rng: expected None, a nonnegative seed or a numpy.random.Generator, got 1.5"),
    ({"rng": -1}, InvalidValue, "rng: expected None, a nonnegative seed or a numpy.random.Generator, got -1"),
    # overflow
    ({"x": X + 1e300}, InvalidValue, "x, y: the distance overflows float64 results or float64 costs; rescale"),
    ({"x": X + 1e308, "y": Y - 1e308, "p": 1}, InvalidValue, "x, y: the distance overflows float64"),
    ({"x": single(X + 3e38), "y": single(Y - 3e38)}, InvalidValue, "x, y: the distance overflows float32 results"),
    ({"x": single(X + 1e25), "y": single(Y)}, InvalidValue, "x, y: the distance overflows float32 results"),
    ({"x": X + 1e5, "p": 900}, InvalidValue, "x, y: the distance overflows float64"),
]

FLOW = [
    ({"x": changed(X, NAN)}, InvalidValue, r"x: expected finite values, got nan at \[3, 2\]"),
    ({"target": changed(Y, INF)}, InvalidValue, r"target: expected finite values, got inf at \[4, 2\]"),
    ({"x": X[:0]}, InvalidValue, r"x: expected at least one point, got shape \(0, 3\)"),
    ({"x": np.array(0.0)}, InvalidValue, r"x: expected shape \(n, d\) or \(n,\), got \(\)"),
    ({"target": Y[None]}, InvalidValue, r"target: expected shape \(n, d\) or \(n,\), got \(1, 5, 3\)"),
    ({"target": Y[:, :2]}, InvalidValue, "target: expected 3 coordinates to match x, got 2"),
    ({"x": None}, InvalidType, "x: expected an array, got None"),
    ({"target": None}, InvalidType, "target: expected an array, got None"),
    ({"target": single(Y)}, InvalidType, "target: expected float64 to match x, got float32"),
    ({"x": "points"}, InvalidType, "x: expected an array of NumPy, PyTorch, JAX or CuPy, or a list, got str"),
    ({"x": X.astype(complex)}, InvalidType, "x: expected float32 or float64, got complex128"),
    ({"n_steps": 0}, InvalidValue, "n_steps: expected a positive integer, got 0"),
    ({"n_steps": 1.5}, InvalidType, "n_steps: expected a positive integer, got 1.5"),
    ({"n_steps": True}, InvalidType, "n_steps: expected a positive integer, got True"),
    ({"step_size": 0}, InvalidValue, "step_size: expected 0 < step_size <= 2, got 0"),
    ({"step_size": 2.1}, InvalidValue, "step_size: expected 0 < step_size <= 2, got 2.1"),
    ({"step_size": NAN}, InvalidValue, "step_size: expected a finite number, got nan"),
    ({"step_size": "1"}, InvalidType, "step_size: expected a number, got '1'"),
    ({"n_projections": 0}, InvalidValue, "n_projections: expected a positive integer, got 0"),
    ({"n_projections": 2.0}, InvalidType, "n_projections: expected a positive integer, got 2.0"),
    ({"rng": "seed"}, InvalidType, "rng: expected None, a nonnegative seed"),
    ({"rng": -1}, InvalidValue, "rng: expected None, a nonnegative seed"),
    ({"x": X * 1e300}, InvalidValue, "x, target: the distance overflows float64"),
    ({"x": single(X + 3e38), "target": single(Y)}, InvalidValue, "x, target: the distance overflows float32"),
    ({"callback": 3}, InvalidType, "callback: expected a function of a FlowState, got 3"),
]

THREADS = [
    (0, InvalidValue, "expected a positive integer, got 0"),
    (-1, InvalidValue, "expected a positive integer, got -1"),
    (1.5, InvalidType, "expected a positive integer, got 1.5"),
    (True, InvalidType, "expected a positive integer, got True"),
    ("2", InvalidType, "expected a positive integer, got '2'"),
    (None, InvalidType, "expected a positive integer, got None"),
    (10**10, InvalidValue, "expected at most .* got 10000000000"),
]

BACKEND = [
    ({"backend": "gpu"}, InvalidValue, r"backend: expected one of \('auto', 'cpu', 'cuda', 'reference'\), got 'gpu'"),
    ({"backend": 3}, InvalidValue, "backend: expected one of .*, got 3"),
    ({"backend": ["cpu"]}, InvalidValue, r"backend: expected one of .*, got \['cpu'\]"),
    ({"simd": "sse2"}, InvalidValue, r"simd: expected one of \('baseline', 'avx2', 'avx512'\), got 'sse2'"),
    ({"simd": 512}, InvalidValue, "simd: expected one of .*, got 512"),
    *(({"threads": n}, kind, f"threads: {message}") for n, kind, message in THREADS if n is not None),
]


def numbered(table):
    return [pytest.param(*row, id=f"{k}-{row[2][:30]}") for k, row in enumerate(table)]


def refuses(kind, message, call):
    with pytest.raises(DeblaiError) as caught:
        call()
    assert type(caught.value) is kind, repr(caught.value)
    assert re.match(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("arguments", "kind", "message"), numbered(SLICED))
def test_wasserstein(arguments, kind, message):
    """sliced.wasserstein, on the compiled backend."""
    refuses(kind, rf"\[sliced\.wasserstein\] {message}", lambda: wasserstein(**{"x": X, "y": Y, **arguments}))


@pytest.mark.parametrize(("arguments", "kind", "message"), numbered(SLICED))
def test_wasserstein_of_the_reference(arguments, kind, message):
    """The reference backend: the same classes and arguments; it does not say where a bad entry is."""
    argument = message.partition(":")[0]
    with deblai.use_backend("reference"):
        refuses(kind, rf"\[sliced\.wasserstein\] {argument}", lambda: wasserstein(**{"x": X, "y": Y, **arguments}))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"), numbered([row for row in SLICED if {"x", "y", "a", "b"} & row[0].keys()])
)
def test_wasserstein_of_tensors(arguments, kind, message):
    """The way through the PyTorch operator raises the same errors."""
    torch = pytest.importorskip("torch")
    arguments = {"x": X, "y": Y, **arguments}
    if not all(isinstance(v, np.ndarray) for name, v in arguments.items() if name in "xyab"):
        return
    tensors = {name: torch.from_numpy(v.copy()) if name in "xyab" else v for name, v in arguments.items()}
    tensors["x"].requires_grad_()
    refuses(kind, rf"\[sliced\.wasserstein\] {message}", lambda: wasserstein(**tensors))


@pytest.mark.parametrize(("arguments", "kind", "message"), numbered(FLOW))
def test_gradient_flow(arguments, kind, message):
    """sliced.gradient_flow speaks of its own arguments."""
    call = {"x": X, "target": Y, "n_steps": 2} | arguments
    refuses(kind, rf"\[sliced\.gradient_flow\] {message}", lambda: gradient_flow(**call))


@pytest.mark.parametrize(("n", "kind", "message"), THREADS)
def test_set_num_threads(n, kind, message):
    """set_num_threads; the number of threads stays what it was."""
    before = deblai.get_num_threads()
    refuses(kind, rf"\[set_num_threads\] n: {message}", lambda: deblai.set_num_threads(n))
    assert deblai.get_num_threads() == before


@pytest.mark.parametrize(("arguments", "kind", "message"), numbered(BACKEND))
def test_use_backend(arguments, kind, message):
    """use_backend; the settings stay what they were."""
    before = deblai.info()
    refuses(kind, rf"\[use_backend\] {message}", lambda: deblai.use_backend(**arguments).__enter__())
    assert deblai.info() == before


def test_cuda_for_arrays_of_the_cpu(library):
    """Nothing is moved between devices silently."""
    x = library.array(np.eye(2))
    message = r"\[sliced\.{}\] backend 'cuda' was asked for, but the arrays are on the cpu"
    with deblai.use_backend("cuda"):
        refuses(BackendError, message.format("wasserstein"), lambda: wasserstein(x, x))
        refuses(BackendError, message.format("gradient_flow"), lambda: gradient_flow(x, x))


def test_a_workspace_that_does_not_fit(monkeypatch):
    """A run that would not fit in memory says so before it starts, and how much it would take."""
    from deblai import _backend

    monkeypatch.setattr(_backend, "available_memory", lambda: 1 << 20)
    x = np.broadcast_to(1.0, (20_000_000, 1))
    message = r"\[sliced\.wasserstein\] the workspace would take [\d.]+ GiB, but 0.0 GiB are available"
    refuses(OutOfMemory, message, lambda: wasserstein(x, x))


def test_unknown_and_missing_arguments():
    """Python's own TypeErrors: a misspelt argument is never swallowed; options are keywords."""
    for call in (
        lambda: wasserstein(X),
        lambda: wasserstein(X, Y, n_projection=3),
        lambda: wasserstein(X, Y, None, None, 2),
        lambda: gradient_flow(X, Y, 10),
        lambda: deblai.use_backend("cpu", level="avx2"),
    ):
        with pytest.raises(TypeError, match="argument"):
            call()


def test_the_tables_cover_every_argument():
    """A new argument of a public function needs rows here."""
    for function, table in ((wasserstein, SLICED), (gradient_flow, FLOW), (deblai.use_backend, BACKEND)):
        tried = set().union(*(row[0] for row in table))
        assert tried == set(inspect.signature(function).parameters), function.__name__


def test_an_error_leaves_nothing_behind():
    """After a refused call the next one works."""
    with pytest.raises(InvalidValue):
        wasserstein(changed(X, NAN), Y)
    assert wasserstein(X, X, rng=0).value == 0


def test_classes_of_errors():
    """Each is a DeblaiError and the built-in that a caller would catch."""
    for kind, base in {
        InvalidValue: ValueError,
        InvalidType: TypeError,
        BackendError: RuntimeError,
        OutOfMemory: MemoryError,
        deblai.errors.CudaError: RuntimeError,
        deblai.errors.MissingExtra: ImportError,
    }.items():
        assert issubclass(kind, DeblaiError)
        assert issubclass(kind, base)
    assert issubclass(deblai.Interrupted, KeyboardInterrupt)
    assert not issubclass(deblai.Interrupted, Exception)
