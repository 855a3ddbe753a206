"""Ctrl-C during long calls: a designed exception with the best result so far, within half a second.

Each call runs in a fresh process that sends itself the signal from another thread.
"""

import json
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

BEGIN = """
import json, math, os, signal, sys, threading, time
import numpy as np, deblai
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits that SIGINT is ignored
rng = np.random.default_rng(0)
sent = []
deblai.sliced.wasserstein(np.zeros((2, 3)), np.ones((2, 3)))  # imports what a first call imports, before any signal

def send():
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)

def report(**said):
    print(json.dumps({"latency": time.perf_counter() - sent[0], **said}))

def cloud(n, d=3):
    return rng.standard_normal((n, d))
"""

LONG = """
x, y = cloud({n}), cloud({n}) + 1
if {torch}:
    import torch
    x, y = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)
    deblai.sliced.wasserstein(x[:10], y[:10])  # PyTorch imports much of itself at the first call of an operator
threading.Timer({after}, send).start()
try:
    deblai.sliced.wasserstein(x, y, n_projections={count}, rng=0, grad={grad})
except KeyboardInterrupt as error:
    assert type(error) is deblai.Interrupted
    r = error.result
    report(message=str(error), value=None if r is None else float(r.value), n=0 if r is None else r.n_projections,
           shapes=r and [list(r.directions.shape), list(r.per_direction.shape)],
           finite=r is not None and bool(np.isfinite(np.asarray(r.per_direction)).all()))
else:
    sys.exit("not interrupted")
# the library still works, and a signal is not remembered
assert deblai.sliced.wasserstein(cloud(1000), cloud(1000), rng=0).n_projections == 100
"""

MEANS = 1.0  # SW_2^2 of N(0, I_3) and N((1, 1, 1), I_3) is |(1, 1, 1)|^2 / 3


@pytest.fixture
def interrupted(python):
    """Run a script until its latency is below half a second, three times at most: the machine may be busy."""

    def run(code, bar=0.5):
        latencies = []
        for _ in range(3):
            said = json.loads(python(BEGIN + code, timeout=90).stdout)
            latencies.append(said["latency"])
            if latencies[-1] < bar:
                break
        print("seconds from signal to exception:", ", ".join(f"{t:.3f}" for t in latencies))
        assert latencies[-1] < bar
        return said

    return run


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("torch", [False, True])
def test_the_result_so_far(torch, grad, interrupted):
    """.result is a result of fewer directions, all of them finite, whose value is already right."""
    if torch:
        pytest.importorskip("torch")
    said = interrupted(LONG.format(n=50_000, count=20_000, after=0.5, grad=grad, torch=torch))
    assert 0 < said["n"] < 20_000
    assert said["shapes"] == [[said["n"], 3], [said["n"]]]
    assert said["finite"]
    assert said["value"] ** 2 == pytest.approx(MEANS, abs=0.5)
    assert said["message"] == f"[sliced.wasserstein] interrupted after {said['n']} of 20000 directions"


@pytest.mark.parametrize("grad", [False, True])
def test_latency_at_two_million_points(grad, interrupted):
    """Half a second even where one direction takes as long; before the first one is done there is no result."""
    said = interrupted(LONG.format(n=2_000_000, count=3000, after=0.3, grad=grad, torch=False))
    assert said["n"] < 3000
    assert (said["value"] is None) == (said["n"] == 0)


def test_before_the_first_direction(interrupted):
    """A signal that is pending when the kernel starts stops it; .result is None, never an empty mean."""
    code = """
x, y = cloud(1_500_000), cloud(1_500_000)
sent.append(time.perf_counter())
def handler(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02)
try:
    deblai.sliced.wasserstein(x, y, n_projections=500, rng=0)
except deblai.Interrupted as error:
    report(n=0 if error.result is None else error.result.n_projections, message=str(error))
"""
    said = interrupted(code, bar=1.0)
    assert said["n"] == 0
    assert said["message"] == "[sliced.wasserstein] interrupted after 0 of 500 directions"


def test_gradient_flow(interrupted):
    """.result is the FlowResult of the steps so far: particles that have moved, one history entry a step."""
    code = """
x, y = cloud(100_000, 2), cloud(100_000, 2) + 5
steps = []
threading.Timer(0.5, send).start()
try:
    deblai.sliced.gradient_flow(x, y, n_steps=100_000, step_size=0.1, rng=0, callback=lambda state: steps.append(state))
except KeyboardInterrupt as error:
    r = error.result
    report(message=str(error), n=r.n_iter, seen=len(steps), history=r.history, stopped=r.stopped,
           mean=float(r.x.mean()), shape=list(r.x.shape), backend=r.backend)
"""
    said = interrupted(code)
    assert 0 < said["n"] < 100_000
    assert said["seen"] in (said["n"], said["n"] + 1)
    assert len(said["history"]) == said["n"]
    assert said["history"][-1] < said["history"][0]
    assert 0 < said["mean"] < 5.1
    assert said["shape"] == [100_000, 2]
    assert said["backend"].startswith("cpu/")
    assert not said["stopped"]
    assert said["message"] == f"[sliced.gradient_flow] interrupted after {said['n']} of 100000 steps"


def test_handlers_of_other_signals(interrupted):
    """What a Python handler raises comes out as it is, whichever signal it was."""
    code = """
class TimeIsUp(Exception):
    pass

def handler(number, frame):
    raise TimeIsUp("alarm")

x, y = cloud(50_000), cloud(50_000)
signal.signal(signal.SIGALRM, handler)
sent.append(time.perf_counter() + 0.3)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    deblai.sliced.wasserstein(x, y, n_projections=20_000, rng=0)
except TimeIsUp as error:
    report(message=str(error))
"""
    assert interrupted(code)["message"] == "alarm"


def test_handlers_that_return(python):
    """A handler that raises nothing changes nothing: the call goes on to its end."""
    code = """
calls = []
signal.signal(signal.SIGALRM, lambda number, frame: calls.append(number))
x, y = cloud(50_000), cloud(50_000)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
r = deblai.sliced.wasserstein(x, y, n_projections=500, rng=0)
seen = len(calls)
signal.setitimer(signal.ITIMER_REAL, 0)
assert r.n_projections == 500
assert seen > 1, calls
assert r.value == deblai.sliced.wasserstein(x, y, n_projections=500, rng=0).value
"""
    python(BEGIN + code)


def test_ctrl_c_ends_a_script(python):
    """Uncaught, it ends the process with a traceback that says how far the call was."""
    code = """
threading.Timer(0.3, send).start()
deblai.sliced.wasserstein(cloud(50_000), cloud(50_000), n_projections=20_000, rng=0)
"""
    done = python(BEGIN + code, check=False)
    assert done.returncode != 0
    assert "deblai.errors.Interrupted: [sliced.wasserstein] interrupted after" in done.stderr


def test_a_call_in_another_thread_is_left_alone(python):
    """Signals are handled by the main thread; a kernel that runs in another one goes on to its end."""
    code = """
found = []
x, y = cloud(50_000), cloud(50_000)
worker = threading.Thread(target=lambda: found.append(deblai.sliced.wasserstein(x, y, n_projections=200, rng=0)))
worker.start()
try:
    os.kill(os.getpid(), signal.SIGINT)
    worker.join()
except KeyboardInterrupt as error:
    assert type(error) is KeyboardInterrupt
    worker.join()
    assert found[0].n_projections == 200
else:
    sys.exit("not interrupted")
"""
    python(BEGIN + code)
