"""What deblai.quantization.lloyd promises beside numbers: errors, memory, threads to the bit, fork, Ctrl-C."""

import sys

import deblai
import numpy as np
import pytest
from deblai.errors import InvalidType, InvalidValue
from deblai.measures import Samples
from deblai.quantization import lloyd

NAN, INF = np.nan, np.inf
# Tiles of direct differences (d <= 4 and few sites), tiles of scores (d > 4), grids (d <= 3, many sites and samples).
ENGINES = {"direct": (2000, 4, 12), "scores": (2000, 9, 40), "plane": (20_000, 2, 90), "space": (20_000, 3, 64)}
X = np.random.default_rng(0).standard_normal((10, 3))


def changed(v, value, index=-1):
    out = np.array(v)
    out.flat[index] = value
    return out


BAD = [
    ({"x": changed(X, NAN)}, InvalidValue, r"x: expected finite values, got nan at \[9, 2\]"),
    ({"x": changed(X, INF, 0), "init": X[:2]}, InvalidValue, r"x: expected finite values, got inf at \[0, 0\]"),
    ({"x": np.zeros((0, 3))}, InvalidValue, r"x: expected at least one point, got shape \(0, 3\)"),
    ({"x": np.zeros((2, 3, 4))}, InvalidValue, r"x: expected shape \(n, d\) or \(n,\), got \(2, 3, 4\)"),
    ({"x": X.astype(complex)}, InvalidType, r"x: expected float32 or float64, got complex128"),
    ({"x": "points"}, InvalidType, r"x: expected an array .*, got str"),
    ({"x": None}, InvalidType, r"x: expected an array, got None"),
    ({"n_sites": 0}, InvalidValue, r"n_sites: expected a positive integer, got 0"),
    ({"n_sites": -1}, InvalidValue, r"n_sites: expected a positive integer, got -1"),
    ({"n_sites": 2.5}, InvalidType, r"n_sites: expected a positive integer, got 2.5"),
    ({"n_sites": 11}, InvalidValue, r"n_sites: expected at most the 10 samples of x, got 11"),
    ({"weights": np.ones(9)}, InvalidValue, r"weights: expected 10 values to match x, got shape \(9,\)"),
    (
        {"weights": changed(np.ones(10), -1)},
        InvalidValue,
        r"weights: expected finite nonnegative weights, got -1 at \[9\]",
    ),
    (
        {"weights": changed(np.ones(10), NAN), "init": X[:2]},
        InvalidValue,
        r"weights: expected finite .*, got nan at \[9\]",
    ),
    ({"weights": changed(np.ones(10), NAN), "init": "random"}, InvalidValue, r"weights: expected finite .*, got nan"),
    ({"weights": np.zeros(10)}, InvalidValue, r"weights: expected a positive finite total mass, got 0"),
    ({"weights": np.zeros(10), "init": X[:2]}, InvalidValue, r"weights: expected a positive finite total mass, got 0"),
    (
        {"weights": changed(np.zeros(10), 1), "init": "random"},
        InvalidValue,
        r"n_sites: expected at most the 1 samples of",
    ),
    ({"weights": np.ones(10, np.float32)}, InvalidType, r"weights: expected float64 to match x, got float32"),
    (
        {"init": "best"},
        InvalidValue,
        r"init: expected one of \('k-means\+\+', .*\) or an array \(n_sites, d\), got 'best'",
    ),
    ({"init": X[:3]}, InvalidValue, r"init: expected 2 sites to match n_sites, got 3"),
    ({"init": X[:2, :2]}, InvalidValue, r"init: expected 3 coordinates to match x, got 2"),
    ({"init": changed(X[:2], NAN)}, InvalidValue, r"init: expected finite values, got nan or inf"),
    ({"init": X[:2].astype(np.float32)}, InvalidType, r"init: expected float64 to match x, got float32"),
    ({"init": None}, InvalidType, r"init: expected"),
    ({"periodic": True}, InvalidValue, r"periodic: expected False for samples"),
    ({"periodic": "yes"}, InvalidType, r"periodic: expected True or False, got 'yes'"),
    ({"max_iter": 0}, InvalidValue, r"max_iter: expected a positive integer, got 0"),
    ({"tol": -1e-3}, InvalidValue, r"tol: expected at least 0, got -0.001"),
    ({"tol": NAN}, InvalidValue, r"tol: expected a finite number, got nan"),
    ({"rng": "seed"}, InvalidType, r"rng: expected"),
    ({"rng": True}, InvalidType, r"rng: expected.*got True"),
    ({"x": X * 1e-170}, InvalidValue, r"x: squared distances underflow; rescale"),
    ({"x": (X * 1e-30).astype(np.float32)}, InvalidValue, r"x: squared distances underflow; rescale"),
    ({"x": X * 1e170}, InvalidValue, r"x: squared distances overflow; rescale"),
    ({"callback": 3}, InvalidType, r"callback: expected a function of a LloydState, got 3"),
    ({"x": Samples(X), "weights": np.ones(10)}, InvalidValue, r"weights: expected those of Samples alone"),
    ({"x": X * 1e300}, InvalidValue, r"x: .*; rescale the samples"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD)
def test_bad_input(arguments, error, message):
    """Each message names the function and the argument."""
    with pytest.raises(error, match=r"^\[quantization.lloyd\] " + message):
        lloyd(**({"x": X, "n_sites": 2, "rng": 0} | arguments))


@pytest.mark.parametrize(
    "arguments", [{"x": changed(X, NAN)}, {"weights": changed(np.ones(10), -1)}, {"weights": np.zeros(10)}]
)
def test_the_reference_refuses_too(arguments):
    """What kernels look for in entries, NumPy does."""
    with (
        deblai.use_backend("reference"),
        pytest.raises(InvalidValue, match=r"^\[quantization.lloyd\] (x|weights): expected"),
    ):
        lloyd(**({"x": X, "n_sites": 2} | arguments))


def test_memory_is_refused_before_the_run(monkeypatch):
    """A workspace that does not fit is an error that says how much it would take."""
    monkeypatch.setattr(deblai._backend, "available_memory", lambda: 1 << 20)
    x = np.zeros((200_000, 600), np.float32)
    with pytest.raises(deblai.errors.OutOfMemory, match=r"\[quantization.lloyd\] the workspace would take .* GiB"):
        lloyd(x, 100_000)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_never_n_by_k(python):
    """n = 1e6, k = 2000: an n x k array would take 8 GB; the process grows by less than 150 MB."""
    code = """
import numpy as np, deblai, resource
x = np.random.default_rng(0).random((1_000_000, 2), np.float32)
deblai.quantization.lloyd(x[:5000], 10, rng=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for d in (1, 2):
    deblai.quantization.lloyd(x[:, :d], 2000, init="random", rng=0, callback=lambda s: s.step == 2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    assert int(python(code).stdout) < 150_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ENGINES)
def test_threads(engine, dtype):
    """1, 2 and 8 threads: equal to the bit, seeds included."""
    n, d, k = ENGINES[engine]
    x = np.random.default_rng(12).standard_normal((n, d)).astype(dtype)
    runs = []
    for threads in (1, 2, 8):
        with deblai.use_backend(threads=threads):
            runs.append(lloyd(x, k, rng=0, tol=1e-3))
    for r in runs[1:]:
        assert r.history == runs[0].history
        assert np.array_equal(r.sites, runs[0].sites)
        assert np.array_equal(r.labels, runs[0].labels)


def test_fork(python):
    """A child of a process that used threads computes the same."""
    python("""
import os, select, sys
import numpy as np, deblai
x = np.random.default_rng(0).random((50_000, 2))
def compute():
    with deblai.use_backend(threads=4):
        return repr(deblai.quantization.lloyd(x, 40, rng=0).history).encode()[-2000:]
expected = compute()
read, write = os.pipe()
child = os.fork()
if not child:
    os.write(write, compute())
    os._exit(0)
if not select.select([read], [], [], 30)[0]:
    os.kill(child, 9)
    sys.exit("the child hangs")
assert os.read(read, 4000) == expected
assert os.waitpid(child, 0)[1] == 0
""")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("stage", ["seeds", "step", "steps"])
def test_ctrl_c(stage, python):
    """During seeds there is no result; later it holds the last sites with their own labels and energy."""
    n, d, k, init = {
        "seeds": (400_000, 2, 20_000, "k-means++"),
        "step": (300_000, 32, 20_000, "random"),
        "steps": (1_000_000, 2, 3000, "random"),
    }[stage]
    done = python(f"""
import os, signal, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).random(({n}, {d}), np.float32)
sent = []
def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)
threading.Timer(0.7, send).start()
try:
    deblai.quantization.lloyd(x, {k}, init="{init}", rng=0, tol=0, max_iter=100_000)
except deblai.Interrupted as error:
    latency = time.perf_counter() - sent[0]
    r = error.result
    if r is not None:
        assert not r.converged and len(r.history) == r.n_iter + 1
        squared = ((x.astype(float) - r.sites.astype(float)[r.labels]) ** 2).sum(1).mean()
        assert abs(squared / r.history[-1] - 1) < 1e-9
        assert abs(np.bincount(r.labels, minlength={k}) / len(x) - r.weights).max() < 1e-6
    assert str(error).startswith("[quantization.lloyd] interrupted after")
    print(latency, r is None)
""")
    latency, none = done.stdout.split()
    assert float(latency) < 1.0
    assert none == {"seeds": "True", "step": "True", "steps": "False"}[stage]
