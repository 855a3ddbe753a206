"""What this installation is and has."""

from __future__ import annotations

import platform
from typing import Any


def info() -> dict[str, Any]:
    """Return version, instruction sets, threads and CUDA of this installation.

    Returns
    -------
    dict
        Keys: version, python, numpy, platform, simd (in use), simd_best, threads, backend, cuda (None where this build
        has no CUDA kernels, else the names of the devices that the driver shows).

    Examples
    --------
    >>> import deblai
    >>> sorted(deblai.info())
    ['backend', 'cuda', 'numpy', 'platform', 'python', 'simd', 'simd_best', 'threads', 'version']
    """
    import numpy as np

    from . import _backend, _core
    from ._version import __version__

    now = _backend.settings()
    cuda = _backend.cuda_module()
    return {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "simd": _core.simd(now.simd),
        "simd_best": _core.simd_best(),
        "threads": now.threads,
        "backend": now.backend,
        "cuda": None if cuda is None else [cuda.device_name(k) for k in range(cuda.device_count())],
    }
