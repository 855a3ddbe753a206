"""Restarts of quantizers: several descents at a time in a kernel."""

import itertools

import deblai
import numpy as np
import pytest
from deblai.measures import Gaussian, Grid, UniformBox
from deblai.quantization import lloyd, quantize

pytest.importorskip("scipy.sparse")

SQUARE = UniformBox((0, 0), (1, 1))
CUBE = UniformBox((0, 0, 0), (1, 1, 1))
VOXELS = Grid(np.random.default_rng(0).random((3, 2, 3)) + 0.1, (0,) * 3, (1,) * 3)
TORUS = UniformBox((0, 0), (4, 2 * np.sqrt(3)))  # of 16 sites a distance 1 apart
VALUES = np.random.default_rng(5).random((7, 5))


def test_restarts():
    """The least energy of all starts wins; every end is told, and how they are spread."""
    r = quantize(SQUARE, 7, restarts=5, rng=0)
    assert len(r.restarts) == 6
    assert r.energy == pytest.approx(min(end.energy for end in r.restarts), rel=1e-13)
    assert len({round(end.energy, 9) for end in r.restarts}) > 1
    assert all(end.converged and end.residual < 1e-11 and end.n_iter > 0 for end in r.restarts)
    assert quantize(SQUARE, 7, rng=0).energy == r.restarts[0].energy
    energies = [end.energy for end in r.restarts]
    s = r.statistics()
    assert (s.runs, s.converged, s.best, s.worst) == (6, 6, min(energies), max(energies))
    assert (s.mean, s.deviation) == pytest.approx((np.mean(energies), np.std(energies)), rel=1e-12)
    assert s.hits == sum(v < min(energies) * (1 + 1e-9) for v in energies)
    assert s.distinct == len({round(v, 10) for v in energies})
    assert r.statistics(rtol=1.0)[6:] == (6, 1)
    assert lloyd(np.arange(9.0), 2, rng=0).statistics().runs == 1


@pytest.mark.parametrize(
    ("measure", "periodic", "p"),
    [
        (SQUARE, False, 2),
        (SQUARE, True, 3),
        (CUBE, False, 2),
        (Grid(VALUES, (-1, 0), (1, 3)), True, 2),
        (VOXELS, False, 2),
        (Gaussian([0.0, 0.0]), False, 2),
        (CUBE, True, 1),
    ],
)
def test_restarts_at_a_time(measure, periodic, p):
    """Several at a time in a kernel are what one after the other is, to the bit for any number of threads."""
    runs = []
    for threads in (1, 3):
        with deblai.use_backend("cpu", threads=threads):
            runs.append(quantize(measure, 12, p=p, periodic=periodic, restarts=3, rng=1))
    a, b = runs
    assert (a.sites == b.sites).all()
    assert a.history == b.history
    assert a.restarts == b.restarts
    one_by_one = quantize(measure, 12, p=p, periodic=periodic, restarts=3, rng=1, callback=lambda state: None)
    assert all(end.converged for end in a.restarts)
    for one, other in zip(a.restarts, one_by_one.restarts, strict=True):
        assert one.energy == pytest.approx(other.energy, rel=1e-9)
        assert other.n_iter / 2 - 5 < one.n_iter < 2 * other.n_iter + 5
    rounding = 1 + 1e-13
    assert all(b <= a * rounding for a, b in itertools.pairwise(a.history))
    assert a.stability.morse_index == 0


def test_ends_of_restarts(monkeypatch):
    """max_iter is kept, a certified run is the last one, and sites of cells without mass go elsewhere."""
    with pytest.warns(deblai.ConvergenceWarning, match="not converged after 3 steps"):
        r = quantize(SQUARE, 40, restarts=3, rng=0, max_iter=3)
    assert [end.n_iter for end in r.restarts] == [3] * 4
    assert not r.statistics().converged
    torus = quantize(TORUS, 4, periodic=True, init="triangular", restarts=5, rng=0)
    assert len(torus.restarts) == 1
    torus = quantize(UniformBox((0, 0), (2, np.sqrt(3))), 4, periodic=True, rng=3, restarts=30)
    assert torus.certified
    assert len(torus.restarts) < 31
    values = np.zeros((8, 8))
    values[0, 0] = values[7, 7] = 1
    init = np.array([[0.05, 0.05], [0.95, 0.95], [0.5, 0.5]])
    from deblai.quantization._powers import EMPTY, PowerProblem

    grid = Grid(values, (0, 0), (1, 1))
    found = PowerProblem(grid, False, 2.0).descend(np.stack([init, init]), 1e-12, 100, False)
    assert (found.end == EMPTY).all()
    monkeypatch.setattr("deblai.quantization._optimal.several.refilled", lambda land, point, rng: point)
    monkeypatch.setattr("deblai.quantization._optimal.starts.seeds", lambda measure, count, rng: init)
    r = quantize(grid, 3, rng=0, restarts=2)
    assert not r.empty.any()
    assert all(end.converged for end in r.restarts)


@pytest.mark.parametrize(("measure", "n"), [(SQUARE, 700), (CUBE, 400)])
def test_refined_restarts(measure, n):
    """Their starts descend at a time too; no end is worse than the first, which went the other way, by much."""
    s = quantize(measure, n, restarts=3, rng=0, tol=1e-3).statistics()
    assert (s.runs, s.converged, s.distinct) == (4, 4, 4)
    assert s.worst < 1.02 * s.best


def test_interrupted_restarts(python):
    """Ctrl-C among descents at a time keeps the best so far."""
    python("""
import os, signal, threading
import deblai
signal.signal(signal.SIGINT, signal.default_int_handler)
square = deblai.measures.UniformBox((0, 0), (1, 1))
start = lambda: threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
from deblai.quantization._powers import PowerProblem
before = PowerProblem.descend
def descend(*arguments):
    start()
    return before(*arguments)
PowerProblem.descend = descend
try:
    deblai.quantization.quantize(square, 200, restarts=3000, rng=0, init="random")
except deblai.Interrupted as stop:
    assert 2 < len(stop.result.restarts) < 3000, len(stop.result.restarts)
    assert stop.result.statistics().converged > 1
    assert stop.result.energy < 1.05 * 5 / (18 * 3**0.5) / 200
else:
    raise SystemExit("not interrupted")
""")
