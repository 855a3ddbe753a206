"""Certificates of tensors of PyTorch on the GPU: the intervals of the CPU, from sums that run on the device."""

import importlib

import numpy as np
import pytest
from deblai import _core
from deblai.multimarginal import sinkhorn


def device_count():
    """How many CUDA devices this build of deblai can use."""
    try:
        cuda = importlib.import_module("deblai._cuda")
    except ImportError:
        return 0
    return cuda.device_count()


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(device_count() == 0, reason="no CUDA device, or deblai was built without CUDA kernels"),
]


def cases():
    rng = np.random.default_rng(0)
    yield "two", {"points": [rng.random((70, 2)), rng.random((50, 2))], "cost": "sqeuclidean", "epsilon": 0.1}
    yield "equal", {"points": rng.random((40, 3)), "n_marginals": 3, "cost": "coulomb", "epsilon": 0.3}
    yield "four", {"points": [rng.random((n, 1)) for n in (5, 40, 9, 33)], "cost": "sqeuclidean", "epsilon": 0.1}
    cost = {(p, r): rng.random((20, 20)) for p, r in ((0, 1), (0, 2), (1, 2))}
    yield "matrices", {"points": None, "cost": cost, "epsilon": 0.05}


def moved(v, dtype, convert):
    if isinstance(v, list):
        return [moved(x, dtype, convert) for x in v]
    if isinstance(v, dict):
        return {key: moved(x, dtype, convert) for key, x in v.items()}
    return convert(v.astype(dtype)) if isinstance(v, np.ndarray) else v


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "arguments"), [pytest.param(*case, id=case[0]) for case in cases()])
def test_intervals(name, arguments, dtype, monkeypatch):
    """Both contain what the other's potentials certify, and are as narrow."""
    torch = pytest.importorskip("torch")
    tol = 1e-4 if dtype == "float32" else 1e-8
    options = {"tol": tol, "certify": True}
    want = sinkhorn(**{k: moved(v, dtype, lambda x: x) for k, v in arguments.items()}, **options)

    def nowhere(*_):
        raise AssertionError("the search ran on the CPU")

    monkeypatch.setattr(_core, "multimarginal_minimum", nowhere)
    monkeypatch.setattr(_core, "multimarginal_evaluate", nowhere)
    on_device = {k: moved(v, dtype, lambda x: torch.as_tensor(x, device="cuda")) for k, v in arguments.items()}
    got = sinkhorn(**on_device, **options)
    assert got.backend == "cuda"
    assert got.certified
    assert want.certified
    scale = 1 + abs(want.value_upper)
    for low, high in (("lower", "upper"), ("value_lower", "value_upper")):
        assert getattr(got, low) <= getattr(want, high)
        assert getattr(want, low) <= getattr(got, high)
        for bound in (low, high):
            assert getattr(got, bound) == pytest.approx(getattr(want, bound), abs=30 * tol * scale), bound
