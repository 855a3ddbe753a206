"""What every test shares: the Hypothesis profile, the array libraries, clean processes."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # JAX makes float32 of every float64 otherwise

import deblai
import numpy as np
import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("numpy", "torch", "jax")

# The same examples in every run: a failure in CI is a failure at the desk.
settings.register_profile("deblai", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("deblai")


@dataclass(frozen=True)
class Library:
    """An array library: its name, how to make its arrays, what they are."""

    name: str
    title: str  # as messages of deblai call it
    array_type: type

    def array(self, values, dtype="float64"):
        values = np.array(values, dtype)
        if self.name == "torch":
            return importlib.import_module("torch").from_numpy(values)
        return importlib.import_module("jax.numpy").asarray(values) if self.name == "jax" else values

    def numpy(self, array):
        if self.name == "torch":
            return array.detach().numpy()
        return np.asarray(array)

    def dtype(self, array):
        return str(array.dtype).removeprefix("torch.")

    def is_scalar(self, value):
        """Whether a value is this library's own 0-d kind."""
        kind = np.floating if self.name == "numpy" else self.array_type
        return isinstance(value, kind) and value.shape == ()


def get_library(name):
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    title, cls = {
        "numpy": ("NumPy", "ndarray"),
        "torch": ("PyTorch", "Tensor"),
        "jax": ("JAX", "Array"),
    }[name]
    return Library(name, title, getattr(module, cls))


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Each of NumPy, PyTorch and JAX in turn."""
    return get_library(request.param)


@pytest.fixture
def get():
    """A library by its name."""
    return get_library


@pytest.fixture
def rng():
    return np.random.default_rng(20240711)


@pytest.fixture(autouse=True)
def same_threads_after():
    """Put the process-wide number of threads back."""
    before = deblai.get_num_threads()
    yield
    deblai.set_num_threads(before)


@pytest.fixture
def python():
    """Run code in a fresh interpreter; returns the completed process, stdout and stderr as text."""

    def run(code, *, timeout=60, check=True, **variables):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DEBLAI_")}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=kept | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    return run


@pytest.fixture(scope="session")
def root():
    """The root of the checkout."""
    return ROOT


def supported_levels():
    """The instruction sets that this CPU and build have."""
    from deblai import _core

    order = ["baseline", "avx2", "avx512"]
    return order[: order.index(_core.simd_best()) + 1]


def pytest_generate_tests(metafunc):
    if "level" in metafunc.fixturenames:
        metafunc.parametrize("level", supported_levels())


@pytest.fixture
def page(root, tmp_path):
    """Run a page of docs/gallery in quick mode; returns its numbers, and looks at its picture."""

    def run(name):
        spec = importlib.util.spec_from_file_location(name, root / "docs" / "gallery" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        numbers = module.main(out=tmp_path, quick=True)
        imread = pytest.importorskip("matplotlib.image").imread

        drawn = imread(tmp_path / f"{name}.png")[..., :3]
        assert min(drawn.shape[:2]) > 300
        assert 0.02 < (drawn < 0.99).any(-1).mean() < 0.9
        kept = root / "docs" / "gallery" / "images" / f"{name}.png"
        assert kept.stat().st_size < 300_000
        assert module.__doc__.count("\n") > 10
        return numbers

    return run
