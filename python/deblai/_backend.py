"""Which code runs: backend, instruction set and number of threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from . import _validate, errors

BACKENDS = ("auto", "cpu", "cuda", "reference")
SIMD = ("", "baseline", "avx2", "avx512")
MAX_THREADS = 1024  # every thread of a call has its own workspace


class Settings(NamedTuple):
    """What `use_backend` and the environment say: backend, instruction set ("" for the best), threads."""

    backend: str
    simd: str
    threads: int


def _available_threads() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, MAX_THREADS)


def _from_environment() -> Settings:
    backend = os.environ.get("DEBLAI_BACKEND", "auto") or "auto"
    if backend not in BACKENDS:
        raise errors.InvalidValue(f"[deblai] DEBLAI_BACKEND: expected cpu, cuda or reference, got '{backend}'")
    simd = os.environ.get("DEBLAI_SIMD", "")
    if simd not in SIMD:
        raise errors.InvalidValue(f"[deblai] DEBLAI_SIMD: expected baseline, avx2 or avx512, got '{simd}'")
    given = os.environ.get("DEBLAI_NUM_THREADS", "")
    if given and not (given.isdecimal() and int(given) > 0):
        raise errors.InvalidValue(f"[deblai] DEBLAI_NUM_THREADS: expected a positive integer, got '{given}'")
    threads = _thread_count("deblai", "DEBLAI_NUM_THREADS", int(given)) if given else _available_threads()
    return Settings(backend, simd, threads)


def _thread_count(operation: str, name: str, n: Any) -> int:
    count = _validate.positive_integer(operation, name, n)
    if count > MAX_THREADS:
        raise errors.InvalidValue(f"[{operation}] {name}: expected at most {MAX_THREADS} threads, got {count}")
    return count


_settings: ContextVar[Settings | None] = ContextVar("deblai_settings", default=None)
_process: list[Settings] = []  # what the environment said at first use, changed by set_num_threads


def settings() -> Settings:
    """Return the settings in force here."""
    local = _settings.get()
    if local is not None:
        return local
    if not _process:
        _process.append(_from_environment())
    return _process[0]


def set_num_threads(n: int) -> None:
    """Set the number of threads of CPU kernels for the whole process.

    Results do not depend on it, to the bit. The default is ``DEBLAI_NUM_THREADS``, or as many as the process may
    run on.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Examples
    --------
    >>> import deblai
    >>> before = deblai.get_num_threads()
    >>> deblai.set_num_threads(1)
    >>> deblai.get_num_threads()
    1
    >>> deblai.set_num_threads(before)
    """
    n = _thread_count("set_num_threads", "n", n)
    changed = (_process[0] if _process else _from_environment())._replace(threads=n)
    _process[:] = [changed]


def get_num_threads() -> int:
    """Return the number of threads that CPU kernels use.

    Examples
    --------
    >>> import deblai
    >>> deblai.get_num_threads() >= 1
    True
    """
    return settings().threads


@contextmanager
def use_backend(backend: str | None = None, *, simd: str | None = None, threads: int | None = None) -> Iterator[None]:
    """Force a backend, an instruction set or a number of threads inside a ``with`` block.

    Parameters
    ----------
    backend : {"auto", "cpu", "cuda", "reference"}, optional
        "auto" runs where the arrays are. "reference" is plain NumPy, the oracle of the tests. Asking for a backend
        that the arrays are not on is an error: nothing is moved between devices silently.
    simd : {"baseline", "avx2", "avx512"}, optional
        Instruction set of the CPU kernels; "" for what ``DEBLAI_SIMD`` says, else the best.
    threads : int, optional
        Number of threads.

    Examples
    --------
    >>> import deblai, numpy as np
    >>> x = np.array([0.0, 1.0, 3.0])
    >>> with deblai.use_backend("reference"):
    ...     deblai.sliced.wasserstein(x, x + 2.0).backend
    'reference'
    """
    now = settings()
    if backend is not None:
        if backend not in BACKENDS:
            raise errors.InvalidValue(f"[use_backend] backend: expected one of {BACKENDS}, got {backend!r}")
        now = now._replace(backend=backend)
    if simd is not None:
        if simd not in SIMD:
            raise errors.InvalidValue(f"[use_backend] simd: expected one of {SIMD[1:]}, got {simd!r}")
        now = now._replace(simd=simd)
    if threads is not None:
        now = now._replace(threads=_thread_count("use_backend", "threads", threads))
    with restored(now):
        yield


def local_settings() -> Settings | None:
    """Return what `use_backend` says here, None outside its blocks: for code that runs later or elsewhere."""
    return _settings.get()


@contextmanager
def restored(local: Settings | None) -> Iterator[None]:
    """Put what `local_settings` returned in force inside a ``with`` block."""
    token = _settings.set(local)
    try:
        yield
    finally:
        _settings.reset(token)


def cuda_module() -> Any:
    """Return deblai._cuda, or None where this build has none."""
    try:
        from . import _cuda
    except ImportError:
        return None
    return _cuda


class Plan(NamedTuple):
    """Where one call runs: backend ("cpu", "cuda" or "reference"), the name that results record, SIMD, threads."""

    backend: str
    label: str
    simd: str
    threads: int


_plans: dict[tuple[Settings, str], Plan] = {}


def plan(operation: str, device: str) -> Plan:
    """Return where a call on arrays of a device ("cpu" or "cuda:0") runs; raise where it cannot run there."""
    now = settings()
    known = _plans.get((now, device))
    if known is None:
        known = _plans[now, device] = _plan(operation, device, now)
    return known


def _plan(operation: str, device: str, now: Settings) -> Plan:
    kind = device.partition(":")[0]
    backend = kind if now.backend == "auto" else now.backend
    if backend == "cuda" and kind != "cuda":
        raise errors.BackendError(f"[{operation}] backend 'cuda' was asked for, but the arrays are on the {device}")
    if backend in ("cpu", "reference") and kind == "cuda":
        raise errors.BackendError(f"[{operation}] backend '{backend}' was asked for, but the arrays are on {device}")
    if backend == "cuda" and cuda_module() is None:
        raise errors.BackendError(
            f"[{operation}] the arrays are on {device}, but this build of deblai has no CUDA kernels: "
            "reinstall with nvcc on the PATH and DEBLAI_CUDA=ON, or move the arrays to the CPU"
        )
    if backend != "cpu":
        return Plan(backend, backend, "", 0)
    from . import _core

    simd = _core.simd(now.simd)
    return Plan(backend, f"cpu/{simd}", simd, now.threads)


def available_memory() -> int:
    """Return the bytes of memory that can still be had, or a very large number where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 1 << 62


def require_memory(operation: str, wanted: int) -> None:
    """Raise before a run whose workspace would not fit."""
    if wanted > (1 << 28) and wanted > (available := available_memory()):
        raise errors.OutOfMemory(
            f"[{operation}] the workspace would take {wanted / 2**30:.1f} GiB, "
            f"but {available / 2**30:.1f} GiB are available"
        )
