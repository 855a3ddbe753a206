"""Threads: results equal to the bit for any number of them, from any thread, and after fork."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import deblai
import numpy as np
import pytest
from deblai.sliced import gradient_flow, wasserstein

NAMES = ("value", "value_p", "stderr", "stderr_p", "per_direction")


def problem(dtype, weighted, n=3000, m=2500):
    """Large enough that threads start: about (n + m) L 10 ns = 4 ms of work, well above the 0.2 ms it takes."""
    rng = np.random.default_rng(0)
    x, y, theta = (rng.standard_normal((k, 5)).astype(dtype) for k in (n, m, 70))
    a, b = (rng.random(k).astype(dtype) for k in (n, m)) if weighted else (None, None)
    return {"x": x, "y": y, "a": a, "b": b, "directions": theta}


def numbers(r):
    return [np.asarray(getattr(r, name)) for name in NAMES] + [r.grad[name] for name in sorted(r.grad)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["equal", "unequal", "weighted"])
@pytest.mark.parametrize("grad", [(), True])
def test_results_do_not_depend_on_the_number_of_threads(grad, kind, dtype):
    """1, 2, 3 and 8 threads: values and gradients equal to the bit."""
    q = problem(dtype, kind == "weighted", m=3000 if kind == "equal" else 2500)
    expected = None
    for threads in (1, 2, 3, 8):
        with deblai.use_backend(threads=threads):
            found = numbers(wasserstein(**q, p=1.5, grad=grad))
        expected = expected or found
        assert len(found) == len(NAMES) + (0 if not grad else 4 if kind == "weighted" else 2)
        for one, other in zip(found, expected, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_are_started():
    """The comparison above compares something: a call of that size runs on as many threads as were asked for."""
    q = problem("float64", False, n=200_000)
    seen = set()
    done = threading.Event()

    def watch():
        while not done.is_set():
            with open("/proc/self/status", encoding="ascii") as lines:
                seen.add(next(int(line.split()[1]) for line in lines if line.startswith("Threads:")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with deblai.use_backend(threads=1):
            wasserstein(**q)
        alone = max(seen)
        seen.clear()
        with deblai.use_backend(threads=6):
            wasserstein(**q)
    finally:
        done.set()
        watcher.join()
    assert max(seen) >= alone + 5


def test_flow_does_not_depend_on_the_number_of_threads():
    """Nor does an iteration of many calls."""
    q = problem("float64", False)
    moved = []
    for threads in (1, 4):
        with deblai.use_backend(threads=threads):
            moved.append(gradient_flow(q["x"], q["y"], n_steps=5, n_projections=40, rng=0).x)
    assert np.array_equal(*moved)


def test_set_num_threads():
    """For the whole process; any integer type; use_backend goes before it inside its block."""
    deblai.set_num_threads(3)
    assert deblai.get_num_threads() == 3
    assert deblai.info()["threads"] == 3
    deblai.set_num_threads(np.int64(2))
    assert deblai.get_num_threads() == 2
    with deblai.use_backend(threads=5):
        assert deblai.get_num_threads() == 5
    assert deblai.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(deblai.get_num_threads).result() == 2


def test_use_backend_is_local_to_its_thread():
    """Other threads keep what they had; an exception ends the block too."""
    deblai.set_num_threads(2)
    with ThreadPoolExecutor(1) as pool, deblai.use_backend("reference", threads=7):
        assert pool.submit(deblai.get_num_threads).result() == 2
    with pytest.raises(ZeroDivisionError), deblai.use_backend(threads=7):
        raise ZeroDivisionError
    assert deblai.get_num_threads() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="processor affinity")
def test_environment_sets_the_number_of_threads(python):
    """DEBLAI_NUM_THREADS, else the processors that this process may run on."""
    show = "import deblai; print(deblai.get_num_threads())"
    assert python(show, DEBLAI_NUM_THREADS="3").stdout == "3\n"
    limited = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + show
    assert python(limited).stdout == "1\n"


def test_calls_from_several_threads_at_once():
    """Eight Python threads, each with four of its own: the GIL is released, and all get the same numbers."""
    q = problem("float64", True)
    expected = numbers(wasserstein(**q, grad=True))
    start = threading.Barrier(8)

    def call(_):
        start.wait(timeout=30)
        with deblai.use_backend(threads=4):
            return [numbers(wasserstein(**q, grad=True)) for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(call, range(8)):
            for result in found:
                for one, other in zip(result, expected, strict=True):
                    assert np.array_equal(one, other)


def test_the_gil_is_released():
    """Python runs while a kernel does: another thread counts up during one long call."""
    q = problem("float64", False, n=300_000)
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.wait(0.001):
            counted += 1

    counter = threading.Thread(target=count)
    counter.start()
    with deblai.use_backend(threads=1):
        wasserstein(**q)
    during = counted
    done.set()
    counter.join()
    assert during > 5


FORK = """
import os, select, sys
import numpy as np, deblai
rng = np.random.default_rng(0)
x, y = rng.standard_normal((3000, 4)), rng.standard_normal((2000, 4))
def compute():
    with deblai.use_backend(threads=4):
        r = deblai.sliced.wasserstein(x, y, rng=1, grad=True)
    return repr((float(r.value), r.grad["x"].sum())).encode()
expected = compute()
"""


def test_after_fork(python):
    """A child of a process that used threads computes the same number: no thread outlives its call."""
    code = """
for _ in range(3):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, compute())
        os._exit(0)
    ready, _, _ = select.select([read], [], [], 20)
    if not ready:
        os.kill(child, 9)
        sys.exit("the child hangs")
    assert os.read(read, 1000) == expected
    assert os.waitpid(child, 0)[1] == 0
assert compute() == expected
"""
    python(FORK + code)


def test_pool_of_forked_processes(python):
    """multiprocessing with the fork method, as data loaders do."""
    code = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(3) as pool:
    results = [pool.apply_async(compute) for _ in range(6)]
    assert [r.get(timeout=20) for r in results] == [expected] * 6
"""
    python(FORK + code)
