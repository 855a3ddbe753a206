"""Threads, fork, Ctrl-C, callbacks."""

import json
import os
import sys

import deblai
import numpy as np
import pytest
from deblai.multimarginal import sinkhorn


def numbers(r):
    return [r.value, r.value_linear, r.pair_marginal(0, 1), r.history, *r.potentials, *r.grad["points"]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("N", "n", "epsilon"), [(2, 700, 0.1), (3, 130, 0.1), (3, 90, 0.01), (4, 30, 0.1)])
def test_results_do_not_depend_on_the_number_of_threads(N, n, epsilon, dtype):
    """1, 2, 3 and 8 threads: everything equal to the bit, with products and with exact rows."""
    rng = np.random.default_rng(0)
    points = [rng.standard_normal((n + p, 2)).astype(dtype) for p in range(N)]
    expected = None
    for threads in (1, 2, 3, 8):
        with deblai.use_backend(threads=threads):
            found = numbers(sinkhorn(points, epsilon=epsilon, tol=1e-3, grad="points"))
        expected = expected or found
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one, other)


FORK = """
import os, numpy as np
from deblai.multimarginal import sinkhorn
x = np.random.default_rng(0).standard_normal((150, 2))
expected = sinkhorn(x, n_marginals=3, epsilon=0.1)
child = os.fork()
if child == 0:
    again = sinkhorn(x, n_marginals=3, epsilon=0.1)
    os._exit(0 if np.array_equal(again.potentials, expected.potentials) else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_fork(python):
    """No threads survive a call, so a forked child computes the same."""
    python(FORK)


def test_a_callback_sees_and_stops():
    """It sees steps, errors, values and potentials; it changes nothing unless it returns True, which stops."""
    x = (np.arange(200) + 0.5) / 200
    seen = []
    solve = {"n_marginals": 3, "epsilon": 0.01, "tol": 1e-5}
    quiet = sinkhorn(x, **solve)
    watched = sinkhorn(x, callback=lambda s: seen.append(s) and None, **solve)
    assert np.array_equal(quiet.potentials, watched.potentials)
    assert np.array_equal(quiet.history, watched.history)
    stopped = sinkhorn(x, callback=lambda s: True, n_marginals=3, epsilon=1e-3, max_iter=10**6)
    assert not stopped.converged
    assert 0 < stopped.n_iter < 10**6
    assert all(s.potentials.shape == (200,) and 0 < s.step <= watched.n_iter for s in seen)


def test_an_error_in_a_callback_comes_out():
    """As it is."""

    def fail(state):
        raise RuntimeError("from the callback")

    with pytest.raises(RuntimeError, match="from the callback"):
        sinkhorn((np.arange(200) + 0.5) / 200, n_marginals=3, epsilon=1e-3, callback=fail)


SCRIPT = """
import json, os, signal, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
x = (np.arange({n}) + 0.5) / {n}
points = np.stack([x] * {d}, axis=1)
if {torch}:
    import torch
    points = torch.from_numpy(points)
    deblai.multimarginal.sinkhorn(points[:5], n_marginals=2, epsilon=1.0)
sent = []

def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

threading.Timer({after}, send).start()
try:
    deblai.multimarginal.sinkhorn({points}, epsilon=1e-3, max_iter=10**6, tol=0.0, **{more})
except KeyboardInterrupt as error:
    latency = time.perf_counter() - sent[0]
    assert type(error) is deblai.Interrupted
    r = error.result
    assert not r.converged
    print(json.dumps(dict(latency=latency, n=r.n_iter, value=float(r.value), message=str(error),
                          finite=all(bool(np.isfinite(np.asarray(f)).all()) for f in r.potentials))))
r = deblai.multimarginal.sinkhorn(points[:20], n_marginals=2, epsilon=1.0)
assert r.converged
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("n", "points", "more"),
    [
        (300, "points", {"n_marginals": 3}),
        (300, "[points] * 3", {}),
        (40, "points", {"n_marginals": 5}),
        (60_000, "[points] * 2", {}),
    ],
    ids=["symmetric", "general", "five", "two, streamed"],
)
def test_ctrl_c_keeps_the_potentials(n, points, more, python):
    """Within half a second, also inside a sweep that takes far longer; .result has finite potentials."""
    for _ in range(3):
        said = json.loads(python(SCRIPT.format(n=n, d=1, points=points, more=more, after=0.7, torch=False)).stdout)
        if said["latency"] < 0.5:
            break
    assert said["latency"] < 0.5
    assert said["finite"]
    assert said["message"] == f"[multimarginal.sinkhorn] interrupted after {said['n']} steps"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_with_tensors(python):
    """The same through PyTorch's operator."""
    pytest.importorskip("torch")
    code = SCRIPT.format(n=300, d=1, points="points", more={"n_marginals": 3}, after=0.7, torch=True)
    said = json.loads(python(code).stdout)
    assert said["n"] > 0
    assert said["finite"]
