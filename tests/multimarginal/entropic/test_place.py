"""Where a certificate's sums run: a stand-in for a device counts them, and gives what the CPU gives."""

import numpy as np
import pytest
from deblai import _backend, _core
from deblai._array import Library
from deblai.multimarginal._entropic import certify, place
from deblai.multimarginal._entropic.evaluate import Schedule, solve
from deblai.multimarginal._problem import problem

OPERATION = "multimarginal.sinkhorn"


class Elsewhere(Library):
    """Arrays of NumPy that say they are on a device."""

    narrow = False  # as JAX without float64

    def device(self, x):
        return "cuda:0"

    def stream(self, x):
        return 5

    def device_array(self, array, like):
        return np.asarray(array, np.float32 if self.narrow else None)


class Device:
    """The kernels of the CPU under the names of deblai._cuda; every call, with its budget."""

    def __init__(self, tuples):
        self.tuples, self.calls = tuples, []

    def multimarginal(self, *given):
        return self.run(_core.multimarginal, "sweeps", given)

    def multimarginal_evaluate(self, *given):
        return self.run(_core.multimarginal_evaluate, "evaluate", given)

    def multimarginal_minimum(self, *given):
        found = self.run(_core.multimarginal_minimum, given[-3], (*given[:-2], np.inf, False, *given[-2:]))[:5]
        return found if given[-3] >= self.tuples else (found[0] - 1.0, np.inf, False, 1, [])

    def run(self, kernel, name, given):
        assert given[-2:] == (5, 0)
        self.calls.append(name)
        assert given[2] or given[0][0] is not None
        return kernel(*given[:-2], 1, "")


@pytest.fixture
def device(monkeypatch):
    """Put `Device` in place of deblai._cuda, for arrays of `Elsewhere`."""
    fake, plan = Device(0), _backend.plan

    def planned(operation, where):
        assert _backend.settings().backend == "auto"
        return _backend.Plan("cuda", "cuda", "", 0) if where == "cuda:0" else plan(operation, where)

    monkeypatch.setattr(_backend, "plan", planned)
    monkeypatch.setattr(_backend, "cuda_module", lambda: fake)
    return fake


def problems(kind, dtype):
    rng = np.random.default_rng(3)
    if kind == "equal":
        q = problem(OPERATION, rng.random((12, 2)).astype(dtype), None, 3, "coulomb", 0.2)
    elif kind == "points":
        q = problem(OPERATION, [rng.random((n, 2)).astype(dtype) for n in (6, 9, 7)], None, None, "sqeuclidean", 0.1)
    else:
        cost = {(p, r): rng.random((8, 8)).astype(dtype) for p, r in ((0, 1), (0, 2), (1, 2))}
        q = problem(OPERATION, None, None, None, cost, 0.1)
    return q, q._replace(library=Elsewhere())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["equal", "points", "matrices"])
@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_the_same_intervals(kind, dtype, asked, device):
    """Of both: evaluations and the minimum run on the device, which looks at more nodes than the CPU would."""
    q, away = problems(kind, dtype)
    f = solve(q, np.zeros(sum(q.sizes)), Schedule(1e-3, 50, 0)).potentials
    want = certify.certify(q, f, None)
    assert device.calls == []
    with _backend.restored(_backend.settings()._replace(backend=asked)):
        got = certify.certify(away, f, None)
    assert got == want
    assert want.certified
    assert "evaluate" in device.calls
    (budget,) = [c for c in device.calls if isinstance(c, int)]
    n = max(q.sizes)
    assert budget == int(place.FASTER * int(certify.WORK / n**2) * (n / place.TILE) ** 3)
    assert certify.entropic(away, f) == certify.entropic(q, f)


def test_too_many_tuples_for_the_device(device):
    """The search of the CPU has the last word, within the budget that was given."""
    q, away = problems("equal", "float64")
    f = solve(q, np.zeros(12), Schedule(1e-3, 50, 0)).potentials
    device.tuples = 10**20
    assert certify.certify(away, f, None) == certify.certify(q, f, None)
    few, wanted = certify.certify(away, f, 1), certify.certify(q, f, 1)
    assert few == wanted


def test_without_float64_everything_runs_on_the_host(device):
    """As JAX has it by default."""
    q, away = problems("points", "float32")
    away.library.narrow = True
    f = np.zeros(sum(q.sizes))
    assert certify.certify(away, f, None) == certify.certify(q, f, None)
    assert device.calls == []


def test_worse_potentials_are_polished_where_the_arrays_are(device):
    """Sweeps of better potentials run there as well."""
    q, away = problems("points", "float64")
    f = np.random.default_rng(0).standard_normal(sum(q.sizes))
    got, want = certify.certify(away, f, None), certify.certify(q, f, None)
    assert got == want
