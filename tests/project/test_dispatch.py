"""The environment chooses code: DEBLAI_SIMD, DEBLAI_BACKEND, DEBLAI_NUM_THREADS, each in a fresh process."""

import json

import deblai
import numpy as np
import pytest
from deblai import _core
from deblai.sliced import gradient_flow, wasserstein

LEVELS = ("baseline", "avx2", "avx512")
CALL = """
import json, sys
import numpy as np, deblai
x = np.random.default_rng(0).standard_normal((100, 3))
try:
    r = deblai.sliced.wasserstein(x, 2 * x, rng=0)
    said = {"backend": r.backend, "value": r.value, "info": deblai.info()}
except deblai.DeblaiError as error:
    said = {"error": type(error).__name__, "message": str(error)}
print(json.dumps(said))
"""


@pytest.fixture
def call(python):
    """What the call says under these variables: its backend, value and info(), or its error."""

    def run(**variables):
        return json.loads(python(CALL, **variables).stdout)

    return run


@pytest.mark.parametrize("wanted", LEVELS)
def test_simd(wanted, call):
    """A level that this CPU has is used, and said so; one that it has not is an error, never a fallback."""
    said = call(DEBLAI_SIMD=wanted)
    if LEVELS.index(wanted) <= LEVELS.index(_core.simd_best()):
        assert said["backend"] == f"cpu/{wanted}"
        assert said["info"]["simd"] == wanted
        assert said["info"]["simd_best"] == _core.simd_best()
    else:
        assert said["error"] == "BackendError"
        assert f"DEBLAI_SIMD={wanted}" in said["message"]
        assert f"at most {_core.simd_best()}" in said["message"]


def test_a_level_that_the_cpu_lacks():
    """The error itself, on any CPU that has not everything."""
    missing = LEVELS[LEVELS.index(_core.simd_best()) + 1 :]
    if not missing:
        pytest.skip("this CPU has every level")
    with (
        deblai.use_backend(simd=missing[0]),
        pytest.raises(deblai.errors.BackendError, match=rf"\[simd\] simd={missing[0]}: this CPU or build has at most"),
    ):
        wasserstein([0.0], [1.0])


def test_the_best_is_the_default(call):
    """Without variables, and with empty ones."""
    for variables in ({}, {"DEBLAI_SIMD": "", "DEBLAI_BACKEND": "", "DEBLAI_NUM_THREADS": ""}):
        said = call(**variables)
        assert said["backend"] == f"cpu/{_core.simd_best()}"
        assert said["info"]["backend"] == "auto"


@pytest.mark.parametrize(("backend", "label"), [("auto", "cpu/"), ("cpu", "cpu/"), ("reference", "reference")])
def test_backend(backend, label, call):
    """DEBLAI_BACKEND; the numbers are the same."""
    said = call(DEBLAI_BACKEND=backend)
    assert said["backend"].startswith(label)
    assert said["info"]["backend"] == backend
    x = np.random.default_rng(0).standard_normal((100, 3))
    assert said["value"] == pytest.approx(wasserstein(x, 2 * x, rng=0).value, rel=1e-13)


def test_cuda_for_arrays_of_the_cpu(call):
    """DEBLAI_BACKEND=cuda with CPU arrays: nothing is moved."""
    said = call(DEBLAI_BACKEND="cuda")
    assert said["error"] == "BackendError"
    assert said["message"] == "[sliced.wasserstein] backend 'cuda' was asked for, but the arrays are on the cpu"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("DEBLAI_SIMD", "sse9", "[deblai] DEBLAI_SIMD: expected baseline, avx2 or avx512, got 'sse9'"),
        ("DEBLAI_SIMD", "AVX2", "[deblai] DEBLAI_SIMD: expected baseline, avx2 or avx512, got 'AVX2'"),
        ("DEBLAI_BACKEND", "gpu", "[deblai] DEBLAI_BACKEND: expected cpu, cuda or reference, got 'gpu'"),
        ("DEBLAI_NUM_THREADS", "0", "[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got '0'"),
        ("DEBLAI_NUM_THREADS", "-2", "[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got '-2'"),
        ("DEBLAI_NUM_THREADS", "two", "[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got 'two'"),
        ("DEBLAI_NUM_THREADS", "1.5", "[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got '1.5'"),
        ("DEBLAI_NUM_THREADS", "\u00b2", "[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got '\u00b2'"),
        ("DEBLAI_NUM_THREADS", "99999", "[deblai] DEBLAI_NUM_THREADS: expected at most 1024 threads, got 99999"),
    ],
)
def test_invalid_variables(variable, value, message, call):
    """At the first call, with the variable and what it held; importing never fails."""
    said = call(**{variable: value})
    assert said == {"error": "InvalidValue", "message": message}


def test_use_backend_goes_before_the_environment(python):
    """A block that names a level or a backend has it, whatever the variables say."""
    code = """
import numpy as np, deblai
x = np.eye(3)
with deblai.use_backend("cpu", simd="baseline"):
    print(deblai.sliced.wasserstein(x, x).backend)
print(deblai.sliced.wasserstein(x, x).backend)
"""
    said = python(code, DEBLAI_BACKEND="reference", DEBLAI_SIMD="avx2").stdout
    assert said == "cpu/baseline\nreference\n"


def test_every_public_function_records_its_backend(level):
    """The result says which code ran."""
    x = np.random.default_rng(0).standard_normal((20, 2))
    with deblai.use_backend(simd=level):
        assert wasserstein(x, x).backend == f"cpu/{level}"
        assert gradient_flow(x, x, n_steps=1).backend == f"cpu/{level}"
    with deblai.use_backend("reference"):
        assert gradient_flow(x, x, n_steps=1).backend == "reference"


def test_nested_blocks():
    """An inner block changes what it names and keeps the rest."""
    with deblai.use_backend("cpu", simd="baseline", threads=2):
        with deblai.use_backend(threads=3):
            assert deblai.get_num_threads() == 3
            assert wasserstein([0.0], [1.0]).backend == "cpu/baseline"
        assert deblai.get_num_threads() == 2
