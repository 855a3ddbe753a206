"""deblai: a fast backend for optimal transport research.

Rooms: `deblai.multimarginal`, `deblai.quantization`, `deblai.sliced`. Runs on the CPU at the best instruction set it
has, or on CUDA where the arrays are.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from ._backend import get_num_threads, set_num_threads, use_backend
from ._info import info
from .errors import ConvergenceWarning, DeblaiError, Interrupted

__all__ = [
    "ConvergenceWarning",
    "DeblaiError",
    "Interrupted",
    "__version__",
    "costs",
    "errors",
    "get_num_threads",
    "info",
    "measures",
    "multimarginal",
    "plot",
    "quantization",
    "results",
    "set_num_threads",
    "sliced",
    "use_backend",
]


if TYPE_CHECKING:
    from . import costs, measures, multimarginal, plot, quantization, results, sliced

_ROOMS = {"costs", "measures", "multimarginal", "plot", "quantization", "results", "sliced"}


def __getattr__(name: str) -> Any:
    """Import a room when somebody enters it, and look the version up when somebody asks.

    importlib.metadata alone is half of the import time.
    """
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    if name == "__version__":
        from ._version import __version__

        return __version__
    raise AttributeError(f"module 'deblai' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
