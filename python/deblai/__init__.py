"""deblai: a fast backend for optimal transport research.

Rooms: `deblai.quantization`, `deblai.sliced`. Runs on the CPU at the best instruction set it has, or on CUDA where the
arrays are.
"""

from __future__ import annotations

from . import errors, measures, quantization, results, sliced
from ._backend import get_num_threads, set_num_threads, use_backend
from ._info import info
from .errors import ConvergenceWarning, DeblaiError, Interrupted

__all__ = [
    "ConvergenceWarning",
    "DeblaiError",
    "Interrupted",
    "__version__",
    "errors",
    "get_num_threads",
    "info",
    "measures",
    "quantization",
    "results",
    "set_num_threads",
    "sliced",
    "use_backend",
]


def __getattr__(name: str) -> str:
    """Look the version up only when somebody asks: importlib.metadata is half of the import time."""
    if name == "__version__":
        from ._version import __version__

        return __version__
    raise AttributeError(f"module 'deblai' has no attribute {name!r}")
